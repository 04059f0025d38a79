#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/spread.h"

static double error_of(struct rand *r) { /* even in -1 to 1 */
    return (double)rand_below(r, 20001) / 10000 - 1;
}

static struct spread_sample sample_of(double error) {
    return (struct spread_sample){
        .forecast = 100, .value = 100 + 10 * error, .scale = 10, .scale_usual = 10
    };
}

static void observe(struct spread *s, struct rand *r, int count, double size) {
    for (int i = 0; i < count; i++) {
        struct spread_sample x = sample_of(error_of(r) * size);
        spread_observe(s, &x);
    }
}

static void quantiles_are_those_of_the_errors(void **state) {
    (void)state;
    struct spread s;
    struct rand r;
    rand_init(&r, 1);
    spread_init(&s, 500, 1, true);
    observe(&s, &r, 2000, 1);
    static const double levels[] = { 0.05, 0.1, 0.3, 0.5, 0.8, 0.9, 0.95 };
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        assert_true(fabs(spread_quantile(&s, levels[i]) - (2 * levels[i] - 1)) < 0.12);
    }
}

static void the_sorted_copy_follows_the_ring(void **state) {
    (void)state;
    struct spread s;
    struct rand r;
    rand_init(&r, 2);
    spread_init(&s, 500, 1, true);
    for (int i = 0; i < 3000; i++) {
        observe(&s, &r, 1, i % 7 == 0 ? 0 : 1); /* many equal ones among them */
        double sum = 0, sum_sorted = 0;
        for (size_t j = 0; j < s.len; j++) {
            sum += (double)s.errors[j];
            sum_sorted += (double)s.sorted[j];
            assert_true(j == 0 || s.sorted[j] >= s.sorted[j - 1]);
        }
        assert_true(fabs(sum - sum_sorted) < 1e-3);
    }
}

/* Errors three times as large from one day to the next: the ring is still full of small ones. */
static void a_level_that_covers_too_little_is_raised(void **state) {
    (void)state;
    struct spread s;
    struct rand r;
    rand_init(&r, 3);
    spread_init(&s, 50000, 1, true); /* the ring follows slowly */
    observe(&s, &r, 40000, 1);
    double before = spread_quantile(&s, 0.9);
    observe(&s, &r, 200, 3);
    assert_true(spread_quantile(&s, 0.9) > before + 0.05);
    assert_true(spread_quantile(&s, 0.95) >= spread_quantile(&s, 0.9));
    assert_true(spread_quantile(&s, 0.1) < -before - 0.05);
}

static void quantiles_ascend_whatever_comes(void **state) {
    (void)state;
    struct rand r;
    rand_init(&r, 4);
    for (int turn = 0; turn < 50; turn++) {
        struct spread s;
        spread_init(&s, 100, 1 + rand_below(&r, 30), true);
        for (int i = 0; i < 400; i++) {
            struct spread_sample x = sample_of(error_of(&r) * exp(8 * error_of(&r)) + (i > 200));
            x.whole = turn % 2 == 0;
            spread_observe(&s, &x);
            for (int percent = 2; percent < 100; percent++) {
                double q = percent / 100.0;
                assert_true(spread_quantile(&s, q) >= spread_quantile(&s, q - 0.01));
                assert_true(isfinite(spread_quantile(&s, q)));
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_those_of_the_errors),
        cmocka_unit_test(the_sorted_copy_follows_the_ring),
        cmocka_unit_test(a_level_that_covers_too_little_is_raised),
        cmocka_unit_test(quantiles_ascend_whatever_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
