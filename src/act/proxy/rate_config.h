/* `rate_limits:` of shop.yaml: limits by name, to which routes point with `rate_limit`. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "act/shm/plan_routes.h"
#include "config/config.h"

struct rate_config {
    const char *name;
    double rate_rps;
    uint32_t burst;
    struct slice by;         /* as written */
    enum plan_rate_by whose; /* and understood */
    struct slice field;      /* of a header or cookie: its name */
    uint32_t ipv4_prefix, ipv6_prefix;
    uint32_t status;
    bool headers, dry_run;
};

extern const struct config_table rate_config_table;

/* For the shop's check: names and number. `place` is the shop's. */
void rate_config_check_names(const struct config_place *place, const struct rate_config *rates,
                             size_t count);
/* The index of that name; `count`: there is none. */
size_t rate_config_find(const struct rate_config *rates, size_t count, struct slice name);
/* For the shop's check: the limits that a route at `place` names. */
void rate_config_check_route(const struct config_place *place, const struct rate_config *rates,
                             size_t count, const struct slice *names, size_t name_count);
