/* When an endpoint is asked next, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rand.h"
#include "decide/remediation/cadence.h"

#define SECOND_US 1000000ull
#define MIDDLE 0.5 /* no jitter */

static const struct cadence_policy policy = { .interval_us = SECOND_US, .rise = 2, .fall = 3 };

static uint64_t gap(struct cadence *c, bool vouched, uint64_t now_us) {
    return cadence_gap_us(c, &policy, 1, vouched, now_us, MIDDLE);
}

/* It has started and been well for long. */
static struct cadence calm(void) {
    struct cadence c = { 0 };
    for (int i = 0; i <= CADENCE_ALERT; i++) {
        cadence_observe(&c, &policy, true, 1);
    }
    (void)gap(&c, false, 1); /* the one that puts it out of step */
    return c;
}

static void starts_with_the_first_good_probe(void **state) {
    struct cadence c = { 0 };
    (void)state;
    assert_int_equal(gap(&c, false, 0), 100000);
    assert_int_equal(cadence_observe(&c, &policy, false, 0), CADENCE_SAME);
    assert_int_equal(cadence_observe(&c, &policy, true, 0), CADENCE_UP);
    assert_true(c.healthy);
}

static void rises_and_falls_with_a_row(void **state) {
    static const struct {
        bool well;
        enum cadence_change change;
    } steps[] = {
        { false, CADENCE_SAME }, { false, CADENCE_SAME }, { true, CADENCE_SAME }, /* no row */
        { false, CADENCE_SAME }, { false, CADENCE_SAME }, { false, CADENCE_DOWN },
        { false, CADENCE_SAME }, { true, CADENCE_SAME },  { false, CADENCE_SAME },
        { true, CADENCE_SAME },  { true, CADENCE_UP },    { true, CADENCE_SAME },
    };
    struct cadence c = calm();
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (cadence_observe(&c, &policy, steps[i].well, i) != steps[i].change) {
            fail_msg("step %zu", i);
        }
    }
}

static void is_quick_after_a_cause_and_then_calm(void **state) {
    struct cadence c = calm();
    (void)state;
    assert_int_equal(gap(&c, false, 2), SECOND_US);
    assert_true(cadence_suspect(&c));
    assert_false(cadence_suspect(&c)); /* it was already */
    for (int i = 0; i < CADENCE_ALERT; i++) {
        assert_int_equal(gap(&c, false, 2), SECOND_US / CADENCE_QUICK_DIVISOR);
        cadence_observe(&c, &policy, true, 2);
    }
    assert_true(gap(&c, false, 2) <= SECOND_US);
    assert_int_equal(gap(&c, false, 2), SECOND_US);
    cadence_observe(&c, &policy, false, 3);
    assert_int_equal(gap(&c, false, 3), SECOND_US / CADENCE_QUICK_DIVISOR);
}

/* As long as it is undecided it is quick, however long the rows are; what is dead is not. */
static void is_quick_on_the_way_but_not_for_ever(void **state) {
    const struct cadence_policy slow = { .interval_us = SECOND_US, .rise = 40, .fall = 40 };
    struct cadence c = calm();
    (void)state;
    for (int i = 0; i < 39; i++) {
        cadence_observe(&c, &slow, false, 2);
        assert_int_equal(cadence_gap_us(&c, &slow, 1, false, 2, MIDDLE), 100000);
    }
    assert_int_equal(cadence_observe(&c, &slow, false, 2), CADENCE_DOWN);
    for (int i = 0; i <= CADENCE_ALERT; i++) {
        cadence_observe(&c, &slow, false, 2);
        (void)cadence_gap_us(&c, &slow, 1, false, 2, MIDDLE);
    }
    assert_int_equal(cadence_gap_us(&c, &slow, 1, false, 2, MIDDLE), SECOND_US);
    cadence_observe(&c, &slow, true, 2);
    assert_int_equal(cadence_gap_us(&c, &slow, 1, false, 2, MIDDLE), 100000);
}

