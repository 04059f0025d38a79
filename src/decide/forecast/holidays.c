/* Public holidays by rule: a fixed date, a distance from Easter Sunday, the n-th weekday of a month
 * or the first one from a date on; and what happens when they fall on a weekend. Nation-wide ones
 * that are no Sundays by themselves (GB: England; AU: Victoria, without the Friday before the
 * football final, which no rule gives; CA: the federal ones; CH: those of all cantons). By the same
 * rules: shopping days, and the last working day of a month, when wages are paid. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "decide/forecast/calendar_internal.h"

enum rule { FIXED, EASTER, WEEKDAY, FROM_DATE, LAST_WORKDAY };
/* When it falls on a weekend. */
enum moved { STAYS, TO_NEAREST, TO_MONDAY, TO_SATURDAY, ALSO_AFTER };
enum { SUNDAY, MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY };

struct holiday {
    char country[3];
    const char *name;
    enum rule rule;
    /* FIXED: month, day. EASTER: days after. WEEKDAY: month, weekday, n (-1: last). FROM_DATE:
     * month, day, the first such weekday from there on. LAST_WORKDAY: month. */
    int a, b, c;
    enum moved moved;
    int since;
};

#define SHOPPING "+S"
#define PAYDAYS "+P"

static const struct holiday holidays[] = {
    { "DE", "Neujahr", FIXED, 1, 1, 0, STAYS, 0 },
    { "DE", "Karfreitag", EASTER, -2, 0, 0, STAYS, 0 },
    { "DE", "Ostermontag", EASTER, 1, 0, 0, STAYS, 0 },
    { "DE", "Tag der Arbeit", FIXED, 5, 1, 0, STAYS, 0 },
    { "DE", "Christi Himmelfahrt", EASTER, 39, 0, 0, STAYS, 0 },
    { "DE", "Pfingstmontag", EASTER, 50, 0, 0, STAYS, 0 },
    { "DE", "Tag der Deutschen Einheit", FIXED, 10, 3, 0, STAYS, 1990 },
    { "DE", "1. Weihnachtstag", FIXED, 12, 25, 0, STAYS, 0 },
    { "DE", "2. Weihnachtstag", FIXED, 12, 26, 0, STAYS, 0 },
    { "AT", "Neujahr", FIXED, 1, 1, 0, STAYS, 0 },
    { "AT", "Heilige Drei Könige", FIXED, 1, 6, 0, STAYS, 0 },
    { "AT", "Ostermontag", EASTER, 1, 0, 0, STAYS, 0 },
    { "AT", "Staatsfeiertag", FIXED, 5, 1, 0, STAYS, 0 },
    { "AT", "Christi Himmelfahrt", EASTER, 39, 0, 0, STAYS, 0 },
    { "AT", "Pfingstmontag", EASTER, 50, 0, 0, STAYS, 0 },
    { "AT", "Fronleichnam", EASTER, 60, 0, 0, STAYS, 0 },
    { "AT", "Mariä Himmelfahrt", FIXED, 8, 15, 0, STAYS, 0 },
    { "AT", "Nationalfeiertag", FIXED, 10, 26, 0, STAYS, 0 },
    { "AT", "Allerheiligen", FIXED, 11, 1, 0, STAYS, 0 },
    { "AT", "Mariä Empfängnis", FIXED, 12, 8, 0, STAYS, 0 },
    { "AT", "Christtag", FIXED, 12, 25, 0, STAYS, 0 },
    { "AT", "Stefanitag", FIXED, 12, 26, 0, STAYS, 0 },
    { "FR", "Jour de l'an", FIXED, 1, 1, 0, STAYS, 0 },
    { "FR", "Lundi de Pâques", EASTER, 1, 0, 0, STAYS, 0 },
    { "FR", "Fête du travail", FIXED, 5, 1, 0, STAYS, 0 },
    { "FR", "Victoire 1945", FIXED, 5, 8, 0, STAYS, 1982 },
    { "FR", "Ascension", EASTER, 39, 0, 0, STAYS, 0 },
    { "FR", "Lundi de Pentecôte", EASTER, 50, 0, 0, STAYS, 0 },
    { "FR", "Fête nationale", FIXED, 7, 14, 0, STAYS, 0 },
    { "FR", "Assomption", FIXED, 8, 15, 0, STAYS, 0 },
    { "FR", "Toussaint", FIXED, 11, 1, 0, STAYS, 0 },
    { "FR", "Armistice 1918", FIXED, 11, 11, 0, STAYS, 0 },
    { "FR", "Noël", FIXED, 12, 25, 0, STAYS, 0 },
    { "GB", "New Year's Day", FIXED, 1, 1, 0, TO_MONDAY, 0 },
    { "GB", "Good Friday", EASTER, -2, 0, 0, STAYS, 0 },
    { "GB", "Easter Monday", EASTER, 1, 0, 0, STAYS, 0 },
    { "GB", "Early May bank holiday", WEEKDAY, 5, MONDAY, 1, STAYS, 1978 },
    { "GB", "Spring bank holiday", WEEKDAY, 5, MONDAY, -1, STAYS, 0 },
    { "GB", "Summer bank holiday", WEEKDAY, 8, MONDAY, -1, STAYS, 0 },
    { "GB", "Christmas Day", FIXED, 12, 25, 0, ALSO_AFTER, 0 },
    { "GB", "Boxing Day", FIXED, 12, 26, 0, ALSO_AFTER, 0 },
    { "US", "New Year's Day", FIXED, 1, 1, 0, TO_NEAREST, 0 },
    { "US", "Martin Luther King Jr. Day", WEEKDAY, 1, MONDAY, 3, STAYS, 1986 },
    { "US", "Washington's Birthday", WEEKDAY, 2, MONDAY, 3, STAYS, 0 },
    { "US", "Memorial Day", WEEKDAY, 5, MONDAY, -1, STAYS, 0 },
    { "US", "Juneteenth", FIXED, 6, 19, 0, TO_NEAREST, 2021 },
    { "US", "Independence Day", FIXED, 7, 4, 0, TO_NEAREST, 0 },
    { "US", "Labor Day", WEEKDAY, 9, MONDAY, 1, STAYS, 0 },
    { "US", "Columbus Day", WEEKDAY, 10, MONDAY, 2, STAYS, 0 },
    { "US", "Veterans Day", FIXED, 11, 11, 0, TO_NEAREST, 0 },
    { "US", "Thanksgiving Day", WEEKDAY, 11, THURSDAY, 4, STAYS, 0 },
    { "US", "Christmas Day", FIXED, 12, 25, 0, TO_NEAREST, 0 },
    { "AU", "New Year's Day", FIXED, 1, 1, 0, TO_MONDAY, 0 },
    { "AU", "Australia Day", FIXED, 1, 26, 0, TO_MONDAY, 0 },
    { "AU", "Labour Day", WEEKDAY, 3, MONDAY, 2, STAYS, 0 },
    { "AU", "Good Friday", EASTER, -2, 0, 0, STAYS, 0 },
    { "AU", "Easter Saturday", EASTER, -1, 0, 0, STAYS, 0 },
    { "AU", "Easter Monday", EASTER, 1, 0, 0, STAYS, 0 },
    { "AU", "Anzac Day", FIXED, 4, 25, 0, STAYS, 0 },
    { "AU", "King's Birthday", WEEKDAY, 6, MONDAY, 2, STAYS, 0 },
    { "AU", "Melbourne Cup", WEEKDAY, 11, TUESDAY, 1, STAYS, 0 },
    { "AU", "Christmas Day", FIXED, 12, 25, 0, ALSO_AFTER, 0 },
    { "AU", "Boxing Day", FIXED, 12, 26, 0, ALSO_AFTER, 0 },
    { "BE", "Nieuwjaar", FIXED, 1, 1, 0, STAYS, 0 },
    { "BE", "Paasmaandag", EASTER, 1, 0, 0, STAYS, 0 },
    { "BE", "Dag van de Arbeid", FIXED, 5, 1, 0, STAYS, 0 },
    { "BE", "O. L. H. Hemelvaart", EASTER, 39, 0, 0, STAYS, 0 },
    { "BE", "Pinkstermaandag", EASTER, 50, 0, 0, STAYS, 0 },
    { "BE", "Nationale feestdag", FIXED, 7, 21, 0, STAYS, 0 },
    { "BE", "O. L. V. Hemelvaart", FIXED, 8, 15, 0, STAYS, 0 },
    { "BE", "Allerheiligen", FIXED, 11, 1, 0, STAYS, 0 },
    { "BE", "Wapenstilstand", FIXED, 11, 11, 0, STAYS, 0 },
    { "BE", "Kerstmis", FIXED, 12, 25, 0, STAYS, 0 },
    { "CA", "New Year's Day", FIXED, 1, 1, 0, STAYS, 0 },
    { "CA", "Good Friday", EASTER, -2, 0, 0, STAYS, 0 },
    { "CA", "Victoria Day", FROM_DATE, 5, 18, MONDAY, STAYS, 0 },
    { "CA", "Canada Day", FIXED, 7, 1, 0, STAYS, 0 },
    { "CA", "Labour Day", WEEKDAY, 9, MONDAY, 1, STAYS, 0 },
    { "CA", "Truth and Reconciliation", FIXED, 9, 30, 0, STAYS, 2021 },
    { "CA", "Thanksgiving Day", WEEKDAY, 10, MONDAY, 2, STAYS, 0 },
    { "CA", "Remembrance Day", FIXED, 11, 11, 0, STAYS, 0 },
    { "CA", "Christmas Day", FIXED, 12, 25, 0, STAYS, 0 },
    { "CA", "Boxing Day", FIXED, 12, 26, 0, STAYS, 0 },
    { "CH", "Neujahr", FIXED, 1, 1, 0, STAYS, 0 },
    { "CH", "Auffahrt", EASTER, 39, 0, 0, STAYS, 0 },
    { "CH", "Nationalfeiertag", FIXED, 8, 1, 0, STAYS, 1994 },
    { "CH", "Weihnachten", FIXED, 12, 25, 0, STAYS, 0 },
    { "CZ", "Nový rok", FIXED, 1, 1, 0, STAYS, 0 },
    { "CZ", "Velký pátek", EASTER, -2, 0, 0, STAYS, 2016 },
    { "CZ", "Velikonoční pondělí", EASTER, 1, 0, 0, STAYS, 0 },
    { "CZ", "Svátek práce", FIXED, 5, 1, 0, STAYS, 0 },
    { "CZ", "Den vítězství", FIXED, 5, 8, 0, STAYS, 0 },
    { "CZ", "Cyril a Metoděj", FIXED, 7, 5, 0, STAYS, 0 },
    { "CZ", "Mistr Jan Hus", FIXED, 7, 6, 0, STAYS, 0 },
    { "CZ", "Den české státnosti", FIXED, 9, 28, 0, STAYS, 2000 },
    { "CZ", "Vznik státu", FIXED, 10, 28, 0, STAYS, 0 },
    { "CZ", "Den boje za svobodu", FIXED, 11, 17, 0, STAYS, 2000 },
    { "CZ", "Štědrý den", FIXED, 12, 24, 0, STAYS, 0 },
    { "CZ", "1. svátek vánoční", FIXED, 12, 25, 0, STAYS, 0 },
    { "CZ", "2. svátek vánoční", FIXED, 12, 26, 0, STAYS, 0 },
    { "ES", "Año Nuevo", FIXED, 1, 1, 0, STAYS, 0 },
    { "ES", "Epifanía", FIXED, 1, 6, 0, STAYS, 0 },
    { "ES", "Viernes Santo", EASTER, -2, 0, 0, STAYS, 0 },
    { "ES", "Fiesta del Trabajo", FIXED, 5, 1, 0, STAYS, 0 },
    { "ES", "Asunción", FIXED, 8, 15, 0, STAYS, 0 },
    { "ES", "Fiesta Nacional", FIXED, 10, 12, 0, STAYS, 0 },
    { "ES", "Todos los Santos", FIXED, 11, 1, 0, STAYS, 0 },
    { "ES", "Constitución", FIXED, 12, 6, 0, STAYS, 0 },
    { "ES", "Inmaculada", FIXED, 12, 8, 0, STAYS, 0 },
    { "ES", "Navidad", FIXED, 12, 25, 0, STAYS, 0 },
    { "FI", "Uudenvuodenpäivä", FIXED, 1, 1, 0, STAYS, 0 },
    { "FI", "Loppiainen", FIXED, 1, 6, 0, STAYS, 0 },
    { "FI", "Pitkäperjantai", EASTER, -2, 0, 0, STAYS, 0 },
    { "FI", "Toinen pääsiäispäivä", EASTER, 1, 0, 0, STAYS, 0 },
    { "FI", "Vappu", FIXED, 5, 1, 0, STAYS, 0 },
    { "FI", "Helatorstai", EASTER, 39, 0, 0, STAYS, 0 },
    { "FI", "Juhannuspäivä", FROM_DATE, 6, 20, SATURDAY, STAYS, 0 },
    { "FI", "Pyhäinpäivä", FROM_DATE, 10, 31, SATURDAY, STAYS, 0 },
    { "FI", "Itsenäisyyspäivä", FIXED, 12, 6, 0, STAYS, 0 },
    { "FI", "Joulupäivä", FIXED, 12, 25, 0, STAYS, 0 },
    { "FI", "Tapaninpäivä", FIXED, 12, 26, 0, STAYS, 0 },
    { "IT", "Capodanno", FIXED, 1, 1, 0, STAYS, 0 },
    { "IT", "Epifania", FIXED, 1, 6, 0, STAYS, 0 },
    { "IT", "Lunedì dell'Angelo", EASTER, 1, 0, 0, STAYS, 0 },
    { "IT", "Liberazione", FIXED, 4, 25, 0, STAYS, 0 },
    { "IT", "Festa dei Lavoratori", FIXED, 5, 1, 0, STAYS, 0 },
    { "IT", "Festa della Repubblica", FIXED, 6, 2, 0, STAYS, 0 },
    { "IT", "Assunzione", FIXED, 8, 15, 0, STAYS, 0 },
    { "IT", "San Francesco", FIXED, 10, 4, 0, STAYS, 2026 },
    { "IT", "Ognissanti", FIXED, 11, 1, 0, STAYS, 0 },
    { "IT", "Immacolata", FIXED, 12, 8, 0, STAYS, 0 },
    { "IT", "Natale", FIXED, 12, 25, 0, STAYS, 0 },
    { "IT", "Santo Stefano", FIXED, 12, 26, 0, STAYS, 0 },
    { "NL", "Nieuwjaarsdag", FIXED, 1, 1, 0, STAYS, 0 },
    { "NL", "Tweede paasdag", EASTER, 1, 0, 0, STAYS, 0 },
    { "NL", "Koningsdag", FIXED, 4, 27, 0, TO_SATURDAY, 2014 },
    { "NL", "Hemelvaartsdag", EASTER, 39, 0, 0, STAYS, 0 },
    { "NL", "Tweede pinksterdag", EASTER, 50, 0, 0, STAYS, 0 },
    { "NL", "Eerste kerstdag", FIXED, 12, 25, 0, STAYS, 0 },
    { "NL", "Tweede kerstdag", FIXED, 12, 26, 0, STAYS, 0 },
    { "NO", "Nyttårsdag", FIXED, 1, 1, 0, STAYS, 0 },
    { "NO", "Skjærtorsdag", EASTER, -3, 0, 0, STAYS, 0 },
    { "NO", "Langfredag", EASTER, -2, 0, 0, STAYS, 0 },
    { "NO", "Andre påskedag", EASTER, 1, 0, 0, STAYS, 0 },
    { "NO", "Arbeidernes dag", FIXED, 5, 1, 0, STAYS, 0 },
    { "NO", "Grunnlovsdag", FIXED, 5, 17, 0, STAYS, 0 },
    { "NO", "Kristi himmelfartsdag", EASTER, 39, 0, 0, STAYS, 0 },
    { "NO", "Andre pinsedag", EASTER, 50, 0, 0, STAYS, 0 },
    { "NO", "Første juledag", FIXED, 12, 25, 0, STAYS, 0 },
    { "NO", "Andre juledag", FIXED, 12, 26, 0, STAYS, 0 },
    { "PL", "Nowy Rok", FIXED, 1, 1, 0, STAYS, 0 },
    { "PL", "Trzech Króli", FIXED, 1, 6, 0, STAYS, 2011 },
    { "PL", "Poniedziałek Wielkanocny", EASTER, 1, 0, 0, STAYS, 0 },
    { "PL", "Święto Państwowe", FIXED, 5, 1, 0, STAYS, 0 },
    { "PL", "Święto 3 Maja", FIXED, 5, 3, 0, STAYS, 0 },
    { "PL", "Boże Ciało", EASTER, 60, 0, 0, STAYS, 0 },
    { "PL", "Wniebowzięcie", FIXED, 8, 15, 0, STAYS, 0 },
    { "PL", "Wszystkich Świętych", FIXED, 11, 1, 0, STAYS, 0 },
    { "PL", "Niepodległości", FIXED, 11, 11, 0, STAYS, 0 },
    { "PL", "Wigilia", FIXED, 12, 24, 0, STAYS, 2025 },
    { "PL", "Boże Narodzenie", FIXED, 12, 25, 0, STAYS, 0 },
    { "PL", "Drugi dzień świąt", FIXED, 12, 26, 0, STAYS, 0 },
    { "PT", "Ano Novo", FIXED, 1, 1, 0, STAYS, 0 },
    { "PT", "Sexta-feira Santa", EASTER, -2, 0, 0, STAYS, 0 },
    { "PT", "Dia da Liberdade", FIXED, 4, 25, 0, STAYS, 0 },
    { "PT", "Dia do Trabalhador", FIXED, 5, 1, 0, STAYS, 0 },
    { "PT", "Corpo de Deus", EASTER, 60, 0, 0, STAYS, 2016 },
    { "PT", "Dia de Portugal", FIXED, 6, 10, 0, STAYS, 0 },
    { "PT", "Assunção", FIXED, 8, 15, 0, STAYS, 0 },
    { "PT", "República", FIXED, 10, 5, 0, STAYS, 2016 },
    { "PT", "Todos os Santos", FIXED, 11, 1, 0, STAYS, 2016 },
    { "PT", "Restauração", FIXED, 12, 1, 0, STAYS, 2016 },
    { "PT", "Imaculada Conceição", FIXED, 12, 8, 0, STAYS, 0 },
    { "PT", "Natal", FIXED, 12, 25, 0, STAYS, 0 },
    { "SE", "Nyårsdagen", FIXED, 1, 1, 0, STAYS, 0 },
    { "SE", "Trettondedag jul", FIXED, 1, 6, 0, STAYS, 0 },
    { "SE", "Långfredagen", EASTER, -2, 0, 0, STAYS, 0 },
    { "SE", "Annandag påsk", EASTER, 1, 0, 0, STAYS, 0 },
    { "SE", "Första maj", FIXED, 5, 1, 0, STAYS, 0 },
    { "SE", "Kristi himmelsfärdsdag", EASTER, 39, 0, 0, STAYS, 0 },
    { "SE", "Nationaldagen", FIXED, 6, 6, 0, STAYS, 2005 },
    { "SE", "Midsommardagen", FROM_DATE, 6, 20, SATURDAY, STAYS, 0 },
    { "SE", "Alla helgons dag", FROM_DATE, 10, 31, SATURDAY, STAYS, 0 },
    { "SE", "Juldagen", FIXED, 12, 25, 0, STAYS, 0 },
    { "SE", "Annandag jul", FIXED, 12, 26, 0, STAYS, 0 },
    { SHOPPING, "Valentine's Day", FIXED, 2, 14, 0, STAYS, 0 },
    { SHOPPING, "Mother's Day", WEEKDAY, 5, SUNDAY, 2, STAYS, 0 },
    { SHOPPING, "Singles' Day", FIXED, 11, 11, 0, STAYS, 2009 },
    { SHOPPING, "Black Friday", FROM_DATE, 11, 23, FRIDAY, STAYS, 0 },
    { SHOPPING, "Cyber Monday", FROM_DATE, 11, 26, MONDAY, STAYS, 2005 },
    { PAYDAYS, "payday", LAST_WORKDAY, 1, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 2, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 3, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 4, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 5, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 6, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 7, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 8, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 9, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 10, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 11, 0, 0, STAYS, 0 },
    { PAYDAYS, "payday", LAST_WORKDAY, 12, 0, 0, STAYS, 0 },
};
#define HOLIDAYS (sizeof holidays / sizeof holidays[0])

