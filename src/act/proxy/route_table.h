/* Routes of one plan, compiled so that 5,000 cost a request no more than 5: a hash of hosts, and
 * one of (host, path prefix) that is asked only for the lengths that exist.
 *
 * Which route: of the most specific host that has a matching prefix (exact name, then wildcards
 * "*.shop.test" from the longest, then any host) the longest prefix. A prefix ends at a
 * segment's end: "/cart" matches "/cart" and "/cart/7", not "/carton". The first of two equal
 * ones counts. */
#pragma once
#include "act/shm/plan.h"
#include "base/slice.h"

struct route_table;

/* Refers to the plan, which must stay. NULL when memory is out. */
struct route_table *route_table_new(const struct plan *plan);
void route_table_free(struct route_table *table);

/* `host` in lower case without its port; `path` without its query, beginning with '/'. NULL when no
 * route matches. */
const struct plan_route *route_table_find(const struct route_table *table, struct slice host,
                                          struct slice path);
