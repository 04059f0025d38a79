#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/forecast.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define START (INT64_C(20454) * DAY) /* 2026-01-01 */

static const double levels[] = { 0.1, 0.5, 0.9 };
static const struct forecast_quantiles asked = { levels, 3 };

static struct forecast *hourly(uint32_t horizon) {
    struct forecast_options o = { .step_ms = HOUR, .horizon_steps = horizon };
    forecast_default_seasons(&o);
    struct forecast *f = forecast_new(&o, NULL);
    assert_non_null(f);
    return f;
}

/* A day's shape around 100, weekends at half. */
static double usual(int64_t hour) {
    double of_day = 100 - 60 * cos(2 * M_PI * (double)(hour % 24) / 24);
    return hour / 24 % 7 >= 5 ? of_day / 2 : of_day;
}

static void nothing_known_is_said_so(void **state) {
    (void)state;
    double values[3];
    struct forecast *f = hourly(1);
    assert_false(forecast_predict(f, 1, asked, NULL, values));
    forecast_observe(f, START, NAN);
    assert_false(forecast_predict(f, 1, asked, NULL, values));
    assert_int_equal(forecast_observed(f), 0);
    forecast_free(f);
}

static void one_value_gives_something_sane(void **state) {
    (void)state;
    double values[24 * 3], mean[24];
    struct forecast *f = hourly(24);
    forecast_observe(f, START, 50);
    assert_true(forecast_predict(f, 24, asked, mean, values));
    for (size_t i = 0; i < 24; i++) {
        assert_true(fabs(mean[i] - 50) < 1e-3);
        assert_true(values[i * 3] < 50 && values[i * 3 + 2] > 50); /* and says how unsure it is */
    }
    assert_int_equal(forecast_next_ms(f), START + HOUR);
    forecast_free(f);
}

static void a_day_and_a_week_are_learned(void **state) {
    (void)state;
    double values[48 * 3];
    struct forecast *f = hourly(48);
    int64_t hours = 24 * (28 + 4); /* up to a Friday evening: the weekend is ahead */
    for (int64_t i = 0; i < hours; i++) {
        forecast_observe(f, START + i * HOUR, usual(i));
    }
    assert_true(forecast_predict(f, 48, asked, NULL, values));
    for (int64_t i = 0; i < 48; i++) {
        double expected = usual(hours + i);
        assert_true(fabs(values[i * 3 + 1] - expected) < 0.03 * expected + 1);
    }
    forecast_free(f);
}

static void a_short_season_of_seconds_is_learned(void **state) {
    (void)state;
    struct forecast_options o = {
        .step_ms = 1000, .season_ms = { 180000 }, .season_count = 1, .horizon_steps = 120
    };
    struct forecast *f = forecast_new(&o, NULL);
    double values[120 * 3];
    for (int i = 0; i < 600; i++) {
        forecast_observe(f, START + i * 1000, 200 + 100 * sin(2 * M_PI * i / 180));
    }
    assert_true(forecast_predict(f, 120, asked, NULL, values));
    for (int i = 0; i < 120; i++) {
        assert_true(fabs(values[i * 3 + 1] - (200 + 100 * sin(2 * M_PI * (600 + i) / 180))) < 5);
    }
    forecast_free(f);
}

static void missing_is_not_zero(void **state) {
    (void)state;
    double values[24 * 3];
    struct forecast *f = hourly(24);
    int64_t hours = 24 * 21;
    for (int64_t i = 0; i < hours; i++) {
        bool lost = i >= hours - 30; /* more than a day of silence at the end */
        if (i % 2 == 0 || !lost) {   /* half of it said, half of it skipped */
            forecast_observe(f, START + i * HOUR, lost ? NAN : usual(i));
        }
    }
    forecast_observe(f, START + hours * HOUR, NAN);
    assert_true(forecast_predict(f, 24, asked, NULL, values));
    for (int64_t i = 0; i < 24; i++) {
        double expected = usual(hours + 1 + i);
        assert_true(fabs(values[i * 3 + 1] - expected) < 0.1 * expected + 1);
    }
    forecast_free(f);
}

static void old_and_impossible_values_are_refused(void **state) {
    (void)state;
    double values[3];
    struct forecast *f = hourly(1);
    assert_true(forecast_observe(f, START, 10));
    assert_false(forecast_observe(f, START, 99));
    assert_false(forecast_observe(f, START - DAY, 99));
    assert_true(forecast_observe(f, START + HOUR, -5)); /* taken as not recorded */
    assert_true(forecast_observe(f, START + 2 * HOUR, INFINITY));
    assert_int_equal(forecast_observed(f), 1);
    assert_true(forecast_predict(f, 1, asked, NULL, values));
    assert_true(fabs(values[1] - 10) < 1e-3);
    forecast_free(f);
}

