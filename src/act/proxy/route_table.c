#include "act/proxy/route_table_internal.h"

#include <stdlib.h>
#include <string.h>

#define HASH_SEED 0xcbf29ce484222325u /* FNV-1a */
#define HASH_PRIME 0x100000001b3u
#define LENGTHS_MASK_BITS 64 /* prefixes of 63 bytes and more share the last bit */
#define EXACT_SALT 0x2545f4914f6cdd1du

struct route_host {
    struct slice name; /* "", "shop.test", "*.shop.test" */
    uint64_t hash;
    uint64_t lengths, exact_lengths;      /* bit n: a prefix (an exact path) of n bytes exists */
    uint32_t pattern_first, pattern_last; /* routes whose path is a pattern; NO_ROUTE: none */
    bool used;
};

struct route_cell {
    uint64_t hash;
    uint32_t first, last; /* routes; NO_ROUTE: the cell is empty */
    uint32_t host;
    bool exact;
};

static uint64_t hash_more(uint64_t hash, struct slice bytes) {
    for (size_t i = 0; i < bytes.len; i++) {
        hash = (hash ^ (uint8_t)bytes.data[i]) * HASH_PRIME;
    }
    return hash;
}

/* FNV leaves the low bits of short texts alike: spread the high ones over them. */
static uint64_t spread(uint64_t hash) {
    hash ^= hash >> 32;
    return hash * 0x9e3779b97f4a7c15u >> 20;
}

static uint64_t length_bit(size_t len) {
    return 1ull << (len < LENGTHS_MASK_BITS ? len : LENGTHS_MASK_BITS - 1);
}

/* ---- building ---- */

static uint64_t table_size(uint32_t items) {
    uint64_t size = 8;
    while (size < 2ull * items) {
        size *= 2;
    }
    return size;
}

static uint32_t find_host(const struct route_table *t, struct slice name, uint64_t hash) {
    uint64_t at = spread(hash) & t->host_mask;
    while (t->hosts[at].used &&
           (t->hosts[at].hash != hash || !slice_equal(t->hosts[at].name, name))) {
        at = (at + 1) & t->host_mask;
    }
    return (uint32_t)at; /* the host or the free place for it */
}

static uint64_t cell_hash(uint32_t host, uint64_t path_hash, bool exact) {
    return path_hash ^ (host + 1) * 0x9e3779b97f4a7c15u ^ (exact ? EXACT_SALT : 0);
}

/* The cell of the path, or the empty one where it would be. */
static struct route_cell *find_cell(const struct route_table *t, uint32_t host, uint64_t path_hash,
                                    struct slice path, bool exact) {
    uint64_t hash = cell_hash(host, path_hash, exact);
    uint64_t at = spread(hash) & t->cell_mask;
    while (t->cells[at].first != NO_ROUTE) {
        const struct route_cell *cell = &t->cells[at];
        if (cell->hash == hash && cell->host == host && cell->exact == exact &&
            slice_equal(route_text(t, t->routes[cell->first].prefix), path)) {
            break;
        }
        at = (at + 1) & t->cell_mask;
    }
    return &t->cells[at];
}

static uint32_t add_host(struct route_table *t, struct slice name) {
    uint64_t hash = hash_more(HASH_SEED, name);
    uint32_t index = find_host(t, name, hash);
    if (!t->hosts[index].used) {
        t->hosts[index] = (struct route_host){ .name = name,
                                               .hash = hash,
                                               .used = true,
                                               .pattern_first = NO_ROUTE,
                                               .pattern_last = NO_ROUTE };
        t->has_hosts |= name.len > 0;
        t->has_wildcards |= name.len > 0 && name.data[0] == '*';
    }
    return index;
}

static void append(struct route_table *t, uint32_t *first, uint32_t *last, uint32_t route) {
    if (*first == NO_ROUTE) {
        *first = route;
    } else {
        t->next[*last] = route;
    }
    *last = route;
}

