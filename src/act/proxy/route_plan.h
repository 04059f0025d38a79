/* Routes out of the configuration into the plan. */
#pragma once
#include "act/proxy/route_config.h"
#include "act/shm/plan.h"

/* What the routes need to know of others while they are put into a plan. */
struct route_planner {
    struct plan *plan;
    const void *services; /* for service_index */
    uint16_t (*service_index)(const void *services, const char *name);
};

/* Appends the route; false when one of the plan's tables is full. */
bool route_plan_add(struct route_planner *planner, const struct route_config *route);
