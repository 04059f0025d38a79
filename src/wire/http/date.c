#include "wire/http/date.h"

#include <string.h>

#include "base/clock.h"
#include "base/parse.h"

static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static void put_digits(char *at, unsigned value, int count) {
    while (count-- > 0) {
        at[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void http_date_format(int64_t unix_seconds, char out[HTTP_DATE_BYTES]) {
    int64_t day_number = unix_seconds / 86400 - (unix_seconds % 86400 < 0);
    unsigned of_day = (unsigned)(unix_seconds - day_number * 86400);
    int year;
    unsigned month, day;
    clock_civil_from_days(day_number, &year, &month, &day);
    memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_BYTES);
    memcpy(out, days[((day_number + 4) % 7 + 7) % 7], 3);
    put_digits(out + 5, day, 2);
    memcpy(out + 8, months[month - 1], 3);
    put_digits(out + 12, (unsigned)year, 4);
    put_digits(out + 17, of_day / 3600, 2);
    put_digits(out + 20, of_day / 60 % 60, 2);
    put_digits(out + 23, of_day % 60, 2);
}

struct slice http_date_now(int64_t unix_seconds) {
    static char text[HTTP_DATE_BYTES];
    static int64_t formatted = INT64_MIN;
    if (formatted != unix_seconds) {
        http_date_format(unix_seconds, text);
        formatted = unix_seconds;
    }
    return slice_of(text, HTTP_DATE_BYTES);
}

static bool digits_at(struct slice text, size_t at, size_t count, unsigned *value) {
    uint64_t number;
    if (!parse_uint(slice_sub(text, at, count), &number)) {
        return false;
    }
    *value = (unsigned)number;
    return true;
}

bool http_date_parse(struct slice text, int64_t *unix_seconds) {
    unsigned day, year, hour, minute, second, month = 0;
    if (text.len != HTTP_DATE_BYTES || !digits_at(text, 5, 2, &day) ||
        !digits_at(text, 12, 4, &year) || !digits_at(text, 17, 2, &hour) ||
        !digits_at(text, 20, 2, &minute) || !digits_at(text, 23, 2, &second)) {
        return false;
    }
    while (month < 12 && memcmp(text.data + 8, months[month], 3) != 0) {
        month++;
    }
    if (month == 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    int64_t seconds = clock_days_from_civil((int)year, month + 1, day) * 86400 +
                      ((int64_t)hour * 60 + minute) * 60 + second;
    /* Written back it must be the same: that checks the weekday, the commas and 31 February. */
    char again[HTTP_DATE_BYTES];
    http_date_format(seconds - (second == 60), again);
    if (second == 60) {
        put_digits(again + 23, 60, 2);
    }
    if (memcmp(again, text.data, HTTP_DATE_BYTES) != 0) {
        return false;
    }
    *unix_seconds = seconds;
    return true;
}
