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
    enum { NOW = 5 * 1440 + 700 };
    static const char *const names[] = { "predictive", "reactive", "hpa" };
    for (size_t i = 0; i < 3; i++) {
        struct backtest_input in = input_of(300000);
        smooth_days();
        struct backtest_result calm = run(&in, names[i]);
        counts[NOW] *= 10;
        struct backtest_result crowd = run(&in, names[i]);
        assert_memory_equal(calm.serving, crowd.serving, NOW * sizeof *calm.serving);
        assert_true(crowd.totals.unserved > calm.totals.unserved);
        backtest_result_fini(&calm);
        backtest_result_fini(&crowd);
    }
}

/* A sale every day at noon, ten times as much within a minute: who has seen the days before is
 * ready for it. */
static void history_from_before_is_learned_from(void **state) {
    (void)state;
    static double all[LEN];
    smooth_days();
    for (size_t i = 0; i < LEN; i++) {
        all[i] = counts[i] * (i % 1440 >= 720 && i % 1440 < 780 ? 4 : 1);
    }
    struct backtest_input in = input_of(300000);
    in.policy.price_per_hour = 0.1;
    in.policy.margin_per_request = 0.002;
    in.counts = all + 8 * 1440;
    in.len = 2 * 1440;
    in.start_ms = START + 8 * 1440 * MINUTE;
    struct backtest_result without = run(&in, "predictive");
    in.history = all;
    in.history_len = 8 * 1440;
    struct backtest_result with = run(&in, "predictive");
    print_message("# unserved: with history %.0f, without %.0f\n", with.totals.unserved,
                  without.totals.unserved);
    assert_true(with.totals.unserved < 0.3 * without.totals.unserved);
    backtest_result_fini(&with);
    backtest_result_fini(&without);
}

static void on_smooth_traffic_prediction_costs_nothing_and_says_so(void **state) {
    (void)state;
    struct rand r;
    rand_init(&r, 4);
    smooth_days();
    for (size_t i = 0; i < LEN; i++) {
        counts[i] += sqrt(counts[i]) * rand_normal(&r);
    }
    struct backtest_input in = input_of(90000);
    in.policy.price_per_hour = 0.1;
    static const double margins[] = { NAN, 0.00001, 0.002 };
    for (size_t i = 0; i < 3; i++) {
        in.policy.margin_per_request = margins[i];
        struct backtest_result p = run(&in, "predictive"), reactive = run(&in, "reactive");
        print_message("# margin %g: %.4f of the reactive cost\n", margins[i],
                      p.cost / reactive.cost);
        assert_true(p.cost <= 1.02 * reactive.cost);
        assert_true(p.totals.unserved <= reactive.totals.unserved);
        assert_false(backtest_judge(&p, &reactive, margins[i]).pays);
        backtest_result_fini(&p);
        backtest_result_fini(&reactive);
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
        cmocka_unit_test(history_from_before_is_learned_from),
        cmocka_unit_test(on_smooth_traffic_prediction_costs_nothing_and_says_so),
        cmocka_unit_test(the_same_input_gives_the_same_answer),
        cmocka_unit_test(the_verdict_follows_the_money),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
