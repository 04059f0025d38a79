#include "act/proxy/route_plan.h"

#include <string.h>

#include "base/buffer.h"
#include "wire/net/network.h"

#define METHODS_BYTES_MAX 1024

static struct plan_condition *add_condition(struct plan *plan, struct plan_route *route) {
    if (plan->condition_count == PLAN_CONDITIONS_MAX ||
        route->condition_count == PLAN_ROUTE_CONDITIONS_MAX) {
        return NULL;
    }
    struct plan_condition *c = &plan->conditions[plan->condition_count++];
    *c = (struct plan_condition){ 0 };
    route->condition_count++;
    return c;
}

static bool add_texts(struct plan *plan, struct plan_route *route, enum plan_condition_kind kind,
                      const struct condition_config *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct plan_condition *c = add_condition(plan, route);
        if (c == NULL || !plan_add_text(plan, from[i].name, &c->name) ||
            !plan_add_text(plan, from[i].value, &c->value)) {
            return false;
        }
        c->kind = (uint8_t)kind;
        c->match = (uint8_t)from[i].match;
    }
    return true;
}

static bool add_methods(struct plan *plan, struct plan_route *route,
                        const struct route_config *from) {
    if (from->method_count == 0) {
        return true;
    }
    struct plan_condition *c = add_condition(plan, route);
    struct buffer list;
    buffer_init(&list, METHODS_BYTES_MAX);
    bool good = c != NULL;
    for (size_t i = 0; good && i < from->method_count; i++) {
        good = (i == 0 || buffer_append_byte(&list, ',')) && buffer_append(&list, from->methods[i]);
    }
    good = good && plan_add_text(plan, buffer_slice(&list), &c->value);
    buffer_fini(&list);
    if (good) {
        c->kind = PLAN_CONDITION_METHOD;
    }
    return good;
}

bool route_plan_network(struct plan *plan, struct slice text) {
    struct network network;
    if (plan->network_count == PLAN_NETWORKS_MAX || !network_parse(text, &network, NULL)) {
        return false;
    }
    struct plan_network *to = &plan->networks[plan->network_count++];
    memcpy(to->ip, network.ip, sizeof to->ip);
    to->bits = network.bits;
    return true;
}

static bool add_sources(struct plan *plan, struct plan_route *route,
                        const struct route_config *from) {
    if (from->source_count == 0) {
        return true;
    }
    struct plan_condition *c = add_condition(plan, route);
    if (c == NULL) {
        return false;
    }
    c->kind = PLAN_CONDITION_SOURCE;
    c->network_first = plan->network_count;
    for (size_t i = 0; i < from->source_count; i++) {
        if (!route_plan_network(plan, from->sources[i])) {
            return false;
        }
    }
    c->network_count = (uint16_t)from->source_count;
    return true;
}

static bool add_conditions(struct plan *plan, struct plan_route *route,
                           const struct route_config *from) {
    route->condition_first = plan->condition_count;
    return add_methods(plan, route, from) &&
           add_texts(plan, route, PLAN_CONDITION_HEADER, from->headers, from->header_count) &&
           add_texts(plan, route, PLAN_CONDITION_COOKIE, from->cookies, from->cookie_count) &&
           add_texts(plan, route, PLAN_CONDITION_QUERY, from->query, from->query_count) &&
           add_sources(plan, route, from);
}

bool route_plan_add_shared(struct route_planner *planner, struct slice text,
                           struct plan_text *out) {
    for (size_t i = 0; i < planner->known_count; i++) {
        if (planner->known[i].data == text.data && planner->known[i].at.len == text.len) {
            *out = planner->known[i].at;
            return true;
        }
    }
    if (!plan_add_text(planner->plan, text, out)) {
        return false;
    }
    if (planner->known_count < ROUTE_KNOWN_TEXTS_MAX) {
        planner->known[planner->known_count].data = text.data;
        planner->known[planner->known_count++].at = *out;
    }
    return true;
}

bool route_plan_add(struct route_planner *planner, const struct route_config *from) {
    struct plan *plan = planner->plan;
    if (plan->route_count == PLAN_ROUTES_MAX) {
        return false;
    }
    struct plan_route *to = &plan->routes[plan->route_count];
    *to = (struct plan_route){
        .service = from->service == NULL ? PLAN_NO_SERVICE
                                         : planner->service_index(planner->services, from->service),
        .stage = (uint8_t)from->stage,
        .idempotent = from->idempotent,
        .match = (uint8_t)from->match,
        .compression = (uint8_t)from->compression,
    };
    if (!plan_add_text(plan, from->host, &to->host) ||
        !plan_add_text(plan, from->path, &to->prefix) || !add_conditions(plan, to, from) ||
        !rule_plan_add(planner, from, &to->rule)) {
        return false;
    }
    plan->route_count++;
    return true;
}
