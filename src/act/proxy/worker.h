/* One worker: a process with one event loop that carries requests from the listening sockets to the
 * endpoints of the current plan, and tells in its block of the vitals what it saw. It needs nobody:
 * without the controller it goes on with the plan it has; before the first plan it answers 503.
 *
 *   SIGTERM, SIGINT, or the supervisor's death
 *       accepts no more, finishes what it carries with `Connection: close`, closes idle
 *       connections, and ends when nothing is left or after the plan's drain timeout
 *   wake_fd readable
 *       a new plan was published: taken up between two events, no connection is closed by it */
#pragma once
#include <stdbool.h>

#include "act/shm/plan.h"
#include "act/shm/vitals.h"
#include "base/error.h"

#define WORKER_HEARTBEAT_US 100000 /* in the vitals */

struct worker_config {
    unsigned index;        /* in plan and vitals, < PLAN_WORKERS_MAX */
    const int *listen_fds; /* of listener_open; stay the caller's */
    unsigned listen_count;
    struct plan_segment *plans;
    struct vitals *vitals;
    int wake_fd;       /* eventfd; -1: the worker looks for a new plan at each heartbeat only */
    int supervisor_fd; /* pidfd, readable when the supervisor is gone; -1: none */
};

/* Runs until it has drained (true) or cannot go on (false with *err set). */
bool worker_run(const struct worker_config *config, struct error *err);
