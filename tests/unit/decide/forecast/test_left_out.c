/* Faults in the history of a whole forecast: what it says of the same hours afterwards, beside what
 * it says without them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/forecast.h"

#define STEP (INT64_C(15) * 60000)
#define DAY_STEPS 96
#define DAYS 16
#define LEN (DAYS * DAY_STEPS)
#define START (INT64_C(20454) * DAY_STEPS * STEP) /* 2026-01-01 */

static const double levels[] = { 0.1, 0.5, 0.9 };
static const struct forecast_quantiles asked = { levels, 3 };

/* A day's shape around 1000, weekends at half, a tenth of noise. */
static void fill(double *values) {
    struct rand r;
    rand_init(&r, 12);
    for (int64_t i = 0; i < LEN; i++) {
        double of_day = 1000 - 600 * cos(2 * M_PI * (double)(i % DAY_STEPS) / DAY_STEPS);
        double week = i / DAY_STEPS % 7 >= 5 ? 0.5 : 1;
        values[i] = of_day * week * (0.95 + 0.1 * rand_unit(&r));
    }
}

static struct forecast *learn(const double *values, size_t len, const struct calendar *calendar) {
    struct forecast_options o = { .step_ms = STEP, .horizon_steps = DAY_STEPS };
    forecast_default_seasons(&o);
    struct forecast *f = forecast_new(&o, NULL);
    assert_non_null(f);
    forecast_set_calendar(f, calendar);
    for (size_t i = 0; i < len; i++) {
        forecast_observe(f, START + (int64_t)i * STEP, values[i]);
    }
    return f;
}

static void multiply(double *values, size_t from, size_t slots, double factor) {
    for (size_t i = from; i < from + slots && i < LEN; i++) {
        values[i] *= factor;
    }
}

/* Mean of a level of the forecast of the day after `len` values, over the steps [from, to). */
static double said(const double *values, size_t len, const struct calendar *calendar, size_t level,
                   size_t from, size_t to) {
    static double quantiles[DAY_STEPS * 3];
    double sum = 0;
    struct forecast *f = learn(values, len, calendar);
    assert_true(forecast_predict(f, DAY_STEPS, asked, NULL, quantiles));
    for (size_t i = from; i < to; i++) {
        sum += quantiles[i * 3 + level];
    }
    forecast_free(f);
    return sum / (double)(to - from);
}

#define NOON 48 /* of the day */
/* Day 14, a Thursday like the first one; the forecast is of the day after. */
#define FAULT (14 * DAY_STEPS + NOON)
#define UNTIL (15 * DAY_STEPS)

static void faults_are_not_asked_for_again(void **state) {
    (void)state;
    static const struct {
        const char *name, *reason;
        size_t slots;
        double factor;
    } cases[] = {
        { "down for three hours", "outage", 12, 0 },
        { "a tenth is left", "outage", 12, 0.1 },
        { "forty-five minutes of bots", "burst", 3, 5 },
    };
    static double clean[LEN], dirty[LEN];
    fill(clean);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t slots = cases[i].slots;
        memcpy(dirty, clean, sizeof dirty);
        multiply(dirty, FAULT, slots, cases[i].factor);
        for (size_t level = 1; level < 3; level++) {
            double without = said(clean, UNTIL, NULL, level, NOON, NOON + slots);
            double with = said(dirty, UNTIL, NULL, level, NOON, NOON + slots);
            assert_true(fabs(with - without) < (level == 1 ? 0.05 : 0.35) * without);
        }
        struct forecast_left_out spans[FORECAST_LEFT_OUT_MAX];
        struct forecast *f = learn(dirty, UNTIL, NULL);
        assert_int_equal(forecast_left_out(f, spans, FORECAST_LEFT_OUT_MAX), 1);
        assert_int_equal(spans[0].from_ms, START + FAULT * STEP);
        assert_int_equal(spans[0].to_ms, START + (int64_t)(FAULT + slots) * STEP);
        assert_string_equal(spans[0].reason, cases[i].reason);
        forecast_free(f);
    }
}

/* What is broken now does not make the forecast shrink; a crowd that is here now is followed. */
static void meanwhile_it_stays_safe(void **state) {
    (void)state;
    static double clean[LEN], dirty[LEN];
    fill(clean);
    double without = said(clean, FAULT + 6, NULL, 1, 0, 8);
    memcpy(dirty, clean, sizeof dirty);
    multiply(dirty, FAULT, 6, 0);
    assert_true(said(dirty, FAULT + 6, NULL, 1, 0, 8) > 0.85 * without);
    memcpy(dirty, clean, sizeof dirty);
    multiply(dirty, FAULT, 6, 4);
    assert_true(said(dirty, FAULT + 6, NULL, 1, 0, 1) > 1.5 * without);
    assert_true(said(dirty, FAULT + 6, NULL, 2, 0, 8) > 1.2 * without);
}

/* Half a day of it is no outage: then it is how things are. */
static void what_stays_is_the_new_level(void **state) {
    (void)state;
    static double values[LEN];
    static const double factors[] = { 0.2, 1.5, 4 };
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        fill(values);
        double without = said(values, UNTIL, NULL, 1, 0, DAY_STEPS);
        multiply(values, 13 * DAY_STEPS, LEN, factors[i]);
        double with = said(values, UNTIL, NULL, 1, 0, DAY_STEPS);
        assert_true(with > 0.8 * factors[i] * without && with < 1.2 * factors[i] * without);
    }
}

