/* Charts over time as SVG: for `forecast --plot` and the report of `backtest`. One picture, no
 * script, readable on white and on black. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

#define CHART_LINES_MAX 8

struct chart_line {
    const char *label, *colour;
    const double *values; /* NaN: a gap */
    bool steps;           /* holds its value until the next */
};

struct chart {
    const char *title;
    int64_t start_ms, step_ms;
    size_t len; /* of every line and of the band */
    struct chart_line lines[CHART_LINES_MAX];
    size_t line_count;
    const double *band_low, *band_high; /* NULL: none */
};

/* The <svg> element; where there are more points than pixels, the highest of each pixel. */
void chart_write(const struct chart *c, FILE *out);
/* A file of its own. */
bool chart_write_file(const struct chart *c, const char *path, struct error *err);

/* Text with &, <, > and quotes escaped. */
void chart_write_text(const char *text, FILE *out);
