#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/autoscale/versions.h"

#define OBJECTIVE_MS 250.0

/* An instance that carries `full_rps` at most: latency grows as in a queue, and past that without
 * bound. The objective is reached at 92 % of it. */
static struct capacity_sample sample_of(double load_rps, double full_rps) {
    double room = fmax(1 - load_rps / full_rps, 0.004);
    return (struct capacity_sample){
        .load_rps = load_rps,
        .latency_ms = 7 / room,
        .latency_ms_p99 = 20 / room,
        .in_flight = NAN,
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
}

/* Load as a scaler would send it: near the estimate, never far beyond. */
static void learn(struct capacity *c, double full_rps, uint64_t seed, int seconds) {
    struct rand r;
    rand_init(&r, seed);
    for (int i = 0; i < seconds; i++) {
        double sent_rps = capacity_rps(c) * (0.5 + 0.5 * rand_unit(&r));
        double load_rps = fmin(sent_rps, full_rps * 0.99); /* more is not answered */
        struct capacity_sample sample = sample_of(load_rps, full_rps);
        capacity_observe(c, &sample);
        if (i % 5 == 4 || i == seconds - 1) {
            capacity_conclude(c);
        }
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
            if (rps < 75 || rps > 98 || range.likely_rps < 80 || range.likely_rps > 105) {
                fail_msg("started at %g, learned %g, likely %g", starts[i], rps, range.likely_rps);
            }
            assert_true(range.low_rps == rps && range.likely_rps <= range.high_rps);
            assert_int_equal(c.source, CAPACITY_LEARNED);
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
        struct capacity_sample sick = { 8, 3000, 4000, NAN, NAN, 1 };
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
    capacity_conclude(&c);
    assert_true(fabs(capacity_rps(&c) - before) < 0.01 * before);
}

static void nonsense_is_no_evidence(void **state) {
    (void)state;
    static const struct capacity_sample samples[] = {
        { 0, 5, 10, NAN, NAN, 1 },    { NAN, 5, 10, NAN, NAN, 1 }, { 10, 5, NAN, NAN, NAN, 1 },
        { -3, 5, 10, NAN, NAN, 1 },   { 10, 5, 10, NAN, NAN, 0 },  { INFINITY, 5, 10, NAN, NAN, 1 },
        { 10, 5, 10, NAN, NAN, NAN }, { 10, 5, -1, NAN, NAN, 1 },  { 10, 5, INFINITY, NAN, NAN, 1 },
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
        struct capacity_sample sample = { 90, 7, 20, NAN, 0.9, 1 };
        capacity_observe(&with, &sample);
        sample.utilisation_ratio = NAN;
        capacity_observe(&without, &sample);
    }
    capacity_conclude(&with);
    capacity_conclude(&without);
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
                .latency_ms = exp(10 * rand_unit(&r)),
                .latency_ms_p99 = exp(10 * rand_unit(&r)),
                .in_flight = rand_unit(&r) < 0.5 ? NAN : 100 * rand_unit(&r),
                .utilisation_ratio = 1.5 * rand_unit(&r) - 0.2,
                .seconds = 10 * rand_unit(&r),
            };
            capacity_observe(&c, &sample);
            capacity_conclude(&c);
            struct capacity_range range = capacity_range(&c);
            assert_true(range.low_rps > 0 && range.low_rps <= range.likely_rps);
            assert_true(range.likely_rps <= range.high_rps && isfinite(range.high_rps));
        }
    }
}

static void what_was_never_loaded_keeps_its_guess(void **state) {
    (void)state;
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 90);
    for (int i = 0; i < 20000; i++) {
        struct capacity_sample sample = sample_of(20 + i % 30, 100);
        capacity_observe(&c, &sample);
    }
    capacity_conclude(&c);
    assert_true(capacity_rps(&c) == 90);
    assert_int_equal(c.source, CAPACITY_CONFIGURED);
    capacity_init(&c, OBJECTIVE_MS, 0);
    assert_int_equal(c.source, CAPACITY_DEFAULT);
}

/* A quarter of the guess, and the objective is nearly reached already. */
static void light_load_that_is_slow_says_that_the_guess_is_too_much(void **state) {
    (void)state;
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 90);
    for (int i = 0; i < 120; i++) {
        struct capacity_sample sample = sample_of(10 + i % 15, 28);
        capacity_observe(&c, &sample);
    }
    capacity_conclude(&c);
    assert_int_equal(c.source, CAPACITY_LEARNED);
    assert_true(capacity_rps(&c) < 35 && capacity_rps(&c) > 18);
}

/* The first seconds of a cold instance do not bring the whole fleet up. */
static void a_slow_start_does_not_move_the_guess(void **state) {
    (void)state;
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 90);
    for (int i = 0; i < 20; i++) {
        struct capacity_sample sample = sample_of(10 + i, 100);
        sample.latency_ms += 300;
        sample.latency_ms_p99 += 900;
        capacity_observe(&c, &sample);
        capacity_conclude(&c);
        assert_true(capacity_rps(&c) == 90);
    }
}

