/* Uplift: what campaigns do to demand, as a factor on the demand there would be without them.
 * After the onset the excess over the ordinary rises to a peak, then decays until the end:
 *
 *     factor(age) = 1 + E · min(1, age ÷ rise) · 2^(−max(0, age − rise) ÷ half-life)
 *
 * E (peak multiplier − 1), rise, half-life and delay are log-normal (the delay: normal), learned
 * from past campaigns of the kind by the normal-inverse-gamma conjugate, shrunk to what all kinds
 * have in common (partial pooling: Gelman et al., Bayesian Data Analysis 3rd ed., §2.6, §5.4). A
 * multiplier that the marketer gave is a second measurement of E, with a bias and a spread that are
 * learned in the same way: who always says twice too much is believed half.
 * Live, every sample moves the estimate of E (a Kalman filter on log E; West & Harrison, Bayesian
 * Forecasting and Dynamic Models, §2.2). The onset is found by a CUSUM of the Poisson likelihood
 * ratio (Page 1954), so that a send that is early, late or does not come is noticed by demand; the
 * same ratio takes back an onset that was chance.
 * Pure: no clock, no I/O; history and live go through the same functions.
 * Not here: the ordinary demand (forecast.h), reading calendars (calendar.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/forecast/calendar.h"
#include "decide/forecast/uplift_kinds.h"

#define UPLIFT_RUNS_MAX 8           /* campaigns going on at once; further ones wait */
#define UPLIFT_EARLY_MS 600000      /* a send is looked for from so long before its start */
#define UPLIFT_PATIENCE_MS 900000   /* …and counted on until so long after it */
#define UPLIFT_UNLEARNED_MS 7200000 /* so long after the onset nothing is learned as ordinary */
#define UPLIFT_SETTLE_MS 120000     /* so long after the onset demand says how large it is */
#define UPLIFT_AGE_BINS 80
#define UPLIFT_LEVELS_MAX 16 /* quantiles at once */

enum uplift_phase { UPLIFT_WAITING, UPLIFT_RUNNING, UPLIFT_OVER };

/* One campaign that is near or going on. */
struct uplift_run {
    uint64_t key; /* of name and kind; 0: free */
    int64_t start_ms, end_ms;
    enum uplift_phase phase;
    int64_t onset_ms; /* RUNNING: when demand began to rise */
    struct uplift_belief belief;
    double said;      /* log (multiplier − 1); NaN: not given */
    double seen_s;    /* age of the last sample; 0: none */
    double sought;    /* excess by which the onset is known */
    double cusum;     /* of what speaks for it */
    int64_t cusum_ms; /* since when the sum is above 0 */
    double excess_sum[UPLIFT_AGE_BINS], excess_weight[UPLIFT_AGE_BINS];
    char kind[UPLIFT_NAME_BYTES];
    bool announced; /* it is in the calendar (still) */
};

struct uplift {
    const struct calendar *calendar; /* borrowed; NULL: none */
    struct uplift_kinds kinds;
    struct uplift_run runs[UPLIFT_RUNS_MAX];
    int64_t last_ms; /* end of the last sample */
};

void uplift_init(struct uplift *u);

/* From now on; what is going on is found again by name, kind and time: one that was moved keeps
 * what was learned of it; one that was cancelled before its onset is forgotten. */
void uplift_set_calendar(struct uplift *u, const struct calendar *calendar);

/* Whether a campaign may be going on in [from_ms, to_ms): then samples matter. */
bool uplift_touches(const struct uplift *u, int64_t from_ms, int64_t to_ms);

/* Demand in the sample that ended at `end_ms`, and what it would have been without campaigns.
 * In order of time; a sample that is not newer than the last is ignored. */
struct uplift_sample {
    int64_t end_ms;
    double seconds, demand_rps, ordinary_rps;
};
void uplift_observe(struct uplift *u, const struct uplift_sample *sample);

/* What of `value`, seen in [from_ms, to_ms), may be learned as ordinary demand; NaN: nothing, a
 * campaign goes on there whose size is not known well enough. */
double uplift_ordinary(const struct uplift *u, int64_t from_ms, int64_t to_ms, double value);

/* Turns forecasts of ordinary demand into those of demand, `now_ms` being now. `values` holds for
 * each step one value for each of the ascending `levels`; `mean` may be NULL. The uncertainty of
 * the campaign is added to the forecast's own: squares of the logarithms. */
struct uplift_path {
    int64_t start_ms, step_ms;
    size_t steps;
    const double *levels;
    size_t level_count;
};
void uplift_apply(const struct uplift *u, int64_t now_ms, const struct uplift_path *path,
                  double *mean, double *values);

/* What somebody announced, apart from what is extrapolated: for each step in which a campaign may
 * begin, or is rising, and a lead time after that, the factor that the campaigns may come to with
 * probability `quantile`. The rise is not waited for, a send that is late is counted on, and
 * nothing has to be learned first. Later demand itself has said how large it is. NaN: none begins
 * there. Only times of `path` are used. */
struct uplift_begin {
    double quantile;
    int64_t lead_ms; /* until an instance that is ordered now serves */
};
void uplift_announced(const struct uplift *u, int64_t now_ms, const struct uplift_path *path,
                      const struct uplift_begin *begin, double *out);

/* What is thought of a campaign now: the peak as a multiplier, with the bounds that hold it with
 * probability 0.8. */
struct uplift_opinion {
    double peak, peak_low, peak_high;
    double rise_ms, half_ms; /* medians; half_ms infinite: it lasts until the end */
    uint32_t learned_from;   /* past campaigns of the kind */
    enum uplift_phase phase;
    int64_t onset_ms; /* 0: not seen */
};
struct uplift_opinion uplift_think(const struct uplift *u, const struct calendar_event *event);
