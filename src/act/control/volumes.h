/* Volumes: those of `storage:`, and that of the store, are looked at every few seconds; what is
 * seen goes to decide/autoscale/storage.h, and what it says to people. Points of the coarsest scale
 * are kept in a file of the state folder, so that a restart forgets no trend of days. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "act/control/volume_look.h"
#include "decide/autoscale/storage.h"
#include "decide/autoscale/storage_config.h"

#define VOLUMES_FILE "storage.json"
#define VOLUMES_MAX (STORAGE_VOLUMES_MAX + 1) /* the store's */

struct volume {
    char *path;      /* ours; NULL: the place is free */
    bool configured; /* else it is the store's */
    struct storage_policy policy;
    struct storage storage;
    struct storage_outlook outlook;
    struct volume_look *look; /* under way; NULL: none */
    uint64_t asked_us;
    dev_t device;
    bool seen, silent; /* seen: once at least; silent: it does not come back, or fails */
};

struct volumes {
    struct volume list[VOLUMES_MAX];
    uint64_t kept_us;
};

/* False: it was there already, and keeps what was seen of it; or there is no memory. */
bool volumes_add(struct volumes *v, const struct storage_config *config, bool configured);
void volumes_fini(struct volumes *v);

/* The points of the volumes that are in the list. A missing file is none. */
bool volumes_read(struct volumes *v, const char *folder, int64_t now_ms, struct error *err);
bool volumes_write(const struct volumes *v, const char *folder, struct error *err);

/* Whether somebody configured another volume that is the same device. */
bool volumes_is_double(const struct volumes *v, const struct volume *volume);