/* Gregorian Easter Sunday: Meeus, Jones and Butcher. */
static int64_t easter(int year) {
    int a = year % 19, b = year / 100, c = year % 100;
    int d = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    int e = (32 + 2 * (b % 4) + 2 * (c / 4) - d - c % 4) % 7;
    int f = d + e - 7 * ((a + 11 * d + 22 * e) / 451) + 114;
    return clock_days_from_civil(year, (unsigned)(f / 31), (unsigned)(f % 31 + 1));
}

static int weekday(int64_t day) { /* 1970-01-01 was a Thursday */
    return (int)(((day + 4) % 7 + 7) % 7);
}

static int64_t nth_weekday(int year, int month, int wanted, int n) {
    if (n > 0) {
        int64_t first = clock_days_from_civil(year, (unsigned)month, 1);
        return first + (wanted - weekday(first) + 7) % 7 + 7 * ((int64_t)n - 1);
    }
    int64_t last = month == 12 ? clock_days_from_civil(year, 12, 31)
                               : clock_days_from_civil(year, (unsigned)month + 1, 1) - 1;
    return last - (weekday(last) - wanted + 7) % 7;
}

static int64_t last_workday(int year, int month) {
    int64_t day = nth_weekday(year, month, FRIDAY, -1);
    for (int wanted = MONDAY; wanted < FRIDAY; wanted++) {
        int64_t other = nth_weekday(year, month, wanted, -1);
        day = other > day ? other : day;
    }
    return day;
}

