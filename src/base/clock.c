#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/parse.h"

uint64_t clock_monotonic_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_monotonic_ms(void) {
    return clock_monotonic_us() / 1000;
}

int64_t clock_unix_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
int64_t clock_days_from_civil(int year, unsigned month, unsigned day) {
    int64_t y = month <= 2 ? (int64_t)year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void clock_civil_from_days(int64_t days, int *year, unsigned *month, unsigned *day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *day = (unsigned)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (unsigned)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static unsigned days_in_month(int year, unsigned month) {
    static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Exactly `count` digits off the front. */
static bool take_digits(struct slice *rest, size_t count, unsigned *value) {
    uint64_t number;
    if (rest->len < count || !parse_uint(slice_sub(*rest, 0, count), &number)) {
        return false;
    }
    *value = (unsigned)number;
    *rest = slice_skip(*rest, count);
    return true;
}

static bool take_byte(struct slice *rest, const char *any_of) {
    for (; rest->len > 0 && *any_of != '\0'; any_of++) {
        if (rest->data[0] == *any_of) {
            *rest = slice_skip(*rest, 1);
            return true;
        }
    }
    return false;
}

static bool take_date(struct slice *rest, int64_t *unix_ms) {
    unsigned year, month, day;
    if (!take_digits(rest, 4, &year) || !take_byte(rest, "-") || !take_digits(rest, 2, &month) ||
        !take_byte(rest, "-") || !take_digits(rest, 2, &day)) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in_month((int)year, month)) {
        return false;
    }
    *unix_ms = clock_days_from_civil((int)year, month, day) * MS_PER_DAY;
    return true;
}

static bool take_fraction_ms(struct slice *rest, int64_t *ms) {
    int64_t weight = 100;
    size_t digits = 0;
    for (; rest->len > 0 && rest->data[0] >= '0' && rest->data[0] <= '9'; digits++) {
        *ms += (rest->data[0] - '0') * weight;
        weight /= 10;
        *rest = slice_skip(*rest, 1);
    }
    return digits > 0;
}

static bool take_time(struct slice *rest, int64_t *ms) {
    unsigned hour, minute, second = 0;
    int64_t fraction_ms = 0;
    if (!take_digits(rest, 2, &hour) || !take_byte(rest, ":") || !take_digits(rest, 2, &minute)) {
        return false;
    }
    if (take_byte(rest, ":") && !take_digits(rest, 2, &second)) {
        return false;
    }
    if (take_byte(rest, ".,") && !take_fraction_ms(rest, &fraction_ms)) {
        return false;
    }
    bool midnight = minute == 0 && second == 0 && fraction_ms == 0; /* 24:00 ends a day */
    if (hour > 24 || (hour == 24 && !midnight) || minute > 59 || second > 60) {
        return false;
    }
    *ms = (((int64_t)hour * 60 + minute) * 60 + second) * 1000 + fraction_ms;
    return true;
}

static bool take_zone(struct slice *rest, int64_t *offset_ms) {
    *offset_ms = 0;
    if (rest->len == 0 || take_byte(rest, "Zz")) {
        return true;
    }
    bool west = rest->data[0] == '-';
    unsigned hours, minutes = 0;
    if (!take_byte(rest, "+-") || !take_digits(rest, 2, &hours)) {
        return false;
    }
    take_byte(rest, ":");
    if (rest->len > 0 && !take_digits(rest, 2, &minutes)) {
        return false;
    }
    if (hours > 23 || minutes > 59) {
        return false;
    }
    *offset_ms = ((int64_t)hours * 60 + minutes) * MS_PER_MINUTE * (west ? -1 : 1);
    return true;
}

static bool parse_epoch(struct slice text, int64_t *unix_ms) {
    double seconds;
    if (!parse_double(text, &seconds) || seconds < -6e10 || seconds > 2.5e11) {
        return false;
    }
    *unix_ms = (int64_t)(seconds * 1000 + (seconds < 0 ? -0.5 : 0.5));
    return true;
}

bool clock_parse_iso8601(struct slice text, int64_t *unix_ms) {
    struct slice rest = text;
    int64_t date_ms, time_ms = 0, offset_ms = 0;
    if (!take_date(&rest, &date_ms)) {
        return parse_epoch(text, unix_ms);
    }
    if (rest.len > 0 && (!take_byte(&rest, "Tt ") || !take_time(&rest, &time_ms) ||
                         !take_zone(&rest, &offset_ms))) {
        return false;
    }
    if (rest.len > 0) {
        return false;
    }
    *unix_ms = date_ms + time_ms - offset_ms;
    return true;
}

void clock_format_iso8601(int64_t unix_ms, char out[CLOCK_ISO8601_BYTES]) {
    int64_t days = unix_ms / MS_PER_DAY - (unix_ms % MS_PER_DAY < 0);
    unsigned of_day_ms = (unsigned)(unix_ms - days * MS_PER_DAY);
    int year;
    unsigned month, day;
    clock_civil_from_days(days, &year, &month, &day);
    unsigned seconds = of_day_ms / 1000, ms = of_day_ms % 1000;
    int len = snprintf(out, CLOCK_ISO8601_BYTES, "%04d-%02u-%02uT%02u:%02u:%02u", year, month, day,
                       seconds / 3600, seconds / 60 % 60, seconds % 60);
    snprintf(out + len, CLOCK_ISO8601_BYTES - (size_t)len, ms == 0 ? "Z" : ".%03uZ", ms);
}
