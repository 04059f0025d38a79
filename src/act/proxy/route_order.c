/* Which of several routes of one host and path comes first. */
#include <stdlib.h>

#include "act/proxy/route_table_internal.h"

/* In the order in which they are compared; packed so that one comparison does. */
struct ranked {
    uint32_t rank; /* the larger, the earlier */
    uint32_t index;
};

static uint32_t rank_of(const struct route_table *t, const struct plan_route *route) {
    uint32_t methods = 0, fields = 0, queries = 0, sources = 0;
    for (uint32_t i = 0; i < route->condition_count; i++) {
        uint8_t kind = t->conditions[route->condition_first + i].kind;
        methods += kind == PLAN_CONDITION_METHOD;
        fields += kind == PLAN_CONDITION_HEADER || kind == PLAN_CONDITION_COOKIE;
        queries += kind == PLAN_CONDITION_QUERY;
        sources += kind == PLAN_CONDITION_SOURCE;
    }
    return (methods > 0) << 24 | fields << 16 | queries << 8 | sources;
}

static int compare(const void *left, const void *right) {
    const struct ranked *a = left, *b = right;
    if (a->rank != b->rank) {
        return a->rank > b->rank ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

uint32_t *route_order_new(const struct route_table *t) {
    struct ranked *ranked = malloc((t->route_count + 1) * sizeof *ranked);
    uint32_t *order = malloc((t->route_count + 1) * sizeof *order);
    if (ranked == NULL || order == NULL) {
        free(ranked);
        free(order);
        return NULL;
    }
    bool differ = false;
    for (uint32_t i = 0; i < t->route_count; i++) {
        ranked[i] = (struct ranked){ rank_of(t, &t->routes[i]), i };
        differ |= ranked[i].rank != ranked[0].rank;
    }
    if (differ) {
        qsort(ranked, t->route_count, sizeof *ranked, compare);
    }
    for (uint32_t i = 0; i < t->route_count; i++) {
        order[i] = ranked[i].index;
    }
    free(ranked);
    return order;
}
