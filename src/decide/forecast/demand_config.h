/* The block `demand:` of the configuration: what is known about demand besides its measurement. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "decide/forecast/forecast.h"

#define DEMAND_HOLIDAYS_MAX 16 /* countries */

/* A calendar of campaigns that another server keeps. */
struct calendar_config {
    const char *url;           /* http or https */
    const char *ca;            /* file; NULL: the system's authorities */
    const char *authorization; /* file; NULL: none */
    int64_t refresh_ms, timeout_ms;
    uint64_t bytes_max;
};

struct demand_config {
    const char *campaigns;                      /* iCalendar or CSV; NULL: none */
    struct calendar_config *calendar;           /* NULL: none */
    const char *history;                        /* CSV imported at the first start; NULL: none */
    struct slice holidays[DEMAND_HOLIDAYS_MAX]; /* see calendar_country_known */
    size_t holiday_count;
    double margin_per_request;               /* money; NaN: unknown */
    int64_t step_ms;                         /* of the forecast */
    int64_t season_ms[FORECAST_SEASONS_MAX]; /* ascending */
    size_t season_count;
};

extern const struct config_table demand_config_table;

/* Fills `out` (initialised) with the campaigns and the holidays within the window. */
bool demand_config_calendar(const struct demand_config *c, struct calendar_window window,
                            struct calendar *out, struct error *err);
