/* Time as text, against the C library; chance, by its moments; errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/rand.h"

static void parses_times(void **state) {
    static const struct {
        const char *text;
        bool ok;
        int64_t unix_ms;
    } cases[] = {
        { "2015-03-11T20:57:53Z", true, 1426107473000 },
        { "2015-03-11 20:57:53", true, 1426107473000 },
        { "2015-03-11t20:57:53z", true, 1426107473000 },
        { "2015-03-11T20:57:53.5Z", true, 1426107473500 },
        { "2015-03-11T20:57:53,123456Z", true, 1426107473123 },
        { "2015-03-11T21:57:53+01:00", true, 1426107473000 },
        { "2015-03-11T15:27:53-0530", true, 1426107473000 },
        { "2015-03-11T21:57:53+01", true, 1426107473000 },
        { "2015-03-12T20:56:53+23:59", true, 1426107473000 },
        { "2015-03-11T20:57", true, 1426107420000 },
        { "2015-03-11", true, 1426032000000 },
        { "1969-12-31T23:59:59.999Z", true, -1 },
        { "2000-02-29", true, 951782400000 },
        { "2016-12-31T23:59:60Z", true, 1483228800000 },
        { "2015-03-11T24:00:00Z", true, 1426118400000 },
        { "1426107473", true, 1426107473000 },
        { "1426107473.25", true, 1426107473250 },
        { "-1.5", true, -1500 },
        { "0", true, 0 },
        { "", false, 0 },
        { "now", false, 0 },
        { "2015-3-11", false, 0 },
        { "2015-13-01", false, 0 },
        { "2015-00-01", false, 0 },
        { "2015-02-29", false, 0 },
        { "1900-02-29", false, 0 },
        { "2015-04-31", false, 0 },
        { "2015-03-11T", false, 0 },
        { "2015-03-11T25:00:00Z", false, 0 },
        { "2015-03-11T24:00:01Z", false, 0 },
        { "2015-03-11T20:57:53+24:00", false, 0 },
        { "2015-03-11T20:57:53+01:60", false, 0 },
        { "2015-03-11T20:60:00Z", false, 0 },
        { "2015-03-11T20:57:61Z", false, 0 },
        { "2015-03-11T20:57:53.Z", false, 0 },
        { "2015-03-11T20:57:53Zx", false, 0 },
        { "2015-03-11T20:57:53+1", false, 0 },
        { "2015-03-11T20:57:53+01:00:00", false, 0 },
        { "2015-03-11x20:57:53", false, 0 },
        { "20150311T205753Z", false, 0 },
        { "1e20", false, 0 },
        { "nan", false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t unix_ms = 42;
        bool ok = clock_parse_iso8601(slice_from(cases[i].text), &unix_ms);
        if (ok != cases[i].ok || unix_ms != (ok ? cases[i].unix_ms : 42)) {
            fail_msg("'%s': %d %lld", cases[i].text, ok, (long long)unix_ms);
        }
    }
}

static void formats_as_the_library_does(void **state) {
    struct rand r;
    (void)state;
    rand_init(&r, 7041);
    for (int round = 0; round < 20000; round++) {
        /* From 1800 to 2400. */
        int64_t unix_ms = -5364662400000 + (int64_t)(rand_unit(&r) * 18934128000000.0);
        unix_ms -= round % 2 == 0 ? unix_ms % 1000 : 0;
        char ours[CLOCK_ISO8601_BYTES], theirs[64];
        int64_t ms = (unix_ms % 1000 + 1000) % 1000, parsed;
        time_t seconds = (time_t)((unix_ms - ms) / 1000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        size_t len = strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(theirs + len, sizeof theirs - len, ms == 0 ? "Z" : ".%03dZ", (int)ms);
        clock_format_iso8601(unix_ms, ours);
        assert_string_equal(ours, theirs);
        assert_true(clock_parse_iso8601(slice_from(ours), &parsed));
        assert_int_equal(parsed, unix_ms);
    }
}

static void counts_days(void **state) {
    int year;
    unsigned month, day;
    (void)state;
    assert_int_equal(clock_days_from_civil(1970, 1, 1), 0);
    assert_int_equal(clock_days_from_civil(2000, 3, 1), 11017);
    for (int64_t days = -800000; days < 800000; days += 7) {
        clock_civil_from_days(days, &year, &month, &day);
        assert_int_equal(clock_days_from_civil(year, month, day), days);
    }
}