static void is_slow_when_it_is_well_for_long_and_vouched_for(void **state) {
    struct cadence c = calm();
    (void)state;
    assert_int_equal(gap(&c, true, CADENCE_LONG_US), SECOND_US);
    assert_int_equal(gap(&c, true, CADENCE_LONG_US + 1), CADENCE_SLOW_FACTOR * SECOND_US);
    assert_int_equal(gap(&c, false, CADENCE_LONG_US + 1), SECOND_US); /* nobody asks it anything */
    cadence_suspect(&c);
    assert_int_equal(gap(&c, true, CADENCE_LONG_US + 1), SECOND_US / CADENCE_QUICK_DIVISOR);
}

static void has_a_floor_and_never_is_slower_than_asked(void **state) {
    static const struct {
        uint64_t interval_us, quick_us;
    } cases[] = {
        { 50000, 50000 }, { 100000, 50000 }, { 5000000, 500000 }, { 600000000, 60000000 }
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct cadence_policy p = { cases[i].interval_us, 1, 1 };
        struct cadence c = calm();
        cadence_suspect(&c);
        assert_int_equal(cadence_gap_us(&c, &p, 1, false, 2, MIDDLE), cases[i].quick_us);
        c.started = false;
        assert_true(cadence_gap_us(&c, &p, 1, false, 2, MIDDLE) <= CADENCE_STARTING_US);
    }
}

/* 512 suspicious endpoints for ten virtual seconds, as the fleet runs them. */
static void never_floods(void **state) {
    enum { ENDPOINTS = 512 };
    static struct cadence c[ENDPOINTS];
    static uint64_t due_us[ENDPOINTS];
    struct rand rand;
    uint64_t probes = 0, worst = 0, window = 0;
    (void)state;
    rand_init(&rand, 7);
    for (int i = 0; i < ENDPOINTS; i++) {
        c[i] = calm();
        cadence_suspect(&c[i]);
        due_us[i] = cadence_at_once_us(ENDPOINTS, rand_unit(&rand));
    }
    for (uint64_t now_us = 0; now_us < 10 * SECOND_US; now_us += 1000) {
        if (now_us % SECOND_US == 0) {
            worst = window > worst ? window : worst;
            window = 0;
        }
        for (int i = 0; i < ENDPOINTS; i++) {
            if (due_us[i] <= now_us) {
                cadence_suspect(&c[i]);
                cadence_observe(&c[i], &policy, i % 2 == 0, now_us);
                due_us[i] = now_us + cadence_gap_us(&c[i], &policy, ENDPOINTS, false, now_us,
                                                    rand_unit(&rand));
                probes++;
                window++;
            }
        }
    }
    assert_in_range(probes, 4500, 10 * CADENCE_RATE_MAX * 11 / 10);
    assert_true(worst <= CADENCE_RATE_MAX * 13 / 10);
}

/* All begin at one moment; a minute later they are spread over the interval. */
static void leaves_step(void **state) {
    enum { ENDPOINTS = 100, BINS = 10 };
    unsigned bins[BINS] = { 0 };
    struct rand rand;
    (void)state;
    rand_init(&rand, 11);
    for (int i = 0; i < ENDPOINTS; i++) {
        struct cadence c = { 0 };
        uint64_t at_us = 0;
        while (at_us < 60 * SECOND_US) {
            cadence_observe(&c, &policy, true, at_us);
            uint64_t gap_us =
                cadence_gap_us(&c, &policy, ENDPOINTS, false, at_us, rand_unit(&rand));
            assert_true(gap_us <= SECOND_US * 12 / 10);
            at_us += gap_us;
        }
        bins[at_us % SECOND_US / (SECOND_US / BINS)]++;
    }
    for (int i = 0; i < BINS; i++) {
        assert_in_range(bins[i], 2, 25); /* 10 each, with the scatter of so few */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_with_the_first_good_probe),
        cmocka_unit_test(rises_and_falls_with_a_row),
        cmocka_unit_test(is_quick_after_a_cause_and_then_calm),
        cmocka_unit_test(is_quick_on_the_way_but_not_for_ever),
        cmocka_unit_test(is_slow_when_it_is_well_for_long_and_vouched_for),
        cmocka_unit_test(has_a_floor_and_never_is_slower_than_asked),
        cmocka_unit_test(never_floods),
        cmocka_unit_test(leaves_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
