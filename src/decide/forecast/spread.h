/* Spread: how far the forecast has been off, as a distribution. Errors are divided by what is usual
 * at that time of the season, so that a quiet night and a busy noon speak one language, and kept
 * per horizon and by how much is forecast; their empirical quantiles are the forecast's (split
 * conformal prediction: Lei et al., "Distribution-Free Predictive Inference for Regression", JASA
 * 2018). A level that covered less than it says is raised, sample by sample, and lowered when it
 * covered more (adaptive conformal inference: Gibbs and Candès, NeurIPS 2021), so that slow changes
 * are followed. A short lead whose outermost quantile is missed several times in a row has met a
 * new level: the band is opened at once as far as the last miss, and closes again while it
 * covers. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/forecast/error_shape.h"

#define SPREAD_BUCKETS 288 /* times of the season, of which each is seen seldom … */
#define SPREAD_TIMES 12    /* … and broad ones, of which each is known well */

struct spread_usual { /* running means: size of an error, and what was forecast */
    float error, level;
};

struct spread_scale {
    uint32_t season_steps; /* 0: one time */
    struct spread_usual buckets[SPREAD_BUCKETS], times[SPREAD_TIMES];
    double mean_error, mean_level;
    double learn_bucket, learn_time, learn_all; /* share of the newest */
};

void spread_scale_init(struct spread_scale *s, uint32_t season_steps);
void spread_scale_observe(struct spread_scale *s, int64_t slot, double forecast, double value);
/* The usual size of an error when `forecast` is said for `slot`; 0 where demand is always 0. A
 * bucket by itself is known from a handful of errors: where these happen to be small or large,
 * quantiles would be wrong both ways. What is near it in time says more, but of a burst at the full
 * hour only the bucket knows. Each has its half. */
double spread_scale_at(const struct spread_scale *s, int64_t slot, double forecast);
/* … by its bucket alone: for whom a value must be suspect only if it was never so at that time. */
double spread_scale_alone(const struct spread_scale *s, int64_t slot, double forecast);

/* Which of ERROR_SHAPE_GROUPS an amount belongs to. */
size_t spread_group(const struct spread_scale *s, double forecast);

#define SPREAD_LEVELS 4 /* at which coverage is watched */

struct spread {
    struct error_shape shape;   /* of errors in units of the scale */
    size_t len;                 /* errors seen */
    float shift[SPREAD_LEVELS]; /* added to the level that is looked up */
    float rate;
    bool short_lead;                    /* a row of misses is news, not one error seen often */
    uint32_t misses_over, misses_under; /* in a row, of the outermost levels */
    float over, under;                  /* added to the quantiles above and below the middle */
};

/* Errors fade within about `memory` samples; what was forecast is known `ahead` samples later. */
void spread_init(struct spread *s, double memory, double ahead, bool short_lead);

struct spread_sample {
    double forecast, value, scale, scale_usual;
    size_t group;
    bool whole; /* quantiles are rounded: values are counts */
};
void spread_observe(struct spread *s, const struct spread_sample *sample);

/* Quantiles in units of the scale, of a group; with few errors seen, those of a cautious normal. */
void spread_quantiles(const struct spread *s, size_t group, const double *levels, size_t len,
                      double *out);

/* Of the standard normal distribution, q in (0, 1). */
double spread_normal_quantile(double q);

/* Which of the levels is nearest to 0.5, the first of equal ones: its quantiles stand for the
 * median. */
size_t spread_middle(const double *levels, size_t len);
