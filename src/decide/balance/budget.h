/* The budget of a service for sending requests a second time, retries and hedges alike: a share of
 * its requests, and a floor so that a quiet service can be retried at all. Without one a service
 * that fails under load gets a multiple of that load.
 *
 *     earned(t) = requests(t) × ratio + floor × t       spent ≤ earned;  earned - spent ≤ most
 *
 * One number, `spent`, is the whole state: a token bucket seen as a virtual clock (GCRA, ITU-T
 * I.371) that requests move as well as time. So it lives in one atomic word that all workers share,
 * and nobody does anything for a request that is not retried. After: Finagle's RetryBudget; "The
 * Site Reliability Workbook", retry budgets. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define BUDGET_ONE 1000000u        /* one sending, in the unit of earned and spent */
#define BUDGET_BURST_LEAST 200     /* sendings that can be saved up */
#define BUDGET_BURST_IN_FLIGHT 0.5 /* and of those in flight: an endpoint may die with them */
#define BUDGET_HEDGES_LEAVE 0.25   /* of the burst is for retries, which somebody waits for */

struct budget {
    double ratio;      /* of the requests */
    double floor_rps;  /* >= 0 */
    uint64_t requests; /* since the beginning; grows, but for a few that were refused later */
    uint64_t now_us;   /* since a beginning, likewise */
    uint32_t in_flight;
};

/* Takes one if there is one: `spent` is read and replaced, also where the answer is no. `hedge`:
 * not the last ones. The caller swaps the word in atomically, and asks again when somebody else was
 * first. */
bool budget_take(const struct budget *budget, bool hedge, uint64_t *spent);
