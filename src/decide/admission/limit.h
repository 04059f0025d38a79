/* How many requests of a service may be in flight at once, learned from their latency.
 *
 * Once a window: when more answers than the objective forgives were late, the limit shrinks by what
 * they were late, and remembers where that was. When all is well and the limit was in use, it
 * grows: fast while nothing is known, back towards the remembered place, and past it with small
 * steps, since each time it goes too far costs visitors a window of late answers. A limit that
 * nobody reaches says nothing and stays.
 * Pure: time is an argument. The start comes from the plan: endpoints × what one carries.
 * After: congestion control (Vegas, CUBIC), brought to servers by Netflix. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define ADMISSION_WINDOW_US 250000
#define ADMISSION_WINDOW_SAMPLES 20 /* fewer are no evidence: the window goes on */
#define ADMISSION_SEARCH_RATIO 0.1  /* growth of a window, plus one, while no bound is known */
#define ADMISSION_RETURN_RATIO 0.25 /* of the way back to just below the bound */
#define ADMISSION_PROBE_RATIO 0.005 /* growth of a window at the bound */
#define ADMISSION_BELOW_RATIO 0.9   /* of the bound: from here on with small steps */
#define ADMISSION_BEYOND_RATIO 1.1  /* of the bound: it is none any more */
#define ADMISSION_SHRINK_RATIO_LEAST 0.95 /* a little late */
#define ADMISSION_SHRINK_RATIO_MOST 0.5   /* twice as late and more */
#define ADMISSION_IN_USE_RATIO 0.8

struct admission_objective {
    uint64_t latency_us;
    double share; /* of the answers that must be in time, e.g. 0.99 */
};

struct admission_limit {
    double limit, least, most;
    double bound; /* where it was too large last; 0: not known */
    uint64_t window_start_us;
    uint64_t latency_us_sum;
    uint32_t samples, late;
    uint32_t in_flight_max; /* in this window */
};

/* 1 <= least <= most; `start` is moved between them. */
void admission_limit_init(struct admission_limit *l, double start, double least, double most,
                          uint64_t now_us);

/* After a plan that brought more or fewer endpoints: the limit goes along in proportion. */
void admission_limit_rescale(struct admission_limit *l, double ratio, double least, double most);

/* One answer: how long it took, how many were in flight when it came (itself included).
 * `overloaded`: the service said so (503) or gave none in time. Its other errors are no sign of
 * overload and are to be left out: a limit that shrank by them would make a broken page into a
 * broken shop. */
void admission_limit_observe(struct admission_limit *l, const struct admission_objective *objective,
                             uint64_t latency_us, bool overloaded, uint32_t in_flight,
                             uint64_t now_us);

uint32_t admission_limit_now(const struct admission_limit *l);
