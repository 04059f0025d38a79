/* `balance:` of a service: what it means, and what is refused in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../config/config_text.h"
#include "decide/balance/balance_config.h"

/* As it stands in a service. */
struct service {
    struct balance_config balance;
};
static const struct config_field service_fields[] = {
    { "balance", CONFIG_BLOCK, offsetof(struct service, balance), .table = &balance_config_table },
};
static const struct config_table service_table = CONFIG_TABLE(struct service, service_fields);

struct fixture {
    struct config_text text;
    struct service service;
};

static int set_up(void **state) {
    static struct fixture f;
    config_text_init(&f.text, "t.yaml");
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    config_text_fini(&f->text);
    return 0;
}

static bool apply(struct fixture *f, const char *text) {
    return config_text_apply(&f->text, &service_table, text, &f->service);
}

static void has_defaults(void **state) {
    struct fixture *f = *state;
    const struct balance_config *b = &f->service.balance;
    const char *name;
    assert_true(apply(f, "balance: ~"));
    assert_int_equal(b->policy, BALANCE_FASTEST);
    assert_int_equal(b->hash_balance_factor, 125);
    assert_null(b->sticky);
    assert_int_equal(balance_hash_of(b, &name), BALANCE_HASH_NONE);
    assert_string_equal(name, "");
}

static void takes_a_policy_alone(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < BALANCE_MAGLEV; i++) {
        char text[64];
        snprintf(text, sizeof text, "balance: %s", balance_policy_names[i]);
        assert_true(apply(f, text));
        assert_int_equal(f->service.balance.policy, i);
    }
}

static void takes_keys(void **state) {
    static const struct {
        const char *hash, *name;
        enum balance_hash of;
    } cases[] = {
        { "{ header: X-Tenant }", "X-Tenant", BALANCE_HASH_HEADER },
        { "{ cookie: sid }", "sid", BALANCE_HASH_COOKIE },
        { "{ path: true }", "", BALANCE_HASH_PATH },
        { "{ client: address }", "", BALANCE_HASH_CLIENT },
        { "{ client: network }", "", BALANCE_HASH_NETWORK },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        const char *name;
        snprintf(text, sizeof text, "balance: { policy: maglev, hash: %s }", cases[i].hash);
        assert_true(apply(f, text));
        assert_int_equal(balance_hash_of(&f->service.balance, &name), cases[i].of);
        assert_string_equal(name, cases[i].name);
    }
}

static void writes_cookies(void **state) {
    static const struct {
        const char *sticky, *attributes;
    } cases[] = {
        { "{}", "; Path=/; HttpOnly; SameSite=Lax" },
        { "{ path: /shop, max_age: 1h, same_site: strict, http_only: false }",
          "; Path=/shop; Max-Age=3600; SameSite=Strict" },
        { "{ same_site: none, secure: always }", "; Path=/; HttpOnly; SameSite=None" },
    };
    struct fixture *f = *state;
    char out[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[160];
        snprintf(text, sizeof text, "balance: { sticky: %s }", cases[i].sticky);
        assert_true(apply(f, text));
        assert_true(balance_sticky_attributes(f->service.balance.sticky, out, sizeof out));
        assert_string_equal(out, cases[i].attributes);
        assert_false(balance_sticky_attributes(f->service.balance.sticky, out, strlen(out)));
    }
    assert_string_equal(f->service.balance.sticky->cookie, "tidegate_server");
}

static void refuses_with_a_place(void **state) {
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "balance: fast", "1:10: policy: expected one of fastest, least_requests, round_robin, "
                           "maglev, found 'fast'" },
        { "balance: [maglev]", "1:10: expected a block of keys, found a list" },
        { "balance: { polcy: x }", "1:12: unknown key 'polcy': did you mean 'policy'?" },
        { "balance: maglev", "1:10: hash: expected one of header, cookie, path, client, such as "
                             "{ cookie: sid }" },
        { "balance:\n  policy: maglev\n  hash: { path: true, cookie: a }",
          "3:9: hash: expected one of header, cookie, path, client, such as { cookie: sid }" },
        { "balance:\n  hash: { path: true }", "2:9: hash: only of `policy: maglev`" },
        { "balance:\n  policy: maglev\n  hash: { header: 'a b' }",
          "3:19: header: expected a name of at most 64 letters, digits, '-', '_'" },
        { "balance:\n  policy: maglev\n  hash: { path: true }\n  hash_balance_factor: 90",
          "4:24: hash_balance_factor: expected more than 100 (percent), or 0" },
        { "balance:\n  sticky: { cookie: 'a=b' }",
          "2:21: cookie: expected a name of at most 64 letters, digits, '-', '_'" },
        { "balance:\n  sticky: { path: '/;x' }",
          "2:19: path: expected a path that begins with '/', without ';'" },
        { "balance:\n  sticky: { same_site: none, secure: never }",
          "2:38: secure: browsers take `same_site: none` only with Secure" },
        { "balance:\n  policy: maglev\n  hash: { path: true }\n  sticky: {}",
          "4:11: sticky: expected none with `policy: maglev`, whose key already says where to" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        config_text_refuses(&f->text, &service_table, cases[i].text, &f->service, cases[i].said);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(has_defaults),   TEST(takes_a_policy_alone), TEST(takes_keys),
        TEST(writes_cookies), TEST(refuses_with_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
