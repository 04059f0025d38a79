/* Cadence: when an endpoint is asked next how it is, and when its answers make it ill or well
 * again. Quick while something is suspicious, at the configured interval otherwise, slower while it
 * is well for long and its requests say so every moment; never in step with another endpoint, and
 * never more than CADENCE_RATE_MAX probes a second over all of them.
 *
 *                 `fall` failed in a row
 *     healthy ────────────────────────────▶ ill      each failed probe, each change and each
 *        ▲       `rise` good in a row        │       suspicion: CADENCE_ALERT quick probes follow
 *        └───────────────────────────────────┘
 *
 * Pure: the caller brings time and randomness. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define CADENCE_QUICK_DIVISOR 10     /* quick: interval / 10 … */
#define CADENCE_QUICK_LEAST_US 50000 /* … but never quicker than this */
#define CADENCE_STARTING_US 100000   /* of one that starts: or quicker */
#define CADENCE_ALERT 10             /* quick probes after the last cause */
#define CADENCE_LONG_US 60000000     /* well for so long … */
#define CADENCE_SLOW_FACTOR 2        /* … and vouched for: so many intervals */
#define CADENCE_RATE_MAX 500         /* probes a second of all endpoints together */
#define CADENCE_JITTER_RATIO 0.2     /* a gap is so much longer or shorter, uniformly */

struct cadence_policy {
    uint64_t interval_us;
    uint32_t rise, fall; /* > 0 */
};

struct cadence {
    bool started; /* it has been well once */
    bool healthy;
    bool spread;             /* the next gap is anything up to the interval: out of step */
    uint32_t failed, passed; /* in a row */
    uint32_t alert;          /* quick probes still to come */
    uint64_t well_since_us;  /* the first of the row of good ones; 0: the last one failed */
};

enum cadence_change { CADENCE_SAME, CADENCE_UP, CADENCE_DOWN };

/* A probe has ended. The first good one starts it, without waiting for `rise`. */
enum cadence_change cadence_observe(struct cadence *c, const struct cadence_policy *policy,
                                    bool well, uint64_t now_us);
/* Somebody else has seen something. True when it was not suspicious before. */
bool cadence_suspect(struct cadence *c);

/* Until the next probe begins. `endpoints` are probed in all; `vouched`: it answers requests well
 * right now; `unit` is uniform in [0, 1). */
uint64_t cadence_gap_us(struct cadence *c, const struct cadence_policy *policy, uint32_t endpoints,
                        bool vouched, uint64_t now_us, double unit);
/* The same for one that should be asked at once: all at one moment are still CADENCE_RATE_MAX. */
uint64_t cadence_at_once_us(uint32_t endpoints, double unit);
