/* The budget of a service for retries and hedges (decide/balance/budget.h), one for all workers: a
 * word in the vitals, held against the requests that they have counted anyway. */
#pragma once
#include <stdbool.h>

struct service;

/* Takes one sending from it; false (and counted) when it is spent. */
bool retry_budget_take(struct service *service, bool hedge);