static void a_clock_that_jumps_does_no_harm(void **state) {
    (void)state;
    double values[3];
    struct forecast *f = hourly(1);
    for (int64_t i = 0; i < 400; i++) {
        forecast_observe(f, START + i * HOUR, 100);
    }
    assert_true(forecast_observe(f, START + 3650 * DAY, 100));
    assert_int_equal(forecast_next_ms(f), START + 3650 * DAY + HOUR);
    assert_true(forecast_predict(f, 1, asked, NULL, values));
    assert_true(fabs(values[1] - 100) < 1);
    forecast_free(f);
}

/* Ten years of missing seconds, one by one, would take minutes each: the test would time out. */
static void a_long_gap_costs_no_more_than_the_history(void **state) {
    (void)state;
    struct forecast_options o = { .step_ms = 1000, .horizon_steps = 10, .history_steps = 5000 };
    struct forecast *f = forecast_new(&o, NULL);
    for (int64_t i = 0; i < 20; i++) {
        assert_true(forecast_observe(f, START + i * 3650 * DAY, 100));
    }
    assert_int_equal(forecast_next_ms(f), START + 19 * 3650 * DAY + 1000);
    forecast_free(f);
}

static void add_event(struct calendar *c, int64_t hour, int64_t hours, double multiplier) {
    struct calendar_event event = {
        .start_ms = START + hour * HOUR,
        .end_ms = START + (hour + hours) * HOUR,
        .name = SLICE("sale"),
        .kind = SLICE("mail"),
        .multiplier = multiplier,
    };
    assert_true(calendar_add(c, &event, NULL));
    calendar_sort(c);
}

static void an_announced_campaign_multiplies_and_is_not_learned_as_demand(void **state) {
    (void)state;
    struct calendar c;
    double values[24 * 3];
    struct forecast *f = hourly(24);
    int64_t hours = 24 * 28, past = hours - 7 * 24 + 3, ahead = hours + 10;
    calendar_init(&c);
    add_event(&c, past, 4, 5);
    add_event(&c, ahead, 2, 3);
    forecast_set_calendar(f, &c);
    for (int64_t i = 0; i < hours; i++) {
        bool in_past = i >= past && i < past + 4;
        forecast_observe(f, START + i * HOUR, usual(i) * (in_past ? 5 : 1));
    }
    assert_true(forecast_predict(f, 24, asked, NULL, values));
    for (int64_t i = 0; i < 24; i++) { /* the hours of last week's campaign are ordinary again */
        bool in_ahead = hours + i >= ahead && hours + i < ahead + 2;
        double expected = usual(hours + i) * (in_ahead ? 3 : 1);
        assert_true(fabs(values[i * 3 + 1] - expected) < 0.05 * expected + 1);
    }
    forecast_free(f);
    calendar_fini(&c);
}

static void a_lead_brings_campaigns_forward(void **state) {
    (void)state;
    struct calendar c;
    double values[3 * 3];
    struct forecast_options o = { .step_ms = HOUR, .horizon_steps = 3, .lead_ms = HOUR };
    struct forecast *f = forecast_new(&o, NULL);
    calendar_init(&c);
    add_event(&c, 12, 1, 4);
    forecast_set_calendar(f, &c);
    for (int64_t i = 0; i < 10; i++) {
        forecast_observe(f, START + i * HOUR, 100);
    }
    assert_true(forecast_predict(f, 3, asked, NULL, values));
    assert_true(fabs(values[1] - 100) < 1);
    assert_true(fabs(values[4] - 400) < 4); /* an hour before it starts */
    assert_true(fabs(values[7] - 400) < 4);
    forecast_free(f);
    calendar_fini(&c);
}

static void the_effect_of_a_kind_is_learned(void **state) {
    (void)state;
    struct calendar c;
    double values[24 * 3];
    struct forecast *f = hourly(24);
    static const int64_t days[] = { 10, 19, 24, 32, 41 };
    int64_t hours = 24 * 41;
    calendar_init(&c);
    for (size_t i = 0; i < 5; i++) {
        add_event(&c, days[i] * 24 + 9, 6, NAN);
    }
    forecast_set_calendar(f, &c);
    for (int64_t i = 0; i < hours; i++) {
        double factor = 1;
        for (size_t j = 0; j < 4; j++) {
            int64_t since = i - days[j] * 24 - 9;
            factor = since >= 0 && since < 6 ? 2 : factor;
        }
        forecast_observe(f, START + i * HOUR, usual(i) * factor);
    }
    assert_true(forecast_predict(f, 24, asked, NULL, values));
    for (int64_t i = 9; i < 15; i++) {
        double expected = usual(hours + i) * 2;
        assert_true(fabs(values[i * 3 + 1] - expected) < 0.25 * expected);
    }
    assert_true(fabs(values[3 * 20 + 1] - usual(hours + 20)) < 10);
    forecast_free(f);
    calendar_fini(&c);
}