static int64_t date_of(const struct holiday *h, int year) {
    switch (h->rule) {
    case FIXED:
        return clock_days_from_civil(year, (unsigned)h->a, (unsigned)h->b);
    case EASTER:
        return easter(year) + h->a;
    case WEEKDAY:
        return nth_weekday(year, h->a, h->b, h->c);
    case FROM_DATE: {
        int64_t from = clock_days_from_civil(year, (unsigned)h->a, (unsigned)h->b);
        return from + (h->c - weekday(from) + 7) % 7;
    }
    case LAST_WORKDAY:
        return last_workday(year, h->a);
    }
    return 0;
}

/* The day on which it is kept besides or instead; `day` itself when it is not moved. */
static int64_t kept_on(const struct holiday *h, int64_t day) {
    int at = weekday(day);
    if (h->moved == STAYS || (at != SATURDAY && at != SUNDAY)) {
        return day;
    }
    if (h->moved == TO_SATURDAY) {
        return at == SUNDAY ? day - 1 : day;
    }
    if (h->moved == TO_NEAREST) {
        return at == SATURDAY ? day - 1 : day + 1;
    }
    if (h->moved == ALSO_AFTER) {
        return day + 2; /* past the other of the two days, which are next to each other */
    }
    return at == SATURDAY ? day + 2 : day + 1;
}

