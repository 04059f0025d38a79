/* When an endpoint is left alone, for how long, and how it comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "decide/balance/ejection.h"

#define NOW 1000000000u

static const struct ejection_peers three = { .total = 3 };

static void leaves_alone_who_does_not_listen(void **state) {
    struct ejection e = { 0 };
    (void)state;
    assert_int_equal(ejection_state(&e, NOW), EJECTION_IN);
    assert_int_equal(ejection_observe(&e, EJECTION_CONNECT_FAILED, NOW, &three, NOW),
                     EJECTION_BEGAN);
    assert_int_equal(e.cause, EJECTION_REFUSED);
    assert_int_equal(ejection_state(&e, NOW + EJECTION_FIRST_US - 1), EJECTION_OUT);
    assert_int_equal(ejection_state(&e, NOW + EJECTION_FIRST_US), EJECTION_ON_PROBATION);
}

static void needs_the_more_failures_the_more_its_peers_fail(void **state) {
    static const struct {
        const char *name;
        uint32_t answers, failures, needed;
    } cases[] = {
        { "nothing is known", 0, 0, 5 },      { "a little", 30, 0, 4 },
        { "they never fail", 1000, 0, 3 },    { "they fail a little", 1000, 50, 5 },
        { "they fail often", 1000, 250, 10 }, { "they fail all the time", 1000, 1000, 20 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct ejection_peers peers = { .total = 3,
                                              .answers = cases[i].answers,
                                              .failures = cases[i].failures };
        struct ejection e = { 0 };
        uint32_t failures = 0;
        enum ejection_change change = EJECTION_UNCHANGED;
        while (change == EJECTION_UNCHANGED && failures < 100) {
            change = ejection_observe(&e, EJECTION_FAILED, NOW, &peers, NOW);
            failures++;
        }
        if (failures != cases[i].needed || change != EJECTION_BEGAN) {
            fail_msg("%s: %u failures", cases[i].name, failures);
        }
    }
}

static void a_success_between_failures_ends_the_row(void **state) {
    struct ejection e = { 0 };
    (void)state;
    for (int i = 0; i < 100; i++) {
        enum ejection_event event = i % 5 == 4 ? EJECTION_SUCCESS : EJECTION_FAILED;
        assert_int_equal(ejection_observe(&e, event, NOW, &three, NOW), EJECTION_UNCHANGED);
    }
}

static void many_failures_at_once_are_one_ejection(void **state) {
    struct ejection e = { 0 };
    (void)state;
    ejection_observe(&e, EJECTION_CONNECT_FAILED, NOW, &three, NOW);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ejection_observe(&e, EJECTION_CONNECT_FAILED, NOW, &three, NOW + 10),
                         EJECTION_UNCHANGED);
    }
    assert_int_equal(e.until_us, NOW + EJECTION_FIRST_US);
    /* Nor is one that was sent before it was out, and fails when it is on probation, a trial. */
    assert_int_equal(ejection_observe(&e, EJECTION_FAILED, NOW, &three, e.until_us + 1),
                     EJECTION_UNCHANGED);
}

static void each_lasts_twice_as_long_up_to_a_limit(void **state) {
    static const struct {
        enum ejection_cause cause;
        uint64_t most_us;
    } cases[] = {
        { EJECTION_REFUSED, EJECTION_MAX_US },
        { EJECTION_ERRORS, EJECTION_MAX_US },
        { EJECTION_HUNG, EJECTION_HUNG_MAX_US },
        { EJECTION_SLOW, EJECTION_SLOW_MAX_US },
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct ejection e = { 0 };
        uint64_t now_us = NOW, expected_us = EJECTION_FIRST_US;
        for (int i = 0; i < 40; i++) {
            assert_int_equal(ejection_eject(&e, cases[c].cause, &three, now_us),
                             i == 0 ? EJECTION_BEGAN : EJECTION_AGAIN);
            assert_int_equal(e.until_us - now_us, expected_us);
            now_us = e.until_us;
            expected_us = expected_us * 2 > cases[c].most_us ? cases[c].most_us : expected_us * 2;
        }
        assert_int_equal(expected_us, cases[c].most_us);
    }
}

