#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/autoscale/autoscale.h"

#define NOW INT64_C(1767225600000)
#define STEPS 600

static double path[STEPS]; /* of 1 s */

static struct autoscale_policy policy_of(uint32_t min, uint32_t max) {
    struct autoscale_policy p;
    autoscale_policy_init(&p);
    p.instances_min = min;
    p.instances_max = max;
    return p;
}

static struct autoscale_input input_of(int64_t now_ms, double demand_rps, uint32_t serving) {
    return (struct autoscale_input){
        .now_ms = now_ms,
        .demand_rps = demand_rps,
        .forecast_rps = path,
        .forecast_len = STEPS,
        .forecast_start_ms = now_ms,
        .forecast_step_ms = 1000,
        .quantile = 0.9,
        .capacity_rps = 100,
        .lead_ms = 3000,
        .serving = serving,
    };
}

static void flat_path(double rps) {
    for (size_t i = 0; i < STEPS; i++) {
        path[i] = rps;
    }
}

static void tables_of_one_decision(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double demand_rps, forecast_rps;
        uint32_t serving, instances;
        enum autoscale_reason reason;
    } cases[] = {
        { "no traffic keeps the floor", 0, 0, 2, 2, AUTOSCALE_AT_MIN },
        { "demand now has headroom", 280, 0, 2, 4, AUTOSCALE_DEMAND },
        { "demand is rounded up", 281, 0, 4, 4, AUTOSCALE_STEADY },
        { "the forecast needs none: it is a quantile", 100, 300, 2, 3, AUTOSCALE_FORECAST },
        { "a forecast that is met", 100, 300, 3, 3, AUTOSCALE_FORECAST },
        { "the larger of the two", 500, 300, 2, 6, AUTOSCALE_DEMAND },
        { "the ceiling holds", 1e15, 0, 2, 40, AUTOSCALE_AT_MAX },
        { "the ceiling holds for the forecast", 10, 1e15, 2, 40, AUTOSCALE_AT_MAX },
        { "down only after a while", 100, 100, 8, 8, AUTOSCALE_HOLDING },
        { "a NaN in the forecast is no demand", 100, NAN, 2, 2, AUTOSCALE_STEADY },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct autoscale_policy p = policy_of(2, 40);
        struct autoscale_input in = input_of(NOW, cases[i].demand_rps, cases[i].serving);
        struct autoscale_state s;
        autoscale_state_init(&s);
        flat_path(cases[i].forecast_rps);
        struct autoscale_decision d = autoscale_decide(&p, &in, &s);
        if (d.instances != cases[i].instances || d.reason != cases[i].reason) {
            fail_msg("%s: %u because of %s", cases[i].name, d.instances,
                     autoscale_reason_name(d.reason));
        }
        uint32_t missing = d.instances > in.serving ? d.instances - in.serving : 0;
        assert_int_equal(d.start_now, missing);
        p.budgeted = true;
        d = autoscale_decide(&p, &in, &s);
        assert_int_equal(d.reason == AUTOSCALE_AT_BUDGET, cases[i].reason == AUTOSCALE_AT_MAX);
    }
}

static void the_quantile_is_the_critical_ratio(void **state) {
    (void)state;
    struct autoscale_policy p = policy_of(1, 10);
    assert_true(autoscale_quantile(&p, 100) == AUTOSCALE_QUANTILE_DEFAULT);
    p.price_per_hour = 36; /* 0.01 a second */
    p.margin_per_request = 0.001;
    assert_true(fabs(autoscale_quantile(&p, 100) - 0.9) < 1e-12);     /* earns 0.1 a second */
    assert_true(autoscale_quantile(&p, 5) == AUTOSCALE_QUANTILE_MIN); /* never pays for itself */
    assert_true(autoscale_quantile(&p, 1e6) == AUTOSCALE_QUANTILE_MAX);
    p.margin_per_request = NAN;
    assert_true(autoscale_quantile(&p, 100) == AUTOSCALE_QUANTILE_DEFAULT);
}

