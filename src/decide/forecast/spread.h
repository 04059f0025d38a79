/* Spread: how far the forecast has been off, as a distribution. Errors are divided by what is usual
 * at that time of the season, so that a quiet night and a busy noon speak one language, and kept
 * per horizon; their empirical quantiles are the forecast's (split conformal prediction: Lei et
 * al., "Distribution-Free Predictive Inference for Regression", JASA 2018). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPREAD_BUCKETS 288 /* times of the season */
#define SPREAD_ERRORS 512

struct spread_scale {
    uint32_t season_steps;                               /* 0: one bucket */
    double error[SPREAD_BUCKETS], level[SPREAD_BUCKETS]; /* running means by time of season */
    double mean_error, mean_level;
    double keep_bucket, keep_all;
};

void spread_scale_init(struct spread_scale *s, uint32_t season_steps);
void spread_scale_observe(struct spread_scale *s, int64_t slot, double forecast, double value);
/* The usual size of an error when `forecast` is said for `slot`; 0 where demand is always 0. */
double spread_scale_at(const struct spread_scale *s, int64_t slot, double forecast);

struct spread {
    float errors[SPREAD_ERRORS]; /* ring, in units of the scale */
    float sorted[SPREAD_ERRORS];
    size_t len, next, sorted_len; /* sorted_len SIZE_MAX: sort again */
    uint32_t stride, skipped;     /* every stride-th error is kept: the ring spans weeks */
};

/* The ring spans about `span_steps` samples. */
void spread_init(struct spread *s, uint32_t span_steps);
void spread_observe(struct spread *s, double error, double scale, double scale_usual);
/* The quantile in units of the scale; with few errors seen, that of a cautious normal. */
double spread_quantile(struct spread *s, double q);

/* Of the standard normal distribution, q in (0, 1). */
double spread_normal_quantile(double q);
