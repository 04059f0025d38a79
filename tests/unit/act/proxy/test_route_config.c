/* `routes:` of shop.yaml: what is taken, what is refused and how that is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "route_fixture.h"

static void says_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *route, *report;
    } cases[] = {
        { "{ path: cart, service: 0 }", "path: expected a path that begins with '/'" },
        { "{ path: '[', match: regex, service: 0 }",
          "1:18: path: expected a regular expression: missing terminating ]" },
        { "{ path: '\\.php', match: regex, service: 0 }", "'\\.php' can match no path" },
        { "{ path: /, match: glob, service: 0 }",
          "1:28: match: expected one of prefix, exact, regex, found 'glob'" },
        { "{ path: /, host: Shop.test, service: 0 }", "host: expected a name in lower case" },
        { "{ path: /, host: 'a.*.test', service: 0 }", "host: expected a name in lower case" },
        { "{ path: /, method: [GET, post], service: 0 }",
          "1:35: method: expected methods in capitals such as GET or POST, found 'post'" },
        { "{ path: /, source: [10.0.0.0/8, 10.1.2.3/16], service: 0 }",
          "1:42: source: '10.1.2.3/16' is not a network: did you mean 10.1.0.0/16?" },
        { "{ path: /, headers: [ { name: x, match: exact } ], service: 0 }",
          "1:32: expected the key 'value': what 'x' is compared with" },
        { "{ path: /, headers: [ { name: x, value: y, match: present } ], service: 0 }",
          "value: 'present' compares nothing" },
        { "{ path: /, headers: [ { name: 'x y' } ], service: 0 }",
          "name: expected the name of a header field, found 'x y'" },
        { "{ path: /, headers: [ { name: Host, value: x } ], service: 0 }",
          "name: the key 'host' of a route compares the host" },
        { "{ path: /, query: [ { name: '' } ], service: 0 }", "name: expected a name" },
        { "{ path: /, cookies: [ { name: a, value: '(', match: regex } ], service: 0 }",
          "value: expected a regular expression: missing closing parenthesis" },
        { "{ path: / }", "expected the key 'service': who answers; or 'split', 'redirect'" },
        { "{ path: /, service: 0, redirect: { path: / } }",
          "expected one of 'service', 'split', 'redirect' and 'respond'" },
        { "{ path: /, split: { 0: x } }",
          "1:28: split: expected a weight of 0 to 1000000 for 0, found 'x'" },
        { "{ path: /, split: { 0: 0 } }", "split: expected a weight above 0" },
        { "{ path: /, service: 0, rewrite: { prefix: x } }",
          "prefix: expected a path that begins with '/'" },
        { "{ path: /, service: 0, rewrite: { prefix: /x, path: /y } }",
          "expected either 'prefix' or 'path'" },
        { "{ path: /x, match: regex, service: 0, rewrite: { prefix: /y } }",
          "prefix: the route's path is a regular expression: use 'path'" },
        { "{ path: /, service: 0, rewrite: { path: '/\\1' } }",
          "path: \\1 is a part of what a regular expression matched, and there is none" },
        { "{ path: '/(x)', match: regex, service: 0, rewrite: { path: '/\\2' } }",
          "path: \\2, but the expression has 1 groups" },
        { "{ path: /, service: 0, rewrite: { pattern: '/(x)', path: '/\\x' } }",
          "path: expected \\1 to \\9 or \\\\ after a backslash" },
        { "{ path: /, service: 0, rewrite: { pattern: '(', path: '/' } }",
          "pattern: expected a regular expression: missing closing" },
        { "{ path: /, service: 0, rewrite: { path: '/a b' } }",
          "path: expected a path that begins with '/', percent-encoded" },
        { "{ path: /, service: 0, rewrite: { host: 'a b' } }", "host: expected a name" },
        { "{ path: /, redirect: { path: / }, rewrite: { path: / } }",
          "rewrite: there is no service to be asked" },
        { "{ path: /, service: 0, request_headers: { set: { Content-Length: '1' } } }",
          "set: 'Content-Length' frames the message or belongs to one connection" },
        { "{ path: /, service: 0, request_headers: { remove: [Connection] } }",
          "remove: 'Connection' frames the message" },
        { "{ path: /, service: 0, request_headers: { set: { host: x } } }", "(see rewrite.host)" },
        { "{ path: /, service: 0, response_headers: { add: { transfer-encoding: x } } }",
          "add: 'transfer-encoding' frames" },
        { "{ path: /, service: 0, response_headers: { add: { 'a b': x } } }",
          "add: 'a b' is not the name of a header field" },
        { "{ path: /, service: 0, response_headers: { add: { a: \"b\\r\\nc: d\" } } }",
          "add: the value of 'a' has control characters" },
        { "{ path: /, redirect: { status: 304 } }", "status: expected 301, 302, 303, 307 or 308" },
        { "{ path: /, redirect: { scheme: ftp } }", "scheme: expected http or https, found 'ftp'" },
        { "{ path: /, redirect: { host: 'a:80' } }", "host: expected a name without a port" },
        { "{ path: /, respond: { status: 204, body: x } }", "status: 204 has no body" },
        { "{ path: /, respond: { status: 101 } }", "status: expected 200 to 599, found '101'" },
        { "{ path: /, respond: { body: x, file: /dev/null } }",
          "expected either 'body' or 'file'" },
        { "{ path: /, respond: { file: /nowhere/x } }",
          "1:38: file: /nowhere/x: No such file or directory" },
        { "{ path: /, respond: { file: /dev/zero } }", "file: /dev/zero is not a file" },
        { "{ path: /, service: 0, error_pages: [ { status: 3xx, file: meson.build } ] }",
          "status: expected 4xx, 5xx or one of 400 to 599, found '3xx'" },
        { "{ path: /, service: 0, allow: [10.0.0.0/33] }", "1:41: allow: '10.0.0.0/33' is not" },
        { "{ path: /, service: 0, cors: { origins: [] } }", "origins: expected 1 to 64" },
        { "{ path: /, service: 0, cors: { origins: [shop.test] } }",
          "origins: expected https://shop.example, https://*.shop.example or * alone, found" },
        { "{ path: /, service: 0, cors: { origins: ['*'], credentials: true } }",
          "credentials: not for every origin: name those that may" },
        { "{ path: /, service: 0, cors: { origins: ['*'], methods: [GET, '*'] } }",
          "methods: expected names, or * alone, found '*'" },
        { "{ path: /, service: 0, basic: { realm: x } }", "expected the key 'users'" },
        { "{ path: /, service: 0, basic: { users: /nowhere/x } }", "No such file or directory" },
        { "{ path: /, service: 0, basic: { users: meson.build } }",
          "users: meson.build: user 1: expected user:hash with a bcrypt hash" },
        { "{ path: /, service: 0, basic: { users: meson.build, header: Host } }",
          "header: expected the name of a header field that may be set, found 'Host'" },
        { "{ path: /, service: 0, basic: { users: x, realm: 'a\"b' } }",
          "realm: expected a text without quotes" },
        { "{ path: /, service: 0, jwt: { keys: scripts/embed.py, algorithms: [none] } }",
          "algorithms: expected HS256, HS384, HS512, RS256" },
        { "{ path: /, service: 0, jwt: { keys: /dev/null } }", "keys: /dev/null is not a file" },
        { "{ path: /, service: 0, jwt: { keys: x, claims: { sub: content-length } } }",
          "claims: expected the name of a header field that may be set" },
        { "{ path: /, service: 0, jwt: { keys: x }, basic: { users: x } }",
          "expected either 'basic' or 'jwt'" },
        { "{ path: /, headers: [ { nam: a } ], service: 0 }",
          "unknown key 'nam': did you mean 'name'?" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct route_fixture f;
        char yaml[512], said[1024];
        snprintf(yaml, sizeof yaml, "routes: [%s]", cases[i].route);
        bool good = routes_read(&f, yaml);
        snprintf(said, sizeof said, "%.*s", SLICE_ARG(buffer_slice(&f.report.text)));
        if (good || strstr(said, cases[i].report) == NULL) {
            fail_msg("%s: %s", cases[i].route, good ? "taken" : said);
        }
        routes_forget(&f);
    }
}

static void takes_all_conditions(void **state) {
    (void)state;
    struct route_fixture f;
    assert_true(routes_read(&f, "routes:\n"
                                "- path: '/p/(\\d+)'\n"
                                "  match: regex\n"
                                "  method: [GET, HEAD]\n"
                                "  headers: [ { name: x-a, value: '1' }, { name: x-b } ]\n"
                                "  query: [ { name: q, value: s, match: prefix } ]\n"
                                "  cookies: [ { name: c, match: absent } ]\n"
                                "  source: [10.0.0.0/8, 2001:db8::/32]\n"
                                "  service: 3\n"
                                "- { path: /, method: POST, service: 1 }\n"));
    struct plan *plan = routes_plan(&f);
    assert_non_null(plan);
    const struct plan_route *r = &plan->routes[0];
    assert_int_equal(r->match, PLAN_MATCH_PATTERN);
    assert_int_equal(r->condition_count, 6);
    assert_int_equal(r->service, 3);
    const struct plan_condition *c = &plan->conditions[r->condition_first];
    assert_int_equal(c[0].kind, PLAN_CONDITION_METHOD);
    assert_true(slice_equal(plan_slice(plan, c[0].value), SLICE("GET,HEAD")));
    assert_int_equal(c[1].match, PLAN_MATCH_EXACT);
    assert_int_equal(c[2].match, PLAN_MATCH_PRESENT); /* nothing is compared */
    assert_int_equal(c[3].kind, PLAN_CONDITION_COOKIE);
    assert_int_equal(c[3].match, PLAN_MATCH_ABSENT);
    assert_int_equal(c[4].match, PLAN_MATCH_PREFIX);
    assert_int_equal(c[5].network_count, 2);
    assert_int_equal(plan->networks[c[5].network_first].bits, 96 + 8);
    assert_int_equal(plan->networks[c[5].network_first + 1].bits, 32);
    assert_int_equal(plan->routes[1].condition_first, 6);
    assert_int_equal(route_config_patterns(&f.list.routes[0]), 1);
    routes_forget(&f);
}

