/* A rate limit for the harness. */
#pragma once
#include "act/shm/plan.h"

/* On each route that is in the plan, by client. */
void harness_limit_routes(struct plan *plan, double rate_rps, uint32_t burst);