static void comes_back_by_trials(void **state) {
    struct ejection e = { 0 };
    (void)state;
    ejection_eject(&e, EJECTION_FAILURES, &three, NOW);
    uint64_t now_us = e.until_us + 1;
    for (int i = 1; i < EJECTION_TRIALS; i++) {
        assert_int_equal(ejection_observe(&e, EJECTION_SUCCESS, now_us, &three, now_us),
                         EJECTION_UNCHANGED);
        assert_int_equal(ejection_state(&e, now_us), EJECTION_ON_PROBATION);
    }
    assert_int_equal(ejection_observe(&e, EJECTION_SUCCESS, now_us, &three, now_us),
                     EJECTION_RETURNED);
    assert_int_equal(ejection_state(&e, now_us), EJECTION_IN);
    /* Soon again: it goes on where it was. After a good while it begins anew. */
    struct ejection again = e;
    ejection_eject(&again, EJECTION_FAILURES, &three, now_us + EJECTION_FORGET_US / 2);
    assert_int_equal(again.until_us - now_us - EJECTION_FORGET_US / 2, 2 * EJECTION_FIRST_US);
    now_us += EJECTION_FORGET_US + 1;
    ejection_eject(&e, EJECTION_FAILURES, &three, now_us);
    assert_int_equal(e.until_us - now_us, EJECTION_FIRST_US);
}

static void one_bad_trial_and_it_is_out_again(void **state) {
    struct ejection e = { 0 };
    (void)state;
    ejection_eject(&e, EJECTION_FAILURES, &three, NOW);
    uint64_t now_us = e.until_us + 1;
    ejection_observe(&e, EJECTION_SUCCESS, now_us, &three, now_us);
    assert_int_equal(ejection_observe(&e, EJECTION_FAILED, now_us, &three, now_us), EJECTION_AGAIN);
    assert_int_equal(e.until_us - now_us, 2 * EJECTION_FIRST_US);
    assert_int_equal(e.passed, 0);
}

static void a_sign_of_life_puts_who_was_silent_on_probation(void **state) {
    struct ejection hung = { 0 }, failing = { 0 };
    (void)state;
    ejection_eject(&hung, EJECTION_HUNG, &three, NOW);
    ejection_eject(&failing, EJECTION_ERRORS, &three, NOW);
    assert_int_equal(ejection_observe(&hung, EJECTION_SUCCESS, NOW - 5, &three, NOW + 1),
                     EJECTION_TRIED);
    assert_int_equal(ejection_state(&hung, NOW + 1), EJECTION_ON_PROBATION);
    /* That one of many answers is good is nothing new of one that fails the others. */
    assert_int_equal(ejection_observe(&failing, EJECTION_SUCCESS, NOW - 5, &three, NOW + 1),
                     EJECTION_UNCHANGED);
    assert_int_equal(ejection_state(&failing, NOW + 1), EJECTION_OUT);
}

static void never_too_many(void **state) {
    static const struct {
        uint32_t out, total;
        enum ejection_change ill, slow;
    } cases[] = {
        /* The only one: better a failing one than none. */
        { 0, 1, EJECTION_UNCHANGED, EJECTION_UNCHANGED },
        { 0, 2, EJECTION_BEGAN, EJECTION_HELD_BACK },
        { 1, 2, EJECTION_HELD_BACK, EJECTION_HELD_BACK },
        { 0, 3, EJECTION_BEGAN, EJECTION_BEGAN },
        { 1, 3, EJECTION_HELD_BACK, EJECTION_HELD_BACK },
        { 1, 4, EJECTION_BEGAN, EJECTION_HELD_BACK },
        { 1, 6, EJECTION_BEGAN, EJECTION_BEGAN },
        { 2, 4, EJECTION_HELD_BACK, EJECTION_HELD_BACK },
        { 4, 10, EJECTION_BEGAN, EJECTION_HELD_BACK },
        { 5, 10, EJECTION_HELD_BACK, EJECTION_HELD_BACK },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct ejection_peers peers = { .total = cases[i].total, .out = cases[i].out };
        struct ejection ill = { 0 }, slow = { 0 };
        if (ejection_eject(&ill, EJECTION_HUNG, &peers, NOW) != cases[i].ill ||
            ejection_eject(&slow, EJECTION_SLOW, &peers, NOW) != cases[i].slow) {
            fail_msg("%u of %u", cases[i].out, cases[i].total);
        }
        assert_int_equal(ejection_state(&ill, NOW) == EJECTION_OUT, cases[i].ill == EJECTION_BEGAN);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_alone_who_does_not_listen),
        cmocka_unit_test(needs_the_more_failures_the_more_its_peers_fail),
        cmocka_unit_test(a_success_between_failures_ends_the_row),
        cmocka_unit_test(many_failures_at_once_are_one_ejection),
        cmocka_unit_test(each_lasts_twice_as_long_up_to_a_limit),
        cmocka_unit_test(comes_back_by_trials),
        cmocka_unit_test(one_bad_trial_and_it_is_out_again),
        cmocka_unit_test(a_sign_of_life_puts_who_was_silent_on_probation),
        cmocka_unit_test(never_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
