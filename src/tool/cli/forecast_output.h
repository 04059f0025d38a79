/* What `tidegate forecast` was asked, and how its answer is written: CSV, JSON, a picture. */
#pragma once
#include "decide/forecast/evaluate.h"
#include "tool/sim/recorded.h"

struct forecast_request {
    struct recorded_options source;
    int64_t horizon_ms, origin_ms;
    bool origin_given, mean, evaluate, json;
    double levels[FORECAST_QUANTILES_MAX];
    size_t level_count;
    int64_t season_ms[FORECAST_SEASONS_MAX];
    size_t season_count;
    const char *plot_path;
};

/* The answer: from slot `first` of the recorded steps on. */
struct forecast_answer {
    size_t first, steps;
    double *mean, *values; /* [steps], [steps * level_count] */
    const char *knows;
    struct forecast_left_out left_out[FORECAST_LEFT_OUT_MAX];
    size_t left_out_count;
};

void forecast_print_csv(const struct forecast_request *q, const struct recorded *r,
                        const struct forecast_answer *a);
void forecast_print_json(const struct forecast_request *q, const struct recorded *r,
                         const struct forecast_answer *a);
/* Into q->plot_path, with the history just before. */
bool forecast_plot(const struct forecast_request *q, const struct recorded *r,
                   const struct forecast_answer *a, struct error *err);
/* As text, or as JSON when that was asked. */
void forecast_print_evaluation(const struct forecast_request *q, const struct evaluation *e);
