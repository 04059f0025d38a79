/* Backtest: what a scaling policy would have cost and dropped on recorded demand. The policies
 * predictive and reactive are the controller's own code (act/control/foresee), fed with nothing but
 * what was known at each moment; hpa is Kubernetes' (hpa.h); oracle is the cheapest plan that
 * serves everything with perfect foresight: paid at t is what is needed at most from t to t +
 * start-up. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "decide/autoscale/autoscale.h"
#include "decide/autoscale/world.h"
#include "decide/forecast/forecast.h"

#define BACKTEST_TICK_MS 5000      /* or the step of the series, if that is shorter */
#define BACKTEST_TICKS_MAX 8000000 /* longer series get longer ticks */
#define BACKTEST_PATIENCE_MS 2000
#define BACKTEST_STARTUP_MS 90000
#define BACKTEST_PRICE_DEFAULT 0.10 /* an hour of an instance, when nobody says */
#define BACKTEST_POLICIES_MAX 16

enum backtest_kind {
    BACKTEST_PREDICTIVE,
    BACKTEST_REACTIVE,
    BACKTEST_HPA,
    BACKTEST_FIXED,
    BACKTEST_ORACLE,
};

struct backtest_policy {
    enum backtest_kind kind;
    uint32_t fixed; /* instances, of BACKTEST_FIXED */
    char name[24];  /* "fixed:12" */
};

/* "predictive", "reactive", "hpa", "oracle" or "fixed:N". */
bool backtest_policy_parse(struct backtest_policy *p, const char *text, struct error *err);

struct backtest_input {
    const double *counts; /* requests per interval; NaN: not recorded, nothing is judged then */
    size_t len;
    int64_t start_ms, step_ms;
    const double *history; /* of the intervals just before, for the forecast to begin with */
    size_t history_len;
    int64_t startup_ms, patience_ms;
    double unit_rps;
    struct autoscale_policy policy;          /* min, max, price, margin, … */
    const struct calendar *calendar;         /* NULL: none */
    int64_t season_ms[FORECAST_SEASONS_MAX]; /* season_count 0: the defaults */
    size_t season_count;
};

struct backtest_result {
    struct backtest_policy policy;
    struct world_totals totals;
    double ideal_instance_hours, cost, unserved_share;
    float *serving;                      /* mean instances that served, by interval; owned */
    float *unserved;                     /* requests, by interval; owned */
    float *forecast_low, *forecast_high; /* predictive: what was said of each interval one horizon
                                            before, quantiles 0.1 and 0.9, rps, NaN: nothing; else
                                            NULL; owned */
};

bool backtest_run(const struct backtest_input *in, const struct backtest_policy *policy,
                  struct backtest_result *out, struct error *err);
void backtest_result_fini(struct backtest_result *r);

/* Whether prediction pays here, in a sentence. */
struct backtest_verdict {
    bool pays;
    char text[512];
};
struct backtest_verdict backtest_judge(const struct backtest_result *predictive,
                                       const struct backtest_result *reactive,
                                       double margin_per_request);
