/* The routes of a plan, compiled so that 5,000 cost a request no more than 5: a hash of hosts, and
 * one of (host, path) that is asked only for the lengths that exist. It is a copy: the plan's slot
 * goes away with the next plan, and a request may last longer. Counted by references.
 *
 * Which route: of the most specific host that has a matching one (exact name, then wildcards
 * "*.shop.test" from the longest, then any host) the first by
 *   1. the path: exact, then a pattern, then the longest prefix. A prefix ends at a segment's end:
 *      "/cart" matches "/cart" and "/cart/7", not "/carton"
 *   2. one that names methods before one that does not
 *   3. more conditions on header fields and cookies, then more on the query, then one on the source
 *   4. the order of the configuration.
 * This is the Gateway API's order; where that leaves patterns open, they go before prefixes, so
 * that a "/" for all the rest may stand beside them. */
#pragma once
#include "act/shm/plan.h"
#include "base/slice.h"
#include "wire/http/message.h"

#define ROUTE_QUERY_BYTES_MAX 2048 /* a longer parameter matches only "present" */

struct route_table;

/* What a request says about itself. */
struct route_query {
    struct slice host;            /* in lower case, without its port */
    struct slice path;            /* without its query, beginning with '/' */
    const struct http_head *head; /* for the conditions */
    const uint8_t *ip;            /* 16 bytes, IPv4 as ::ffff:a.b.c.d */
    uint32_t gave_up;             /* out: patterns that reached their limit, counted as different */
};

/* NULL when memory is out. */
struct route_table *route_table_new(const struct plan *plan);
struct route_table *route_table_keep(struct route_table *table);
void route_table_free(struct route_table *table); /* one reference less */
/* Of the plan from which it was made: with the same one nothing needs to be compiled. */
uint64_t route_table_hash(const struct route_table *table);

/* NULL when no route matches. The route is the table's. */
const struct plan_route *route_table_find(const struct route_table *table,
                                          struct route_query *query);
/* What it does beside going to its service; NULL: nothing. */
const struct plan_rule *route_table_rule(const struct route_table *table,
                                         const struct plan_route *route);