static void clocks_go_on(void **state) {
    uint64_t before_us = clock_monotonic_us();
    (void)state;
    assert_true(clock_monotonic_us() >= before_us);
    assert_true(clock_monotonic_ms() >= before_us / 1000);
    assert_true(clock_unix_ms() > 1700000000000);
}

/* ---- chance ---- */

/* The reference implementations of splitmix64 and xoshiro256** for the seed 0. */
static void follows_its_paper(void **state) {
    static const uint64_t expected[] = { UINT64_C(0x99ec5f36cb75f2b4), UINT64_C(0xbf6e1f784956452a),
                                         UINT64_C(0x1a5f849d4933e6e0) };
    struct rand r;
    (void)state;
    rand_init(&r, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rand_next(&r), expected[i]);
    }
}

static void same_seed_same_numbers(void **state) {
    struct rand a, b, c;
    int same = 0;
    (void)state;
    rand_init(&a, 7041);
    rand_init(&b, 7041);
    rand_init(&c, 7042);
    for (int i = 0; i < 1000; i++) {
        uint64_t number = rand_next(&a);
        assert_int_equal(number, rand_next(&b));
        same += number == rand_next(&c);
    }
    assert_int_equal(same, 0);
}

static void below_is_uniform(void **state) {
    uint32_t counts[7] = { 0 };
    struct rand r;
    (void)state;
    rand_init(&r, 1);
    for (int i = 0; i < 70000; i++) {
        uint32_t number = rand_below(&r, 7);
        assert_true(number < 7);
        counts[number]++;
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(counts[i], 9500, 10500);
    }
    assert_int_equal(rand_below(&r, 1), 0);
}

static void moments_are_right(void **state) {
    double unit = 0, normal = 0, normal2 = 0, exponential = 0;
    struct rand r;
    (void)state;
    rand_init(&r, 2);
    for (int i = 0; i < 100000; i++) {
        double u = rand_unit(&r), n = rand_normal(&r), e = rand_exponential(&r);
        assert_true(u >= 0 && u < 1 && e >= 0);
        unit += u;
        normal += n;
        normal2 += n * n;
        exponential += e;
    }
    assert_float_equal(unit / 100000, 0.5, 0.01);
    assert_float_equal(normal / 100000, 0, 0.02);
    assert_float_equal(normal2 / 100000, 1, 0.02);
    assert_float_equal(exponential / 100000, 1, 0.02);
}

/* ---- errors ---- */

static void says_what_and_where(void **state) {
    struct error err = { 0 };
    (void)state;
    assert_false(error_set(&err, ERROR_INVALID, "'%s' is not a port", "x"));
    assert_false(error_wrap(&err, "line %d", 7));
    assert_string_equal(err.text, "line 7: 'x' is not a port");
    assert_int_equal(err.kind, ERROR_INVALID);
    errno = ENOENT;
    assert_false(error_system(&err, "open %s", "a.csv"));
    assert_string_equal(err.text, "open a.csv: No such file or directory");
    assert_int_equal(err.kind, ERROR_SYSTEM);
    assert_int_equal(err.system_errno, ENOENT);
    assert_false(error_set(NULL, ERROR_INVALID, "nobody asks"));
    assert_false(error_wrap(NULL, "nobody asks"));
    assert_false(error_system(NULL, "nobody asks"));
}

static void long_texts_are_cut(void **state) {
    char text[2 * ERROR_TEXT_BYTES];
    struct error err = { 0 };
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, ERROR_LIMIT, "%s", text);
    assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
    error_wrap(&err, "here");
    assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
    assert_memory_equal(err.text, "here: xxx", 9);
    error_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
    errno = EIO;
    error_system(&err, "%s", text);
    assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_times),        cmocka_unit_test(formats_as_the_library_does),
        cmocka_unit_test(counts_days),         cmocka_unit_test(clocks_go_on),
        cmocka_unit_test(follows_its_paper),   cmocka_unit_test(same_seed_same_numbers),
        cmocka_unit_test(below_is_uniform),    cmocka_unit_test(moments_are_right),
        cmocka_unit_test(says_what_and_where), cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
