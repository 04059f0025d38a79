/* The middle of a few numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/median.h"

static const struct {
    const char *name;
    double values[6];
    size_t len;
    double middle;
} cases[] = {
    { "one", { 7 }, 1, 7 },
    { "two", { 9, 4 }, 2, 6.5 },
    { "an odd number", { 5, -1, 3, 1e300, 4 }, 5, 4 },
    { "an even number", { 8, 1, 2, 7, 0.5, 6 }, 6, 4 },
    { "all the same", { 2, 2, 2, 2 }, 4, 2 },
};

static void it_is_in_the_middle(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double values[6];
        for (size_t k = 0; k < cases[i].len; k++) {
            values[k] = cases[i].values[k];
        }
        double middle = median(values, cases[i].len);
        if (middle != cases[i].middle) {
            fail_msg("%s: %g", cases[i].name, middle);
        }
        for (size_t k = 1; k < cases[i].len; k++) {
            assert_true(values[k - 1] <= values[k]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(it_is_in_the_middle) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
