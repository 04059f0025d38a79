#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/proxy/route_table.h"
#include "base/rand.h"
#include "wire/net/network.h"

struct fixture {
    struct plan_segment *segment;
    struct plan *plan;
    int fd;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    f->segment = plan_segment_new(&f->fd, NULL);
    f->plan = plan_begin(f->segment);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    plan_segment_free(f->segment);
    close(f->fd);
    free(f);
    return 0;
}

static void add(struct plan *plan, const char *host, const char *prefix) {
    struct plan_route *route = &plan->routes[plan->route_count];
    assert_true(plan_add_text(plan, slice_from(host), &route->host));
    assert_true(plan_add_text(plan, slice_from(prefix), &route->prefix));
    route->service = (uint16_t)plan->route_count++;
}

/* Index of the route, -1: none. */
static int find(const struct route_table *table, const char *host, const char *path) {
    static const uint8_t nowhere[16];
    struct http_head head = { .method_text = SLICE("GET") };
    struct route_query query = {
        .host = slice_from(host), .path = slice_from(path), .head = &head, .ip = nowhere
    };
    const struct plan_route *route = route_table_find(table, &query);
    return route == NULL ? -1 : route->service;
}

static void finds_the_most_specific(void **state) {
    struct plan *plan = ((struct fixture *)*state)->plan;
    add(plan, "", "/");               /* 0 */
    add(plan, "", "/cart");           /* 1 */
    add(plan, "shop.test", "/");      /* 2 */
    add(plan, "shop.test", "/api/");  /* 3 */
    add(plan, "*.shop.test", "/");    /* 4 */
    add(plan, "*.eu.shop.test", "/"); /* 5 */
    add(plan, "", "/cart");           /* 6: repeated, the first counts */
    add(plan, "only.test", "/here");  /* 7 */
    static const struct {
        const char *host, *path;
        int route;
    } cases[] = {
        { "", "/", 0 },
        { "any.test", "/x/y", 0 },
        { "any.test", "/cart", 1 },
        { "any.test", "/cart/", 1 },
        { "any.test", "/cart/7/x", 1 },
        { "any.test", "/carton", 0 },
        { "shop.test", "/cart", 2 }, /* the host comes before the path */
        { "shop.test", "/api/v1", 3 },
        { "shop.test", "/api/", 3 },
        { "shop.test", "/api", 2 },
        { "a.shop.test", "/", 4 },
        { "a.b.shop.test", "/", 4 },
        { "a.eu.shop.test", "/", 5 },
        { "eu.shop.test", "/", 4 },
        { "xshop.test", "/", 0 },
        { ".shop.test", "/", 4 },
        { "only.test", "/here/x", 7 },
        { "only.test", "/there", 0 }, /* falls through to any host */
        { "any.test", "*", -1 },
    };
    struct route_table *table = route_table_new(plan);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int route = find(table, cases[i].host, cases[i].path);
        if (route != cases[i].route) {
            fail_msg("%s %s: %d, expected %d", cases[i].host, cases[i].path, route, cases[i].route);
        }
    }
    route_table_free(table);
}

static void without_routes_nothing_matches(void **state) {
    struct plan *plan = ((struct fixture *)*state)->plan;
    struct route_table *table = route_table_new(plan);
    assert_int_equal(find(table, "shop.test", "/"), -1);
    route_table_free(table);
}

static void long_prefixes_and_hosts(void **state) {
    struct plan *plan = ((struct fixture *)*state)->plan;
    char prefix[200] = "/", host[600];
    memset(prefix + 1, 'a', 150);
    add(plan, "", prefix);
    add(plan, "*.test", "/");
    struct route_table *table = route_table_new(plan);
    assert_int_equal(find(table, "x", prefix), 0);
    strcat(prefix, "/b");
    assert_int_equal(find(table, "x", prefix), 0);
    prefix[151] = 'a';
    assert_int_equal(find(table, "x", prefix), -1);
    memset(host, 'h', sizeof host); /* longer than any name: no buffer overflows */
    host[300] = '.';
    host[sizeof host - 1] = '\0';
    assert_int_equal(find(table, host, "/"), -1);
    route_table_free(table);
}

/* ---- conditions ---- */

