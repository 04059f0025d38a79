/* What a service's block says about its instances, and what is refused in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../config/config_text.h"
#include "act/fleet/fleet_config.h"

struct fixture {
    struct config_text text;
    struct fleet_config config;
};

static int set_up(void **state) {
    static struct fixture f;
    config_text_init(&f.text, "/etc/t.yaml");
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    config_text_fini(&f->text);
    return 0;
}

static bool apply(struct fixture *f, const char *text) {
    return config_text_apply(&f->text, &fleet_config_table, text, &f->config);
}

static void has_defaults(void **state) {
    struct fixture *f = *state;
    assert_true(apply(f, "command: [node, a b, \"$PORT\"]\n"));
    const struct fleet_config *c = &f->config;
    assert_int_equal(c->kind, FLEET_PROCESS);
    assert_int_equal(c->command_len, 3);
    assert_string_equal(c->command[1], "a b");
    assert_string_equal(c->folder, "/etc/."); /* that of shop.yaml, wherever we were started */
    assert_null(c->version);
    assert_int_equal(c->grace_ms, 10000);
    assert_null(c->health.path);
    assert_int_equal(c->health.interval_ms, 1000);
    assert_int_equal(c->health.timeout_ms, 1000);
    assert_int_equal(c->health.startup_ms, 60000);
    assert_int_equal(c->health.rise, 2);
    assert_int_equal(c->health.fall, 2);
    assert_int_equal(c->health.port, 0);
    assert_int_equal(c->health.expect.status_len, 0);
    assert_null(c->health.expect.body);
    for (int kind = FLEET_PROCESS; kind <= FLEET_KUBERNETES; kind++) {
        assert_non_null(fleet_kind_name((enum fleet_kind)kind));
    }
}

static void takes_endpoints(void **state) {
    struct fixture *f = *state;
    assert_true(apply(f, "fleet: static\n"
                         "endpoints: [10.0.0.5:8000, \"[::1]:80\", shop.internal, shop:81,\n"
                         "            \"unix:/run/a.sock\"]\n"));
    assert_int_equal(f->config.endpoint_len, 5);
    assert_string_equal(f->config.endpoints[3].address, "shop:81");
    assert_int_equal(f->config.endpoints[3].weight, 1);
    assert_null(f->config.endpoints[3].zone);
    assert_true(apply(f, "fleet: static\nendpoints: 10.0.0.5:8000\n"));
    assert_int_equal(f->config.endpoint_len, 1);
    assert_string_equal(f->config.endpoints[0].address, "10.0.0.5:8000");
    assert_true(apply(f, "fleet: static\nendpoints:\n  - { address: a:1, weight: 3, zone: eu-a }\n"
                         "  - b:1\n"));
    assert_int_equal(f->config.endpoint_len, 2);
    assert_string_equal(f->config.endpoints[0].zone, "eu-a");
    assert_int_equal(f->config.endpoints[0].weight, 3);
    assert_string_equal(f->config.endpoints[1].address, "b:1");
    assert_int_equal(f->config.endpoints[1].weight, 1);
}