static void a_full_plan_is_said(void **state) {
    (void)state;
    struct route_fixture f;
    assert_true(routes_read(&f, "routes:\n- { path: /, method: GET, service: 0 }\n"));
    struct plan *plan = routes_plan(&f);
    struct route_planner planner = { .plan = plan, .service_index = index_of_digit };
    plan->condition_count = PLAN_CONDITIONS_MAX;
    assert_false(route_plan_add(&planner, f.list.routes));
    plan->condition_count = 1;
    plan->route_count = PLAN_ROUTES_MAX;
    assert_false(route_plan_add(&planner, f.list.routes));
    plan->route_count = 1;
    plan->text_len = PLAN_TEXT_BYTES - 2;
    assert_false(route_plan_add(&planner, f.list.routes));
    routes_forget(&f);
}

static void what_does_not_fit_is_said(void **state) {
    (void)state;
    struct route_fixture f;
    size_t most = 0;
    assert_true(routes_read(&f, "routes:\n- { path: '/x', match: regex, service: 0, "
                                "allow: [10.0.0.0/8] }\n"));
    struct route_config *many = calloc(20000, sizeof *many);
    assert_null(route_config_exceeds(f.list.routes, 1, &most));
    for (size_t i = 0; i < 20000; i++) {
        many[i] = f.list.routes[0];
    }
    assert_string_equal(route_config_exceeds(many, ROUTE_PATTERNS_MAX + 1, &most),
                        "regular expressions");
    assert_int_equal(most, ROUTE_PATTERNS_MAX);
    for (size_t i = 0; i < 20000; i++) {
        many[i].match = PLAN_MATCH_PREFIX;
    }
    assert_null(route_config_exceeds(many, PLAN_NETWORKS_MAX, &most));
    assert_string_equal(route_config_exceeds(many, PLAN_NETWORKS_MAX + 1, &most), "networks");
    free(many);
    routes_forget(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(takes_all_conditions),
        cmocka_unit_test(a_full_plan_is_said),
        cmocka_unit_test(what_does_not_fit_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