static void add_condition(struct plan *plan, enum plan_condition_kind kind, enum plan_match match,
                          const char *name, const char *value) {
    struct plan_route *route = &plan->routes[plan->route_count - 1];
    struct plan_condition *c = &plan->conditions[plan->condition_count];
    *c = (struct plan_condition){ .kind = (uint8_t)kind, .match = (uint8_t)match };
    assert_true(plan_add_text(plan, slice_from(name), &c->name));
    if (kind == PLAN_CONDITION_SOURCE) {
        struct network network;
        assert_true(network_parse(slice_from(value), &network, NULL));
        c->network_first = plan->network_count;
        c->network_count = 1;
        memcpy(plan->networks[plan->network_count].ip, network.ip, 16);
        plan->networks[plan->network_count++].bits = network.bits;
    } else {
        assert_true(plan_add_text(plan, slice_from(value), &c->value));
    }
    if (route->condition_count++ == 0) {
        route->condition_first = plan->condition_count;
    }
    plan->condition_count++;
}

static void add_path(struct plan *plan, const char *host, const char *path, enum plan_match match) {
    add(plan, host, path);
    plan->routes[plan->route_count - 1].match = (uint8_t)match;
}

/* "name: value" lines into a head. */
static void fill_head(struct http_head *head, struct http_field fields[8], const char *lines) {
    struct slice rest = slice_from(lines), line;
    http_head_init(head, fields, 8);
    while (rest.len > 0 && slice_cut(&rest, '|', &line)) {
        struct slice name;
        slice_cut(&line, ':', &name);
        assert_true(http_head_add(head, name, slice_trim(line)));
    }
}

static int find_request(const struct route_table *table, const char *method, const char *target,
                        const char *fields, const char *ip) {
    struct http_head head;
    struct http_field array[8];
    struct network network;
    struct slice query = slice_from(target), path;
    fill_head(&head, array, fields);
    slice_cut(&query, '?', &path);
    head.method_text = slice_from(method);
    head.query = query;
    assert_true(network_parse(slice_from(ip), &network, NULL));
    struct route_query q = {
        .host = SLICE("shop.test"), .path = path, .head = &head, .ip = network.ip
    };
    const struct plan_route *route = route_table_find(table, &q);
    return route == NULL ? -1 : route->service;
}

