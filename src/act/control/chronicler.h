/* After an upgrade, in the place of the controller: writes the access log of the older workers
 * until the last of them has ended, and decides nothing. */
#pragma once
#include "act/shm/plan.h"
#include "act/shm/vitals.h"
#include "record/telemetry/access_log_config.h"

void chronicler_run(const struct access_log_config *config, const struct plan_segment *plans,
                    struct vitals *vitals);
