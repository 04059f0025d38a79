/* Forecast: demand of the next steps as calibrated quantiles, learned online, sample by sample.
 * Members (seasonal naive, seasonal profiles over several seasons corrected by the recent level,
 * day shape times weekday, persistence) predict at a ladder of horizons; each new sample scores
 * what every member would have said that many steps ago. Their recent losses make the weights; a
 * line and trees correct the weighted mean as far as that has helped, and the errors of what was
 * said make the quantiles (split conformal, per rung of the ladder).
 * A combination that lost against seasonal naive is not used: then the naive one speaks.
 * Calendar: given multipliers are divided out of the past and multiplied onto the future; effects
 * without one are learned per kind. Missing (NaN) is not zero. Outages, bursts and stuck gauges in
 * the past are no demand (anomalies.h).
 * Same code live (fed each step by the controller), in `tidegate forecast` and in `backtest`.
 * No clock, no I/O. Not here: reading files (record/series/), deciding (decide/autoscale/). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "decide/forecast/known.h"

#define FORECAST_SEASONS_MAX 2
#define FORECAST_QUANTILES_MAX 16
#define FORECAST_HORIZON_STEPS_MAX 20000
#define FORECAST_HISTORY_STEPS_MAX 8000000
#define FORECAST_REGRESSORS_MAX KNOWN_REGRESSORS_MAX
#define FORECAST_MEASURES_MAX 5 /* as many columns as trees see */

struct forecast_options {
    int64_t step_ms;
    int64_t season_ms[FORECAST_SEASONS_MAX]; /* ascending; those shorter than 2 steps are ignored */
    size_t season_count;
    uint32_t horizon_steps; /* the furthest that will be asked */
    uint32_t history_steps; /* kept; at least two of the longest season is useful; 0: 5 of it */
    int64_t trees_from_ms;  /* no tree is grown before: a long history costs less. 0: always */
    int64_t lead_ms;        /* campaigns are forecast this much before they start */
};

/* Day and week (from steps of a day on: week and year). */
void forecast_default_seasons(struct forecast_options *options);

struct forecast;

/* Fails with ERROR_INVALID on a step, horizon or season that makes no sense, ERROR_LIMIT without
 * memory. */
struct forecast *forecast_new(const struct forecast_options *options, struct error *err);
void forecast_free(struct forecast *f);

/* The calendar from now on (NULL: none); stays the caller's and must outlive its use here. */
void forecast_set_calendar(struct forecast *f, const struct calendar *calendar);

/* Numbers known ahead (a price, a schedule), small whole values such as 0/1 flags: the effect of
 * each value is learned. `values[0]` belongs to `start_ms`; borrowed. Before the first sample. */
bool forecast_add_regressor(struct forecast *f, const double *values, size_t len, int64_t start_ms,
                            struct error *err);
/* … any numbers, such as a weather forecast: trees learn what they mean. At most
 * FORECAST_MEASURES_MAX, before the regressors. */
bool forecast_add_measure(struct forecast *f, const double *values, size_t len, int64_t start_ms,
                          struct error *err);

/* The value of the slot that starts at `slot_ms` (NaN: not recorded). Slots come in order: what was
 * skipped becomes NaN, what is not newer than the last is ignored (returns false). */
bool forecast_observe(struct forecast *f, int64_t slot_ms, double value);

/* Start of the first slot that forecast_predict speaks about. 0 before the first sample. */
int64_t forecast_next_ms(const struct forecast *f);
size_t forecast_observed(const struct forecast *f); /* slots with a value, ever */

struct forecast_quantiles {
    const double *levels; /* ascending, each in (0, 1) */
    size_t len;           /* <= FORECAST_QUANTILES_MAX */
};

/* Next `steps` slots (<= horizon_steps): `mean[steps]` (or NULL) and `values[steps * len]`, step by
 * step; ascending within a step, never negative, never NaN. False while nothing was observed. */
bool forecast_predict(struct forecast *f, size_t steps, struct forecast_quantiles quantiles,
                      double *mean, double *values);

/* How much of the past stands behind it: "nothing"; "level": less than a season, so that the last
 * hours go on; "season": at least one of the shortest; "seasons": of each. */
const char *forecast_knows(const struct forecast *f);

#define FORECAST_LEFT_OUT_MAX 32
struct forecast_left_out { /* of what is learned as demand: [from_ms, to_ms) */
    int64_t from_ms, to_ms;
    const char *reason; /* see anomaly_name */
};
/* The newest, oldest first; one that goes on is the last. Returns how many, at most `most`. */
size_t forecast_left_out(const struct forecast *f, struct forecast_left_out *out, size_t most);
