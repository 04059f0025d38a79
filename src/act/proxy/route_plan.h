/* Routes out of the configuration into the plan. */
#pragma once
#include "act/proxy/rate_config.h"
#include "act/proxy/route_config.h"
#include "act/shm/plan.h"

#define ROUTE_KNOWN_TEXTS_MAX 256 /* further ones may be there twice */

/* What the routes need to know of others while they are put into a plan. */
struct route_planner {
    struct plan *plan;
    const void *services; /* for service_index */
    uint16_t (*service_index)(const void *services, const char *name);
    const struct rate_config *rates;
    size_t rate_count;
    struct { /* texts of files that are in the plan already */
        const char *data;
        struct plan_text at;
    } known[ROUTE_KNOWN_TEXTS_MAX];
    size_t known_count;
};

/* What error pages the shop has for all routes; before the first route. */
bool route_plan_pages(struct route_planner *planner, const struct page_config *pages, size_t count);

/* The planner's limits; before the first route. */
bool rate_plan_add(struct route_planner *planner);

/* Appends the route; false when one of the plan's tables is full. */
bool route_plan_add(struct route_planner *planner, const struct route_config *route);

/* rule_plan.c: the index of what `rule` became, + 1, or 0 when there is nothing to do. */
bool rule_plan_add(struct route_planner *planner, const struct route_config *route, uint32_t *rule);
/* Text that may be long and shared, such as a file's. */
bool route_plan_add_shared(struct route_planner *planner, struct slice text, struct plan_text *out);
bool route_plan_network(struct plan *plan, struct slice text);

/* rate_plan.c: which limits the route has. */
bool rate_plan_route(const struct route_planner *planner, struct plan_rule *rule,
                     const struct route_config *route);

/* policy_plan.c */
bool policy_plan_is_needed(const struct policy_config *policy);
bool policy_plan_add(struct route_planner *planner, struct plan_rule *rule,
                     const struct policy_config *policy);
