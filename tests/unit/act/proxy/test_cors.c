#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "act/proxy/cors.h"

static void knows_origins(void **state) {
    (void)state;
    static const struct {
        const char *patterns, *origin;
        bool allowed;
    } cases[] = {
        { "https://shop.example", "https://shop.example", true },
        { "https://shop.example", "HTTPS://Shop.Example", true },
        { "https://shop.example", "http://shop.example", false },
        { "https://shop.example", "https://shop.example:8443", false },
        { "https://shop.example", "https://shop.example.evil", false },
        { "https://shop.example", "https://evil-shop.example", false },
        { "https://*.shop.example", "https://a.shop.example", true },
        { "https://*.shop.example", "https://a.b.shop.example", true },
        { "https://*.shop.example", "https://shop.example", false },
        { "https://*.shop.example", "https://.shop.example", false },
        { "https://*.shop.example", "https://evilshop.example", false },
        { "https://*.shop.example", "https://evil/.shop.example", false },
        { "https://*.shop.example", "https://evil#.shop.example", false },
        { "https://*.shop.example", "https://evil:1.shop.example", false },
        { "https://*.shop.example", "https://u@a.shop.example", false },
        { "https://*.shop.example:8443", "https://a.shop.example:8443", true },
        { "https://*.shop.example:8443", "https://a.shop.example", false },
        { "https://a.example https://b.example", "https://b.example", true },
        { "https://a.example", "null", false },
        { "null", "null", true },
        { "*", "https://any.example", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cors cors = { .origins = slice_from(cases[i].patterns) };
        if (cors_allows(&cors, slice_from(cases[i].origin)) != cases[i].allowed) {
            fail_msg("%s of %s", cases[i].origin, cases[i].patterns);
        }
    }
}

static void knows_patterns(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "https://shop.example", true },
        { "http://localhost:3000", true },
        { "https://*.shop.example", true },
        { "https://[::1]:80", true },
        { "null", true },
        { "shop.example", false },
        { "https://", false },
        { "https://shop.example/", false },
        { "https://a.*.example", false },
        { "https://*shop.example", false },
        { "https://*.", false },
        { "https://Shop.example", false },
        { "*", false },
        { "https://a b", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cors_is_pattern(slice_from(cases[i].text)) != cases[i].good) {
            fail_msg("%s", cases[i].text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_origins),
        cmocka_unit_test(knows_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