static void add_route(struct route_table *t, uint32_t index) {
    const struct plan_route *route = &t->routes[index];
    struct slice path = route_text(t, route->prefix);
    uint32_t host_index = add_host(t, route_text(t, route->host));
    struct route_host *host = &t->hosts[host_index];
    if (route->match == PLAN_MATCH_PATTERN) {
        append(t, &host->pattern_first, &host->pattern_last, index);
        return;
    }
    bool exact = route->match == PLAN_MATCH_EXACT;
    *(exact ? &host->exact_lengths : &host->lengths) |= length_bit(path.len);
    uint64_t path_hash = hash_more(HASH_SEED, path);
    struct route_cell *cell = find_cell(t, host_index, path_hash, path, exact);
    cell->hash = cell_hash(host_index, path_hash, exact);
    cell->host = host_index;
    cell->exact = exact;
    append(t, &cell->first, &cell->last, index);
}

static void *copy_of(const void *from, size_t bytes) {
    void *copy = malloc(bytes + 1); /* of nothing, too */
    if (copy != NULL) {
        memcpy(copy, from, bytes);
    }
    return copy;
}

static bool copy_plan(struct route_table *t, const struct plan *plan) {
    t->hash = plan->routes_hash;
    t->route_count = plan->route_count;
    t->condition_count = plan->condition_count;
    t->routes = copy_of(plan->routes, plan->route_count * sizeof *plan->routes);
    t->conditions = copy_of(plan->conditions, plan->condition_count * sizeof *plan->conditions);
    t->networks = copy_of(plan->networks, plan->network_count * sizeof *plan->networks);
    t->rule_count = plan->rule_count;
    t->own_page_count = plan->own_page_count;
    t->rules = copy_of(plan->rules, plan->rule_count * sizeof *plan->rules);
    t->shares = copy_of(plan->shares, plan->share_count * sizeof *plan->shares);
    t->changes = copy_of(plan->changes, plan->change_count * sizeof *plan->changes);
    t->pages = copy_of(plan->pages, plan->page_count * sizeof *plan->pages);
    t->jwt_count = plan->jwt_count;
    t->jwts = copy_of(plan->jwts, plan->jwt_count * sizeof *plan->jwts);
    t->rate_count = plan->rate_count;
    t->rates = copy_of(plan->rates, plan->rate_count * sizeof *plan->rates);
    t->text = copy_of(plan->text, plan->text_len);
    return t->routes != NULL && t->conditions != NULL && t->networks != NULL && t->text != NULL &&
           t->rules != NULL && t->shares != NULL && t->changes != NULL && t->pages != NULL &&
           t->jwts != NULL && t->rates != NULL;
}

static bool make_room(struct route_table *t) {
    uint64_t size = table_size(t->route_count);
    t->cell_mask = t->host_mask = size - 1;
    t->cells = malloc(size * sizeof *t->cells);
    t->hosts = calloc(size, sizeof *t->hosts);
    t->next = malloc((t->route_count + 1) * sizeof *t->next);
    if (t->cells == NULL || t->hosts == NULL || t->next == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < size; i++) {
        t->cells[i].first = t->cells[i].last = NO_ROUTE;
    }
    for (uint32_t i = 0; i < t->route_count; i++) {
        t->next[i] = NO_ROUTE;
    }
    return true;
}

static bool add_routes(struct route_table *t) {
    uint32_t *order = route_order_new(t);
    for (uint32_t i = 0; order != NULL && i < t->route_count; i++) {
        add_route(t, order[i]);
    }
    free(order);
    return order != NULL;
}

struct route_table *route_table_new(const struct plan *plan) {
    struct route_table *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->references = 1;
    if (!copy_plan(t, plan) || !make_room(t) || !add_routes(t) || !route_patterns_compile(t) ||
        !route_keys_compile(t)) {
        route_table_free(t);
        return NULL;
    }
    return t;
}

struct route_table *route_table_keep(struct route_table *table) {
    table->references++;
    return table;
}

void route_table_free(struct route_table *t) {
    if (t == NULL || --t->references > 0) {
        return;
    }
    route_patterns_free(t);
    route_keys_free(t);
    free(t->routes);
    free(t->conditions);
    free(t->networks);
    free(t->rules);
    free(t->shares);
    free(t->changes);
    free(t->pages);
    free(t->jwts);
    free(t->rates);
    free(t->text);
    free(t->cells);
    free(t->hosts);
    free(t->next);
    free(t);
}

uint64_t route_table_hash(const struct route_table *table) {
    return table->hash;
}

/* ---- finding ---- */

