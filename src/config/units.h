/* Units: how quantities are written in the configuration and on the command line. Parsed here and
 * nowhere else. All are whole-or-nothing: false leaves the result alone. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define UNITS_CURRENCY_BYTES 4

/* "250ms", "1.5s", "90s", "5m", "24h", "14d", "26w"; "0" needs no unit. Not negative. */
bool units_parse_duration_ms(struct slice text, int64_t *ms);
/* "64MiB", "512KiB", "1GB", "4096B"; "0" needs no unit. */
bool units_parse_size_bytes(struct slice text, uint64_t *bytes);
/* "100/s", "30/m", "1000/h": per second in *rps. */
bool units_parse_rate_rps(struct slice text, double *rps);
/* "99%", "99.9%": a ratio in [0, 1]. */
bool units_parse_share(struct slice text, double *ratio);
/* "0.096 EUR": the amount, and the ISO 4217 code with its NUL. Not negative. */
bool units_parse_money(struct slice text, double *amount, char currency[UNITS_CURRENCY_BYTES]);
