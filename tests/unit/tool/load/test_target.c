#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tool/load/target.h"

static void urls(void **state) {
    (void)state;
    static const struct {
        const char *url, *authority; /* NULL: refused */
    } cases[] = {
        { "http://127.0.0.1:8080", "127.0.0.1:8080" },
        { "http://shop/", "shop" },
        { "http://[::1]:80/", "[::1]:80" },
        { "https://shop", NULL },
        { "shop:80", NULL },
        { "http://", NULL },
        { "http:///", NULL },
        { "http://shop/base", NULL },
        { "http://user@shop", NULL },
        { "http://a b", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char authority[TARGET_AUTHORITY_BYTES];
        struct error err = { 0 };
        bool ok = target_parse(slice_from(cases[i].url), authority, &err);
        assert_int_equal(ok, cases[i].authority != NULL);
        if (ok) {
            assert_string_equal(authority, cases[i].authority);
        } else {
            assert_int_equal(err.kind, ERROR_INVALID);
            assert_non_null(strstr(err.text, "expected http://HOST[:PORT]"));
        }
    }
}

static void addresses(void **state) {
    (void)state;
    struct target target;
    struct error err = { 0 };
    assert_true(target_find(&target, SLICE("http://127.0.0.1:8081"), &err));
    assert_int_equal(address_port(&target.address), 8081);
    assert_true(target_find(&target, SLICE("http://[::1]/"), &err));
    assert_int_equal(address_port(&target.address), 80);
    assert_false(target_find(&target, SLICE("http://127.0.0.1:99999"), &err));
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(urls), cmocka_unit_test(addresses) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