static void slow_dependency(struct capacity *c, int seconds, uint64_t seed) {
    struct rand r;
    rand_init(&r, seed);
    for (int i = 0; i < seconds; i++) {
        double load_rps = capacity_rps(c) * (0.5 + 0.5 * rand_unit(&r));
        struct capacity_sample sample = sample_of(load_rps, 100);
        sample.latency_ms += 400;
        sample.latency_ms_p99 += 900;
        capacity_observe(c, &sample);
        capacity_conclude(c);
    }
}

static void a_slow_dependency_is_not_learned_for_ever(void **state) {
    (void)state;
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 0);
    learn(&c, 100, 1, 3600);
    double before = capacity_rps(&c);
    slow_dependency(&c, 600, 2);
    double during = capacity_rps(&c);
    learn(&c, 100, 3, 7200);
    double after = capacity_rps(&c);
    if (during < before / 8 || after < 0.85 * before) {
        fail_msg("before %g, during %g, after %g", before, during, after);
    }
}

static void unsteady_seconds_are_not_fitted(void **state) {
    (void)state;
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 0);
    for (int i = 0; i < 60; i++) {
        struct capacity_sample sample = sample_of(50, 100);
        sample.in_flight = 500; /* Little: less than one */
        capacity_observe(&c, &sample);
    }
    capacity_conclude(&c);
    assert_true(isnan(c.lambda_rps));
    learn(&c, 100, 1, 60);
    assert_true(c.lambda_rps > 20 && c.lambda_rps < 200);
}

static void a_version_starts_from_its_predecessor_with_wide_bounds(void **state) {
    (void)state;
    struct versions v;
    struct capacity c;
    versions_init(&v);
    capacity_init(&c, OBJECTIVE_MS, 0);
    versions_select(&v, &c, "one");
    learn(&c, 100, 1, 1800);
    struct capacity_range one = capacity_range(&c);
    versions_select(&v, &c, "one");
    assert_false(v.has_before);
    versions_select(&v, &c, "two");
    struct capacity_range two = capacity_range(&c);
    assert_true(two.low_rps > 0.5 * one.low_rps && two.low_rps <= one.low_rps * 1.0001);
    assert_int_equal(c.source, CAPACITY_INHERITED);
    learn(versions_find(&v, &c, "two"), 30, 2, 600);
    assert_true(versions_rps(&v, &c, false) < 35);
    assert_true(versions_rps(&v, &c, true) < 35);
    assert_null(versions_find(&v, &c, "three"));
    versions_select(&v, &c, "one"); /* rolled back */
    assert_true(fabs(capacity_rps(&c) - one.low_rps) < 1e-9);
    assert_true(versions_rps(&v, &c, true) < 35); /* some of the slower one still serve */
}

static void what_is_kept_comes_back(void **state) {
    (void)state;
    struct capacity c, again;
    uint8_t bytes[CAPACITY_MEMORY_BYTES];
    capacity_init(&c, OBJECTIVE_MS, 40);
    learn(&c, 100, 1, 3600);
    size_t len = capacity_save(&c, bytes);
    capacity_init(&again, OBJECTIVE_MS, 40);
    assert_true(capacity_restore(&again, bytes, len));
    assert_true(fabs(capacity_rps(&again) / capacity_rps(&c) - 1) < 0.1);
    assert_int_equal(again.source, CAPACITY_LEARNED);
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(capacity_restore(&again, bytes, cut));
    }
    bytes[16] = 0xff; /* the index of the first bin */
    assert_false(capacity_restore(&again, bytes, len));
    assert_true(capacity_rps(&again) > 0);
}

static void another_objective_needs_no_learning_anew(void **state) {
    (void)state;
    struct capacity c;
    capacity_init(&c, OBJECTIVE_MS, 0);
    learn(&c, 100, 1, 3600);
    double loose = capacity_rps(&c);
    capacity_set_objective(&c, 60); /* reached at two thirds */
    assert_true(capacity_rps(&c) < 0.85 * loose && capacity_rps(&c) > 45);
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
        cmocka_unit_test(what_was_never_loaded_keeps_its_guess),
        cmocka_unit_test(light_load_that_is_slow_says_that_the_guess_is_too_much),
        cmocka_unit_test(a_slow_start_does_not_move_the_guess),
        cmocka_unit_test(a_slow_dependency_is_not_learned_for_ever),
        cmocka_unit_test(unsteady_seconds_are_not_fitted),
        cmocka_unit_test(a_version_starts_from_its_predecessor_with_wide_bounds),
        cmocka_unit_test(what_is_kept_comes_back),
        cmocka_unit_test(another_objective_needs_no_learning_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
