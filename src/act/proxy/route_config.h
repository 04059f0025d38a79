/* `routes:` of shop.yaml. What a route is, is in docs/routing.md; how it gets into the plan, in
 * route_plan.h. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "act/proxy/policy_config.h"
#include "act/proxy/rule_config.h"
#include "act/shm/plan_routes.h"
#include "config/config.h"
#include "decide/value/stage.h"

#define ROUTE_PATTERNS_MAX 1024 /* of all routes: each costs memory in each worker */

/* One of `headers:`, `query:` or `cookies:`. */
struct condition_config {
    struct slice name, value;
    enum plan_match match;
};

struct route_config {
    struct slice host; /* empty: any */
    struct slice path;
    enum plan_match match; /* prefix, exact or pattern */
    struct slice *methods;
    size_t method_count;
    struct condition_config *headers, *query, *cookies;
    size_t header_count, query_count, cookie_count;
    struct slice *sources; /* networks */
    size_t source_count;
    const char *service; /* NULL: a split, redirect or fixed answer stands in its place */
    enum stage stage;
    bool idempotent;
    int compression; /* enum plan_switch */
    struct rule_config rule;
    struct policy_config policy;
};

extern const struct config_table route_config_table;

/* What all routes need together of a plan: the first thing of which it is too much, such as "header
 * changes", and how many there may be; NULL: they fit. Texts are bounded by the file's size. */
const char *route_config_exceeds(const struct route_config *routes, size_t count, size_t *most);
/* Whether anything but host and path is asked. */
bool route_config_has_conditions(const struct route_config *route);
/* Warns of routes behind an earlier one of the same host and path, both without conditions. `place`
 * is that of the list `routes`. */
void route_config_warn_of_doubles(const struct config_place *place,
                                  const struct route_config *routes, size_t count);
size_t route_config_patterns(const struct route_config *route);
