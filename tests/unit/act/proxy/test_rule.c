#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "act/proxy/rule.h"
#include "act/proxy/template.h"
#include "route_fixture.h"

struct ruled {
    struct route_fixture f;
    struct route_table *table;
    struct rule rule;
    struct arena arena;
};

/* One route, its rule compiled. */
static void rule_of(struct ruled *r, const char *route) {
    char yaml[1024];
    snprintf(yaml, sizeof yaml, "routes:\n- %s\n", route);
    if (!routes_read(&r->f, yaml)) {
        fail_msg("%s: %.*s", route, SLICE_ARG(buffer_slice(&r->f.report.text)));
    }
    r->table = route_table_new(routes_plan(&r->f));
    struct http_head head = { .method_text = SLICE("GET") };
    static const uint8_t nowhere[16];
    /* Every route of these tests matches one of the two. */
    struct route_query first = { .path = SLICE("/a"), .head = &head, .ip = nowhere };
    struct route_query second = { .path = SLICE("/p/7/x"), .head = &head, .ip = nowhere };
    const struct plan_route *found = route_table_find(r->table, &first);
    found = found != NULL ? found : route_table_find(r->table, &second);
    assert_non_null(found);
    r->rule = (struct rule){ r->table, found, route_table_rule(r->table, found) };
    assert_non_null(r->rule.plan);
    arena_init(&r->arena, 65536);
}

static void forget(struct ruled *r) {
    arena_fini(&r->arena);
    route_table_free(r->table);
    routes_forget(&r->f);
}

#define A "{ path: /a, service: 0, rewrite: "
#define P "{ path: '/p/([0-9]+)/(.*)', match: regex, service: 0, rewrite: "

