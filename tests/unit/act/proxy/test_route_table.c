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
    const struct plan_route *route = route_table_find(table, slice_from(host), slice_from(path));
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

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(finds_the_most_specific),
        CASE(without_routes_nothing_matches),
        CASE(long_prefixes_and_hosts),
        CASE(agrees_with_its_dumb_twin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
