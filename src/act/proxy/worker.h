/* One worker: a process with one event loop that carries requests from the listening sockets to the
 * endpoints of the current plan, and tells in its block of the vitals what it saw. It needs nobody:
 * without the controller it goes on with the plan it has; before the first plan it answers 503.
 *
 *   SIGTERM, SIGINT, or the supervisor's death
 *       accepts no more, finishes what it carries with `Connection: close`, closes idle
 *       connections, and ends when nothing is left or after the plan's drain timeout
 *   SIGUSR1
 *       retires: a newer Tidegate has the sockets. Accepts no more, finishes what it carries, and
 *       lets go of idle connections only after WORKER_RETIRE_IDLE_US without a request, so that no
 *       request meets a closing connection; ends after the plan's upgrade timeout
 *   control_fd readable
 *       a listening socket came or went (struct worker_order)
 *   wake_fd readable
 *       a new plan was published: taken up between two events, no connection is closed by it */
#pragma once
#include <stdbool.h>

#include "act/guard/guard.h"
#include "act/shm/plan.h"
#include "act/shm/vitals.h"
#include "base/error.h"
#include "wire/net/loop.h"

#define WORKER_HEARTBEAT_US 100000 /* in the vitals */
#define WORKER_RETIRE_IDLE_US 5000000

/* From the supervisor, one message each; WORKER_LISTEN comes with the descriptor. */
enum worker_order_kind { WORKER_LISTEN, WORKER_UNLISTEN };
struct worker_order {
    uint32_t kind, slot; /* slot: of listen_fds */
    bool guarded;        /* see worker_config */
};

struct worker_config {
    unsigned index;        /* in plan and vitals, < PLAN_WORKERS_MAX */
    const int *listen_fds; /* of listener_open; in a process of its own; -1: none in this slot */
    unsigned listen_count;
    /* Of each: whether it accepts only once a plan has named it: one that asks for TLS must not
     * answer plainly before. NULL: none does. */
    const bool *listen_guarded;
    struct plan_segment *plans;
    struct vitals *vitals;
    enum loop_io io;   /* AUTO and URING fall back to epoll where the kernel refuses */
    int wake_fd;       /* eventfd; -1: the worker looks for a new plan at each heartbeat only */
    int supervisor_fd; /* pidfd, readable when the supervisor is gone; -1: none */
    int control_fd;    /* a socket that keeps messages apart; 0 or -1: none */
    struct guard_worker guard; /* `refused_call` is the worker's to set */
};

/* Runs until it has drained (true) or cannot go on (false with *err set). */
bool worker_run(const struct worker_config *config, struct error *err);
