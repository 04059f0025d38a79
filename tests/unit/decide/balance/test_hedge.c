/* The delay of a hedge: where it settles, how fast it follows, what a uniform service costs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rand.h"
#include "decide/balance/hedge.h"

static const struct hedge_policy policy = { .ratio = 0.95F, .least_us = 100 };

static uint64_t exponential(struct rand *r, double mean_us) {
    return (uint64_t)(-log(1 - rand_unit(r)) * mean_us);
}

static void feed(struct hedge_estimate *e, struct rand *r, double mean_us, unsigned samples) {
    for (unsigned i = 0; i < samples; i++) {
        hedge_observe(e, &policy, exponential(r, mean_us));
    }
}

static void it_settles_at_the_percentile(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct hedge_estimate e = { 0 };
        struct rand r;
        rand_init(&r, seed);
        feed(&e, &r, 10000, 3000);
        double slow_us = 0, median_us = 0;
        for (int i = 0; i < 2000; i++) {
            feed(&e, &r, 10000, 1);
            slow_us += e.slow_us / 2000;
            median_us += e.median_us / 2000;
        }
        assert_in_range((uint64_t)slow_us, 27000, 33000); /* 29,957 */
        assert_in_range((uint64_t)median_us, 6400, 7500); /* 6,931 */
    }
}

static void it_follows_a_change(void **state) {
    struct hedge_estimate e = { 0 };
    struct rand r;
    (void)state;
    rand_init(&r, 3);
    feed(&e, &r, 1000, 2000);
    feed(&e, &r, 10000, 400);
    assert_in_range(hedge_delay_us(&e, &policy), 15000, 60000);
    feed(&e, &r, 1000, 3000);
    assert_in_range(hedge_delay_us(&e, &policy), 1500, 6000);
}

static void nothing_is_known_at_first(void **state) {
    struct hedge_estimate e = { 0 };
    (void)state;
    for (unsigned i = 0; i < HEDGE_SAMPLES_LEAST; i++) {
        assert_false(hedge_is_known(&e));
        hedge_observe(&e, &policy, 5000);
    }
    assert_true(hedge_is_known(&e));
    assert_in_range((uint64_t)e.median_us, 4500, 5500);
}

/* Where all take about as long, a second attempt comes later than the first answer. */
static void a_uniform_service_is_not_asked_twice(void **state) {
    struct hedge_estimate e = { 0 };
    struct rand r;
    unsigned hedged = 0;
    (void)state;
    rand_init(&r, 5);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t took_us = 5000 + rand_below(&r, 1000);
        hedged += hedge_is_known(&e) && took_us > hedge_delay_us(&e, &policy);
        hedge_observe(&e, &policy, took_us);
    }
    assert_int_equal(hedged, 0);
}

static void a_heavy_tail_costs_what_lies_above_the_percentile(void **state) {
    struct hedge_estimate e = { 0 };
    struct rand r;
    unsigned hedged = 0;
    (void)state;
    rand_init(&r, 6);
    feed(&e, &r, 5000, 1000);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t took_us = exponential(&r, 5000);
        hedged += took_us > hedge_delay_us(&e, &policy);
        hedge_observe(&e, &policy, took_us);
    }
    assert_in_range(hedged, 700, 1300); /* 5 % are 1000 */
}

/* A sample that was cut off where the hedge answered is above all the same. */
static void called_off_attempts_do_not_move_it(void **state) {
    struct hedge_estimate whole = { 0 }, cut = { 0 };
    struct rand r;
    (void)state;
    rand_init(&r, 8);
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t took_us = exponential(&r, 5000);
        uint64_t delay_us = hedge_is_known(&cut) ? hedge_delay_us(&cut, &policy) : UINT64_MAX;
        hedge_observe(&whole, &policy, took_us);
        hedge_observe(&cut, &policy, took_us > delay_us ? delay_us + 1 : took_us);
    }
    assert_true(whole.slow_us == cut.slow_us);
}

static void never_below_the_least(void **state) {
    struct hedge_estimate e = { 0 };
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        hedge_observe(&e, &policy, 0);
    }
    assert_int_equal(hedge_delay_us(&e, &policy), policy.least_us);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_settles_at_the_percentile),
        cmocka_unit_test(it_follows_a_change),
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(a_uniform_service_is_not_asked_twice),
        cmocka_unit_test(a_heavy_tail_costs_what_lies_above_the_percentile),
        cmocka_unit_test(called_off_attempts_do_not_move_it),
        cmocka_unit_test(never_below_the_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