#define WEEKS_DAYS 38 /* a level is held against four weeks that are known */

/* The mean of what is said of the day after WEEKS_DAYS, of hours, after a level that is new since
 * eight in the morning of the last. */
static double said_after_weeks(double factor) {
    struct forecast_options o = { .step_ms = 4 * STEP, .horizon_steps = 24 };
    double quantiles[24 * 3], sum = 0;
    struct rand r;
    rand_init(&r, 12);
    forecast_default_seasons(&o);
    struct forecast *f = forecast_new(&o, NULL);
    for (int64_t i = 0; i < WEEKS_DAYS * 24; i++) {
        double of_day = 1000 - 600 * cos(2 * M_PI * (double)(i % 24) / 24);
        double week = i / 24 % 7 >= 5 ? 0.5 : 1;
        double level = i < (WEEKS_DAYS - 1) * 24 + 8 ? 1 : factor;
        forecast_observe(f, START + i * o.step_ms,
                         of_day * week * level * (0.95 + 0.1 * rand_unit(&r)));
    }
    assert_true(forecast_predict(f, 24, asked, NULL, quantiles));
    for (size_t i = 0; i < 24; i++) {
        sum += quantiles[i * 3 + 1] / 24;
    }
    forecast_free(f);
    return sum;
}

/* A third more, from a morning on: by midnight it is known. */
static void a_smaller_new_level_is_found(void **state) {
    (void)state;
    static const double factors[] = { 1.35, 1.6 };
    double without = said_after_weeks(1);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        double with = said_after_weeks(factors[i]);
        assert_true(with > 0.88 * factors[i] * without && with < 1.12 * factors[i] * without);
    }
}

/* A day off that nobody announced: the day after is not forecast at half. */
static void a_quiet_day_is_no_new_level(void **state) {
    (void)state;
    static double values[LEN];
    fill(values);
    double without = said(values, UNTIL, NULL, 1, 0, DAY_STEPS);
    multiply(values, 14 * DAY_STEPS, LEN, 0.6);
    assert_true(said(values, UNTIL, NULL, 1, 0, DAY_STEPS) > 0.75 * without);
}

static void a_campaign_is_no_burst(void **state) {
    (void)state;
    static double values[LEN];
    struct calendar c;
    struct error err;
    fill(values);
    multiply(values, FAULT, 8, 5);
    calendar_init(&c);
    struct calendar_event sale = { .start_ms = START + FAULT * STEP,
                                   .end_ms = START + (FAULT + 8) * STEP,
                                   .name = SLICE("sale"),
                                   .kind = SLICE("sale"),
                                   .multiplier = 5 };
    assert_true(calendar_add(&c, &sale, &err));
    calendar_sort(&c);
    struct forecast_left_out spans[FORECAST_LEFT_OUT_MAX];
    struct forecast *f = learn(values, UNTIL, &c);
    assert_int_equal(forecast_left_out(f, spans, FORECAST_LEFT_OUT_MAX), 0);
    forecast_free(f);
    calendar_fini(&c);
}

static void ordinary_days_are_left_alone(void **state) {
    (void)state;
    static double values[LEN];
    struct forecast_left_out spans[FORECAST_LEFT_OUT_MAX];
    fill(values);
    struct forecast *f = learn(values, LEN, NULL);
    assert_int_equal(forecast_left_out(f, spans, FORECAST_LEFT_OUT_MAX), 0);
    forecast_free(f);
}

/* With minutes and hours of history: about what there is now, unsure, and it says so. */
static void little_history_is_said_to_be_little(void **state) {
    (void)state;
    static const struct {
        size_t len;
        const char *knows;
        double ratio_least; /* of the upper quantile to the median, hours ahead */
    } cases[] = {
        { 1, "level", 1.5 },
        { 4, "level", 1.5 },
        { 20, "level", 1.5 },
        { DAY_STEPS, "season", 1.1 },
        { 3 * DAY_STEPS, "season", 1 },
        { 8 * DAY_STEPS, "seasons", 1 },
    };
    static double values[LEN], quantiles[DAY_STEPS * 3];
    fill(values);
    struct forecast *f = learn(values, 0, NULL);
    assert_string_equal(forecast_knows(f), "nothing");
    forecast_free(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f = learn(values, cases[i].len, NULL);
        assert_string_equal(forecast_knows(f), cases[i].knows);
        assert_true(forecast_predict(f, DAY_STEPS, asked, NULL, quantiles));
        for (size_t j = 0; j < DAY_STEPS; j++) {
            double median = quantiles[j * 3 + 1];
            assert_true(median > 100 && median < 2000); /* of 200 to 1600 that there are */
            assert_true(quantiles[j * 3 + 2] > cases[i].ratio_least * median);
            assert_true(quantiles[j * 3] < median);
        }
        forecast_free(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_not_asked_for_again),
        cmocka_unit_test(meanwhile_it_stays_safe),
        cmocka_unit_test(what_stays_is_the_new_level),
        cmocka_unit_test(a_smaller_new_level_is_found),
        cmocka_unit_test(a_quiet_day_is_no_new_level),
        cmocka_unit_test(a_campaign_is_no_burst),
        cmocka_unit_test(ordinary_days_are_left_alone),
        cmocka_unit_test(little_history_is_said_to_be_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
