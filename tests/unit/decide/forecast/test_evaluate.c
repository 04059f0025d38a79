/* The forecast on recorded days, judged at rolling origins: the promises that hold everywhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/evaluate.h"
#include "record/series/series.h"

static const double levels[] = { 0.1, 0.5, 0.9 };

static struct evaluate_input input_of(int64_t step_ms, const double *values, size_t len,
                                      uint32_t horizon) {
    struct evaluate_input in = {
        .options = { .step_ms = step_ms, .horizon_steps = horizon },
        .values = values,
        .len = len,
        .quantiles = { levels, 3 },
        .origins = 30,
    };
    forecast_default_seasons(&in.options);
    return in;
}

static void recorded_days_are_forecast_better_than_naive(void **state) {
    (void)state;
    static const struct {
        const char *path, *column;
        uint32_t horizon;
        double mase_ratio_max; /* of the better naive */
    } cases[] = {
        { "tests/data/bike_share_8weeks.csv", "rentals", 24, 0.9 },
        { "tests/data/tweets_amazon_2weeks.csv", "amzn", 288, 0.9 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct series s;
        const struct series_column *c;
        struct evaluation e;
        struct error err = { 0 };
        if (!series_read(&s, cases[i].path, &err)) {
            fail_msg("%s", err.text);
        }
        assert_true(series_column(&s, slice_from(cases[i].column), &c, &err));
        struct evaluate_input in = input_of(s.step_ms, c->values, s.slots, cases[i].horizon);
        in.start_ms = s.start_ms;
        assert_true(forecast_evaluate(&in, &e, &err));
        print_message("# %s: mase %.3f, naive %.3f, covers %.3f and %.3f\n", cases[i].path,
                      e.forecast.mase, e.naive.mase, e.forecast.coverage[0],
                      e.forecast.coverage[2]);
        assert_true(e.forecast.mase < cases[i].mase_ratio_max * e.naive.mase);
        assert_true(e.forecast.pinball < e.naive.pinball);
        assert_true(e.forecast.coverage[2] > 0.82 && e.forecast.coverage[2] < 0.97);
        assert_true(e.forecast.coverage[0] > 0.03 && e.forecast.coverage[0] < 0.2);
        series_fini(&s);
    }
}

enum shape { WALK, NOISE, STEPS, EXACT };

static double made(enum shape shape, struct rand *r, size_t i, double *level) {
    switch (shape) {
    case WALK:
        return *level = fmax(*level + rand_normal(r), 1);
    case NOISE:
        return 100 * rand_exponential(r);
    case STEPS:
        return (i / 200 % 2 == 0 ? 50 : 400) + 5 * rand_unit(r);
    case EXACT:
        return 10 + (double)(i % 168);
    }
    return 0;
}

static void never_notably_worse_than_seasonal_naive(void **state) {
    (void)state;
    enum { LEN = 24 * 70 };
    static double values[LEN];
    for (int shape = WALK; shape <= EXACT; shape++) {
        struct rand r;
        struct evaluation e;
        double level = 100;
        rand_init(&r, 11);
        for (size_t i = 0; i < LEN; i++) {
            values[i] = made((enum shape)shape, &r, i, &level);
        }
        struct evaluate_input in = input_of(3600000, values, LEN, 24);
        assert_true(forecast_evaluate(&in, &e, NULL));
        print_message("# shape %d: mase %.3f, naive %.3f\n", shape, e.forecast.mase, e.naive.mase);
        assert_true(e.forecast.mase <= 1.02 * e.naive.mase + 1e-6);
    }
}

static void too_short_a_history_is_said(void **state) {
    (void)state;
    static double values[60];
    struct evaluation e;
    struct error err = { 0 };
    struct evaluate_input in = input_of(3600000, values, 60, 24);
    assert_false(forecast_evaluate(&in, &e, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_days_are_forecast_better_than_naive),
        cmocka_unit_test(never_notably_worse_than_seasonal_naive),
        cmocka_unit_test(too_short_a_history_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
