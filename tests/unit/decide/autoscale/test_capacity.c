#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/autoscale/capacity.h"

#define OBJECTIVE_MS 250.0

/* An instance that carries `full_rps` at most: latency grows as in a queue, and past that without
 * bound. The objective is reached at 92 % of it. */
static struct capacity_sample sample_of(double load_rps, double full_rps) {
    double room = 1 - load_rps / full_rps;
    return (struct capacity_sample){
        .load_rps = load_rps,
        .latency_ms_p99 = room > 0.004 ? fmin(20 / room, 5000) : 5000,
        .utilisation_ratio = NAN,
        .seconds = 1,
    };
}

static void guesses(void **state) {
    (void)state;
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 98);
    assert_true(capacity_rps(&c) == 98);
    capacity_init(&c, OBJECTIVE_MS, NAN);
    assert_true(capacity_rps(&c) > 0);
    assert_true(capacity_guess_rps(8, 80) == 100); /* Little: 8 at once, 80 ms each */
    assert_true(capacity_guess_rps(0, 80) == 0 && capacity_guess_rps(8, NAN) == 0);
}

/* Load as a scaler would send it: near the estimate, never far beyond. */
static void learn(struct capacity *c, double full_rps, uint64_t seed, int seconds) {
    struct rand r;
    rand_init(&r, seed);
    for (int i = 0; i < seconds; i++) {
        double load_rps = capacity_rps(c) * (0.5 + 0.5 * rand_unit(&r));
        struct capacity_sample sample = sample_of(load_rps, full_rps);
        capacity_observe(c, &sample);
    }
}

static void it_is_found_from_below_and_from_above(void **state) {
    (void)state;
    static const double starts[] = { 0, 5, 20, 80, 100, 150, 600 };
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct capacity c;
            capacity_init(&c, OBJECTIVE_MS, starts[i]);
            learn(&c, 100, seed, 900);
            double rps = capacity_rps(&c);
            struct capacity_range range = capacity_range(&c);
            if (rps < 75 || rps > 105) {
                fail_msg("started at %g, learned %g", starts[i], rps);
            }
            assert_true(range.low_rps <= rps && rps <= range.high_rps);
        }
    }
}

static void a_faster_and_a_slower_version_are_learned_anew(void **state) {
    (void)state;
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 0);
    learn(&c, 100, 1, 21600);
    learn(&c, 40, 2, 1800);
    assert_true(capacity_rps(&c) < 45);
    learn(&c, 200, 3, 7200);
    assert_true(capacity_rps(&c) > 150 && capacity_rps(&c) < 210);
}

static void a_sick_instance_at_low_load_does_not_move_it(void **state) {
    (void)state;
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 0);
    learn(&c, 100, 1, 1800);
    double before = capacity_rps(&c);
    for (int i = 0; i < 60; i++) {
        struct capacity_sample sick = { 8, 4000, NAN, 1 };
        capacity_observe(&c, &sick);
        learn(&c, 100, (uint64_t)i, 3);
    }
    assert_true(capacity_rps(&c) > 0.85 * before);
}

static void a_quiet_night_does_not_wash_it_out(void **state) {
    (void)state;
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 20);
    learn(&c, 100, 1, 1800);
    double before = capacity_rps(&c);
    for (int i = 0; i < 28800; i++) {
        struct capacity_sample sample = sample_of(5, 100);
        capacity_observe(&c, &sample);
    }
    assert_true(fabs(capacity_rps(&c) - before) < 0.01 * before);
}

static void nonsense_is_no_evidence(void **state) {
    (void)state;
    static const struct capacity_sample samples[] = {
        { 0, 10, NAN, 1 },  { NAN, 10, NAN, 1 },      { 10, NAN, NAN, 1 },  { -3, 10, NAN, 1 },
        { 10, 10, NAN, 0 }, { INFINITY, 10, NAN, 1 }, { 10, 10, NAN, NAN }, { 10, -1, NAN, 1 },
    };
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 50);
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        capacity_observe(&c, &samples[i]);
        assert_int_equal(c.observed, 0);
    }
    assert_true(capacity_rps(&c) == 50);
}

static void fullness_bounds_how_far_it_reaches_beyond_what_was_seen(void **state) {
    (void)state;
    struct capacity with, without;
    capacity_init(&with, OBJECTIVE_MS, 10);
    capacity_init(&without, OBJECTIVE_MS, 10);
    for (int i = 0; i < 100; i++) {
        struct capacity_sample sample = { 90, 20, 0.9, 1 };
        capacity_observe(&with, &sample);
        sample.utilisation_ratio = NAN;
        capacity_observe(&without, &sample);
    }
    assert_true(capacity_rps(&with) < 1.1 * 90);
    assert_true(capacity_rps(&without) > 1.2 * 90);
}

static void it_is_never_unknown(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct rand r;
        struct capacity c;
        rand_init(&r, seed);
        capacity_init(&c, OBJECTIVE_MS, rand_unit(&r) * 100 - 20);
        for (int i = 0; i < 500; i++) {
            struct capacity_sample sample = {
                .load_rps = exp(20 * rand_unit(&r) - 8),
                .latency_ms_p99 = exp(10 * rand_unit(&r)),
                .utilisation_ratio = 1.5 * rand_unit(&r) - 0.2,
                .seconds = 10 * rand_unit(&r),
            };
            capacity_observe(&c, &sample);
            assert_true(capacity_rps(&c) > 0 && isfinite(capacity_rps(&c)));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guesses),
        cmocka_unit_test(it_is_found_from_below_and_from_above),
        cmocka_unit_test(a_faster_and_a_slower_version_are_learned_anew),
        cmocka_unit_test(a_sick_instance_at_low_load_does_not_move_it),
        cmocka_unit_test(a_quiet_night_does_not_wash_it_out),
        cmocka_unit_test(nonsense_is_no_evidence),
        cmocka_unit_test(fullness_bounds_how_far_it_reaches_beyond_what_was_seen),
        cmocka_unit_test(it_is_never_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