static void conditions_and_their_order(void **state) {
    struct plan *plan = ((struct fixture *)*state)->plan;
    add(plan, "", "/");                                  /* 0 */
    add_path(plan, "", "/cart", PLAN_MATCH_EXACT);       /* 1 */
    add(plan, "", "/cart");                              /* 2 */
    add_path(plan, "", "/p/[0-9]+", PLAN_MATCH_PATTERN); /* 3 */
    add(plan, "", "/p/7");                               /* 4 */
    add(plan, "", "/api");                               /* 5 */
    add(plan, "", "/api");                               /* 6 */
    add_condition(plan, PLAN_CONDITION_HEADER, PLAN_MATCH_EXACT, "X-Beta", "1");
    add(plan, "", "/api"); /* 7 */
    add_condition(plan, PLAN_CONDITION_METHOD, 0, "", "POST,PUT");
    add(plan, "", "/api"); /* 8 */
    add_condition(plan, PLAN_CONDITION_HEADER, PLAN_MATCH_EXACT, "X-Beta", "1");
    add_condition(plan, PLAN_CONDITION_COOKIE, PLAN_MATCH_PRESENT, "sid", "");
    add(plan, "", "/api"); /* 9 */
    add_condition(plan, PLAN_CONDITION_QUERY, PLAN_MATCH_PREFIX, "v", "2");
    add(plan, "", "/api"); /* 10 */
    add_condition(plan, PLAN_CONDITION_SOURCE, 0, "", "10.1.0.0/16");
    add(plan, "", "/api/v1"); /* 11 */
    add_condition(plan, PLAN_CONDITION_HEADER, PLAN_MATCH_PATTERN, "accept", ".*json.*");
    add(plan, "", "/api"); /* 12 */
    add_condition(plan, PLAN_CONDITION_HEADER, PLAN_MATCH_ABSENT, "user-agent", "");
    add_condition(plan, PLAN_CONDITION_HEADER, PLAN_MATCH_PREFIX, "x-kind", "robot");
    add(plan, "", "/api"); /* 13: never */
    add_condition(plan, PLAN_CONDITION_HEADER, PLAN_MATCH_EXACT, "x-beta", "1");
    static const struct {
        const char *name, *method, *target, *fields, *ip;
        int route;
    } cases[] = {
        { "an exact path before its prefix", "GET", "/cart", "", "192.0.2.1", 1 },
        { "below it the prefix", "GET", "/cart/7", "", "192.0.2.1", 2 },
        { "with a slash it is another path", "GET", "/cart/", "", "192.0.2.1", 2 },
        { "a pattern before prefixes", "GET", "/p/7", "", "192.0.2.1", 3 },
        { "a pattern is for the whole path", "GET", "/p/7/x", "", "192.0.2.1", 4 },
        { "no condition holds", "GET", "/api", "", "192.0.2.1", 5 },
        { "a header, whatever the case of its name", "GET", "/api", "x-BETA: 1", "192.0.2.1", 6 },
        { "its value is compared exactly", "GET", "/api", "x-beta: 11", "192.0.2.1", 5 },
        { "any of several fields", "GET", "/api", "x-beta: 0|x-beta: 1", "192.0.2.1", 6 },
        { "a method", "PUT", "/api", "", "192.0.2.1", 7 },
        { "methods have a case", "put", "/api", "", "192.0.2.1", 5 },
        { "a part of a method is none", "POS", "/api", "", "192.0.2.1", 5 },
        { "the method before headers", "POST", "/api", "x-beta: 1|cookie: sid=3", "192.0.2.1", 7 },
        { "two fields before one", "GET", "/api", "x-beta: 1|cookie: a=1; sid=3", "192.0.2.1", 8 },
        { "a query", "GET", "/api?a=1&v=21", "", "192.0.2.1", 9 },
        { "a query is decoded", "GET", "/api?%76=%32", "", "192.0.2.1", 9 },
        { "the first parameter counts", "GET", "/api?v=1&v=2", "", "192.0.2.1", 5 },
        { "headers before the query", "GET", "/api?v=2", "x-beta: 1", "192.0.2.1", 6 },
        { "a source", "GET", "/api", "", "10.1.200.3", 10 },
        { "the query before the source", "GET", "/api?v=2", "", "10.1.200.3", 9 },
        { "just outside of the source", "GET", "/api", "", "10.2.0.0", 5 },
        { "a longer prefix before conditions", "POST", "/api/v1/x", "accept: text/json",
          "192.0.2.1", 11 },
        { "whose condition fails: the shorter one", "POST", "/api/v1/x", "accept: text/html",
          "192.0.2.1", 7 },
        { "absent and prefix", "GET", "/api", "x-kind: robot/2", "192.0.2.1", 12 },
        { "present is not absent", "GET", "/api", "x-kind: robot/2|user-agent: x", "192.0.2.1", 5 },
        { "none at all", "GET", "*", "", "192.0.2.1", -1 },
    };
    struct route_table *table = route_table_new(plan);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int route =
            find_request(table, cases[i].method, cases[i].target, cases[i].fields, cases[i].ip);
        if (route != cases[i].route) {
            fail_msg("%s: %d, expected %d", cases[i].name, route, cases[i].route);
        }
    }
    route_table_free(table);
}

static void a_pattern_that_runs_wild_gives_up(void **state) {
    struct plan *plan = ((struct fixture *)*state)->plan;
    char path[4096] = "/";
    struct http_head head = { .method_text = SLICE("GET") };
    static const uint8_t nowhere[16];
    add(plan, "", "/");
    add_path(plan, "", "/(a+)+", PLAN_MATCH_PATTERN);
    struct route_table *table = route_table_new(plan);
    memset(path + 1, 'a', 3000);
    path[3001] = 0x21;
    struct route_query q = { .path = slice_from(path), .head = &head, .ip = nowhere };
    const struct plan_route *route = route_table_find(table, &q);
    assert_non_null(route);
    assert_int_equal(route->service, 0);
    assert_int_equal(q.gave_up, 1);
    route_table_free(table);
}

static void a_table_outlives_its_plan(void **state) {
    struct fixture *f = *state;
    add(f->plan, "", "/cart");
    plan_publish(f->segment, f->plan);
    struct route_table *table = route_table_new(f->plan);
    assert_int_equal(route_table_hash(table), f->plan->routes_hash);
    struct route_table *kept = route_table_keep(table);
    route_table_free(table);
    memset(f->plan->routes, 0xff, sizeof *f->plan->routes);
    memset(f->plan->text, 0xff, 64);
    assert_int_equal(find(kept, "x", "/cart"), 0);
    route_table_free(kept);
}

