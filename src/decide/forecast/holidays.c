/* Public holidays by rule: a fixed date, a distance from Easter Sunday, or the n-th weekday of a
 * month; and what happens when they fall on a weekend. Nation-wide ones (GB: England; AU: Victoria,
 * without the Friday before the football final, which no rule gives). */
#include <math.h>

#include "base/clock.h"
#include "decide/forecast/calendar_internal.h"

#define MS_PER_DAY INT64_C(86400000)

enum rule { FIXED, EASTER, WEEKDAY };
enum moved { STAYS, TO_NEAREST, TO_MONDAY, ALSO_AFTER }; /* when it falls on a weekend */
enum { SUNDAY, MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY };

struct holiday {
    char country[3];
    const char *name;
    enum rule rule;
    int a, b, c; /* FIXED: month, day. EASTER: days after. WEEKDAY: month, weekday, n (-1: last) */
    enum moved moved;
    int since;
};

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

static int64_t date_of(const struct holiday *h, int year) {
    switch (h->rule) {
    case FIXED:
        return clock_days_from_civil(year, (unsigned)h->a, (unsigned)h->b);
    case EASTER:
        return easter(year) + h->a;
    case WEEKDAY:
        return nth_weekday(year, h->a, h->b, h->c);
    }
    return 0;
}

/* The working day on which it is kept besides or instead; `day` itself when it is not moved. */
static int64_t kept_on(const struct holiday *h, int64_t day) {
    int at = weekday(day);
    if (h->moved == STAYS || (at != SATURDAY && at != SUNDAY)) {
        return day;
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
    struct calendar_event event = {
        .start_ms = day * MS_PER_DAY,
        .end_ms = (day + 1) * MS_PER_DAY,
        .name = slice_from(h->name),
        .kind = SLICE(CALENDAR_HOLIDAY),
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
    bool on_the_day = h->moved != TO_MONDAY || kept == day;
    return year < h->since || ((!on_the_day || add_day(c, h, day, window, err)) &&
                               (kept == day || add_day(c, h, kept, window, err)));
}

bool calendar_country_known(struct slice country) {
    for (size_t i = 0; i < HOLIDAYS; i++) {
        if (slice_equal_fold(country, slice_from(holidays[i].country))) {
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
        return error_set(err, ERROR_INVALID, "'%.*s': expected a country of DE, AT, GB, US, FR, AU",
                         SLICE_ARG(country));
    }
    for (int year = year_of(window.from_ms) - 1; year <= year_of(window.to_ms) + 1; year++) {
        for (size_t i = 0; i < HOLIDAYS; i++) {
            if (slice_equal_fold(country, slice_from(holidays[i].country)) &&
                !add_year(c, &holidays[i], year, window, err)) {
                return false;
            }
        }
    }
    calendar_sort(c);
    return true;
}
