/* What the rule of a route makes of a request and of its response: other paths, hosts and fields.
 * Plain functions; what is new is in the request's arena. */
#pragma once
#include "act/proxy/route_table.h"
#include "base/arena.h"

/* A route and its rule, in their table. */
struct rule {
    const struct route_table *table;
    const struct plan_route *route;
    const struct plan_rule *plan;
};

/* *rewritten is `path` (normalised) as the rule wants it; the same when it says nothing of it, or
 * its pattern does not match. False when the arena is full. */
bool rule_rewrite_path(const struct rule *rule, struct slice path, struct arena *arena,
                       struct slice *rewritten);

/* What a redirect says as Location: a path, or a whole URI when scheme, host or port change. Never
 * begins with "//", which browsers take for a host. */
struct rule_visit {
    struct slice path;      /* normalised */
    struct slice authority; /* that was asked for */
    const struct http_head *request;
    bool tls;
};
bool rule_location(const struct rule *rule, const struct rule_visit *visit, struct arena *arena,
                   struct slice *location);

/* The service redirects within the world that the rule shows it: *location as the visitor knows it.
 */
bool rule_location_back(const struct rule *rule, const struct rule_visit *visit,
                        struct arena *arena, struct slice *location);

/* Removes, sets and adds. False when the head is full. */
bool rule_change_request(const struct rule *rule, struct http_head *head);
bool rule_change_response(const struct rule *rule, struct http_head *head);

/* All fields of that name, however it is spelled: CGI and its like read "x_user" as "x-user". */
void rule_remove_field(struct http_head *head, struct slice name);

/* By `position`, which is even over all numbers: the same one goes to the same service while the
 * weights are the same. */
uint16_t rule_share(const struct rule *rule, uint64_t position);

/* The page for an answer of ours: the rule's, else the shop's; first of the very status, then of
 * its class. `rule` may be NULL. NULL: there is none. */
const struct plan_page *rule_page(const struct route_table *table, const struct plan_rule *rule,
                                  uint16_t status);
struct slice rule_text(const struct route_table *table, struct plan_text text);
