#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/pattern.h"

static void matches_the_whole_text(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        enum pattern_result result;
    } cases[] = {
        { "/p/[0-9]+", "/p/17", PATTERN_MATCHES },
        { "/p/[0-9]+", "/p/17/x", PATTERN_DIFFERS },
        { "/p/[0-9]+", "x/p/17", PATTERN_DIFFERS },
        { "^/p/[0-9]+$", "/p/17", PATTERN_MATCHES },
        { "/p$", "/p\n", PATTERN_DIFFERS },
        { "(?i)/Cart", "/cART", PATTERN_MATCHES },
        { "a|ab", "ab", PATTERN_MATCHES },
        { "", "", PATTERN_GAVE_UP }, /* stands for: does not compile */
        { "(", "", PATTERN_GAVE_UP },
        { "(*UTF)x", "", PATTERN_GAVE_UP },
        { "a\\Cb", "", PATTERN_GAVE_UP },
        { "x*", "", PATTERN_MATCHES },
        { "[^/]+", "\xff\xfe", PATTERN_MATCHES }, /* bytes, whatever they mean */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = { 0 };
        struct pattern *p = pattern_new(slice_from(cases[i].pattern), &err);
        enum pattern_result result =
            p == NULL ? PATTERN_GAVE_UP : pattern_match(p, slice_from(cases[i].text), NULL);
        if (result != cases[i].result || (p == NULL && err.text[0] == '\0')) {
            fail_msg("%s on %s: %d", cases[i].pattern, cases[i].text, result);
        }
        pattern_free(p);
    }
}

static void captures(void **state) {
    (void)state;
    struct slice c[PATTERN_CAPTURES_MAX + 1];
    struct pattern *p = pattern_new(SLICE("/([a-z]+)/(x)?([0-9]*)"), NULL);
    assert_int_equal(pattern_groups(p), 3);
    assert_int_equal(pattern_first_byte(p), '/');
    assert_int_equal(pattern_match(p, SLICE("/cart/7"), c), PATTERN_MATCHES);
    assert_true(slice_equal(c[0], SLICE("/cart/7")) && slice_equal(c[1], SLICE("cart")));
    assert_int_equal(c[2].len, 0);
    assert_true(slice_equal(c[3], SLICE("7")));
    assert_int_equal(c[9].len, 0);
    pattern_free(p);
    p = pattern_new(SLICE("(a)(a)(a)(a)(a)(a)(a)(a)(a)(b)?(c)"), NULL); /* more than are kept */
    assert_int_equal(pattern_match(p, SLICE("aaaaaaaaac"), c), PATTERN_MATCHES);
    assert_true(slice_equal(c[9], SLICE("a")));
    pattern_free(p);
}

static void has_limits(void **state) {
    (void)state;
    static char text[PATTERN_SUBJECT_BYTES_MAX + 2], nested[2 * PATTERN_NESTING_MAX + 8];
    memset(text, 'a', sizeof text - 1);
    struct pattern *p = pattern_new(SLICE("a*"), NULL);
    assert_int_equal(pattern_match(p, slice_of(text, PATTERN_SUBJECT_BYTES_MAX), NULL),
                     PATTERN_MATCHES);
    assert_int_equal(pattern_match(p, slice_of(text, PATTERN_SUBJECT_BYTES_MAX + 1), NULL),
                     PATTERN_DIFFERS);
    pattern_free(p);
    p = pattern_new(SLICE("(a|aa)+"), NULL);
    text[25] = '!'; /* a quarter of a million steps: it would be known in a moment, but not here */
    assert_int_equal(pattern_match(p, slice_of(text, 26), NULL), PATTERN_GAVE_UP);
    text[10] = '!';
    assert_int_equal(pattern_match(p, slice_of(text, 11), NULL), PATTERN_DIFFERS);
    pattern_free(p);
    assert_null(pattern_new(slice_of(text, PATTERN_TEXT_BYTES_MAX + 1), NULL));
    for (size_t i = 0; i <= PATTERN_NESTING_MAX; i++) {
        nested[i] = '(';
        nested[2 * PATTERN_NESTING_MAX + 1 - i] = ')';
    }
    struct error err;
    assert_null(pattern_new(slice_of(nested, 2 * PATTERN_NESTING_MAX + 2), &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_whole_text),
        cmocka_unit_test(captures),
        cmocka_unit_test(has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
