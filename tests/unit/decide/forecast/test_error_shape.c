#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/error_shape.h"

#define ERRORS 4000

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Against a sorted copy of all errors: within a bin, which is a fifth of the error or 0.02. */
static void quantiles_are_those_of_a_sorted_copy(void **state) {
    (void)state;
    static double errors[ERRORS];
    struct error_shape s;
    struct error_mix mix;
    struct rand r;
    rand_init(&r, 1);
    error_shape_init(&s, 1e7);
    for (size_t i = 0; i < ERRORS; i++) {
        errors[i] = rand_normal(&r) * exp(rand_normal(&r));
        error_shape_add(&s, 2, errors[i]);
    }
    qsort(errors, ERRORS, sizeof *errors, by_size);
    assert_true(error_shape_mix(&s, 2, &mix));
    for (int percent = 2; percent < 99; percent++) {
        double q = (double)percent / 100;
        double exact = errors[(size_t)(q * ERRORS)];
        assert_true(fabs(error_mix_quantile(&mix, q) - exact) < 0.03 + 0.22 * fabs(exact));
    }
}

static void old_errors_fade(void **state) {
    (void)state;
    struct error_shape s;
    struct error_mix mix;
    error_shape_init(&s, 100);
    for (int i = 0; i < 3000; i++) {
        error_shape_add(&s, 0, 5);
    }
    for (int i = 0; i < 20000; i++) { /* so many that weights would grow beyond a float */
        error_shape_add(&s, 0, -1);
    }
    assert_true(error_shape_mix(&s, 0, &mix));
    assert_true(error_mix_quantile(&mix, 0.99) < -0.5);
    assert_true(mix.total > 100 && mix.total < 250); /* its own 100 and what it borrows */
}

static void extremes_stay_in_the_outermost_bins(void **state) {
    (void)state;
    struct error_shape s;
    struct error_mix mix;
    error_shape_init(&s, 100);
    assert_false(error_shape_mix(&s, 0, &mix));
    error_shape_add(&s, 0, -1e12);
    error_shape_add(&s, 0, 1e12);
    assert_true(error_shape_mix(&s, 0, &mix));
    assert_true(error_mix_quantile(&mix, 0.001) > -51);
    assert_true(error_mix_quantile(&mix, 0.999) < 51);
}

static void a_group_without_errors_borrows(void **state) {
    (void)state;
    struct error_shape s;
    struct error_mix mix;
    error_shape_init(&s, 1000);
    for (int i = 0; i < 1000; i++) {
        error_shape_add(&s, 0, 1);
    }
    assert_true(error_shape_mix(&s, 2, &mix));
    assert_true(fabs(error_mix_quantile(&mix, 0.5) - 1) < 0.2);
    assert_true(mix.total < 300); /* but not as if it had seen them all */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_those_of_a_sorted_copy),
        cmocka_unit_test(old_errors_fade),
        cmocka_unit_test(extremes_stay_in_the_outermost_bins),
        cmocka_unit_test(a_group_without_errors_borrows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
