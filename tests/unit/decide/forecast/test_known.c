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
    k.regressors[k.regressor_count++] =
        (struct known_regressor){ .values = flags, .len = 20 * 24, .start_ms = START };
    assert_true(known_regressor_at(&k, 0, START + 10 * DAY + 3 * HOUR) == 1);
    assert_true(known_regressor_at(&k, 0, START - HOUR) == 0);
    assert_true(known_regressor_at(&k, 0, START + 50 * DAY) == 0);
    assert_true(known_regressor_nearness(&k, 0, START + 10 * DAY) == 0);
    assert_true(known_regressor_nearness(&k, 0, START + 8 * DAY + 5 * HOUR) == -2);
    assert_true(known_regressor_nearness(&k, 0, START + 13 * DAY) == 3);
    assert_true(isnan(known_regressor_nearness(&k, 0, START + 2 * DAY)));
}

static void a_measure_is_told_by_where_it_lies(void **state) {
    (void)state;
    double celsius[201], constant[5] = { 2, 2, 2, 2, 2 };
    struct known k;
    struct known_slot slot;
    struct effects effects = { 0 };
    for (int i = 0; i < 200; i++) {
        celsius[i] = (double)(i % 100) / 2 - 10; /* −10 to 39.5 */
    }
    celsius[200] = NAN;
    known_init(&k, HOUR);
    struct known_regressor r = { .values = celsius, .len = 201, .start_ms = START };
    assert_true(known_make_measure(&r, NULL));
    k.regressors[k.regressor_count++] = r;
    double middle = known_regressor_at(&k, 0, START + 50 * HOUR);
    assert_true(fabs(middle - KNOWN_MEASURE_SPAN / 2.0) < 0.1);
    assert_true(known_regressor_at(&k, 0, START) == 0);
    assert_true(known_regressor_at(&k, 0, START + 99 * HOUR) == KNOWN_MEASURE_SPAN);
    assert_true(known_regressor_at(&k, 0, START + 60 * HOUR) > middle);
    assert_true(isnan(known_regressor_at(&k, 0, START + 200 * HOUR)));
    assert_true(isnan(known_regressor_at(&k, 0, START - HOUR)));
    assert_true(isnan(known_regressor_nearness(&k, 0, START)));
    known_look(&k, &effects, START + 22 * HOUR, 0, &slot); /* 1 degree is no flag */
    assert_int_equal(slot.active.len, 0);
    r = (struct known_regressor){ .values = constant, .len = 5, .start_ms = START };
    assert_false(known_make_measure(&r, NULL));
    constant[3] = 9; /* seldom, but it is all there is */
    assert_true(known_make_measure(&r, NULL) && r.low == 2 && r.high == 9);
}

static struct calendar match_at(int64_t start_ms, int64_t long_ms) {
    struct calendar c;
    calendar_init(&c);
    struct calendar_event match = { .start_ms = start_ms,
                                    .end_ms = start_ms + long_ms,
                                    .kind = SLICE("match"),
                                    .multiplier = NAN };
    assert_true(calendar_add(&c, &match, NULL));
    return c;
}

/* Two hours at steps of a quarter: two phases before, four in it, two after, and nothing beyond. */
static void a_short_event_has_phases(void **state) {
    (void)state;
    struct calendar c = match_at(START + 15 * HOUR, 2 * HOUR);
    struct effects effects;
    struct known k;
    struct known_slot slot;
    known_init(&k, HOUR / 4);
    effects_init(&effects, 96);
    k.calendar = &c;
    for (int quarter = 0; quarter < 96; quarter++) {
        known_look(&k, &effects, START + quarter * (HOUR / 4), 0, &slot);
        int since = quarter - 13 * 4; /* two hours before the start */
        bool active = since >= 0 && since < 24;
        assert_true(slot.active.len == active);
        if (active) {
            int phase = since < 8    ? since / 4
                        : since < 16 ? 2 + (since - 8) / 2
                                     : 6 + (since - 16) / 4;
            assert_true(slot.active.time[0] == phase);
        }
    }
    calendar_fini(&c);
}

static void a_long_event_follows_the_time_of_day(void **state) {
    (void)state;
    struct calendar c = match_at(START, DAY);
    struct effects effects;
    struct known k;
    struct known_slot slot;
    known_init(&k, HOUR);
    effects_init(&effects, 24);
    k.calendar = &c;
    for (int hour = -5; hour < 30; hour++) {
        known_look(&k, &effects, START + hour * HOUR, 0, &slot);
        assert_true(slot.active.len == (hour >= 0 && hour < 24));
        assert_true(slot.active.len == 0 || slot.active.time[0] == hour / 3);
    }
    calendar_fini(&c);
}

static void the_shape_of_a_short_event_is_learned(void **state) {
    (void)state;
    static const double shape[EFFECTS_TIMES] = { 1.2, 1.5, 2, 3, 1.5, 2.5, 1.6, 1.1 };
    struct effects effects;
    effects_init(&effects, 96);
    struct effects_active active = { .index = { 3 }, .share = { 255 }, .len = 1 };
    for (int event = 0; event < 8; event++) {
        for (size_t phase = 0; phase < EFFECTS_TIMES; phase++) {
            active.time[0] = (uint8_t)phase;
            effects_observe(&effects, &active, 100, 100 * shape[phase]);
        }
        struct effects_active none = { 0 };
        for (int i = 0; i < 80; i++) {
            effects_observe(&effects, &none, 100, 100);
        }
    }
    for (size_t phase = 0; phase < EFFECTS_TIMES; phase++) {
        active.time[0] = (uint8_t)phase;
        assert_true(fabs(effects_factor(&effects, &active) / shape[phase] - 1) < 0.1);
    }
    effects_fini(&effects);
}

static void a_day_is_as_busy_as_its_events_are_long(void **state) {
    (void)state;
    struct calendar c = match_at(START + 15 * HOUR, 2 * HOUR);
    struct known k;
    known_init(&k, HOUR);
    assert_true(known_busy(&k, START) == 0); /* without a calendar */
    k.calendar = &c;
    assert_true(fabs(known_busy(&k, START + 10 * HOUR) - 2.0 / 24) < 1e-9);
    assert_true(fabs(known_busy(&k, START + 4 * HOUR) - 1.0 / 24) < 1e-9);
    assert_true(known_busy(&k, START + 40 * HOUR) == 0);
    known_init(&k, DAY);
    k.calendar = &c;
    assert_true(known_busy(&k, START) == 0);
    calendar_fini(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearness_is_signed_and_zero_while_it_lasts),
        cmocka_unit_test(a_column_is_near_by_days),
        cmocka_unit_test(a_measure_is_told_by_where_it_lies),
        cmocka_unit_test(a_short_event_has_phases),
        cmocka_unit_test(a_long_event_follows_the_time_of_day),
        cmocka_unit_test(the_shape_of_a_short_event_is_learned),
        cmocka_unit_test(a_day_is_as_busy_as_its_events_are_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
