#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/interpolate.h"

static void on_the_line_through_both(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double first, second, part, expected;
    } cases[] = {
        { "the first", 3, 11, 0, 3 },          { "the second", 3, 11, 1, 11 },
        { "between", 3, 11, 0.25, 5 },         { "downwards", 11, 3, 0.25, 9 },
        { "beyond the second", 3, 11, 2, 19 }, { "before the first", 3, 11, -1, -5 },
        { "both the same", 7, 7, 0.3, 7 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got = interpolate(cases[i].first, cases[i].second, cases[i].part);
        if (got != cases[i].expected) {
            fail_msg("%s: %g", cases[i].name, got);
        }
    }
}

static void unknown_is_unknown(void **state) {
    (void)state;
    assert_true(isnan(interpolate(NAN, 1, 0.5)));
    assert_true(isnan(interpolate(1, NAN, 0)));
    assert_true(isnan(interpolate(1, 2, NAN)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_the_line_through_both),
        cmocka_unit_test(unknown_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
