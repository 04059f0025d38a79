/* Numbers out of slices: whole or not at all, never past the end. Units are in config/units.h. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

bool parse_uint(struct slice text, uint64_t *value); /* digits only, no sign, no overflow */
bool parse_int(struct slice text, int64_t *value);   /* with an optional sign */
bool parse_hex(struct slice text, uint64_t *value);  /* hexadecimal digits only */
/* Decimal, optional fraction and exponent, finite; independent of the locale's decimal point. */
bool parse_double(struct slice text, double *value);
