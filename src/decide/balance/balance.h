/* Which endpoint gets the next request: the better of two random ones by expected finish.
 *
 *     score = (in flight + 1) × (latency + error ratio × BALANCE_ERROR_COST_US) ÷ weight
 *
 * Latency is a peak-sensitive average, so that a slow-down is felt with the first slow answer. An
 * error is as bad as a slow answer: who fails fast attracts nothing. What was learned fades while
 * nothing is sent (`idle_us`), so that an endpoint that was slow or failing is tried again.
 * Pure: chance and time are arguments. Estimates live where the caller keeps them (the vitals, one
 * per endpoint for all workers); ejection by consecutive failures is ejection.h.
 * After: "The Power of Two Choices", Mitzenmacher 2001; peak EWMA of Twitter's Finagle. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/rand.h"

#define BALANCE_ERROR_COST_US 1000000 /* a failure is as bad as waiting this long */
#define BALANCE_FADE_US 1000000 /* half of what is known is forgotten in this time of silence */
#define BALANCE_FADE_HALVINGS_MAX 20
#define BALANCE_PPM 1000000

struct balance_candidate {
    uint32_t in_flight;
    uint32_t ewma_us;   /* of the time to first byte; 0: not known yet */
    uint32_t error_ppm; /* average of failures, parts per million */
    uint64_t idle_us;   /* since its last answer; 0 while something is in flight there */
    float weight;       /* 0 to 1: its share while it warms up; 0 counts as 1 */
    bool ejected;       /* not to be used unless all are */
    bool tried;         /* by this request, in vain */
};

/* What the candidate at `position` < count looks like now. */
typedef struct balance_candidate balance_look(const void *self, uint32_t position);

/* Of the best that there is, best first. */
enum balance_quality {
    BALANCE_GOOD,
    BALANCE_TRIED,  /* all others are ejected or have been tried too */
    BALANCE_PANIC,  /* all are ejected: better one of them than none at all */
    BALANCE_NOBODY, /* there are no candidates, or all are ejected and tried */
};

struct balance_choice {
    enum balance_quality quality;
    uint32_t position; /* of no meaning with BALANCE_NOBODY */
};

/* Looks at two, and at all only when neither may be used. */
struct balance_choice balance_pick(const void *self, balance_look *look, uint32_t count,
                                   struct rand *r);

/* Lower is better. `typical_us` stands for the latency of who has none yet. */
double balance_score(const struct balance_candidate *candidate, uint32_t typical_us);

/* The averages after one more answer that came `idle_us` after the one before: what was learned
 * before a silence counts the less. */
uint32_t balance_add_latency(uint32_t ewma_us, uint64_t sample_us, uint64_t idle_us);
uint32_t balance_add_error(uint32_t error_ppm, bool failed, uint64_t idle_us);
