#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decide/forecast/blend.h"

static struct blend_forecasts trees(double first, double corrected) {
    return (struct blend_forecasts){ first, corrected, NAN };
}

static void observe(struct blend *b, struct blend_forecasts said, double value) {
    blend_observe(b, &said, value);
}

static double mix(const struct blend *b, struct blend_forecasts said) {
    return blend_mix(b, &said);
}

static void the_second_has_to_earn_its_share(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 200, 20);
    for (int i = 0; i < 19; i++) {
        observe(&b, trees(90, 100), 100);
    }
    assert_true(mix(&b, trees(90, 100)) == 90);
    for (int i = 0; i < 100; i++) {
        observe(&b, trees(90, 100), 100);
    }
    assert_true(mix(&b, trees(90, 100)) > 99);
}

static void a_worse_second_gets_nothing(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 200, 20);
    for (int i = 0; i < 100; i++) {
        observe(&b, trees(100, 150), 100);
    }
    assert_true(fabs(mix(&b, trees(100, 150)) - 100) < 1);
}

static void errors_to_both_sides_share(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 200, 20);
    for (int i = 0; i < 100; i++) {
        observe(&b, trees(90, 110), 100);
    }
    assert_true(fabs(mix(&b, trees(90, 110)) - 100) < 1);
}

static void a_change_of_fortune_is_followed(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 50, 20);
    for (int i = 0; i < 200; i++) {
        observe(&b, trees(90, 100), 100);
    }
    for (int i = 0; i < 200; i++) {
        observe(&b, trees(100, 140), 100);
    }
    assert_true(fabs(mix(&b, trees(100, 140)) - 100) < 2);
}

static void what_is_unknown_counts_for_nothing(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 200, 20);
    for (int i = 0; i < 100; i++) {
        observe(&b, trees(90, (double)NAN), 100);
        observe(&b, trees((double)NAN, 90), 100);
    }
    assert_true(mix(&b, trees(90, 100)) == 90);
    assert_true(mix(&b, trees(90, (double)NAN)) == 90);
}

static void two_corrections_share_by_what_each_is_worth(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 200, 20);
    for (int i = 0; i < 200; i++) {
        observe(&b, (struct blend_forecasts){ 90, 80, 100 }, 100);
    }
    assert_true(fabs(mix(&b, (struct blend_forecasts){ 90, 80, 100 }) - 100) < 1);
    /* One too high, one too low: the middle of both is right, and neither is alone. */
    blend_init(&b, 200, 20);
    for (int i = 0; i < 200; i++) {
        observe(&b, (struct blend_forecasts){ 80, 110, 90 }, 100);
    }
    assert_true(fabs(mix(&b, (struct blend_forecasts){ 80, 110, 90 }) - 100) < 2);
}

static void the_line_alone_is_enough(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 200, 20);
    for (int i = 0; i < 100; i++) {
        observe(&b, (struct blend_forecasts){ 90, NAN, 100 }, 100);
    }
    assert_true(fabs(mix(&b, (struct blend_forecasts){ 90, NAN, 100 }) - 100) < 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_has_to_earn_its_share),
        cmocka_unit_test(a_worse_second_gets_nothing),
        cmocka_unit_test(errors_to_both_sides_share),
        cmocka_unit_test(a_change_of_fortune_is_followed),
        cmocka_unit_test(what_is_unknown_counts_for_nothing),
        cmocka_unit_test(two_corrections_share_by_what_each_is_worth),
        cmocka_unit_test(the_line_alone_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
