/* Inside of the route table. */
#pragma once
#include "act/proxy/route_table.h"
#include "base/pattern.h"
#include "wire/auth/jwt_keys.h"

#define NO_ROUTE UINT32_MAX

struct route_host; /* the paths of one host name */
struct route_cell; /* the routes of one host and path, the most specific first */

struct route_pattern {
    uint64_t hash; /* of its text: the same text is compiled once */
    struct plan_text text;
    struct pattern *pattern;
};

struct route_table {
    uint32_t references;
    uint64_t hash;
    /* Copies of the plan's. */
    struct plan_route *routes;
    struct plan_condition *conditions;
    struct plan_network *networks;
    struct plan_rule *rules;
    struct plan_share *shares;
    struct plan_change *changes;
    struct plan_page *pages;
    struct plan_jwt *jwts;
    struct plan_rate *rates;
    char *text;
    uint32_t route_count, condition_count, rule_count, own_page_count, jwt_count, rate_count;
    /* Compiled. */
    struct route_cell *cells; /* open addressing, at most half full */
    struct route_host *hosts;
    uint32_t *next; /* of each route: the one to try after it, NO_ROUTE: none */
    uint64_t cell_mask, host_mask;
    struct route_pattern *patterns; /* by text, each once */
    uint32_t pattern_count;
    const struct pattern **condition_patterns, **path_patterns, **rule_patterns; /* by index */
    struct jwt_keys **jwt_keys;    /* by index; the same text is the same keys */
    bool has_hosts, has_wildcards; /* else all routes are for any host */
};

static inline struct slice route_text(const struct route_table *t, struct plan_text text) {
    return (struct slice){ t->text + text.offset, text.len };
}

/* route_patterns.c: false when memory is out. One that does not compile is NULL and never matches:
 * the configuration was checked, so that is another version's. */
bool route_patterns_compile(struct route_table *table);
void route_patterns_free(struct route_table *table);

/* route_condition.c: whether all conditions of the route hold. */
bool route_conditions_hold(const struct route_table *table, const struct plan_route *route,
                           struct route_query *query);

/* route_order.c: the indices of all routes, the most specific of those with one host and path
 * first. NULL when memory is out. */
uint32_t *route_order_new(const struct route_table *table);

/* route_keys.c: likewise for the keys of tokens; a NULL one verifies nothing. */
bool route_keys_compile(struct route_table *table);
void route_keys_free(struct route_table *table);
