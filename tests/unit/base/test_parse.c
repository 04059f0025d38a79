/* Numbers: whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/parse.h"
#include "base/rand.h"

/* Of each of `cases` (text, ok, value); what is refused leaves the value as it was. */
#define CHECK_ALL(type, parse)                                                                     \
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {                                    \
        type value = 42;                                                                           \
        if (parse(slice_from(cases[i].text), &value) != cases[i].ok ||                             \
            value != (cases[i].ok ? cases[i].value : 42)) {                                        \
            fail_msg("'%s'", cases[i].text);                                                       \
        }                                                                                          \
    }

static void parses_uint(void **state) {
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "007", true, 7 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "99999999999999999999", false, 0 },
        { "", false, 0 },
        { "-1", false, 0 },
        { "+1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1a", false, 0 },
        { "0x1", false, 0 },
        { "1.0", false, 0 },
        { "1e3", false, 0 },
        { "\xd9\xa1", false, 0 },
    };
    (void)state;
    CHECK_ALL(uint64_t, parse_uint);
    uint64_t value;
    assert_false(parse_uint(SLICE("1\0"), &value));
}

static void parses_int(void **state) {
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        { "-1", true, -1 },
        { "+1", true, 1 },
        { "0", true, 0 },
        { "-0", true, 0 },
        { "9223372036854775807", true, INT64_MAX },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775807", true, -INT64_MAX },
        { "-", false, 0 },
        { "+", false, 0 },
        { "--1", false, 0 },
        { "+-1", false, 0 },
        { "", false, 0 },
        { "- 1", false, 0 },
    };
    (void)state;
    CHECK_ALL(int64_t, parse_int);
}

static void parses_hex(void **state) {
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "aF", true, 0xaf },
        { "ffffffffffffffff", true, UINT64_MAX },
        { "0ffffffffffffffff", true, UINT64_MAX },
        { "10000000000000000", false, 0 },
        { "", false, 0 },
        { "g", false, 0 },
        { "0x1", false, 0 },
        { "-1", false, 0 },
        { "1 ", false, 0 },
        { "@", false, 0 },
        { "`", false, 0 },
        { "/", false, 0 },
        { ":", false, 0 },
    };
    (void)state;
    CHECK_ALL(uint64_t, parse_hex);
}

static void parses_double(void **state) {
    static const struct {
        const char *text;
        bool ok;
        double value;
    } cases[] = {
        { "0", true, 0 },         { "1.5", true, 1.5 },  { "-2.5e-3", true, -0.0025 },
        { "+1E2", true, 100 },    { ".5", true, 0.5 },   { "5.", true, 5 },
        { "1e308", true, 1e308 }, { "1e309", false, 0 }, { "-1e309", false, 0 },
        { "", false, 0 },         { " 1", false, 0 },    { "1 ", false, 0 },
        { "inf", false, 0 },      { "nan", false, 0 },   { "0x1p3", false, 0 },
        { "1,5", false, 0 },      { "1.5.2", false, 0 }, { "e5", false, 0 },
        { "-", false, 0 },        { "1_0", false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value = 42;
        bool ok = parse_double(slice_from(cases[i].text), &value);
        if (ok != cases[i].ok || (ok ? value - cases[i].value : value - 42) != 0) {
            fail_msg("'%s': %d %g", cases[i].text, ok, value);
        }
    }
    double value;
    assert_false(parse_double(SLICE("1\0"), &value));
}

static void reads_back_what_was_printed(void **state) {
    struct rand r;
    (void)state;
    rand_init(&r, 7041);
    for (int round = 0; round < 20000; round++) {
        char text[64];
        uint64_t number = rand_next(&r) >> rand_below(&r, 64), u;
        int64_t i;
        snprintf(text, sizeof text, "%llu", (unsigned long long)number);
        assert_true(parse_uint(slice_from(text), &u) && u == number);
        snprintf(text, sizeof text, "%llx", (unsigned long long)number);
        assert_true(parse_hex(slice_from(text), &u) && u == number);
        snprintf(text, sizeof text, "%lld", -(long long)(number >> 1));
        assert_true(parse_int(slice_from(text), &i) && i == -(int64_t)(number >> 1));
        double real = (rand_unit(&r) - 0.5) * (double)number, back;
        snprintf(text, sizeof text, "%.17g", real);
        assert_true(parse_double(slice_from(text), &back) &&
                    memcmp(&real, &back, sizeof real) == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_uint),
        cmocka_unit_test(parses_int),
        cmocka_unit_test(parses_hex),
        cmocka_unit_test(parses_double),
        cmocka_unit_test(reads_back_what_was_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
