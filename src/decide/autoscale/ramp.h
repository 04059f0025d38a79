/* Ramp: whether demand is on a steep rise, and where it will be when an instance that is ordered
 * now serves. A line through the last minutes (least squares); only what of its slope is certain
 * (half a standard error less) is carried on, and to four times demand at most. Inside
 * decide/autoscale only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAMP_BUCKETS 8

struct ramp {
    int64_t bucket_ms; /* width of a bucket */
    int64_t last_start_ms;
    size_t len;                /* buckets in use, the last one is being filled */
    double mean[RAMP_BUCKETS]; /* of those that are full, oldest first */
    double sum, count;         /* in the last one */
};

void ramp_init(struct ramp *r);

/* Demand at `now_ms`; `lead_ms` sets how far the line reaches back. */
void ramp_observe(struct ramp *r, int64_t now_ms, double demand_rps, double lead_ms);

/* Demand at now + lead if it goes on like this; `demand_rps` when it does not rise for certain. */
double ramp_ahead_rps(const struct ramp *r, double demand_rps, double lead_ms);
