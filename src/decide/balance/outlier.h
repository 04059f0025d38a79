/* Outliers: what an endpoint did in the last second against what its peers did in the same second.
 *
 * Errors: its failures are more than chance would give it at its peers' rate (five standard
 * deviations of the binomial), and materially more. Latency: its geometric mean is far above the
 * median of all of them, measured in their median absolute deviation, in times and in milliseconds;
 * on a logarithmic scale, because latencies are. A second is kept in buckets, each two words that a
 * worker adds to with plain loads and stores.
 * Pure; the words are the caller's (the vitals: one window an endpoint for all workers).
 * After: Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/balance/ejection.h"

#define OUTLIER_BUCKETS 8
#define OUTLIER_BUCKET_US_LOG2 17 /* 131 ms each: 1.05 s in all */
#define OUTLIER_ENDPOINTS_MAX 512

#define OUTLIER_ANSWERS_LEAST 10 /* of the endpoint, and of each peer that it is compared with */
#define OUTLIER_ERRORS_LEAST 5
#define OUTLIER_ERRORS_SIGMA 5.0
#define OUTLIER_ERRORS_ABOVE 0.1 /* of its answers, more than its peers */
#define OUTLIER_WELL_RATIO 0.01  /* who fails less is well */
#define OUTLIER_SLOW_SIGMA 5.0
#define OUTLIER_SLOW_RATIO 3.0
#define OUTLIER_SLOW_ABOVE_US 10000

/* One bucket. counts: number of the bucket 24 bits | answers 20 | failures 20;
 * logs: sum of log2(us) of what did not fail, in 1/256. */
struct outlier_bucket {
    uint64_t counts, logs;
};

/* Which bucket of a ring of OUTLIER_BUCKETS is written at this time. */
static inline unsigned outlier_position(uint64_t now_us) {
    return (unsigned)(now_us >> OUTLIER_BUCKET_US_LOG2) % OUTLIER_BUCKETS;
}
/* The bucket at that position after one more answer. */
struct outlier_bucket outlier_add(struct outlier_bucket before, bool failed, uint64_t latency_us,
                                  uint64_t now_us);

struct outlier_window {
    uint32_t answers, failures; /* failures are among the answers */
    double logs;                /* sum, of log2(us) */
};

/* Adds a bucket unless it is older than the window. */
void outlier_sum(struct outlier_window *window, struct outlier_bucket bucket, uint64_t now_us);
double outlier_latency_us(const struct outlier_window *window); /* geometric mean; 0: none */

/* What an endpoint in rotation is found to be. Numbers for the record. */
struct outlier_verdict {
    enum ejection_cause cause; /* none, EJECTION_ERRORS or EJECTION_SLOW */
    double error_ratio, peers_error_ratio;
    double latency_us, peers_latency_us; /* peers': the median; 0: not known */
    double sigmas;
};

/* What is common to the judgements of one moment. */
struct outlier_peers {
    uint64_t answers, failures; /* of all */
    double median, deviation;   /* of log2(us); NaN: fewer than three can be compared */
};

/* Whether a failure is probably the endpoint's own: `peers` is the window of all others. */
bool outlier_peers_are_well(const struct outlier_window *peers);

/* `room` holds `count` doubles for the call. */
struct outlier_peers outlier_peers(const struct outlier_window *windows, size_t count,
                                   double *room);
struct outlier_verdict outlier_judge(const struct outlier_peers *peers,
                                     const struct outlier_window *one);