static void the_same_routes_have_the_same_hash(void **state) {
    struct fixture *f = *state;
    add(f->plan, "", "/cart");
    add_condition(f->plan, PLAN_CONDITION_HEADER, PLAN_MATCH_EXACT, "a", "b");
    plan_publish(f->segment, f->plan);
    uint64_t first = f->plan->routes_hash;
    struct plan *second = plan_begin(f->segment);
    add(second, "", "/cart");
    add_condition(second, PLAN_CONDITION_HEADER, PLAN_MATCH_EXACT, "a", "b");
    second->endpoint_count = 3;
    plan_publish(f->segment, second);
    assert_true(second->routes_hash == first);
    struct plan *third = plan_begin(f->segment);
    add(third, "", "/cart");
    add_condition(third, PLAN_CONDITION_HEADER, PLAN_MATCH_PREFIX, "a", "b");
    plan_publish(f->segment, third);
    assert_true(third->routes_hash != first);
}

/* The dumb twin: looks at every route. */
static bool prefix_matches(struct slice path, struct slice prefix) {
    return slice_starts_with(path, prefix) &&
           (path.len == prefix.len || prefix.data[prefix.len - 1] == '/' ||
            path.data[prefix.len] == '/');
}

/* 0: not at all; else the more specific the more. */
static size_t host_matches(struct slice host, struct slice pattern) {
    if (pattern.len == 0) {
        return 1;
    }
    if (pattern.data[0] != '*') {
        return slice_equal(host, pattern) ? 1000 : 0;
    }
    struct slice tail = slice_skip(pattern, 1);
    return slice_ends_with(host, tail) ? 1 + tail.len : 0;
}

static int find_slowly(const struct plan *plan, struct slice host, struct slice path) {
    size_t best_host = 0, best_path = 0;
    int best = -1;
    for (uint32_t i = 0; i < plan->route_count; i++) {
        struct slice prefix = plan_slice(plan, plan->routes[i].prefix);
        size_t fits = host_matches(host, plan_slice(plan, plan->routes[i].host));
        if (fits == 0 || !prefix_matches(path, prefix)) {
            continue;
        }
        if (fits > best_host || (fits == best_host && prefix.len > best_path)) {
            best_host = fits;
            best_path = prefix.len;
            best = plan->routes[i].service;
        }
    }
    return best;
}

static void agrees_with_its_dumb_twin(void **state) {
    static const char *const hosts[] = { "", "a.test", "b.test", "*.test", "*.a.test", "c.a.test" };
    struct plan *plan = ((struct fixture *)*state)->plan;
    struct rand rand;
    char path[64];
    rand_init(&rand, 7);
    for (unsigned i = 0; i < 5000; i++) {
        size_t len = 0;
        for (unsigned segment = rand_below(&rand, 4) + 1; segment > 0; segment--) {
            len +=
                (size_t)snprintf(path + len, sizeof path - len, "/%c%s",
                                 'a' + (char)rand_below(&rand, 3), rand_below(&rand, 2) ? "x" : "");
        }
        strcpy(path + len, rand_below(&rand, 4) == 0 ? "/" : "");
        add(plan, hosts[rand_below(&rand, 6)], i == 0 ? "/" : path);
    }
    struct route_table *table = route_table_new(plan);
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = 0;
        for (unsigned segment = rand_below(&rand, 6); segment > 0; segment--) {
            len +=
                (size_t)snprintf(path + len, sizeof path - len, "/%c%s",
                                 'a' + (char)rand_below(&rand, 4), rand_below(&rand, 2) ? "x" : "");
        }
        snprintf(path + len, sizeof path - len, "/");
        const char *host = hosts[1 + rand_below(&rand, 5)];
        host += host[0] == '*' ? 1 : 0;
        int found = find(table, host, path);
        int expected = find_slowly(plan, slice_from(host), slice_from(path));
        if (found != expected) {
            fail_msg("%s %s: %d, expected %d", host, path, found, expected);
        }
    }
    route_table_free(table);
}

/* ---- the twin with conditions: says again, plainly, what route_table.h promises ---- */

static const char *const twin_names[] = { "x-a", "x-b" };
static const char *const twin_methods[] = { "GET", "POST", "PUT" };
static const char *const twin_values[] = { "1", "12", "2" };

struct twin_request {
    const char *host, *method;
    char path[64], query[32], cookie[32];
    const char *a, *b; /* fields x-a and x-b; NULL: none */
    struct network ip;
};

