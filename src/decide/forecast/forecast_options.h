/* Forecast options: whether they make sense, and the seasons in steps. For forecast.c. */
#pragma once
#include "decide/forecast/forecast.h"

bool forecast_options_valid(const struct forecast_options *o, struct error *err);

/* Of FORECAST_SEASONS_MAX, ascending; those shorter than 2 steps or too long to be kept are left
 * out. Returns how many. */
size_t forecast_options_seasons(const struct forecast_options *o, uint32_t *steps);
