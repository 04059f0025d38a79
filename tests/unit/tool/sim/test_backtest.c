#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "tool/sim/pilot.h"

#define MINUTE INT64_C(60000)
#define START INT64_C(1767225600000)
#define DAYS 10
#define LEN (DAYS * 1440)

static double counts[LEN];

static struct backtest_input input_of(int64_t startup_ms) {
    struct backtest_input in = {
        .counts = counts,
        .len = LEN,
        .start_ms = START,
        .step_ms = MINUTE,
        .startup_ms = startup_ms,
        .patience_ms = BACKTEST_PATIENCE_MS,
        .unit_rps = 10,
    };
    autoscale_policy_init(&in.policy);
    in.policy.instances_max = 200;
    return in;
}

static double smooth_rps(size_t minute) {
    return 100 - 80 * cos(2 * M_PI * (double)minute / 1440);
}

static void smooth_days(void) {
    for (size_t i = 0; i < LEN; i++) {
        counts[i] = 60 * smooth_rps(i);
    }
}

static struct backtest_result run(const struct backtest_input *in, const char *name) {
    struct backtest_policy policy;
    struct backtest_result result;
    struct error err = { 0 };
    assert_true(backtest_policy_parse(&policy, name, NULL));
    if (!backtest_run(in, &policy, &result, &err)) {
        fail_msg("%s: %s", name, err.text);
    }
    return result;
}

static void names_of_policies(void **state) {
    (void)state;
    static const char *const wrong[] = { "", "fixed", "fixed:", "fixed:0", "fixed:-1", "HPA", "x" };
    struct backtest_policy p;
    assert_true(backtest_policy_parse(&p, "fixed:12", NULL));
    assert_int_equal(p.fixed, 12);
    assert_string_equal(p.name, "fixed:12");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(backtest_policy_parse(&p, wrong[i], NULL));
    }
}

static void the_oracle_serves_all_and_nobody_is_cheaper(void **state) {
    (void)state;
    static const int64_t startups_ms[] = { 1000, 90000, 300000, 1000000 };
    for (size_t i = 0; i < 4; i++) {
        smooth_days();
        for (size_t m = 5000; m < 5060; m++) {
            counts[m] *= 7; /* a step out of nothing */
        }
        struct backtest_input in = input_of(startups_ms[i]);
        struct backtest_result oracle = run(&in, "oracle");
        assert_true(oracle.totals.unserved < 1e-6 && oracle.totals.violation_minutes == 0);
        assert_true(oracle.totals.instance_hours >= oracle.ideal_instance_hours - 1e-6);
        static const char *const others[] = { "predictive", "reactive", "hpa", "fixed:126" };
        for (size_t j = 0; j < 4; j++) {
            struct backtest_result other = run(&in, others[j]);
            assert_true(other.totals.unserved > 0 ||
                        other.totals.instance_hours >= oracle.totals.instance_hours);
            assert_true(fabs(other.ideal_instance_hours - oracle.ideal_instance_hours) < 1e-9);
            assert_true(fabs(other.totals.requests - oracle.totals.requests) < 1);
            backtest_result_fini(&other);
        }
        backtest_result_fini(&oracle);
    }
}

/* By hand: 2 instances all the time, 5 more from minute 10 to 19 and from 30 to 39. With 5 minutes
 * of start-up they are stopped in between, with 15 they are not. */
static void the_oracle_weighs_stopping_against_starting_again(void **state) {
    (void)state;
    struct backtest_input in = input_of(5 * MINUTE);
    in.len = 60;
    for (size_t i = 0; i < 60; i++) {
        counts[i] = 60 * ((i >= 10 && i < 20) || (i >= 30 && i < 40) ? 70 : 20);
    }
    struct backtest_result r = run(&in, "oracle");
    assert_true(fabs(r.totals.instance_hours - (120 + 5 * (15 + 15)) / 60.0) < 1e-6);
    backtest_result_fini(&r);
    in.startup_ms = 10 * MINUTE;
    r = run(&in, "oracle");
    assert_true(fabs(r.totals.instance_hours - (120 + 5 * (10 + 10 + 10 + 10)) / 60.0) < 1e-6);
    assert_true(fabs(r.ideal_instance_hours - (120 + 5 * 20) / 60.0) < 1e-6);
    backtest_result_fini(&r);
}

static void a_fixed_fleet_does_not_move(void **state) {
    (void)state;
    smooth_days();
    struct backtest_input in = input_of(90000);
    in.policy.price_per_hour = 0.5;
    struct backtest_result r = run(&in, "fixed:18");
    assert_true(fabs(r.totals.instance_hours - 18 * 24 * DAYS) < 1e-6);
    assert_true(fabs(r.cost - 9 * 24 * DAYS) < 1e-6);
    assert_int_equal(r.totals.scale_actions, 0);
    assert_true(r.totals.unserved == 0);
    backtest_result_fini(&r);
}

