#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decide/forecast/known.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define START (INT64_C(20454) * DAY)

static void nearness_is_signed_and_zero_while_it_lasts(void **state) {
    (void)state;
    struct calendar c;
    struct known k;
    double near[2];
    calendar_init(&c);
    struct calendar_event sale = {
        .start_ms = START + 10 * DAY,
        .end_ms = START + 11 * DAY,
        .kind = SLICE("sale"),
        .multiplier = NAN,
    };
    assert_true(calendar_add(&c, &sale, NULL));
    known_init(&k, HOUR);
    known_nearness(&k, START, near, 2);
    assert_true(isnan(near[0])); /* without a calendar */
    k.calendar = &c;
    known_nearness(&k, START, near, 2);
    assert_true(isnan(near[0]) && isnan(near[1])); /* ten days are far */
    known_nearness(&k, START + 9 * DAY, near, 2);
    assert_true(fabs(near[0] + log2(25)) < 1e-9);
    known_nearness(&k, START + 10 * DAY + 5 * HOUR, near, 2);
    assert_true(near[0] == 0);
    known_nearness(&k, START + 12 * DAY - HOUR, near, 2);
    assert_true(fabs(near[0] - log2(25)) < 1e-9);
    calendar_fini(&c);
}

static void a_column_is_near_by_days(void **state) {
    (void)state;
    double flags[20 * 24] = { 0 };
    struct known k;
    for (int i = 0; i < 24; i++) {
        flags[10 * 24 + i] = 1;
    }
    known_init(&k, HOUR);
    k.regressors[k.regressor_count++] = (struct known_regressor){ flags, 20 * 24, START };
    assert_true(known_regressor_at(&k, 0, START + 10 * DAY + 3 * HOUR) == 1);
    assert_true(known_regressor_at(&k, 0, START - HOUR) == 0);
    assert_true(known_regressor_at(&k, 0, START + 50 * DAY) == 0);
    assert_true(known_regressor_nearness(&k, 0, START + 10 * DAY) == 0);
    assert_true(known_regressor_nearness(&k, 0, START + 8 * DAY + 5 * HOUR) == -2);
    assert_true(known_regressor_nearness(&k, 0, START + 13 * DAY) == 3);
    assert_true(isnan(known_regressor_nearness(&k, 0, START + 2 * DAY)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearness_is_signed_and_zero_while_it_lasts),
        cmocka_unit_test(a_column_is_near_by_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
