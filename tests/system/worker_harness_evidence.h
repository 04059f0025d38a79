/* What the workers hold for or against their endpoints, as JSON for the tests. */
#pragma once
#include "act/shm/vitals.h"

/* The rest of an endpoint's object, with its end. */
void harness_print_endpoint(const struct vitals *vitals, unsigned slot);
/* Of all workers, and of service 0. */
void harness_print_workers(const struct vitals *vitals);
/* What they have told since the last time: an array. */
void harness_print_events(struct vitals *vitals);
