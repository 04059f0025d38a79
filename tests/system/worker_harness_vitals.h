/* The workers' numbers and records, as JSON for the tests: one line each. */
#pragma once
#include <sys/types.h>

#include "act/shm/plan.h"
#include "act/shm/vitals.h"

/* Added up over the workers, but what tells of endpoints; `first` is the first worker's process. */
void harness_print_vitals(const struct vitals *all, pid_t first,
                          const struct plan_endpoint *endpoints, unsigned count);
/* The first worker's, since the last time. */
void harness_print_records(struct vitals *all);