static void refuses_with_a_place(void **state) {
    static const struct {
        const char *text, *report;
    } cases[] = {
        { "version: v1", "1:1: command: expected how an instance is started, such as [node, "
                         "server.js, --port, \"$PORT\"]" },
        { "command: []", "1:10: command: expected how an instance is started, such as [node, "
                         "server.js, --port, \"$PORT\"]" },
        { "command: x\nendpoints: [a:1]", "2:12: endpoints: only of `fleet: static`" },
        { "command: x\nenvironment: { A=B: 1 }",
          "2:14: environment: expected a name without '=', found 'A=B'" },
        { "command: x\nenvironment: { '': 1 }",
          "2:14: environment: expected a name without '=', found ''" },
        { "command: x\nfleet: podman",
          "2:8: fleet: this version runs `process` and `static`; podman comes later" },
        { "command: x\nfleet: docker",
          "2:8: fleet: expected one of process, static, podman, kubernetes, found 'docker'" },
        { "command: x\nversion: 'a b'",
          "2:10: version: expected a short name without blanks or colons" },
        { "command: x\nversion: a:b",
          "2:10: version: expected a short name without blanks or colons" },
        { "command: x\nversion: "
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          "2:10: version: expected a short name without blanks or colons" },
        { "command: x\nhealth: { path: healthz }",
          "2:17: path: expected a path that begins with '/', found 'healthz'" },
        { "command: x\nhealth: { path: '/a b' }", "2:17: path: expected a path without blanks" },
        { "command: x\nhealth: { path: \"/a\\r\\nX: y\" }",
          "2:17: path: expected a path without blanks" },
        { "command: x\nhealth: { interval: 0 }",
          "2:21: interval: expected 0.05 to 3600 s, found '0'" },
        { "command: x\nhealth: { failures: 0 }", "2:21: failures: expected 1 to 100, found '0'" },
        { "command: x\nhealth: { fall: 3, failures: 3 }",
          "2:30: failures: another word for fall; expected one" },
        { "command: x\nhealth: { rise: 0 }", "2:17: rise: expected 1 to 100, found '0'" },
        { "command: x\nhealth: { port: 0 }", "2:17: port: expected 1 to 65535, found '0'" },
        { "command: x\nhealth: { path: /, method: POST }",
          "2:28: method: expected one of GET, HEAD, found 'POST'" },
        { "command: x\nhealth: { path: /, method: HEAD, expect: { body: ok } }",
          "2:28: method: the answer to HEAD has no body to expect" },
        { "command: x\nhealth: { path: /, tcp: true }",
          "2:25: tcp: expected neither path nor grpc with it" },
        { "command: x\nhealth: { expect: { status: 200 } }",
          "2:19: expect: only of a health check that has a path" },
        { "command: x\nhealth: { tcp: true, host: a }",
          "2:28: host: only of a health check that has a path" },
        { "command: x\nhealth: { path: /, host: 'a b' }",
          "2:26: host: expected such as shop.example or [::1]:80, found 'a b'" },
        { "command: x\nhealth: { path: /, headers: { Host: a } }",
          "2:29: headers: 'host' is a key of its own here" },
        { "command: x\nhealth: { path: /, headers: { 'a b': c } }",
          "2:29: headers: 'a b' is no name of a field that can be set" },
        { "command: x\nhealth: { path: /, headers: { Transfer-Encoding: chunked } }",
          "2:29: headers: 'Transfer-Encoding' is no name of a field that can be set" },
        { "command: x\nhealth: { path: /, headers: { x: \"a\\r\\nb: c\" } }",
          "2:29: headers: the value of 'x' cannot be sent" },
        { "command: x\nhealth: { path: /, expect: { status: [200, 6xx] } }",
          "2:38: status: expected such as 200, 2xx or 200-399, found '6xx'" },
        { "command: x\nhealth: { path: /, expect: { status: 1xx } }",
          "2:38: status: expected such as 200, 2xx or 200-399, found '1xx'" },
        { "command: x\nhealth: { path: /, expect: { status: 399-200 } }",
          "2:38: status: expected such as 200, 2xx or 200-399, found '399-200'" },
        { "command: x\nhealth: { path: /, expect: { body: '/a(b/' } }",
          "2:36: body: missing closing parenthesis, at byte 3 of the pattern" },
        { "command: x\nhealth: { path: /, expect: { body: '' } }",
          "2:36: body: expected 1 to 512 bytes, found 0" },
        { "fleet: static\nendpoints: [\"unix:/a\"]\nhealth: { port: 80 }",
          "3:9: health.port: a Unix socket has none" },
        { "command: x\nhealth: { grpc: '' }", "2:9: health.grpc: expected `protocol: h2` with it" },
        { "command: x\nprotocol: h2\nhealth: { grpc: '', path: / }",
          "3:9: health: expected either path or grpc" },
        { "command: x\nprotocol: h3", "2:11: protocol: expected one of http/1.1, h2, found 'h3'" },
        { "command: x\ngrace: 2h", "2:8: grace: expected 0 to 3600 s, found '2h'" },
        { "fleet: static", "1:1: endpoints: expected at least one, such as [\"10.0.0.5:8000\"]" },
        { "fleet: static\nendpoints: [ [a:1] ]", "2:14: expected a block of keys, found a list" },
        { "fleet: static\nendpoints: [ { weight: 2 } ]",
          "2:14: expected the key 'address': `host:port`" },
        { "fleet: static\nendpoints: [ { address: a:1, weight: 0 } ]",
          "2:38: weight: expected 1 to 256, found '0'" },
        { "fleet: static\nendpoints: [ { address: a:1, zone: "
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa } ]",
          "2:36: zone: expected at most 63 bytes" },
        { "command: x\nenvironment: { A: [b] }", "2:19: A: expected text" },
        { "fleet: static\nendpoints: [a:1]\ncommand: x",
          "3:10: command: only of `fleet: process`" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        config_text_refuses(&f->text, &fleet_config_table, cases[i].text, &f->config,
                            cases[i].report);
    }
}

