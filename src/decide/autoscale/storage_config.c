#include "decide/autoscale/storage_config.h"

#include <string.h>

#include "base/clock.h"

#define FULL_AT 0.95 /* of one that nobody configured: many run at 90 % for years */
#define LEAD_MS (3 * MS_PER_DAY)
#define HORIZON_MS (30 * MS_PER_DAY)
#define STORAGE(member) offsetof(struct storage_config, member)

static void check(const struct config_place *place, void *item) {
    const struct storage_config *c = item;
    if (!(c->full_at_ratio > 0)) {
        config_place_error(place, "full_at", "full_at: expected more than 0%%");
    }
}

static const struct config_field fields[] = {
    { "path", CONFIG_PATH, STORAGE(path), .required = true,
      .help = "a folder or file on the volume" },
    { "full_at", CONFIG_SHARE, STORAGE(full_at_ratio), .fallback = "90%",
      .help = "of its size; then it counts as full" },
    { "lead", CONFIG_DURATION, STORAGE(lead_ms), .fallback = "3d",
      .help = "it takes so long to make it larger: said so long before it is full, at the latest" },
    { "horizon", CONFIG_DURATION, STORAGE(horizon_ms), .fallback = "30d",
      .help = "what is added shall last so long" },
    { "max", CONFIG_SIZE, STORAGE(size_max),
      .help = "larger than this it cannot be made; without it: any size" },
};
const struct config_table storage_config_table = {
    .fields = fields,
    .len = sizeof fields / sizeof fields[0],
    .item_bytes = sizeof(struct storage_config),
    .plain = true,
    .check = check,
};

void storage_config_check(const struct config_place *place, const struct storage_config *volumes,
                          size_t count) {
    if (count > STORAGE_VOLUMES_MAX) {
        config_place_error(place, "storage", "storage: expected at most %d, found %zu",
                           STORAGE_VOLUMES_MAX, count);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(volumes[i].path, volumes[k].path) == 0) {
                struct config_place at = config_place_item(place, "storage", i);
                config_place_error(&at, NULL, "storage: '%s' is there twice", volumes[i].path);
                break;
            }
        }
    }
}

struct storage_config storage_config_default(const char *path) {
    return (struct storage_config){
        .path = path, .full_at_ratio = FULL_AT, .lead_ms = LEAD_MS, .horizon_ms = HORIZON_MS
    };
}

struct storage_policy storage_config_policy(const struct storage_config *config) {
    return (struct storage_policy){ .full_at_ratio = config->full_at_ratio,
                                    .lead_ms = config->lead_ms,
                                    .horizon_ms = config->horizon_ms,
                                    .size_most = (double)config->size_max };
}
