/* Simulate: the controller's own code (act/control/foresee, and with it forecast and autoscale) at
 * the helm of a simulated fleet, second by second through the days of a scenario, with its
 * invariants checked after every decision. Same options, same result. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "act/control/foresee.h"
#include "base/error.h"
#include "decide/autoscale/world.h"
#include "tool/sim/invariants.h"
#include "tool/sim/scenario.h"

#define SIMULATE_STARTUP_MS 30000
#define SIMULATE_UNIT_RPS 50.0

struct simulate_options {
    struct foresee_options foresee; /* as the controller has them; the calendar is the scenario's */
    uint64_t seed;
    uint32_t days;
    double unit_rps; /* what an instance really carries */
    int64_t startup_ms;
    const char *faults_path; /* NULL: those of the seed */
};

struct simulate_result {
    struct world_totals totals;
    uint64_t decisions, changes, shrinks;
    uint64_t warm_seconds; /* before a campaign that had to be met by what was announced */
    uint64_t blind_seconds, faults, campaigns, surges;
    struct invariants invariants; /* .broken: the name of the one that did not hold */
    int64_t broken_at_s;
};

/* True when it could be run; whether all held is in out->invariants.broken. */
bool simulate_run(const struct simulate_options *options, struct simulate_result *out,
                  struct error *err);
