#include "act/proxy/route_table.h"

#include <stdlib.h>
#include <string.h>

#define HASH_SEED 0xcbf29ce484222325u /* FNV-1a */
#define HASH_PRIME 0x100000001b3u
#define LENGTHS_MASK_BITS 64 /* prefixes of 63 bytes and more share the last bit */
#define NO_ROUTE UINT32_MAX

/* The prefixes of one host name, in the table's cells. */
struct route_host {
    struct slice name; /* as in the plan: "", "shop.test", "*.shop.test" */
    uint64_t hash;
    uint64_t lengths; /* bit n: a prefix of n bytes exists */
    bool used;
};

struct route_cell {
    uint64_t hash;
    uint32_t route; /* NO_ROUTE: empty */
    uint32_t host;
};

struct route_table {
    const struct plan *plan;
    struct route_cell *cells; /* open addressing, at most half full */
    struct route_host *hosts;
    uint64_t cell_mask, host_mask;
    bool has_wildcards;
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

static uint64_t cell_hash(uint32_t host, uint64_t prefix_hash) {
    return prefix_hash ^ (host + 1) * 0x9e3779b97f4a7c15u;
}

static void add_route(struct route_table *t, uint32_t index) {
    const struct plan_route *route = &t->plan->routes[index];
    struct slice name = plan_slice(t->plan, route->host);
    struct slice prefix = plan_slice(t->plan, route->prefix);
    uint64_t name_hash = hash_more(HASH_SEED, name);
    uint32_t host = find_host(t, name, name_hash);
    t->hosts[host].name = name;
    t->hosts[host].hash = name_hash;
    t->hosts[host].used = true;
    t->hosts[host].lengths |= length_bit(prefix.len);
    t->has_wildcards |= name.len > 0 && name.data[0] == '*';

    uint64_t hash = cell_hash(host, hash_more(HASH_SEED, prefix));
    uint64_t at = spread(hash) & t->cell_mask;
    while (t->cells[at].route != NO_ROUTE) {
        const struct plan_route *other = &t->plan->routes[t->cells[at].route];
        if (t->cells[at].host == host && slice_equal(plan_slice(t->plan, other->prefix), prefix)) {
            return; /* the first one counts */
        }
        at = (at + 1) & t->cell_mask;
    }
    t->cells[at] = (struct route_cell){ .hash = hash, .route = index, .host = host };
}

struct route_table *route_table_new(const struct plan *plan) {
    struct route_table *t = calloc(1, sizeof *t);
    uint64_t size = table_size(plan->route_count);
    if (t == NULL) {
        return NULL;
    }
    t->plan = plan;
    t->cell_mask = t->host_mask = size - 1;
    t->cells = malloc(size * sizeof *t->cells);
    t->hosts = calloc(size, sizeof *t->hosts);
    if (t->cells == NULL || t->hosts == NULL) {
        route_table_free(t);
        return NULL;
    }
    for (uint64_t i = 0; i < size; i++) {
        t->cells[i].route = NO_ROUTE;
    }
    for (uint32_t i = 0; i < plan->route_count; i++) {
        add_route(t, i);
    }
    return t;
}

void route_table_free(struct route_table *table) {
    if (table != NULL) {
        free(table->cells);
        free(table->hosts);
        free(table);
    }
}

/* ---- finding ---- */

static const struct plan_route *find_prefix(const struct route_table *t, uint32_t host,
                                            uint64_t prefix_hash, struct slice prefix) {
    uint64_t hash = cell_hash(host, prefix_hash);
    for (uint64_t at = spread(hash) & t->cell_mask; t->cells[at].route != NO_ROUTE;
         at = (at + 1) & t->cell_mask) {
        const struct plan_route *route = &t->plan->routes[t->cells[at].route];
        if (t->cells[at].hash == hash && t->cells[at].host == host &&
            slice_equal(plan_slice(t->plan, route->prefix), prefix)) {
            return route;
        }
    }
    return NULL;
}

/* Walks the path once. At each place where a segment ends, with or without its slash, a prefix may
 * end; the last one found is the longest. */
static const struct plan_route *find_path(const struct route_table *t, uint32_t host,
                                          struct slice path) {
    const struct plan_route *best = NULL;
    uint64_t hash = HASH_SEED, lengths = t->hosts[host].lengths;
    for (size_t len = 0; len <= path.len; len++) {
        bool segment_ends = len == path.len || path.data[len] == '/';
        bool after_slash = len > 0 && path.data[len - 1] == '/';
        if ((segment_ends || after_slash) && (lengths & length_bit(len))) {
            const struct plan_route *found = find_prefix(t, host, hash, slice_sub(path, 0, len));
            best = found != NULL ? found : best;
        }
        if (len == path.len || lengths >> (len < 63 ? len : 63) == 0) {
            break; /* no prefix is longer than this */
        }
        hash = (hash ^ (uint8_t)path.data[len]) * HASH_PRIME;
    }
    return best;
}

static const struct plan_route *find_in_host(const struct route_table *t, struct slice name,
                                             uint64_t name_hash, struct slice path) {
    uint32_t host = find_host(t, name, name_hash);
    return t->hosts[host].used ? find_path(t, host, path) : NULL;
}

/* "a.b.shop.test" asks for "*.b.shop.test", "*.shop.test", "*.test". */
static const struct plan_route *find_wildcard(const struct route_table *t, struct slice host,
                                              struct slice path) {
    char name[256] = "*";
    for (size_t dot = slice_find(host, '.'); dot != SLICE_NONE && dot + 1 < host.len;) {
        struct slice rest = slice_skip(host, dot);
        if (rest.len < sizeof name) {
            memcpy(name + 1, rest.data, rest.len);
            struct slice pattern = slice_of(name, rest.len + 1);
            const struct plan_route *found =
                find_in_host(t, pattern, hash_more(HASH_SEED, pattern), path);
            if (found != NULL) {
                return found;
            }
        }
        host = slice_skip(rest, 1);
        dot = slice_find(host, '.');
    }
    return NULL;
}

const struct plan_route *route_table_find(const struct route_table *t, struct slice host,
                                          struct slice path) {
    const struct plan_route *found = NULL;
    if (host.len > 0) {
        found = find_in_host(t, host, hash_more(HASH_SEED, host), path);
        if (found == NULL && t->has_wildcards) {
            found = find_wildcard(t, host, path);
        }
    }
    return found != NULL ? found : find_in_host(t, (struct slice){ 0 }, HASH_SEED, path);
}
