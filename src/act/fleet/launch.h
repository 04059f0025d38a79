/* What a new process gets: its words and its environment, all made before the fork. Other threads
 * of the parent may hold the allocator's lock in the moment of the fork, and in the child nobody
 * ever gives it back: the child allocates nothing (signal-safety(7)). */
#pragma once
#include "act/fleet/provider.h"
#include "act/guard/guard.h"
#include "base/arena.h"

#define LAUNCH_BYTES_MAX 8388608 /* execve takes less */

struct launch {
    struct arena arena;
    char **arguments, **environment; /* each ends with NULL */
    bool as_user;                    /* it runs as `user` */
    struct guard_user user;
};

/* Of an instance that has id, version and address. "$PORT" in words and values becomes the port.
 * Fails with ERROR_LIMIT when it does not fit, ERROR_NOT_FOUND when its user is gone. */
bool launch_init(struct launch *launch, const struct fleet *fleet, const struct instance *instance,
                 struct error *err);
void launch_fini(struct launch *launch);