static bool value_matches(const struct plan *plan, const struct plan_condition *c,
                          const char *found) {
    const char *wanted = plan_slice(plan, c->value).data;
    size_t len = c->value.len;
    if (found == NULL || c->match == PLAN_MATCH_ABSENT) {
        return found == NULL && c->match == PLAN_MATCH_ABSENT;
    }
    return c->match == PLAN_MATCH_PRESENT ||
           (c->match == PLAN_MATCH_EXACT && strlen(found) == len &&
            memcmp(found, wanted, len) == 0) ||
           (c->match == PLAN_MATCH_PREFIX && strncmp(found, wanted, len) == 0) ||
           /* the only pattern here is "1.?" */
           (c->match == PLAN_MATCH_PATTERN && found[0] == '1' && strlen(found) <= 2);
}

static bool condition_holds(const struct plan *plan, const struct plan_condition *c,
                            const struct twin_request *r) {
    switch ((enum plan_condition_kind)c->kind) {
    case PLAN_CONDITION_METHOD:
        return slice_equal(plan_slice(plan, c->value), slice_from(r->method));
    case PLAN_CONDITION_HEADER:
        return value_matches(plan, c,
                             slice_equal(plan_slice(plan, c->name), SLICE("x-a")) ? r->a : r->b);
    case PLAN_CONDITION_QUERY:
        return value_matches(plan, c, r->query[0] == '\0' ? NULL : r->query + 2);
    case PLAN_CONDITION_COOKIE:
        return value_matches(plan, c, r->cookie[0] == '\0' ? NULL : r->cookie + 2);
    default:
        return memcmp(plan->networks[c->network_first].ip, r->ip.ip, 13) == 0; /* all are /8 */
    }
}

/* Methods, fields, queries, sources; the larger the more specific. */
static int specificity(const struct plan *plan, const struct plan_route *route) {
    int count[5] = { 0 };
    for (unsigned i = 0; i < route->condition_count; i++) {
        count[plan->conditions[route->condition_first + i].kind]++;
    }
    return (count[PLAN_CONDITION_METHOD] > 0) * 100000 +
           (count[PLAN_CONDITION_HEADER] + count[PLAN_CONDITION_COOKIE]) * 1000 +
           count[PLAN_CONDITION_QUERY] * 30 + count[PLAN_CONDITION_SOURCE];
}

/* 0: not at all. The only pattern of paths is "/.x". */
static size_t path_matches(const struct plan *plan, const struct plan_route *route,
                           const char *path) {
    struct slice wanted = plan_slice(plan, route->prefix);
    switch (route->match) {
    case PLAN_MATCH_EXACT:
        return slice_equal(wanted, slice_from(path)) ? 20000 : 0;
    case PLAN_MATCH_PATTERN:
        return strlen(path) == 3 && path[2] == 'x' ? 10000 : 0;
    default:
        return prefix_matches(slice_from(path), wanted) ? wanted.len : 0;
    }
}

static int twin_find(const struct plan *plan, const struct twin_request *r) {
    long best = -1;
    int best_route = -1;
    for (uint32_t i = 0; i < plan->route_count; i++) {
        const struct plan_route *route = &plan->routes[i];
        size_t host = host_matches(slice_from(r->host), plan_slice(plan, route->host));
        size_t path = path_matches(plan, route, r->path);
        bool all = host > 0 && path > 0;
        for (unsigned k = 0; all && k < route->condition_count; k++) {
            all = condition_holds(plan, &plan->conditions[route->condition_first + k], r);
        }
        long fits = ((long)host * 100000 + (long)path) * 1000000 + specificity(plan, route);
        if (all && fits > best) {
            best = fits;
            best_route = (int)i;
        }
    }
    return best_route;
}

static void random_path(struct rand *rand, char path[64]) {
    size_t len = 0;
    for (unsigned segment = rand_below(rand, 3) + 1; segment > 0; segment--) {
        len += (size_t)snprintf(path + len, 64 - len, "/%c%s", 'a' + (char)rand_below(rand, 2),
                                rand_below(rand, 2) ? "x" : "");
    }
    strcpy(path + len, rand_below(rand, 4) == 0 ? "/" : "");
}

