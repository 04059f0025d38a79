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

#define GROUP 1

static struct spread_sample sample_of(double error) {
    return (struct spread_sample){
        .forecast = 100, .value = 100 + 10 * error, .scale = 10, .scale_usual = 10, .group = GROUP
    };
}

static void observe_one(struct spread *s, size_t group, double error) {
    struct spread_sample x = sample_of(error);
    x.group = group;
    spread_observe(s, &x);
}

static void observe(struct spread *s, struct rand *r, int count, double size) {
    for (int i = 0; i < count; i++) {
        observe_one(s, GROUP, error_of(r) * size);
    }
}

static double of_group(const struct spread *s, size_t group, double q) {
    double out;
    spread_quantiles(s, group, &q, 1, &out);
    return out;
}

static double quantile(const struct spread *s, double q) {
    return of_group(s, GROUP, q);
}

static void quantiles_are_those_of_the_errors(void **state) {
    (void)state;
    struct spread s;
    struct rand r;
    rand_init(&r, 1);
    spread_init(&s, 500, 1, true);
    observe(&s, &r, 2000, 1);
    static const double levels[] = { 0.05, 0.1, 0.3, 0.5, 0.8, 0.9, 0.95 };
    double all[7];
    spread_quantiles(&s, GROUP, levels, 7, all);
    for (size_t i = 0; i < 7; i++) {
        assert_true(fabs(all[i] - (2 * levels[i] - 1)) < 0.15);
        assert_true(all[i] == quantile(&s, levels[i]));
    }
}

/* Errors three times as large from one day to the next: what is remembered are still small ones. */
static void a_level_that_covers_too_little_is_raised(void **state) {
    (void)state;
    struct spread s;
    struct rand r;
    rand_init(&r, 3);
    spread_init(&s, 50000, 1, false); /* the memory follows slowly */
    observe(&s, &r, 40000, 1);
    double before = quantile(&s, 0.9);
    observe(&s, &r, 1500, 3);
    assert_true(quantile(&s, 0.9) > before + 0.12);
    assert_true(quantile(&s, 0.95) >= quantile(&s, 0.9));
    assert_true(quantile(&s, 0.1) < -before - 0.12);
}

static void a_row_of_misses_opens_the_band_of_a_short_lead(void **state) {
    (void)state;
    struct spread near, far;
    struct rand r, same;
    rand_init(&r, 5);
    rand_init(&same, 5);
    spread_init(&near, 2000, 1, true);
    spread_init(&far, 2000, 1, false);
    observe(&near, &r, 2000, 1);
    observe(&far, &same, 2000, 1);
    double before = quantile(&near, 0.95);
    for (int i = 0; i < 5; i++) {
        observe_one(&near, GROUP, 4);
        observe_one(&far, GROUP, 4);
    }
    assert_true(quantile(&near, 0.95) > 3.5);
    assert_true(quantile(&near, 0.1) > -1.2); /* the other side has missed nothing */
    assert_true(quantile(&far, 0.95) < before + 0.3);
    observe(&near, &r, 60, 1);
    assert_true(quantile(&near, 0.95) < before + 0.3); /* and closes while it covers */
}

/* Two sizes of errors, one seen by each group: neither speaks for the other. */
static void groups_have_errors_of_their_own(void **state) {
    (void)state;
    struct spread s;
    struct rand r;
    rand_init(&r, 6);
    spread_init(&s, 2000, 1, false);
    for (int i = 0; i < 4000; i++) {
        bool even = i % 2 == 0;
        observe_one(&s, even ? 2 : 0, error_of(&r) * (even ? 0.1 : 1));
    }
    assert_true(of_group(&s, 2, 0.9) < 0.3);
    assert_true(of_group(&s, 0, 0.9) > 0.6);
    double all = of_group(&s, 1, 0.9); /* has seen none: borrows */
    assert_true(all > of_group(&s, 2, 0.9) && all < of_group(&s, 0, 0.9));
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
            double levels[99], said[99];
            for (size_t q = 0; q < 99; q++) {
                levels[q] = (double)(q + 1) / 100;
            }
            spread_quantiles(&s, GROUP, levels, 99, said);
            for (size_t q = 0; q < 99; q++) {
                assert_true(isfinite(said[q]) && (q == 0 || said[q] >= said[q - 1]));
            }
        }
    }
}

static void amounts_fall_into_groups(void **state) {
    (void)state;
    struct spread_scale s;
    spread_scale_init(&s, 24);
    assert_int_equal(spread_group(&s, 5), 1); /* nothing is known: what comes is usual */
    for (int i = 0; i < 2000; i++) {
        spread_scale_observe(&s, i, 100, 110);
    }
    assert_int_equal(spread_group(&s, 0), 0);
    assert_int_equal(spread_group(&s, 50), 1);
    assert_int_equal(spread_group(&s, 150), 2);
}