static void says_which_endpoint_is_wrong(void **state) {
    struct fixture *f = *state;
    assert_false(apply(f, "fleet: static\nendpoints:\n  - 10.0.0.5:8000\n  - 10.0.0.5:port\n"
                          "  - \"[::1\"\n  - \"\"\n"));
    const char *said = config_text_said(&f->text);
    if (f->text.report.errors != 3) {
        fail_msg("%s", said);
    }
    assert_non_null(strstr(said, "/etc/t.yaml:4:5: endpoints: "));
    assert_non_null(strstr(said, "/etc/t.yaml:5:5: endpoints: "));
    assert_non_null(strstr(said, "/etc/t.yaml:6:5: endpoints: "));
}

static void takes_a_health_check_in_full(void **state) {
    struct fixture *f = *state;
    assert_true(apply(f, "command: x\n"
                         "health:\n"
                         "  path: /healthz?deep=1\n"
                         "  method: GET\n"
                         "  host: shop.example\n"
                         "  headers: { X-Probe: tidegate, authorization: Bearer abc }\n"
                         "  port: 9000\n"
                         "  expect: { status: [200, 204, 2xx, 300-302], body: '/\"ok\": *true/' }\n"
                         "  rise: 3\n"
                         "  failures: 5\n"));
    const struct health_config *c = &f->config.health;
    assert_string_equal(c->host, "shop.example");
    assert_int_equal(c->header_count, 2);
    assert_string_equal(c->headers[1].value, "Bearer abc");
    assert_int_equal(c->port, 9000);
    assert_int_equal(c->expect.status_len, 4);
    assert_string_equal(c->expect.body, "/\"ok\": *true/");
    assert_int_equal(c->rise, 3);
    assert_int_equal(c->fall, 5); /* by its older name */
    assert_true(apply(f, "command: x\nhealth: { tcp: true }\n"));
    assert_true(f->config.health.tcp);
}

/* No argument is cut off in silence. */
static void bounds_the_command(void **state) {
    struct fixture *f = *state;
    struct buffer text;
    for (int words = FLEET_ARGUMENTS_MAX; words <= FLEET_ARGUMENTS_MAX + 1; words++) {
        buffer_init(&text, 100000);
        assert_true(buffer_append_text(&text, "command: ["));
        for (int i = 0; i < words; i++) {
            assert_true(buffer_append_text(&text, i > 0 ? ",a" : "a"));
        }
        assert_true(buffer_append(&text, SLICE("]\n\0")));
        assert_int_equal(apply(f, buffer_slice(&text).data), words == FLEET_ARGUMENTS_MAX);
        buffer_fini(&text);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(has_defaults),
        TEST(takes_endpoints),
        TEST(refuses_with_a_place),
        TEST(says_which_endpoint_is_wrong),
        TEST(takes_a_health_check_in_full),
        TEST(bounds_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
