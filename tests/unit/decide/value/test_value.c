/* What a visit is worth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>

#include "decide/value/value.h"

static struct value_policy policy;

static double worth(enum stage stage, enum stage furthest, double customer) {
    struct visit visit = { .stage = stage,
                           .furthest = furthest,
                           .customer_known = customer >= 0,
                           .expected_value = customer };
    return value_of_visit(&policy, &visit);
}

static void later_stages_are_worth_more(void **state) {
    (void)state;
    for (int stage = STAGE_BROWSE; stage < STAGE_COUNT; stage++) {
        assert_true(worth((enum stage)stage, STAGE_OTHER, -1) >
                    worth((enum stage)(stage - 1), STAGE_OTHER, -1));
    }
}

static void better_customers_are_worth_more(void **state) {
    (void)state;
    assert_true(worth(STAGE_BROWSE, STAGE_OTHER, 200) > worth(STAGE_BROWSE, STAGE_OTHER, 100));
    assert_float_equal(worth(STAGE_BROWSE, STAGE_OTHER, 100), 2.0, 1e-9);
    assert_float_equal(worth(STAGE_CART, STAGE_OTHER, 0), 0, 0);
}

static void an_unknown_visitor_is_the_mean_customer(void **state) {
    (void)state;
    assert_float_equal(worth(STAGE_CART, STAGE_OTHER, -1), worth(STAGE_CART, STAGE_OTHER, 80),
                       1e-9);
    struct value_policy without_table = value_policy_default(0);
    struct visit visit = { .stage = STAGE_CHECKOUT };
    assert_float_equal(value_of_visit(&without_table, &visit),
                       VALUE_CONVERSION_CHECKOUT * VALUE_UNKNOWN_DEFAULT, 1e-9);
}

static void a_session_keeps_what_it_has_reached(void **state) {
    (void)state;
    double detour = worth(STAGE_BROWSE, STAGE_CHECKOUT, 100);
    assert_true(detour > worth(STAGE_CART, STAGE_OTHER, 100));
    assert_true(detour < worth(STAGE_CHECKOUT, STAGE_OTHER, 100));
    /* It never costs anything to have been somewhere. */
    assert_float_equal(worth(STAGE_CART, STAGE_BROWSE, 100), worth(STAGE_CART, STAGE_OTHER, 100),
                       0);
}

static void odd_values_do_no_harm(void **state) {
    (void)state;
    struct visit visit = { .stage = STAGE_CHECKOUT, .customer_known = true };
    static const double odd[] = { -5, -INFINITY };
    for (size_t i = 0; i < 2; i++) {
        visit.expected_value = odd[i];
        assert_float_equal(value_of_visit(&policy, &visit), 0, 0);
    }
    visit.expected_value = NAN;
    assert_float_equal(value_of_visit(&policy, &visit), 0, 0);
    visit.expected_value = INFINITY;
    assert_float_equal(value_of_visit(&policy, &visit),
                       VALUE_CONVERSION_CHECKOUT * VALUE_CUSTOMER_MAX, 1);
}

static void the_checkout_goes_first(void **state) {
    (void)state;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        struct visit visit = { .stage = (enum stage)stage, .furthest = STAGE_CHECKOUT };
        assert_int_equal(value_goes_first(&visit), stage == STAGE_CHECKOUT);
    }
}

static void stages_have_names(void **state) {
    enum stage stage = STAGE_CART;
    (void)state;
    for (int i = 0; i < STAGE_COUNT; i++) {
        assert_true(stage_parse(slice_from(stage_name((enum stage)i)), &stage));
        assert_int_equal(stage, i);
    }
    assert_false(stage_parse(SLICE("Checkout"), &stage));
    assert_false(stage_parse(SLICE(""), &stage));
    assert_string_equal(stage_name(STAGE_COUNT), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_stages_are_worth_more),
        cmocka_unit_test(better_customers_are_worth_more),
        cmocka_unit_test(an_unknown_visitor_is_the_mean_customer),
        cmocka_unit_test(a_session_keeps_what_it_has_reached),
        cmocka_unit_test(odd_values_do_no_harm),
        cmocka_unit_test(the_checkout_goes_first),
        cmocka_unit_test(stages_have_names),
    };
    policy = value_policy_default(80);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
