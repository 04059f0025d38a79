#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decide/forecast/combination.h"

static struct members members;
static struct combination c;
static double forecasts[MEMBERS_MAX];

static int setup(void **state) {
    (void)state;
    members_init(&members, (const uint32_t[]){ 24, 168 }, 2);
    combination_init(&c, 100, 5);
    for (size_t i = 0; i < members.count; i++) {
        forecasts[i] = NAN;
    }
    return 0;
}

static void nothing_said_nothing_known(void **state) {
    (void)state;
    assert_true(isnan(combination_forecast(&c, &members, forecasts)));
    forecasts[members.count - 1] = 7;
    assert_true(combination_forecast(&c, &members, forecasts) == 7);
    forecasts[members.count - 1] = -7; /* nobody asks a negative number of times */
    assert_true(combination_forecast(&c, &members, forecasts) == 0);
}

static void the_member_that_was_right_speaks(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        double value = 100 + i % 3;
        forecasts[1] = value + 1;
        forecasts[2] = value + 10;
        forecasts[3] = value - 40;
        combination_observe(&c, &members, forecasts, 1, value);
        combination_reweigh(&c, &members);
    }
    forecasts[1] = 100;
    forecasts[2] = 200;
    forecasts[3] = 0;
    assert_true(fabs(combination_forecast(&c, &members, forecasts) - 100) < 0.1);
}

static void it_forgets(void **state) {
    (void)state;
    for (int i = 0; i < 1000; i++) {
        forecasts[1] = i < 500 ? 100 : 150;
        forecasts[2] = i < 500 ? 150 : 100;
        combination_observe(&c, &members, forecasts, 1, 100);
        combination_reweigh(&c, &members);
    }
    assert_true(fabs(combination_forecast(&c, &members, forecasts) - 100) < 1);
}

/* The others are wrong by turns, in a way that fools the weights: the mix loses. */
static void a_mix_that_lost_against_naive_is_not_used(void **state) {
    (void)state;
    size_t naive = members_naive(&members, 1);
    for (int i = 0; i < 60; i++) {
        for (size_t m = 0; m < members.count; m++) {
            forecasts[m] = 180;
        }
        forecasts[naive] = 101;
        combination_observe(&c, &members, forecasts, 1, 100); /* never weighed anew */
    }
    combination_reweigh(&c, &members);
    assert_int_equal(c.naive, naive);
    for (size_t m = 0; m < members.count; m++) {
        forecasts[m] = 500;
    }
    forecasts[naive] = 90;
    assert_true(combination_forecast(&c, &members, forecasts) == 90);
}

static void the_factor_of_the_calendar_is_judged_with(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        forecasts[1] = 100;
        forecasts[2] = 300;
        combination_observe(&c, &members, forecasts, 3, 300); /* a campaign of three times */
        combination_reweigh(&c, &members);
    }
    assert_true(fabs(combination_forecast(&c, &members, forecasts) - 100) < 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_said_nothing_known, setup),
        cmocka_unit_test_setup(the_member_that_was_right_speaks, setup),
        cmocka_unit_test_setup(it_forgets, setup),
        cmocka_unit_test_setup(a_mix_that_lost_against_naive_is_not_used, setup),
        cmocka_unit_test_setup(the_factor_of_the_calendar_is_judged_with, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
