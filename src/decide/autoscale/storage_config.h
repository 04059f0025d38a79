/* The list `storage:` of the configuration: volumes that are watched. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "decide/autoscale/storage.h"

#define STORAGE_VOLUMES_MAX 16

struct storage_config {
    const char *path; /* anything on the volume */
    double full_at_ratio;
    int64_t lead_ms, horizon_ms;
    uint64_t size_max;
};

extern const struct config_table storage_config_table;

/* Too many, or one path twice. */
void storage_config_check(const struct config_place *place, const struct storage_config *volumes,
                          size_t count);
/* Of a volume that nobody configured. */
struct storage_config storage_config_default(const char *path);
struct storage_policy storage_config_policy(const struct storage_config *config);