static void an_announced_campaign_is_met_with_instances_already_there(void **state) {
    (void)state;
    struct calendar c;
    calendar_init(&c);
    smooth_days();
    size_t begins = 8 * 1440 + 600;
    struct calendar_event event = { .start_ms = START + (int64_t)begins * MINUTE,
                                    .end_ms = START + (int64_t)(begins + 60) * MINUTE,
                                    .name = SLICE("sale"),
                                    .kind = SLICE("mail"),
                                    .multiplier = 6 };
    assert_true(calendar_add(&c, &event, NULL));
    for (size_t m = begins; m < begins + 60; m++) {
        counts[m] *= 6;
    }
    struct backtest_input in = input_of(300000);
    struct backtest_result blind = run(&in, "predictive"), hpa = run(&in, "hpa");
    in.calendar = &c;
    struct backtest_result told = run(&in, "predictive");
    print_message("# unserved: told %.0f, not told %.0f, hpa %.0f\n", told.totals.unserved,
                  blind.totals.unserved, hpa.totals.unserved);
    assert_true(told.totals.unserved < 0.0002 * told.totals.requests);
    assert_true(told.totals.unserved < 0.05 * hpa.totals.unserved);
    assert_true(told.totals.unserved < 0.05 * blind.totals.unserved);
    backtest_result_fini(&blind);
    backtest_result_fini(&hpa);
    backtest_result_fini(&told);
    calendar_fini(&c);
}

static void what_was_not_recorded_shrinks_nothing(void **state) {
    (void)state;
    smooth_days();
    for (size_t m = 3 * 1440 + 720; m < 4 * 1440 + 700; m++) {
        counts[m] = NAN; /* from a noon on, almost a day */
    }
    struct backtest_input in = input_of(90000);
    static const char *const names[] = { "predictive", "reactive" };
    for (size_t i = 0; i < 2; i++) {
        struct backtest_result r = run(&in, names[i]);
        float before = r.serving[3 * 1440 + 719];
        for (size_t m = 3 * 1440 + 720; m < 4 * 1440 + 700; m++) {
            assert_true(r.serving[m] >= before);
        }
        backtest_result_fini(&r);
    }
}

static void nobody_but_the_oracle_knows_the_future(void **state) {
    (void)state;
    static const char *const names[] = { "predictive", "reactive", "hpa" };
    size_t change = 6 * 1440 + 700; /* in the busy time of a day */
    for (size_t i = 0; i < 3; i++) {
        struct backtest_input in = input_of(0); /* what is learned is acted on at once */
        smooth_days();
        struct backtest_result calm = run(&in, names[i]);
        for (size_t m = change; m < LEN; m++) {
            counts[m] *= 5;
        }
        struct backtest_result busy = run(&in, names[i]);
        assert_memory_equal(calm.serving, busy.serving, change * sizeof *calm.serving);
        assert_true(busy.serving[change + 30] > calm.serving[change + 30]);
        /* The first tick of the change itself is not known before it is over. */
        assert_true(busy.serving[change] < busy.serving[change + 1] - 3);
        backtest_result_fini(&calm);
        backtest_result_fini(&busy);
    }
}

static void the_forecast_of_an_interval_does_not_know_it(void **state) {
    (void)state;
    enum { NOW = 4000 };
    double first[64], second[64];
    struct backtest_policy policy;
    assert_true(backtest_policy_parse(&policy, "predictive", NULL));
    for (int future = 0; future < 2; future++) {
        struct backtest_input in = input_of(300000);
        struct backtest_result out = { 0 };
        struct pilot pilot;
        static float said[2][LEN];
        smooth_days();
        counts[NOW] *= 1 + 9.0 * future;
        out.forecast = said[0];
        out.provision = said[1];
        assert_true(pilot_init(&pilot, &in, &policy, 5000, NULL));
        for (size_t slot = 0; slot <= NOW; slot++) {
            pilot_note_slot(&pilot, slot, &out);
        }
        assert_true(pilot.foresees && pilot.path_steps * 2 <= 64);
        memcpy(future ? second : first, pilot.values, 2 * pilot.path_steps * sizeof *first);
        if (future) {
            assert_memory_equal(first, second, 2 * pilot.path_steps * sizeof *first);
        }
        pilot_fini(&pilot);
    }
}

static void the_same_input_gives_the_same_answer(void **state) {
    (void)state;
    smooth_days();
    struct backtest_input in = input_of(90000);
    struct backtest_result a = run(&in, "predictive"), b = run(&in, "predictive");
    assert_memory_equal(&a.totals, &b.totals, sizeof a.totals);
    backtest_result_fini(&a);
    backtest_result_fini(&b);
}

static void the_verdict_follows_the_money(void **state) {
    (void)state;
    struct backtest_result p = { .cost = 110, .totals = { .requests = 1e6, .unserved = 100 } };
    struct backtest_result r = { .cost = 100, .totals = { .requests = 1e6, .unserved = 5100 } };
    assert_true(backtest_judge(&p, &r, 0.01).pays);   /* 50 gained for 10 */
    assert_false(backtest_judge(&p, &r, 0.001).pays); /* 5 gained for 10 */
    struct backtest_verdict open = backtest_judge(&p, &r, NAN);
    assert_non_null(strstr(open.text, "It pays above 0.002 a request"));
    assert_false(backtest_judge(&r, &p, NAN).pays);
    p = r;
    assert_non_null(strstr(backtest_judge(&p, &r, NAN).text, "does not pay"));
    assert_non_null(strstr(backtest_judge(&p, &r, 0.01).text, "does not pay"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_policies),
        cmocka_unit_test(the_oracle_serves_all_and_nobody_is_cheaper),
        cmocka_unit_test(the_oracle_weighs_stopping_against_starting_again),
        cmocka_unit_test(a_fixed_fleet_does_not_move),
        cmocka_unit_test(an_announced_campaign_is_met_with_instances_already_there),
        cmocka_unit_test(what_was_not_recorded_shrinks_nothing),
        cmocka_unit_test(nobody_but_the_oracle_knows_the_future),
        cmocka_unit_test(the_forecast_of_an_interval_does_not_know_it),
        cmocka_unit_test(the_same_input_gives_the_same_answer),
        cmocka_unit_test(the_verdict_follows_the_money),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
