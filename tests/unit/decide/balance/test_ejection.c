/* When an endpoint is left alone, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "decide/balance/ejection.h"

#define NOW 1000000000u

static void leaves_alone_who_does_not_listen(void **state) {
    struct ejection e = { 0 };
    (void)state;
    assert_false(ejection_is_active(&e, NOW));
    assert_true(ejection_observe(&e, EJECTION_CONNECT_FAILED, 0, 3, NOW));
    assert_true(ejection_is_active(&e, NOW));
    assert_true(ejection_is_active(&e, NOW + EJECTION_FIRST_US - 1));
    assert_false(ejection_is_active(&e, NOW + EJECTION_FIRST_US));
}

static void waits_for_several_failures(void **state) {
    struct ejection e = { 0 };
    (void)state;
    for (int i = 1; i < EJECTION_FAILURES; i++) {
        assert_false(ejection_observe(&e, EJECTION_FAILED, 0, 3, NOW));
    }
    ejection_observe(&e, EJECTION_SUCCESS, 0, 3, NOW);
    for (int i = 1; i < EJECTION_FAILURES; i++) {
        assert_false(ejection_observe(&e, EJECTION_FAILED, 0, 3, NOW));
    }
    assert_true(ejection_observe(&e, EJECTION_FAILED, 0, 3, NOW));
}

static void many_failures_at_once_are_one_ejection(void **state) {
    struct ejection e = { 0 };
    (void)state;
    assert_true(ejection_observe(&e, EJECTION_CONNECT_FAILED, 0, 3, NOW));
    for (int i = 0; i < 50; i++) {
        assert_false(ejection_observe(&e, EJECTION_CONNECT_FAILED, 1, 3, NOW + 10));
    }
    assert_int_equal(e.until_us, NOW + EJECTION_FIRST_US);
}

static void each_lasts_twice_as_long(void **state) {
    struct ejection e = { 0 };
    uint64_t now_us = NOW, expected_us = EJECTION_FIRST_US;
    (void)state;
    for (int i = 0; i < 40; i++) {
        assert_true(ejection_observe(&e, EJECTION_CONNECT_FAILED, 0, 3, now_us));
        assert_int_equal(e.until_us - now_us, expected_us);
        now_us = e.until_us;
        expected_us = expected_us * 2 > EJECTION_MAX_US ? EJECTION_MAX_US : expected_us * 2;
    }
    assert_int_equal(expected_us, EJECTION_MAX_US);
    ejection_observe(&e, EJECTION_SUCCESS, 0, 3, now_us);
    assert_true(ejection_observe(&e, EJECTION_CONNECT_FAILED, 0, 3, now_us));
    assert_int_equal(e.until_us - now_us, EJECTION_FIRST_US);
}

static void a_success_brings_it_back(void **state) {
    struct ejection e = { 0 };
    (void)state;
    assert_true(ejection_observe(&e, EJECTION_CONNECT_FAILED, 0, 3, NOW));
    ejection_observe(&e, EJECTION_SUCCESS, 1, 3, NOW + 1);
    assert_false(ejection_is_active(&e, NOW + 1));
}

static void never_too_many(void **state) {
    static const struct {
        uint32_t ejected, total;
        bool may;
    } cases[] = {
        { 0, 1, false }, /* the only one: better a failing one than none */
        { 0, 2, true },  { 1, 2, false }, { 0, 3, true },  { 1, 3, false },
        { 1, 4, true },  { 2, 4, false }, { 4, 10, true }, { 5, 10, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ejection e = { 0 };
        bool did =
            ejection_observe(&e, EJECTION_CONNECT_FAILED, cases[i].ejected, cases[i].total, NOW);
        if (did != cases[i].may || ejection_is_active(&e, NOW) != did) {
            fail_msg("%u of %u", cases[i].ejected, cases[i].total);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_alone_who_does_not_listen),
        cmocka_unit_test(waits_for_several_failures),
        cmocka_unit_test(many_failures_at_once_are_one_ejection),
        cmocka_unit_test(each_lasts_twice_as_long),
        cmocka_unit_test(a_success_brings_it_back),
        cmocka_unit_test(never_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