static void random_condition(struct plan *plan, struct rand *rand) {
    static const char *const networks[] = { "10.0.0.0/8", "11.0.0.0/8" };
    enum plan_condition_kind kind = (enum plan_condition_kind)rand_below(rand, 5);
    enum plan_match match = (enum plan_match)rand_below(rand, PLAN_MATCHES);
    const char *value = match == PLAN_MATCH_PATTERN ? "1.?" : twin_values[rand_below(rand, 3)];
    switch (kind) {
    case PLAN_CONDITION_METHOD:
        add_condition(plan, kind, 0, "", twin_methods[rand_below(rand, 3)]);
        break;
    case PLAN_CONDITION_HEADER:
        add_condition(plan, kind, match, twin_names[rand_below(rand, 2)], value);
        break;
    case PLAN_CONDITION_SOURCE:
        add_condition(plan, kind, 0, "", networks[rand_below(rand, 2)]);
        break;
    default:
        add_condition(plan, kind, match, "k", value);
    }
}

static void random_request(struct rand *rand, struct twin_request *r) {
    static const char *const hosts[] = { "a.test", "b.test", "c.a.test", "x" };
    static const char *const ips[] = { "10.1.2.3", "11.0.0.1", "12.0.0.1" };
    *r = (struct twin_request){ .host = hosts[rand_below(rand, 4)],
                                .method = twin_methods[rand_below(rand, 3)] };
    random_path(rand, r->path);
    r->a = rand_below(rand, 2) ? twin_values[rand_below(rand, 3)] : NULL;
    r->b = rand_below(rand, 2) ? twin_values[rand_below(rand, 3)] : NULL;
    if (rand_below(rand, 2)) {
        snprintf(r->query, sizeof r->query, "k=%s", twin_values[rand_below(rand, 3)]);
    }
    if (rand_below(rand, 2)) {
        snprintf(r->cookie, sizeof r->cookie, "k=%s", twin_values[rand_below(rand, 3)]);
    }
    assert_true(network_parse(slice_from(ips[rand_below(rand, 3)]), &r->ip, NULL));
}

static int table_find(const struct route_table *table, const struct twin_request *r) {
    struct http_head head;
    struct http_field fields[4];
    http_head_init(&head, fields, 4);
    head.method_text = slice_from(r->method);
    head.query = slice_from(r->query);
    if (r->a != NULL) {
        http_head_add(&head, SLICE("X-A"), slice_from(r->a));
    }
    if (r->b != NULL) {
        http_head_add(&head, SLICE("x-b"), slice_from(r->b));
    }
    if (r->cookie[0] != '\0') {
        http_head_add(&head, SLICE("cookie"), slice_from(r->cookie));
    }
    struct route_query q = {
        .host = slice_from(r->host), .path = slice_from(r->path), .head = &head, .ip = r->ip.ip
    };
    const struct plan_route *route = route_table_find(table, &q);
    return route == NULL ? -1 : route->service;
}

static void agrees_with_its_twin_on_conditions(void **state) {
    static const char *const hosts[] = { "", "a.test", "*.test", "*.a.test" };
    struct plan *plan = ((struct fixture *)*state)->plan;
    struct rand rand;
    struct twin_request request;
    char path[64];
    int found_some = 0;
    rand_init(&rand, 11);
    for (unsigned i = 0; i < 600; i++) {
        enum plan_match match = rand_below(&rand, 12) == 0  ? PLAN_MATCH_PATTERN
                                : rand_below(&rand, 3) == 0 ? PLAN_MATCH_EXACT
                                                            : PLAN_MATCH_PREFIX;
        random_path(&rand, path);
        add_path(plan, hosts[rand_below(&rand, 4)], match == PLAN_MATCH_PATTERN ? "/.x" : path,
                 match);
        for (unsigned conditions = 1 + rand_below(&rand, 4); conditions > 0; conditions--) {
            random_condition(plan, &rand);
        }
    }
    struct route_table *table = route_table_new(plan);
    for (unsigned i = 0; i < 20000; i++) {
        random_request(&rand, &request);
        int found = table_find(table, &request), expected = twin_find(plan, &request);
        found_some += found >= 0;
        if (found != expected) {
            fail_msg("request %u, %s %s%s: %d, expected %d", i, request.method, request.host,
                     request.path, found, expected);
        }
    }
    assert_in_range(found_some, 5000, 19900);
    route_table_free(table);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(finds_the_most_specific),
        CASE(without_routes_nothing_matches),
        CASE(long_prefixes_and_hosts),
        CASE(agrees_with_its_dumb_twin),
        CASE(conditions_and_their_order),
        CASE(a_pattern_that_runs_wild_gives_up),
        CASE(a_table_outlives_its_plan),
        CASE(the_same_routes_have_the_same_hash),
        CASE(agrees_with_its_twin_on_conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