/* The first of a chain whose conditions hold. */
static const struct plan_route *find_in_chain(const struct route_table *t, uint32_t route,
                                              struct route_query *q) {
    for (; route != NO_ROUTE; route = t->next[route]) {
        if (t->routes[route].condition_count == 0 ||
            route_conditions_hold(t, &t->routes[route], q)) {
            return &t->routes[route];
        }
    }
    return NULL;
}

static const struct plan_route *find_pattern(const struct route_table *t, uint32_t route,
                                             struct route_query *q) {
    for (; route != NO_ROUTE; route = t->next[route]) {
        const struct pattern *pattern = t->path_patterns[route];
        enum pattern_result result =
            pattern == NULL ? PATTERN_DIFFERS : pattern_match(pattern, q->path, NULL);
        q->gave_up += result == PATTERN_GAVE_UP;
        if (result == PATTERN_MATCHES && route_conditions_hold(t, &t->routes[route], q)) {
            return &t->routes[route];
        }
    }
    return NULL;
}

/* Walks the path once. At each place where a segment ends, with or without its slash, a prefix may
 * end; the last one found is the longest. At its end the exact paths are asked for: that hash is
 * known only there, unless no exact path is that long. */
static const struct plan_route *find_path(const struct route_table *t, uint32_t host_index,
                                          struct route_query *q) {
    const struct route_host *host = &t->hosts[host_index];
    const struct plan_route *best = NULL;
    struct slice path = q->path;
    uint64_t hash = HASH_SEED;
    bool exact = (host->exact_lengths & length_bit(path.len)) != 0;
    for (size_t len = 0; len <= path.len; len++) {
        bool segment_ends = len == path.len || path.data[len] == '/';
        bool after_slash = len > 0 && path.data[len - 1] == '/';
        if ((segment_ends || after_slash) && (host->lengths & length_bit(len))) {
            const struct route_cell *cell =
                find_cell(t, host_index, hash, slice_sub(path, 0, len), false);
            const struct plan_route *found = find_in_chain(t, cell->first, q);
            best = found != NULL ? found : best;
        }
        if (len == path.len || (!exact && host->lengths >> (len < 63 ? len : 63) == 0)) {
            break; /* no prefix is longer than this */
        }
        hash = (hash ^ (uint8_t)path.data[len]) * HASH_PRIME;
    }
    const struct plan_route *first =
        exact ? find_in_chain(t, find_cell(t, host_index, hash, path, true)->first, q) : NULL;
    first = first != NULL ? first : find_pattern(t, host->pattern_first, q);
    return first != NULL ? first : best;
}

static const struct plan_route *find_in_host(const struct route_table *t, struct slice name,
                                             uint64_t name_hash, struct route_query *q) {
    uint32_t host = find_host(t, name, name_hash);
    return t->hosts[host].used ? find_path(t, host, q) : NULL;
}

/* "a.b.shop.test" asks for "*.b.shop.test", "*.shop.test", "*.test". */
static const struct plan_route *find_wildcard(const struct route_table *t, struct route_query *q) {
    char name[256] = "*";
    struct slice host = q->host;
    for (size_t dot = slice_find(host, '.'); dot != SLICE_NONE && dot + 1 < host.len;) {
        struct slice rest = slice_skip(host, dot);
        if (rest.len < sizeof name) {
            memcpy(name + 1, rest.data, rest.len);
            struct slice pattern = slice_of(name, rest.len + 1);
            const struct plan_route *found =
                find_in_host(t, pattern, hash_more(HASH_SEED, pattern), q);
            if (found != NULL) {
                return found;
            }
        }
        host = slice_skip(rest, 1);
        dot = slice_find(host, '.');
    }
    return NULL;
}

const struct plan_rule *route_table_rule(const struct route_table *t,
                                         const struct plan_route *route) {
    return route->rule == 0 ? NULL : &t->rules[route->rule - 1];
}

const struct plan_route *route_table_find(const struct route_table *t, struct route_query *q) {
    const struct plan_route *found = NULL;
    if (t->has_hosts && q->host.len > 0) {
        found = find_in_host(t, q->host, hash_more(HASH_SEED, q->host), q);
        if (found == NULL && t->has_wildcards) {
            found = find_wildcard(t, q);
        }
    }
    return found != NULL ? found : find_in_host(t, (struct slice){ 0 }, HASH_SEED, q);
}
