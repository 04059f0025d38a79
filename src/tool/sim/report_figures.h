/* The charts of a report. Inside tool/sim only. */
#pragma once
#include <stdio.h>

#include "tool/sim/report.h"

/* `demand` in requests/s, by interval. */
void report_write_figures(const struct report *r, const double *demand, FILE *out);