static void the_first_event_of_a_kind_is_not_learned_as_demand(void **state) {
    (void)state;
    struct calendar c;
    double values[24 * 3];
    struct forecast *f = hourly(24);
    int64_t hours = 24 * 15, past = hours - 7 * 24 + 9;
    calendar_init(&c);
    add_event(&c, past, 6, NAN);
    forecast_set_calendar(f, &c);
    for (int64_t i = 0; i < hours; i++) {
        bool in_past = i >= past && i < past + 6;
        forecast_observe(f, START + i * HOUR, usual(i) * (in_past ? 4 : 1));
    }
    assert_true(forecast_predict(f, 24, asked, NULL, values));
    for (int64_t i = 0; i < 24; i++) {
        assert_true(fabs(values[i * 3 + 1] - usual(hours + i)) < 0.05 * usual(hours + i) + 1);
    }
    forecast_free(f);
    calendar_fini(&c);
}

static void a_schedule_known_ahead_is_used(void **state) {
    (void)state;
    double values[24 * 3], flags[24 * 22];
    struct forecast *f = hourly(24);
    for (int64_t i = 0; i < 24 * 22; i++) {
        int64_t day = i / 24;
        flags[i] = day == 5 || day == 9 || day == 15 || day == 21; /* closed on these days */
    }
    assert_true(forecast_add_regressor(f, flags, 24 * 22, START, NULL));
    for (int64_t i = 0; i < 24 * 21; i++) {
        forecast_observe(f, START + i * HOUR, flags[i] > 0 ? 0 : 100);
    }
    assert_true(forecast_predict(f, 24, asked, NULL, values));
    for (int64_t i = 0; i < 24; i++) {
        assert_true(values[i * 3 + 1] < 35);
    }
    forecast_free(f);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *name;
        struct forecast_options options;
    } cases[] = {
        { "no step", { .horizon_steps = 1 } },
        { "no horizon", { .step_ms = 1000 } },
        { "far horizon", { .step_ms = 1000, .horizon_steps = FORECAST_HORIZON_STEPS_MAX + 1 } },
        { "seasons", { .step_ms = 1000, .horizon_steps = 1, .season_count = 3 } },
        { "history", { .step_ms = 1000, .horizon_steps = 1, .history_steps = 9000000 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        if (forecast_new(&cases[i].options, &err) != NULL) {
            fail_msg("%s was taken", cases[i].name);
        }
        assert_true(err.kind == ERROR_INVALID || err.kind == ERROR_LIMIT);
    }
}

/* Whatever comes in: bursts, silence, zeros, steps of the level, gaps of any length. */
static double wild(struct rand *r, int64_t slot, double *level) {
    switch (rand_below(r, 40)) {
    case 0:
        *level *= 10;
        break;
    case 1:
        *level /= 8;
        break;
    case 2:
        return 0;
    case 3:
        return NAN;
    case 4:
        return *level * 1000;
    default:
        break;
    }
    *level = fmin(fmax(*level, 1e-9), 1e12);
    return *level * (1 + 0.5 * sin((double)slot)) * rand_exponential(r);
}

static void quantiles_ascend_and_are_never_negative_nor_unknown(void **state) {
    (void)state;
    static const double many[] = { 0.01, 0.1, 0.5, 0.9, 0.95, 0.99 };
    for (uint64_t seed = 1; seed <= 9; seed++) {
        struct rand r;
        rand_init(&r, seed);
        struct forecast_options o = {
            .step_ms = 1000,
            .season_ms = { 20000, 140000 },
            .season_count = seed % 3,
            .horizon_steps = 50,
        };
        struct forecast *f = forecast_new(&o, NULL);
        double values[50 * 6], mean[50], level = 100;
        int64_t slot = 0;
        for (int i = 0; i < 700; i++) {
            slot += rand_below(&r, 50) == 0 ? rand_below(&r, 300) : 1;
            forecast_observe(f, START + slot * 1000, wild(&r, slot, &level));
            if (!forecast_predict(f, 50, (struct forecast_quantiles){ many, 6 }, mean, values)) {
                continue;
            }
            for (size_t j = 0; j < 50; j++) {
                assert_true(mean[j] >= 0 && isfinite(mean[j]));
                for (size_t q = 0; q < 6; q++) {
                    double value = values[j * 6 + q], below = q == 0 ? 0 : values[j * 6 + q - 1];
                    if (!(value >= below) || !isfinite(value)) {
                        fail_msg("seed %d sample %d step %zu: q%g = %g after %g", (int)seed, i, j,
                                 many[q], value, below);
                    }
                }
            }
        }
        forecast_free(f);
    }
}

/* Predicting learns nothing: asked twice, the same is said. */
static void asking_changes_nothing(void **state) {
    (void)state;
    double first[24 * 3], second[24 * 3];
    struct forecast *f = hourly(24);
    for (int64_t i = 0; i < 24 * 15; i++) {
        forecast_observe(f, START + i * HOUR, usual(i));
    }
    assert_true(forecast_predict(f, 24, asked, NULL, first));
    assert_true(forecast_predict(f, 24, asked, NULL, second));
    assert_memory_equal(first, second, sizeof first);
    forecast_free(f);
}

/* The day after a flag has three times the demand; the flag's own day is like others, so that its
 * effect is none. The same samples give the same answer, to the bit. */
static void trees_learn_the_day_after(void **state) {
    (void)state;
    double first[24 * 3] = { 0 }, again[24 * 3] = { 0 }, flags[24 * 150] = { 0 };
    for (int64_t i = 0; i < 24 * 150; i++) {
        flags[i] = i / 24 % 9 == 0;
    }
    for (int turn = 0; turn < 2; turn++) {
        struct forecast *f = hourly(24);
        assert_true(forecast_add_regressor(f, flags, 24 * 150, START, NULL));
        int64_t hours = 24 * (9 * 15 + 1); /* ahead: the day after a flag */
        for (int64_t i = 0; i < hours; i++) {
            forecast_observe(f, START + i * HOUR, usual(i) * (i / 24 % 9 == 1 ? 3 : 1) + 0.5);
        }
        assert_true(forecast_predict(f, 24, asked, NULL, turn == 0 ? first : again));
        forecast_free(f);
    }
    double expected = 0, said = 0;
    for (int64_t i = 0; i < 24; i++) {
        expected += usual(24 * (9 * 15 + 1) + i) * 3;
        said += first[i * 3 + 1];
    }
    assert_true(fabs(said - expected) < 0.25 * expected);
    assert_memory_equal(first, again, sizeof first);
}

/* Demand rises by half from one hour to the next and stays there. */
static void a_new_level_is_inside_the_band_within_hours(void **state) {
    (void)state;
    static const double upper = 0.95;
    struct forecast_options o = { .step_ms = HOUR / 12, .horizon_steps = 288 };
    struct rand r;
    int covered = 0;
    double value;
    rand_init(&r, 5);
    forecast_default_seasons(&o);
    struct forecast *f = forecast_new(&o, NULL);
    for (int64_t i = 0; i < 288 * 15; i++) {
        int64_t since = i - 288 * 14;
        double now = usual(i / 12) * (1 + 0.05 * rand_normal(&r)) * (since >= 0 ? 1.5 : 1);
        if (since >= 72) { /* six hours */
            assert_true(
                forecast_predict(f, 1, (struct forecast_quantiles){ &upper, 1 }, NULL, &value));
            covered += now <= value;
        }
        forecast_observe(f, START + i * HOUR / 12, now);
    }
    assert_true(covered >= 0.9 * (288 - 72));
    forecast_free(f);
}

/* Amounts of any size, none at all, always the same: sane, and says so. */
static void any_scale_will_do(void **state) {
    (void)state;
    static const double sizes[] = { 0, 1e-7, 1, 1e9, 1e14 };
    double values[24 * 3];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct forecast *f = hourly(24);
        for (int64_t i = 0; i < 24 * 40; i++) {
            forecast_observe(f, START + i * HOUR, sizes[s]);
        }
        assert_true(forecast_predict(f, 24, asked, NULL, values));
        for (size_t i = 0; i < 24 * 3; i++) {
            assert_true(fabs(values[i] - sizes[s]) <= 0.02 * sizes[s]);
        }
        forecast_free(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known_is_said_so),
        cmocka_unit_test(one_value_gives_something_sane),
        cmocka_unit_test(a_day_and_a_week_are_learned),
        cmocka_unit_test(a_short_season_of_seconds_is_learned),
        cmocka_unit_test(missing_is_not_zero),
        cmocka_unit_test(old_and_impossible_values_are_refused),
        cmocka_unit_test(a_clock_that_jumps_does_no_harm),
        cmocka_unit_test(a_long_gap_costs_no_more_than_the_history),
        cmocka_unit_test(an_announced_campaign_multiplies_and_is_not_learned_as_demand),
        cmocka_unit_test(a_lead_brings_campaigns_forward),
        cmocka_unit_test(the_effect_of_a_kind_is_learned),
        cmocka_unit_test(the_first_event_of_a_kind_is_not_learned_as_demand),
        cmocka_unit_test(a_schedule_known_ahead_is_used),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(quantiles_ascend_and_are_never_negative_nor_unknown),
        cmocka_unit_test(asking_changes_nothing),
        cmocka_unit_test(trees_learn_the_day_after),
        cmocka_unit_test(a_new_level_is_inside_the_band_within_hours),
        cmocka_unit_test(any_scale_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
