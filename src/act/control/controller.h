/* The controller: one process, one loop. Senses from the vitals, forecasts, decides, and acts on
 * the fleet and on the plan; tells what it did to the log, the store and the API.
 *
 *   at once      an instance is ready, ill by its probes, or has ended (pidfd)
 *   100 ms       heal: hangs, error bursts, slowness; drains that are done
 *   1 s          sense demand, forecast, decide how many, start and stop; samples, API, output
 *   SIGHUP       the configuration again; SIGTERM: stops the instances and ends;
 *                SIGUSR1: ends and leaves them to a successor
 *
 * When it dies, workers keep the last plan and instances run on; its successor adopts them. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "act/control/notebook.h"
#include "act/control/shop.h"
#include "act/control/state.h"
#include "act/shm/plan.h"
#include "act/shm/vitals.h"
#include "base/error.h"

struct controller_config {
    const struct shop *shop; /* the last good one; copied */
    const char *config_path; /* NULL: none, nothing to reload */
    const struct state_folder *state;
    struct plan_segment *plans;
    struct vitals *vitals;
    struct notebook *notebook;
    const int *wake_fds; /* of the workers */
    unsigned worker_count;
    int supervisor_fd; /* pidfd */
    pid_t supervisor_pid;
};

/* Runs until it is told to end, or the supervisor is gone (then the instances are left running). */
bool controller_run(const struct controller_config *config, struct error *err);
