/* One look at a volume: how large it is and what is used of it. By a thread of its own, because a
 * file system on another machine may not answer for hours, and the controller must go on. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct volume_look;

struct volume_seen {
    double used_bytes, size_bytes; /* as df counts: without what only root may use */
    double inodes_ratio;           /* NaN: it does not count them */
    dev_t device;
    struct error err;
    bool good;
};

/* NULL: no memory, or no thread. */
struct volume_look *volume_look_start(const char *path);
/* False: it has not come back yet. */
bool volume_look_done(const struct volume_look *look, struct volume_seen *seen);
/* One that has not come back is left behind, and frees itself when it does. NULL is fine. */
void volume_look_free(struct volume_look *look);