/* A step announced for NOW + 60 s is ordered just early enough. */
static void a_step_ahead_is_met_by_its_lead(void **state) {
    (void)state;
    struct autoscale_policy p = policy_of(1, 40);
    struct autoscale_state s;
    uint32_t serving = 1;
    int64_t ordered_at = 0;
    autoscale_state_init(&s);
    for (int64_t t = 0; t < 60; t++) {
        for (int64_t i = 0; i < STEPS; i++) {
            path[i] = t + i >= 60 ? 950 : 80;
        }
        struct autoscale_input in = input_of(NOW + t * 1000, 80, serving);
        struct autoscale_decision d = autoscale_decide(&p, &in, &s);
        if (d.instances > serving && ordered_at == 0) {
            ordered_at = t;
            assert_int_equal(d.instances, 10);
            assert_int_equal(d.reason, AUTOSCALE_FORECAST);
            assert_int_equal(d.forecast_at_ms, NOW + 60000);
        }
        serving = d.instances;
    }
    assert_true(ordered_at >= 52 && ordered_at <= 57); /* 3 s start-up, interval, step */
}

/* When two start at once, nine more take five rounds: four are looked ahead. */
static void a_step_that_takes_rounds_of_starts_is_begun_earlier(void **state) {
    (void)state;
    struct autoscale_policy p = policy_of(1, 40);
    struct autoscale_state s;
    int64_t ordered_at = 0;
    p.starting_max = 2;
    autoscale_state_init(&s);
    for (int64_t t = 0; t < 60 && ordered_at == 0; t++) {
        for (int64_t i = 0; i < STEPS; i++) {
            path[i] = t + i >= 60 ? 950 : 80;
        }
        struct autoscale_input in = input_of(NOW + t * 1000, 80, 1);
        struct autoscale_decision d = autoscale_decide(&p, &in, &s);
        if (d.instances > 1) {
            ordered_at = t;
            assert_int_equal(d.instances, 10);
            assert_int_equal(d.start_now, 2);
        }
    }
    assert_true(ordered_at >= 60 - 16 && ordered_at <= 60 - 12);
}

static void blind_it_never_shrinks(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double demand_rps;
        int64_t age_ms;
        bool no_forecast;
    } cases[] = {
        { "demand unknown", NAN, 0, false },
        { "demand negative", -1, 0, false },
        { "demand stale", 0, 60000, false },
        { "the forecaster is silent", 0, 0, true },
    };
    flat_path(0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct autoscale_policy p = policy_of(1, 40);
        struct autoscale_state s;
        autoscale_state_init(&s);
        for (int64_t t = 0; t < 3000; t++) {
            struct autoscale_input in = input_of(NOW + t * 1000, cases[i].demand_rps, 9);
            in.demand_age_ms = cases[i].age_ms;
            in.forecast_rps = cases[i].no_forecast ? NULL : path;
            in.serving = t < 1500 ? 9 : 7; /* two of them died meanwhile */
            struct autoscale_decision d = autoscale_decide(&p, &in, &s);
            if (d.instances != 9) {
                fail_msg("%s: %u after %d s", cases[i].name, d.instances, (int)t);
            }
            assert_int_equal(d.reason, AUTOSCALE_BLIND);
        }
    }
}

static void blind_it_still_follows_what_is_announced(void **state) {
    (void)state;
    struct autoscale_policy p = policy_of(1, 40);
    struct autoscale_state s;
    struct autoscale_input in = input_of(NOW, NAN, 3);
    autoscale_state_init(&s);
    flat_path(800);
    assert_int_equal(autoscale_decide(&p, &in, &s).instances, 8);
}

