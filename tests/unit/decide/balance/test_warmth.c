/* How a new endpoint gets its share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "decide/balance/warmth.h"

static void one_as_fast_as_its_peers_is_warm_soon(void **state) {
    struct warmth w = { .steps = WARMTH_STEPS };
    uint32_t answers = 0, requests = 0;
    (void)state;
    while (w.steps > 0) {
        requests += warmth_interval(w.steps, 1, 4);
        warmth_observe(&w, true);
        answers++;
    }
    assert_int_equal(answers, WARMTH_STEPS);
    assert_true(requests < 2 * WARMTH_REQUESTS + 10); /* of its service: half a second or so */
}

static void a_slow_one_stays_where_it_is(void **state) {
    struct warmth w = { .steps = WARMTH_STEPS };
    (void)state;
    for (int i = 0; i < 200; i++) {
        assert_false(warmth_observe(&w, false));
        assert_int_equal(w.steps, WARMTH_STEPS);
    }
    for (int i = 0; i < WARMTH_STEPS - 1; i++) {
        assert_false(warmth_observe(&w, true));
    }
    assert_true(warmth_observe(&w, true));
    assert_int_equal(w.answers, 200 + WARMTH_STEPS);
}

static void one_that_gets_no_nearer_is_as_warm_as_it_will_be(void **state) {
    struct warmth w = { .steps = WARMTH_STEPS };
    int answers = 1;
    (void)state;
    while (!warmth_observe(&w, false)) {
        answers++;
    }
    assert_int_equal(answers, WARMTH_PATIENCE);
    assert_false(warmth_observe(&w, false)); /* told once */
}

static void near_is_what_its_peers_take_too(void **state) {
    (void)state;
    assert_true(warmth_is_near(1000000, 0, 0)); /* nothing to compare with */
    assert_true(warmth_is_near(8500, 5000, 0));
    assert_false(warmth_is_near(8501, 5000, 0));
    assert_false(warmth_is_near(8501, 5000, 6000)); /* its service is steady */
    assert_true(warmth_is_near(14000, 5000, 14000));
    assert_false(warmth_is_near(14001, 5000, 14000));
    assert_false(warmth_is_near(20001, 5000, 900000)); /* slow pages are no excuse for all */
    assert_false(warmth_is_near(UINT64_MAX, 5000, 900000));
}

static void its_share_doubles(void **state) {
    (void)state;
    assert_int_equal(warmth_interval(WARMTH_STEPS, 1, 4), WARMTH_REQUESTS);
    assert_int_equal(warmth_interval(WARMTH_STEPS - 1, 1, 4), WARMTH_REQUESTS / 2);
    assert_int_equal(warmth_interval(WARMTH_STEPS, 5, 8), 5 * WARMTH_REQUESTS); /* together */
    assert_int_equal(warmth_interval(1, 1, 4), 1);
    assert_int_equal(warmth_interval(0, 1, 4), 1);
    assert_int_equal(warmth_interval(WARMTH_STEPS, 1, 300), 1); /* it has no more than that */
    for (uint32_t steps = 1; steps <= WARMTH_STEPS; steps++) {
        assert_true(warmth_interval(steps, 1, 4) >= warmth_interval(steps - 1, 1, 4));
        assert_true(warmth_in_flight(steps) <= warmth_in_flight(steps - 1));
        assert_true(warmth_load(3, steps, 4) >= warmth_load(3, steps - 1, 4));
    }
    assert_int_equal(warmth_in_flight(WARMTH_STEPS), 1);
    assert_int_equal(warmth_load(3, 0, 4), 3);
    assert_int_equal(warmth_load(0, WARMTH_STEPS, 4), WARMTH_REQUESTS / 4 - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_as_fast_as_its_peers_is_warm_soon),
        cmocka_unit_test(a_slow_one_stays_where_it_is),
        cmocka_unit_test(one_that_gets_no_nearer_is_as_warm_as_it_will_be),
        cmocka_unit_test(near_is_what_its_peers_take_too),
        cmocka_unit_test(its_share_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
