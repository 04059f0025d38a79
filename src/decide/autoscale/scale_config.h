/* `instances:` and `unit:` of a service in shop.yaml. */
#pragma once
#include <stdint.h>

#include "config/config.h"
#include "decide/autoscale/autoscale.h"

struct instances_config {
    uint32_t min, max, spares, starting;
    int64_t stabilisation_ms;
    double headroom_ratio;
    double capacity_rps;    /* NaN: learned from the start */
    double budget_per_hour; /* of all of them, spares included; NaN: none */
};

struct unit_config {
    double cpu;            /* CPUs; NaN: not said */
    uint64_t memory_bytes; /* 0: not said */
    const char *type;      /* of the machine it stands for; NULL: not said */
    double price_per_hour; /* NaN: not known */
};

extern const struct config_table instances_config_table, unit_config_table;

/* A budget wants a price, and pays for the minimum; else an error at `service`, the block that
 * holds both. */
void instances_check_budget(const struct config_place *service,
                            const struct instances_config *instances,
                            const struct unit_config *unit);
/* Never more in rotation: `max`, or what the budget pays for beside the spares. */
uint32_t instances_most(const struct instances_config *instances, const struct unit_config *unit);

/* What decide/autoscale makes of it. `margin_per_request` NaN: not known. */
struct autoscale_policy instances_policy(const struct instances_config *instances,
                                         const struct unit_config *unit, double margin_per_request);