static void a_clock_jump_does_not_shrink(void **state) {
    (void)state;
    static const int64_t jumps_ms[] = { 3600000, -3600000, INT64_C(86400000) * 400 };
    flat_path(100);
    for (size_t i = 0; i < sizeof jumps_ms / sizeof jumps_ms[0]; i++) {
        struct autoscale_policy p = policy_of(1, 40);
        struct autoscale_state s;
        struct autoscale_input in = input_of(NOW, 900, 10);
        autoscale_state_init(&s);
        assert_int_equal(autoscale_decide(&p, &in, &s).instances, 10);
        in = input_of(NOW + jumps_ms[i], 50, 10);
        assert_int_equal(autoscale_decide(&p, &in, &s).instances, 10);
    }
}

static void down_once_the_window_has_passed(void **state) {
    (void)state;
    struct autoscale_policy p = policy_of(1, 40);
    struct autoscale_state s;
    uint32_t serving = 10;
    int64_t shrunk_at = 0;
    autoscale_state_init(&s);
    flat_path(100);
    for (int64_t t = 0; t < 900; t++) {
        struct autoscale_input in = input_of(NOW + t * 1000, t < 100 ? 900 : 150, serving);
        struct autoscale_decision d = autoscale_decide(&p, &in, &s);
        if (d.instances < serving && shrunk_at == 0) {
            shrunk_at = t;
            assert_int_equal(d.reason, AUTOSCALE_SHRINK);
        }
        serving = d.instances;
    }
    assert_true(shrunk_at >= 100 + 290 && shrunk_at <= 100 + 320);
    assert_int_equal(serving, 2);
}

static void what_is_needed_again_soon_is_kept(void **state) {
    (void)state;
    struct autoscale_policy p = policy_of(1, 40);
    struct autoscale_state s;
    p.down_stabilisation_ms = 1000;
    autoscale_state_init(&s);
    flat_path(100);
    path[7] = 900; /* past the horizon, within twice of it */
    for (int64_t t = 0; t < 60; t++) {
        struct autoscale_input in = input_of(NOW + t * 1000, 50, 9);
        assert_int_equal(autoscale_decide(&p, &in, &s).instances, 9);
    }
}

static void starts_are_rationed(void **state) {
    (void)state;
    struct autoscale_policy p = policy_of(1, 40);
    struct autoscale_state s;
    struct autoscale_input in = input_of(NOW, 1800, 5);
    p.starting_max = 4;
    in.starting = 3;
    autoscale_state_init(&s);
    flat_path(0);
    struct autoscale_decision d = autoscale_decide(&p, &in, &s);
    assert_int_equal(d.instances, 20);
    assert_int_equal(d.start_now, 1);
}

static void what_is_announced_is_met_though_no_forecast_is_followed(void **state) {
    (void)state;
    double announced[STEPS];
    struct autoscale_policy p = policy_of(1, 40);
    for (size_t i = 0; i < STEPS; i++) {
        announced[i] = i >= 4 && i < 20 ? 900 : (double)NAN;
    }
    flat_path(NAN);
    struct autoscale_input in = input_of(NOW, 100, 2);
    struct autoscale_state s;
    in.quantile = NAN;
    autoscale_state_init(&s);
    struct autoscale_decision d = autoscale_decide(&p, &in, &s);
    assert_int_equal(d.instances, 2);
    assert_true(isnan(d.quantile));
    in.announced_rps = announced;
    d = autoscale_decide(&p, &in, &s);
    assert_int_equal(d.instances, 9);
    assert_true(d.forecast_rps == 900 && d.forecast_at_ms == NOW + 4000);
    assert_true(d.quantile == AUTOSCALE_QUANTILE_DEFAULT); /* its own, the followed one is none */
    flat_path(1200); /* what is followed may want more still */
    in.quantile = 0.7;
    d = autoscale_decide(&p, &in, &s);
    assert_true(d.instances == 12 && d.quantile == 0.7);
}

