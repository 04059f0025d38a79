/* The state folder of one Tidegate: `var/` beside the configuration. It holds the lock, the control
 * socket and (by default) the store. Whoever holds the lock is its one supervisor. */
#pragma once
#include <limits.h>
#include <stdbool.h>

#include "base/error.h"

struct state_folder {
    char path[PATH_MAX];              /* absolute */
    char socket[PATH_MAX];            /* of the admin API */
    char supervisor_socket[PATH_MAX]; /* of the supervisor: upgrades */
    int lock_fd;                      /* -1 when not held */
};

/* Where the state of this configuration lives: `var` in its folder, or in the current one when
 * there is no file. Creates nothing. */
bool state_folder_find(const char *config_path, struct state_folder *state, struct error *err);

/* Creates the folder and takes its lock. Fails with ERROR_BUSY and the holder's pid when another
 * supervisor runs there. The lock goes with the process, however it ends. */
bool state_folder_lock(struct state_folder *state, struct error *err);
/* The holder's pid in the lock file is ours: after an upgrade, whose lock was handed over. */
bool state_folder_write_holder(struct state_folder *state, struct error *err);
/* The lock of the one controller that acts, in a descriptor that goes with the process. Waits while
 * a predecessor is about to end; fails with ERROR_BUSY after `wait_ms`. */
bool state_folder_lock_controller(const struct state_folder *state, unsigned wait_ms, int *fd,
                                  struct error *err);
void state_folder_unlock(struct state_folder *state);
