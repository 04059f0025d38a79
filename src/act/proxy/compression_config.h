/* `compression:` of shop.yaml, and of services and routes. The one place where the defaults are
 * written. */
#pragma once
#include "act/shm/plan.h"
#include "config/config.h"

struct compression_config {
    bool enabled;
    int algorithms[HTTP_CODINGS]; /* index into the names: see compression_config.c */
    size_t algorithm_count;
    struct {
        uint32_t gzip, brotli, zstd;
    } level;
    uint64_t min_bytes;
    struct slice *types;
    size_t type_count;
    uint32_t encoders;
    bool services_may;
};

extern const struct config_table compression_config_table;

/* `compression: default | on | off` of a service or route; values are enum plan_switch. */
extern const char *const compression_switches[];

/* What goes into the plan; false when its text is full. */
bool compression_plan(const struct compression_config *config, struct plan *plan);
/* Of a service: whether answers may be compressed. */
bool compression_plan_service(const struct compression_config *config, int service_switch);