static void a_campaign_is_named(void **state) {
    (void)state;
    struct calendar c;
    calendar_init(&c);
    struct calendar_event event = { .start_ms = NOW + 4000,
                                    .end_ms = NOW + 60000,
                                    .name = SLICE("Spring sale"),
                                    .kind = SLICE("mail"),
                                    .multiplier = 5 };
    assert_true(calendar_add(&c, &event, NULL));
    struct autoscale_policy p = policy_of(1, 40);
    struct autoscale_state s;
    struct autoscale_input in = input_of(NOW, 100, 2);
    in.calendar = &c;
    autoscale_state_init(&s);
    flat_path(100);
    path[4] = path[5] = 540;
    struct autoscale_decision d = autoscale_decide(&p, &in, &s);
    assert_int_equal(d.reason, AUTOSCALE_CAMPAIGN);
    assert_int_equal(d.instances, 6);
    assert_ptr_equal(d.campaign, &c.events[0]);
    calendar_fini(&c);
}

/* Over constant demand with noise the number of instances settles. */
static void no_flapping(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rand r;
        struct autoscale_policy p = policy_of(1, 40);
        struct autoscale_state s;
        uint32_t serving = 1, changes = 0;
        rand_init(&r, seed);
        autoscale_state_init(&s);
        flat_path(640);
        for (int64_t t = 0; t < 3600; t++) {
            double demand_rps = 600 + 20 * rand_normal(&r);
            struct autoscale_input in = input_of(NOW + t * 1000, demand_rps, serving);
            struct autoscale_decision d = autoscale_decide(&p, &in, &s);
            changes += d.instances != serving && t > 600;
            serving = d.instances;
        }
        assert_true(changes <= 2);
        assert_true(serving >= 7 && serving <= 8);
    }
}

/* Whatever is put in: min and max hold, and up is prompt. */
static void limits_hold_whatever_comes(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct rand r;
        struct autoscale_state s;
        rand_init(&r, seed);
        autoscale_state_init(&s);
        uint32_t min = 1 + rand_below(&r, 5);
        struct autoscale_policy p = policy_of(min, min + rand_below(&r, 20));
        int64_t now_ms = NOW;
        for (int i = 0; i < 300; i++) {
            now_ms += (int64_t)rand_below(&r, 20000) - 2000;
            flat_path(rand_below(&r, 10) == 0 ? NAN : 3000 * rand_unit(&r));
            double demand_rps = rand_below(&r, 10) == 0 ? NAN : 3000 * rand_unit(&r);
            struct autoscale_input in = input_of(now_ms, demand_rps, rand_below(&r, 30));
            in.starting = rand_below(&r, 5);
            in.capacity_rps = 1 + 200 * rand_unit(&r);
            struct autoscale_decision d = autoscale_decide(&p, &in, &s);
            assert_true(d.instances >= p.instances_min && d.instances <= p.instances_max);
            uint32_t needed =
                d.wanted_reactive > d.wanted_forecast ? d.wanted_reactive : d.wanted_forecast;
            needed = needed < p.instances_max ? needed : p.instances_max;
            assert_true(d.instances >= needed);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_of_one_decision),
        cmocka_unit_test(the_quantile_is_the_critical_ratio),
        cmocka_unit_test(a_step_ahead_is_met_by_its_lead),
        cmocka_unit_test(a_step_that_takes_rounds_of_starts_is_begun_earlier),
        cmocka_unit_test(blind_it_never_shrinks),
        cmocka_unit_test(blind_it_still_follows_what_is_announced),
        cmocka_unit_test(a_clock_jump_does_not_shrink),
        cmocka_unit_test(down_once_the_window_has_passed),
        cmocka_unit_test(what_is_needed_again_soon_is_kept),
        cmocka_unit_test(starts_are_rationed),
        cmocka_unit_test(what_is_announced_is_met_though_no_forecast_is_followed),
        cmocka_unit_test(a_campaign_is_named),
        cmocka_unit_test(no_flapping),
        cmocka_unit_test(limits_hold_whatever_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
