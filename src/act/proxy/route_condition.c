/* What a route asks of a request beside host and path. */
#include <string.h>

#include "act/proxy/route_table_internal.h"
#include "wire/http/cookie.h"
#include "wire/http/query.h"
#include "wire/net/network.h"

static bool pattern_holds(const struct pattern *pattern, struct slice found,
                          struct route_query *q) {
    enum pattern_result result =
        pattern == NULL ? PATTERN_DIFFERS : pattern_match(pattern, found, NULL);
    q->gave_up += result == PATTERN_GAVE_UP;
    return result == PATTERN_MATCHES;
}

static bool text_matches(const struct route_table *t, const struct plan_condition *c,
                         struct slice found, struct route_query *q) {
    struct slice wanted = route_text(t, c->value);
    switch (c->match) {
    case PLAN_MATCH_PRESENT:
        return true;
    case PLAN_MATCH_EXACT:
        return slice_equal(found, wanted);
    case PLAN_MATCH_PREFIX:
        return slice_starts_with(found, wanted);
    case PLAN_MATCH_PATTERN:
        return pattern_holds(t->condition_patterns[c - t->conditions], found, q);
    default:
        return false;
    }
}

static bool lists_method(struct slice methods, struct slice wanted) {
    struct slice method;
    while (slice_cut(&methods, ',', &method)) {
        if (slice_equal(method, wanted)) {
            return true;
        }
    }
    return false;
}

/* A preflight asks with OPTIONS whether another method may be used: where the route answers such
 * questions, that one counts, too. */
static bool method_holds(const struct route_table *t, const struct plan_route *route,
                         const struct plan_condition *c, const struct http_head *head) {
    struct slice methods = route_text(t, c->value);
    if (lists_method(methods, head->method_text)) {
        return true;
    }
    if (head->method != HTTP_OPTIONS || route->rule == 0 ||
        t->rules[route->rule - 1].cors.origins.len == 0) {
        return false;
    }
    const struct http_field *asked =
        http_head_find_name(head, SLICE("access-control-request-method"));
    return asked != NULL && http_head_find_name(head, SLICE("origin")) != NULL &&
           lists_method(methods, asked->value);
}

static bool header_holds(const struct route_table *t, const struct plan_condition *c,
                         struct route_query *q) {
    struct slice name = route_text(t, c->name);
    bool present = false;
    for (size_t i = 0; i < q->head->field_count; i++) {
        const struct http_field *field = &q->head->fields[i];
        if (slice_equal_fold(field->name, name)) {
            present = true;
            if (text_matches(t, c, field->value, q)) {
                return true;
            }
        }
    }
    return !present && c->match == PLAN_MATCH_ABSENT;
}

static bool query_holds(const struct route_table *t, const struct plan_condition *c,
                        struct route_query *q) {
    char room[ROUTE_QUERY_BYTES_MAX];
    struct slice value;
    bool too_long;
    if (!query_find(q->head->query, route_text(t, c->name), room, sizeof room, &value, &too_long)) {
        return c->match == PLAN_MATCH_ABSENT;
    }
    return too_long ? c->match == PLAN_MATCH_PRESENT : text_matches(t, c, value, q);
}

static bool cookie_holds(const struct route_table *t, const struct plan_condition *c,
                         struct route_query *q) {
    struct slice value;
    if (!cookie_find(q->head, route_text(t, c->name), &value)) {
        return c->match == PLAN_MATCH_ABSENT;
    }
    return text_matches(t, c, value, q);
}

static bool source_holds(const struct route_table *t, const struct plan_condition *c,
                         const uint8_t ip[16]) {
    for (uint32_t i = 0; i < c->network_count; i++) {
        const struct plan_network *from = &t->networks[c->network_first + i];
        struct network network = { .bits = from->bits };
        memcpy(network.ip, from->ip, sizeof network.ip);
        if (network_contains(&network, ip)) {
            return true;
        }
    }
    return false;
}

static bool holds(const struct route_table *t, const struct plan_route *route,
                  const struct plan_condition *c, struct route_query *q) {
    switch ((enum plan_condition_kind)c->kind) {
    case PLAN_CONDITION_METHOD:
        return method_holds(t, route, c, q->head);
    case PLAN_CONDITION_HEADER:
        return header_holds(t, c, q);
    case PLAN_CONDITION_QUERY:
        return query_holds(t, c, q);
    case PLAN_CONDITION_COOKIE:
        return cookie_holds(t, c, q);
    case PLAN_CONDITION_SOURCE:
        return source_holds(t, c, q->ip);
    }
    return false;
}

bool route_conditions_hold(const struct route_table *t, const struct plan_route *route,
                           struct route_query *q) {
    for (uint32_t i = 0; i < route->condition_count; i++) {
        if (!holds(t, route, &t->conditions[route->condition_first + i], q)) {
            return false;
        }
    }
    return true;
}
