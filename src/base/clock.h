/* Time: the two clocks of the machine, and ISO 8601 text. Deciding rooms take time as an argument
 * and never call the clocks. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

uint64_t clock_monotonic_us(void); /* for durations; shared by all processes of the machine */
uint64_t clock_monotonic_ms(void);
int64_t clock_unix_ms(void); /* for people and records; may jump */

#define MS_PER_MINUTE INT64_C(60000)
#define MS_PER_HOUR INT64_C(3600000)
#define MS_PER_DAY INT64_C(86400000)

#define CLOCK_ISO8601_BYTES 32

/* "2015-03-11T20:57:53Z", also with fraction, offset "+01:00", a blank instead of T, without zone
 * (read as UTC), a bare date, or epoch seconds (integer or fraction). */
bool clock_parse_iso8601(struct slice text, int64_t *unix_ms);
/* "2015-03-11T20:57:53Z", with ".123" when there are milliseconds. */
void clock_format_iso8601(int64_t unix_ms, char out[CLOCK_ISO8601_BYTES]);

/* Days since 1970-01-01 of a civil date and back (proleptic Gregorian). */
int64_t clock_days_from_civil(int year, unsigned month, unsigned day);
void clock_civil_from_days(int64_t days, int *year, unsigned *month, unsigned *day);
