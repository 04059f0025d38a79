/* Charts over time as SVG: for `forecast --plot` and the report of `backtest`. One picture, no
 * script, readable on white and on black, printed and by those who see no colours (dashes). What is
 * drawn in `currentColor` takes the colour of the page it stands in. */
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
    const char *dash;     /* stroke-dasharray; NULL: drawn through */
    double width;         /* of the stroke; 0: the usual */
};

struct chart {
    const char *title;
    double top; /* of the scale, for charts that are to be compared; 0: as high as it has to be */
    int64_t start_ms, step_ms;
    size_t len; /* of every line and of the band */
    struct chart_line lines[CHART_LINES_MAX];
    size_t line_count;
    const double *band_low, *band_high; /* NULL: none; NaN: a gap */
    const char *band_label;             /* NULL: not in the legend */
    const double *marks;                /* above 0: that moment is marked in red; NULL: none */
    const char *marks_label;
};

/* Of all lines and the band; 0: nothing is known. */
double chart_highest(const struct chart *c);

/* The <svg> element; where there are more points than pixels, the highest of each pixel. */
void chart_write(const struct chart *c, FILE *out);
/* A file of its own. */
bool chart_write_file(const struct chart *c, const char *path, struct error *err);

/* Text with &, <, > and quotes escaped. */
void chart_write_text(const char *text, FILE *out);
