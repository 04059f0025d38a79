/* `instances:` and `unit:` of a service in shop.yaml. */
#pragma once
#include <stdint.h>

#include "config/config.h"
#include "decide/autoscale/autoscale.h"

struct instances_config {
    uint32_t min, max, spares, starting;
    int64_t stabilisation_ms;
    double headroom_ratio;
    double capacity_rps; /* NaN: learned from the start */
};

struct unit_config {
    double cpu;            /* CPUs; NaN: not said */
    uint64_t memory_bytes; /* 0: not said */
    const char *type;      /* of the machine it stands for; NULL: not said */
    double price_per_hour; /* NaN: not known */
};

extern const struct config_table instances_config_table, unit_config_table;

/* What decide/autoscale makes of it. `margin_per_request` NaN: not known. */
struct autoscale_policy instances_policy(const struct instances_config *instances,
                                         const struct unit_config *unit, double margin_per_request);
