/* Trust: how far the forecast is followed, proven on this service's own demand. Candidates are
 * quantiles of the forecast, and none at all: the demand of the moment alone. Each runs a what-if
 * fleet (world.h) under the same demand, with the same start-up time, the same net of arrivals and
 * the same autoscale_decide; what it would have paid (instances x price) and lost (unserved x
 * margin) is remembered for some seasons, and the cheapest is followed. It has to be cheaper than
 * following none even without its best season: one lucky day proves nothing. So what the net
 * catches anyway is not bought twice, and where prediction does not pay, nothing is spent on it. At
 * the beginning nothing is proven and none is followed; the newsvendor's critical ratio
 * (autoscale_quantile), at the lowest level that covers it, is the highest that ever is. This is
 * about what is extrapolated: what somebody announced needs no proof and is provisioned whatever is
 * followed (uplift_announced), by every candidate alike, so that nobody earns or loses trust by it.
 * After: follow the leader with fading losses (Herbster and Warmuth, "Tracking the best expert",
 * 1998). Pure; the memory is the caller's. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "decide/autoscale/autoscale.h"
#include "decide/autoscale/world.h"

#define TRUST_LEVELS 6
#define TRUST_NONE TRUST_LEVELS /* the candidate that follows no forecast */
#define TRUST_CANDIDATES (TRUST_LEVELS + 1)
#define TRUST_STEPS_MAX 512

extern const double trust_levels[TRUST_LEVELS]; /* ascending */

#define TRUST_BLOCKS 14 /* seasons that are remembered */

struct trust_candidate {
    struct autoscale_state state;
    struct world world;
    double cost_s[TRUST_BLOCKS]; /* by season; seconds of an instance */
};

struct trust {
    struct trust_candidate candidates[TRUST_CANDIDATES];
    int64_t step_ms, season_ms, block_ms; /* of the block that is being filled */
    size_t block;
    double demand_rps; /* of the step before; NaN: unknown */
    unsigned chosen;   /* a candidate */
};

/* `step_ms` of the forecast; `season_ms` the shortest. Fails with ERROR_LIMIT without memory. */
bool trust_init(struct trust *t, int64_t step_ms, int64_t season_ms, struct error *err);
void trust_fini(struct trust *t);

struct trust_input {
    const struct autoscale_policy *policy;
    double capacity_rps, lead_ms;
    const double *values;    /* the forecast: steps x TRUST_LEVELS, of trust_levels, step by step */
    const double *announced; /* autoscale_input.announced_rps, of each step; NULL: nothing is */
    size_t steps;            /* <= TRUST_STEPS_MAX */
    int64_t start_ms;        /* of its first step */
};

/* A step ended with `demand_rps` (NaN: unknown), and the forecast of the next ones was made. */
void trust_step(struct trust *t, const struct trust_input *in, double demand_rps);

/* The path of the chosen candidate, for autoscale_input.forecast_rps: NaN where no forecast is
 * followed. `out` receives in->steps. */
void trust_follow(const struct trust *t, const struct trust_input *in, double *out);

/* The quantile that is followed; NaN: none. */
double trust_quantile(const struct trust *t, const struct trust_input *in);
