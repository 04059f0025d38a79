#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decide/forecast/blend.h"

static void the_second_has_to_earn_its_share(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 200, 20);
    for (int i = 0; i < 19; i++) {
        blend_observe(&b, 90, 100, 100);
    }
    assert_true(blend_mix(&b, 90, 100) == 90);
    for (int i = 0; i < 100; i++) {
        blend_observe(&b, 90, 100, 100);
    }
    assert_true(blend_mix(&b, 90, 100) > 99);
}

static void a_worse_second_gets_nothing(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 200, 20);
    for (int i = 0; i < 100; i++) {
        blend_observe(&b, 100, 150, 100);
    }
    assert_true(fabs(blend_mix(&b, 100, 150) - 100) < 1);
}

static void errors_to_both_sides_share(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 200, 20);
    for (int i = 0; i < 100; i++) {
        blend_observe(&b, 90, 110, 100);
    }
    assert_true(fabs(blend_mix(&b, 90, 110) - 100) < 1);
}

static void a_change_of_fortune_is_followed(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 50, 20);
    for (int i = 0; i < 200; i++) {
        blend_observe(&b, 90, 100, 100);
    }
    for (int i = 0; i < 200; i++) {
        blend_observe(&b, 100, 140, 100);
    }
    assert_true(fabs(blend_mix(&b, 100, 140) - 100) < 2);
}

static void what_is_unknown_counts_for_nothing(void **state) {
    (void)state;
    struct blend b;
    blend_init(&b, 200, 20);
    for (int i = 0; i < 100; i++) {
        blend_observe(&b, 90, (double)NAN, 100);
        blend_observe(&b, (double)NAN, 90, 100);
    }
    assert_true(blend_mix(&b, 90, 100) == 90);
    assert_true(blend_mix(&b, 90, (double)NAN) == 90);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_has_to_earn_its_share),
        cmocka_unit_test(a_worse_second_gets_nothing),
        cmocka_unit_test(errors_to_both_sides_share),
        cmocka_unit_test(a_change_of_fortune_is_followed),
        cmocka_unit_test(what_is_unknown_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