static void rewrites_paths(void **state) {
    (void)state;
    static const struct {
        const char *route, *path, *rewritten;
    } cases[] = {
        /* The Gateway API's table for ReplacePrefixMatch. */
        { A "{ prefix: /xyz } }", "/a/bar", "/xyz/bar" },
        { A "{ prefix: /xyz/ } }", "/a/bar", "/xyz/bar" },
        { A "{ prefix: /xyz } }", "/a", "/xyz" },
        { A "{ prefix: /xyz } }", "/a/", "/xyz/" },
        { A "{ prefix: / } }", "/a/bar", "/bar" },
        { A "{ prefix: / } }", "/a", "/" },
        { A "{ prefix: / } }", "/a/", "/" },
        { "{ path: /, service: 0, rewrite: { prefix: /xyz } }", "/bar", "/xyz/bar" },
        { "{ path: /, service: 0, rewrite: { prefix: /xyz } }", "/", "/xyz/" },
        { A "{ path: /other } }", "/a/bar", "/other" },
        { A "{ path: '/\\2/\\1\\\\', pattern: '/a/(.)/(.*)' } }", "/a/b/c/d", "/c/d/b\\" },
        { A "{ path: '/x', pattern: '/a/(.)/(.*)' } }", "/a/bcd", "/a/bcd" }, /* no match */
        { P "{ path: '/product/\\1?' } }", NULL, NULL },
        { P "{ path: '/product/\\1/\\2' } }", "/p/7/x/y", "/product/7/x/y" },
        { P "{ path: '/product/\\0' } }", "/p/7/x", "/product//p/7/x" },
        { A "{ host: b.test } }", "/a/x", "/a/x" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ruled r;
        struct slice out;
        if (cases[i].path == NULL) {
            continue; /* refused by the configuration */
        }
        rule_of(&r, cases[i].route);
        assert_true(rule_rewrite_path(&r.rule, slice_from(cases[i].path), &r.arena, &out));
        if (!slice_equal(out, slice_from(cases[i].rewritten))) {
            fail_msg("%s on %s: %.*s", cases[i].route, cases[i].path, SLICE_ARG(out));
        }
        forget(&r);
    }
}

#define R "{ path: /a, redirect: "

static void redirects(void **state) {
    (void)state;
    static const struct {
        const char *route, *target, *authority, *location;
        bool tls;
    } cases[] = {
        { R "{ path: /b } }", "/a?x=1", "shop.test:8080", "/b?x=1", false },
        { R "{ scheme: https } }", "/a/x?", "shop.test:8080", "https://shop.test/a/x?", false },
        { R "{ scheme: https, port: 8443 } }", "/a", "[::1]:80", "https://[::1]:8443/a", false },
        { R "{ scheme: https } }", "/a", "[::1]", "https://[::1]/a", false },
        { R "{ host: b.test } }", "/a", "shop.test:1", "http://b.test/a", false },
        { R "{ host: b.test } }", "/a", "shop.test:1", "https://b.test/a", true },
        { R "{ prefix: /b } }", "/a/x", "shop.test", "/b/x", false },
        { R "{ scheme: https } }", "/a", "", "/a", false }, /* HTTP/1.0 without a host */
        { "{ path: /, redirect: { prefix: / } }", "//evil.test/x", "shop.test", "/evil.test/x",
          false },
        { "{ path: /, redirect: { prefix: / } }", "/\\evil.test", "shop.test", "\\evil.test",
          false },
        { R "{ prefix: / } }", "/a//evil.test", "shop.test", "/evil.test", false },
        { R "{ prefix: / } }", "/a/\\/evil.test", "shop.test", "/evil.test", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ruled r;
        struct slice path, out, query = slice_from(cases[i].target);
        rule_of(&r, cases[i].route);
        slice_cut(&query, '?', &path);
        struct http_head head = { .has_query = query.data != NULL, .query = query };
        struct rule_visit visit = { path, slice_from(cases[i].authority), &head, cases[i].tls };
        assert_true(rule_location(&r.rule, &visit, &r.arena, &out));
        bool host_to_a_browser = out.len > 1 && (out.data[0] == '/' || out.data[0] == '\\') &&
                                 (out.data[1] == '/' || out.data[1] == '\\');
        if (host_to_a_browser ||
            (cases[i].location[0] != '\\' && !slice_equal(out, slice_from(cases[i].location)))) {
            fail_msg("%s on %s: %.*s", cases[i].route, cases[i].target, SLICE_ARG(out));
        }
        forget(&r);
    }
}

static void turns_redirects_of_services_back(void **state) {
    (void)state;
    static const struct {
        const char *route, *said, *told;
    } cases[] = {
        { A "{ prefix: /in } }", "/in/x?y", "/a/x?y" },
        { A "{ prefix: /in } }", "/in", "/a" },
        { A "{ prefix: /in } }", "/inn/x", "/inn/x" },
        { A "{ prefix: /in } }", "/other", "/other" },
        { A "{ prefix: / } }", "/x", "/a/x" },
        { A "{ prefix: /in } }", "http://shop.test:8080/in/x", "https://shop.test:8080/a/x" },
        { A "{ prefix: /in } }", "http://else.test/in/x", "http://else.test/in/x" },
        { A "{ host: in.test } }", "http://IN.test/x", "https://shop.test:8080/x" },
        { A "{ host: in.test } }", "/x", "/x" },
        { A "{ host: in.test, prefix: /in } }", "http://in.test/in", "https://shop.test:8080/a" },
        { A "{ host: in.test, prefix: / } }", "http://in.test", "https://shop.test:8080/a" },
        { A "{ prefix: /in } }", "", "" },
        { A "{ prefix: / } }", "?x", "?x" },
        { A "{ prefix: / } }", "//else.test/x", "//else.test/x" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ruled r;
        struct http_head head = { 0 };
        struct slice location = slice_from(cases[i].said);
        rule_of(&r, cases[i].route);
        struct rule_visit visit = { SLICE("/a"), SLICE("shop.test:8080"), &head, true };
        assert_true(rule_location_back(&r.rule, &visit, &r.arena, &location));
        if (!slice_equal(location, slice_from(cases[i].told))) {
            fail_msg("%s on %s: %.*s", cases[i].route, cases[i].said, SLICE_ARG(location));
        }
        forget(&r);
    }
}

static void changes_fields(void **state) {
    (void)state;
    struct ruled r;
    struct http_head head;
    struct http_field fields[6];
    rule_of(&r, "{ path: /a, service: 0, "
                "request_headers: { set: { X-User: '7' }, add: { x-b: two }, remove: [X-Gone] }, "
                "response_headers: { set: { x-frame-options: DENY } } }");
    http_head_init(&head, fields, 6);
    http_head_add(&head, SLICE("x_user"), SLICE("0")); /* CGI would read it as ours */
    http_head_add(&head, SLICE("X-USER"), SLICE("0"));
    http_head_add(&head, SLICE("x-gone"), SLICE("0"));
    http_head_add(&head, SLICE("x-b"), SLICE("one"));
    assert_true(rule_change_request(&r.rule, &head));
    assert_int_equal(head.field_count, 3);
    assert_true(slice_equal(head.fields[0].value, SLICE("one")));
    assert_true(slice_equal(head.fields[1].value, SLICE("7")));
    assert_true(slice_equal(head.fields[2].value, SLICE("two")));
    http_head_init(&head, fields, 1);
    assert_true(rule_change_response(&r.rule, &head));
    assert_true(slice_equal(head.fields[0].value, SLICE("DENY")));
    http_head_init(&head, fields, 1);
    assert_false(rule_change_request(&r.rule, &head)); /* two do not fit */
    forget(&r);
}

static void shares_follow_their_weights(void **state) {
    (void)state;
    struct ruled r;
    unsigned got[4] = { 0 };
    rule_of(&r, "{ path: /a, split: { 1: 90, 2: 10, 3: 0 } }");
    for (uint64_t i = 0; i < 1000; i++) {
        uint16_t service = rule_share(&r.rule, i);
        assert_in_range(service, 1, 3);
        assert_int_equal(service, rule_share(&r.rule, i));
        got[service]++;
    }
    assert_int_equal(got[1], 900);
    assert_int_equal(got[2], 100);
    assert_int_equal(got[3], 0);
    forget(&r);
}

static void templates(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int highest;
    } cases[] = {
        { "/a", TEMPLATE_NONE },     { "/\\1/\\3/\\2", 3 },   { "/\\0", 0 },
        { "/\\\\", TEMPLATE_NONE },  { "/\\", TEMPLATE_BAD }, { "/\\x", TEMPLATE_BAD },
        { "/\\\\1", TEMPLATE_NONE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (template_highest(slice_from(cases[i].text)) != cases[i].highest) {
            fail_msg("%s", cases[i].text);
        }
    }
    struct arena small;
    struct slice captures[10] = { [1] = SLICE("0123456789012345678901234567890123456789") };
    arena_init(&small, 64);
    assert_null(template_expand(SLICE("/\\1/\\1/\\1"), captures, &small).data);
    arena_fini(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewrites_paths),
        cmocka_unit_test(redirects),
        cmocka_unit_test(turns_redirects_of_services_back),
        cmocka_unit_test(changes_fields),
        cmocka_unit_test(shares_follow_their_weights),
        cmocka_unit_test(templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
