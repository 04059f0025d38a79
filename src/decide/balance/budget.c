#include "decide/balance/budget.h"

static uint64_t earned(const struct budget *b) {
    double by_requests = (double)b->requests * b->ratio * BUDGET_ONE;
    double by_time = (double)b->now_us * b->floor_rps; /* a millionth each microsecond */
    return (uint64_t)(by_requests + by_time);
}

bool budget_take(const struct budget *b, bool hedge, uint64_t *spent) {
    uint64_t all = earned(b);
    double burst = BUDGET_BURST_LEAST + (double)b->in_flight * BUDGET_BURST_IN_FLIGHT;
    uint64_t most = (uint64_t)(burst * BUDGET_ONE);
    uint64_t kept = hedge ? (uint64_t)(burst * BUDGET_HEDGES_LEAVE * BUDGET_ONE) : 0;
    uint64_t oldest = all > most ? all - most : 0;
    /* More than was ever earned: a new configuration counts from now on. */
    *spent = *spent > all ? all : *spent < oldest ? oldest : *spent;
    if (*spent + BUDGET_ONE + kept > all) {
        return false;
    }
    *spent += BUDGET_ONE;
    return true;
}
