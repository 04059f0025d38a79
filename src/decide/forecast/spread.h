/* Spread: how far the forecast has been off, as a distribution. Errors are divided by what is usual
 * at that time of the season, so that a quiet night and a busy noon speak one language, and kept
 * per horizon; their empirical quantiles are the forecast's (split conformal prediction: Lei et
 * al., "Distribution-Free Predictive Inference for Regression", JASA 2018). A level that covered
 * less than it says is raised, sample by sample, and lowered when it covered more (adaptive
 * conformal inference: Gibbs and Candès, NeurIPS 2021), so that slow changes are followed. A short
 * lead whose outermost quantile is missed several times in a row has met a new level: the band is
 * opened at once as far as the last miss, and closes again while it covers. */
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

#define SPREAD_LEVELS 4 /* at which coverage is watched */

struct spread {
    float errors[SPREAD_ERRORS]; /* ring, in units of the scale */
    float sorted[SPREAD_ERRORS];
    size_t len, next;
    uint32_t stride, skipped;   /* every stride-th error is kept: the ring spans weeks */
    float shift[SPREAD_LEVELS]; /* added to the level that is looked up */
    float rate;
    bool short_lead;                    /* a row of misses is news, not one error seen often */
    uint32_t misses_over, misses_under; /* in a row, of the outermost levels */
    float over, under;                  /* added to the quantiles above and below the middle */
};

/* The ring spans about `span_steps` samples; what was forecast is known `ahead` samples later. */
void spread_init(struct spread *s, uint32_t span_steps, double ahead, bool short_lead);

struct spread_sample {
    double forecast, value, scale, scale_usual;
    bool whole; /* quantiles are rounded: values are counts */
};
void spread_observe(struct spread *s, const struct spread_sample *sample);

/* The quantile in units of the scale; with few errors seen, that of a cautious normal. */
double spread_quantile(const struct spread *s, double q);

/* Of the standard normal distribution, q in (0, 1). */
double spread_normal_quantile(double q);