static bool add_day(struct calendar *c, const struct holiday *h, int64_t day,
                    struct calendar_window window, struct error *err) {
    char kind[64] = CALENDAR_HOLIDAY;
    if (h->country[0] == '+') { /* each has an effect of its own */
        snprintf(kind, sizeof kind, CALENDAR_HOLIDAY ": %s", h->name);
    }
    struct calendar_event event = {
        .start_ms = day * MS_PER_DAY,
        .end_ms = (day + 1) * MS_PER_DAY,
        .name = slice_from(h->name),
        .kind = slice_from(kind),
        .multiplier = NAN,
    };
    if (event.end_ms <= window.from_ms || event.start_ms >= window.to_ms) {
        return true;
    }
    return calendar_add(c, &event, err);
}

static bool add_year(struct calendar *c, const struct holiday *h, int year,
                     struct calendar_window window, struct error *err) {
    int64_t day = date_of(h, year), kept = kept_on(h, day);
    bool instead = h->moved == TO_MONDAY || h->moved == TO_SATURDAY;
    bool on_the_day = !instead || kept == day;
    return year < h->since || ((!on_the_day || add_day(c, h, day, window, err)) &&
                               (kept == day || add_day(c, h, kept, window, err)));
}

/* As it is in the table; what only the table calls so is nobody's word. */
static struct slice code_of(struct slice country) {
    bool ours = country.len > 0 && country.data[0] == '+';
    return ours                                           ? SLICE("")
           : slice_equal_fold(country, SLICE("shopping")) ? SLICE(SHOPPING)
           : slice_equal_fold(country, SLICE("paydays"))  ? SLICE(PAYDAYS)
                                                          : country;
}

bool calendar_country_known(struct slice country) {
    struct slice code = code_of(country);
    for (size_t i = 0; i < HOLIDAYS; i++) {
        if (slice_equal_fold(code, slice_from(holidays[i].country))) {
            return true;
        }
    }
    return false;
}

static int year_of(int64_t unix_ms) {
    int year;
    unsigned month, day;
    clock_civil_from_days(unix_ms / MS_PER_DAY, &year, &month, &day);
    return year;
}

bool calendar_add_holidays(struct calendar *c, struct slice country, struct calendar_window window,
                           struct error *err) {
    if (!calendar_country_known(country)) {
        return error_set(err, ERROR_INVALID, "'%.*s': expected " CALENDAR_COUNTRIES,
                         SLICE_ARG(country));
    }
    struct slice code = code_of(country);
    for (int year = year_of(window.from_ms) - 1; year <= year_of(window.to_ms) + 1; year++) {
        for (size_t i = 0; i < HOLIDAYS; i++) {
            if (slice_equal_fold(code, slice_from(holidays[i].country)) &&
                !add_year(c, &holidays[i], year, window, err)) {
                return false;
            }
        }
    }
    calendar_sort(c);
    return true;
}
