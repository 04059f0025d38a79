/* Evaluate: how good the forecast would have been, measured at rolling origins on the history
 * itself, with seasonal naive beside it. Nothing of the time after an origin is used for it. */
#pragma once
#include "decide/forecast/forecast.h"

#define EVALUATE_ORIGINS_MAX 200

struct evaluate_input {
    struct forecast_options options; /* horizon_steps is how far each origin is judged */
    const double *values;            /* NaN where not recorded */
    size_t len;
    int64_t start_ms;
    const struct calendar *calendar; /* NULL: none */
    const double *const *regressors; /* columns known ahead, each `len` long */
    size_t regressor_count;
    size_t measure_count; /* of them, the first: any numbers (forecast_add_measure) */
    struct forecast_quantiles quantiles;
    size_t origins; /* <= EVALUATE_ORIGINS_MAX, spread evenly over the second half */
};

struct evaluate_score {
    double mase;    /* mean absolute error of the median ÷ that of repeating the first season */
    double wape;    /* sum of absolute errors ÷ sum of actual values */
    double pinball; /* mean over the quantiles, in the unit of mase */
    double coverage[FORECAST_QUANTILES_MAX]; /* share of values at or below each quantile */
};

struct evaluation {
    size_t origins, steps; /* judged: steps with a recorded value */
    size_t naive_season;   /* which season the better naive repeats */
    struct evaluate_score forecast, naive;
};

/* Fails with ERROR_INVALID when the history is too short to judge (two first seasons and a
 * horizon). */
bool forecast_evaluate(const struct evaluate_input *in, struct evaluation *out, struct error *err);