/* Errors of one size all day, 10 seasons remembered: each time of the day by itself would be known
 * to a quarter. */
static void the_scale_is_not_the_luck_of_a_few_errors(void **state) {
    (void)state;
    struct spread_scale s;
    struct rand r;
    rand_init(&r, 7);
    spread_scale_init(&s, 288);
    for (int i = 0; i < 20 * 288; i++) {
        spread_scale_observe(&s, i, 100, 100 + 10 * rand_normal(&r));
    }
    for (int i = 0; i < 288; i++) {
        assert_true(fabs(spread_scale_at(&s, i, 100) - 8) < 2); /* 10 x the root of 2/pi */
    }
}

/* Large errors at noon, small ones at midnight: both are known, and what lies between is between,
 * also from the last step of a season to the first. */
static void the_scale_follows_the_season(void **state) {
    (void)state;
    struct spread_scale s;
    spread_scale_init(&s, 288);
    for (int i = 0; i < 40 * 288; i++) {
        double size = 10 - 9 * cos(2 * M_PI * i / 288);
        spread_scale_observe(&s, i, 100, 100 + (i % 2 == 0 ? size : -size));
    }
    assert_true(spread_scale_at(&s, 144, 100) > 3 * spread_scale_at(&s, 0, 100));
    for (int i = 0; i < 288; i++) {
        double step = spread_scale_at(&s, i + 1, 100) - spread_scale_at(&s, i, 100);
        assert_true(fabs(step) < 0.3);
        assert_true((i < 20 || i > 124 || step > 0) && (i < 164 || i > 268 || step < 0));
    }
    assert_true(fabs(spread_scale_at(&s, 50, 200) - 2 * spread_scale_at(&s, 50, 100)) < 1e-9);
}

/* One time of the day at which nothing can be foreseen: its neighbours don't hide it. */
static void a_burst_at_the_same_time_is_known(void **state) {
    (void)state;
    struct spread_scale s;
    spread_scale_init(&s, 288);
    for (int i = 0; i < 40 * 288; i++) {
        spread_scale_observe(&s, i, 100, i % 288 == 100 ? 180 : 110);
    }
    assert_true(spread_scale_at(&s, 100, 100) > 2.5 * spread_scale_at(&s, 103, 100));
    assert_true(spread_scale_alone(&s, 100, 100) > 70);
    assert_true(spread_scale_alone(&s, 101, 100) < 12);
}

static void a_season_of_few_steps_has_a_scale_for_each(void **state) {
    (void)state;
    struct spread_scale s;
    spread_scale_init(&s, 7);
    for (int i = 0; i < 70 * 7; i++) {
        spread_scale_observe(&s, i, 100, 100 + (i % 7 == 3 ? 50 : 5));
    }
    assert_true(spread_scale_at(&s, 3, 100) > 3 * spread_scale_at(&s, 2, 100));
    assert_true(fabs(spread_scale_at(&s, 2, 100) - spread_scale_at(&s, 4, 100)) < 1);
    spread_scale_init(&s, 0);
    spread_scale_observe(&s, 5, 100, 110);
    assert_true(fabs(spread_scale_at(&s, 9, 100) - 10) < 0.01);
}

static void the_level_in_the_middle_is_nearest_to_a_half(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double levels[3];
        size_t len, middle;
    } cases[] = {
        { "a single one", { 0.9 }, 1, 0 },
        { "the median itself", { 0.1, 0.5, 0.9 }, 3, 1 },
        { "only high ones", { 0.7, 0.9, 0.95 }, 3, 0 },
        { "only low ones", { 0.1, 0.2, 0.3 }, 3, 2 },
        { "the first of equal ones", { 0.125, 0.375, 0.625 }, 3, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (spread_middle(cases[i].levels, cases[i].len) != cases[i].middle) {
            fail_msg("%s", cases[i].name);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_those_of_the_errors),
        cmocka_unit_test(a_level_that_covers_too_little_is_raised),
        cmocka_unit_test(a_row_of_misses_opens_the_band_of_a_short_lead),
        cmocka_unit_test(groups_have_errors_of_their_own),
        cmocka_unit_test(quantiles_ascend_whatever_comes),
        cmocka_unit_test(amounts_fall_into_groups),
        cmocka_unit_test(the_scale_is_not_the_luck_of_a_few_errors),
        cmocka_unit_test(the_scale_follows_the_season),
        cmocka_unit_test(a_burst_at_the_same_time_is_known),
        cmocka_unit_test(a_season_of_few_steps_has_a_scale_for_each),
        cmocka_unit_test(the_level_in_the_middle_is_nearest_to_a_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
