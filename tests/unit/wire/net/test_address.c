#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "wire/net/address.h"
#include "wire/net/resolve.h"

static void parses_and_formats(void **state) {
    static const struct {
        const char *name, *text, *formatted;
        uint16_t default_port;
    } cases[] = {
        { "v4", "127.0.0.1:80", "127.0.0.1:80", 0 },
        { "v4, default port", "10.0.0.5", "10.0.0.5:8000", 8000 },
        { "v6", "[::1]:443", "[::1]:443", 0 },
        { "v6 without brackets", "fe80::1", "[fe80::1]:80", 80 },
        { "v6, brackets, default port", "[::1]", "[::1]:81", 81 },
        { "any", ":8080", "[::]:8080", 0 },
        { "any by star", "*:8080", "[::]:8080", 0 },
        { "unix", "unix:/run/x.sock", "unix:/run/x.sock", 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address address;
        struct error err = { 0 };
        char text[ADDRESS_TEXT_BYTES];
        if (!address_parse(slice_from(cases[i].text), cases[i].default_port, &address, &err)) {
            fail_msg("%s: %s", cases[i].name, err.text);
        }
        address_format(&address, text);
        assert_string_equal(text, cases[i].formatted);
    }
}

static void refuses(void **state) {
    static const struct {
        const char *name, *text;
        enum error_kind kind;
    } cases[] = {
        { "no port", "127.0.0.1", ERROR_INVALID },
        { "empty port", "127.0.0.1:", ERROR_INVALID },
        { "port 0", "127.0.0.1:0", ERROR_INVALID },
        { "port too large", "127.0.0.1:65536", ERROR_INVALID },
        { "port with sign", "127.0.0.1:+80", ERROR_INVALID },
        { "open bracket", "[::1:80", ERROR_INVALID },
        { "text after the bracket", "[::1]x:80", ERROR_INVALID },
        { "name", "shop.test:80", ERROR_NOT_FOUND },
        { "octet too large", "256.0.0.1:80", ERROR_NOT_FOUND },
        { "unix without a path", "unix:", ERROR_INVALID },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address address = { .len = 7 };
        struct error err = { 0 };
        assert_false(address_parse(slice_from(cases[i].text), 0, &address, &err));
        if (err.kind != cases[i].kind) {
            fail_msg("%s: kind %d: %s", cases[i].name, err.kind, err.text);
        }
        assert_int_equal(address.len, 7); /* outputs are written on success only */
    }
}

static void refuses_a_path_with_a_nul(void **state) {
    struct address address;
    (void)state;
    assert_false(address_parse(slice_of("unix:/a\0b", 9), 0, &address, NULL));
}

static void compares(void **state) {
    struct address a, b, any;
    uint8_t ip[16];
    static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 5 };
    (void)state;
    assert_true(address_parse(SLICE("10.0.0.5:80"), 0, &a, NULL));
    assert_true(address_parse(SLICE("10.0.0.5"), 80, &b, NULL));
    assert_true(address_parse(SLICE(":80"), 0, &any, NULL));
    assert_true(address_equal(&a, &b));
    assert_false(address_equal(&a, &any));
    assert_int_equal(address_port(&a), 80);
    assert_true(address_is_any(&any));
    assert_false(address_is_any(&a));
    address_ip(&a, ip);
    assert_memory_equal(ip, mapped, 16);
}

static void resolves_names(void **state) {
    struct address found[RESOLVE_MAX];
    size_t count = 0;
    struct error err = { 0 };
    (void)state;
    assert_true(resolve(SLICE("localhost:8000"), 0, found, &count, &err));
    assert_true(count >= 1);
    assert_int_equal(address_port(&found[0]), 8000);
    assert_true(resolve(SLICE("127.0.0.1"), 7, found, &count, &err));
    assert_int_equal(count, 1);
    assert_false(resolve(SLICE("localhost"), 0, found, &count, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_false(resolve(SLICE("no-such-host.invalid:1"), 0, found, &count, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_formats),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_a_path_with_a_nul),
        cmocka_unit_test(compares),
        cmocka_unit_test(resolves_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
