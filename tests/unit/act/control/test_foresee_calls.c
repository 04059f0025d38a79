/* What callers will ask for is added to the plan of what they call. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "act/control/foresee.h"

#define START_MS 1700000000000LL
#define STEP_MS 10000

struct pair {
    struct calendar calendar;
    struct foresee front, back;
    struct foresee_call call;
    int64_t now_ms;
};

static void init_one(struct foresee *f, const struct calendar *calendar, double lead_ms) {
    struct error err;
    struct foresee_options options = {
        .objective_ms = 250,
        .capacity_rps = 10,
        .lead_ms = lead_ms,
        .step_ms = STEP_MS,
        .season_ms = { 600000 },
        .season_count = 1,
        .calendar = calendar,
    };
    autoscale_policy_init(&options.policy);
    options.policy.instances_max = 200;
    if (!foresee_init(f, &options, &err)) {
        fail_msg("%s", err.text);
    }
}

static int set_up(void **state) {
    static struct pair p;
    struct calendar_event event = { .start_ms = START_MS + 1800000,
                                    .end_ms = START_MS + 3600000,
                                    .name = SLICE("Sale"),
                                    .kind = SLICE("mail"),
                                    .multiplier = 6 };
    struct error err;
    p = (struct pair){ .now_ms = START_MS };
    calendar_init(&p.calendar);
    if (!calendar_add(&p.calendar, &event, &err)) {
        return 1;
    }
    calendar_settle(&p.calendar);
    init_one(&p.front, &p.calendar, 2000);
    init_one(&p.back, NULL, 60000);
    p.call = (struct foresee_call){ .caller = &p.front, .ratio = 2 };
    p.back.calls = &p.call;
    p.back.call_count = 1;
    p.front.reach_ms = 60000;
    *state = &p;
    return 0;
}

static int tear_down(void **state) {
    struct pair *p = *state;
    foresee_fini(&p->front);
    foresee_fini(&p->back);
    calendar_fini(&p->calendar);
    return 0;
}

static void run(struct pair *p, int seconds, double front_rps, double back_rps) {
    for (int i = 0; i < seconds; i++) {
        struct service_second front = { .seconds = 1, .offered_rps = front_rps };
        struct service_second back = { .seconds = 1, .offered_rps = back_rps };
        p->now_ms += 1000;
        foresee_observe(&p->front, p->now_ms, &front);
        foresee_observe(&p->back, p->now_ms, &back);
        foresee_decide(&p->front, p->now_ms, p->front.decision.instances, 0);
        foresee_decide(&p->back, p->now_ms, p->back.decision.instances, 0);
    }
}

static double highest(const struct foresee *f) {
    double most = 0;
    for (size_t i = 0; i < f->shown.steps; i++) {
        most = fmax(most, f->shown.path[i * FORESEE_LEVELS + 1]);
    }
    return most;
}

static void calls_that_are_not_seen_count(void **state) {
    struct pair *p = *state;
    run(p, 600, 20, 0);
    assert_true(p->back.demand_rps == 40);
    assert_true(p->back.own_rps == 0);
    assert_in_range(p->back.decision.instances, 4, 6); /* 40 rps and headroom, 10 each */
    double now = foresee_at(&p->back, p->now_ms, 1);
    assert_true(now > 35 && now < 45);
}

static void calls_that_are_seen_count_once(void **state) {
    struct pair *p = *state;
    run(p, 1200, 20, 55); /* 40 of them by the front */
    assert_true(p->back.demand_rps == 55 && p->back.own_rps == 15);
    double now = foresee_at(&p->back, p->now_ms, 1);
    if (now < 50 || now > 60) {
        fail_msg("%g", now);
    }
    assert_in_range(p->back.decision.instances, 6, 8);
}

static void a_campaign_of_the_front_scales_the_back_before_the_crowd(void **state) {
    struct pair *p = *state;
    run(p, 1500, 20, 40);
    uint32_t before = p->back.decision.instances;
    assert_in_range(before, 4, 6);
    run(p, 299, 20, 40); /* a second before the campaign begins */
    assert_true(highest(&p->back) > 200);
    if (p->back.decision.instances < 3 * before) {
        fail_msg("%u, before %u", p->back.decision.instances, before);
    }
    assert_true(p->back.decision.reason == AUTOSCALE_FORECAST ||
                p->back.decision.reason == AUTOSCALE_CAMPAIGN);
}

static void a_caller_that_is_not_heard_of_takes_nothing_away(void **state) {
    struct pair *p = *state;
    run(p, 600, 20, 40);
    uint32_t before = p->back.decision.instances;
    for (int i = 0; i < 60; i++) {
        struct service_second back = { .seconds = 1, .offered_rps = 40 };
        p->now_ms += 1000;
        p->front.demand_rps = NAN;
        foresee_observe(&p->back, p->now_ms, &back);
        foresee_decide(&p->back, p->now_ms, before, 0);
        assert_true(p->back.decision.instances >= before);
    }
}

/* ---- learned ---- */

static int set_up_learned(void **state) {
    if (set_up(state) != 0) {
        return 1;
    }
    ((struct pair *)*state)->call.learned = true;
    return 0;
}

static void learned_calls_are_part_of_what_is_seen(void **state) {
    struct pair *p = *state;
    run(p, 1200, 20, 55);
    assert_true(p->back.demand_rps == 55 && p->back.own_rps == 55);
    double now = foresee_at(&p->back, p->now_ms, 1);
    if (now < 50 || now > 60) {
        fail_msg("%g", now);
    }
    assert_in_range(p->back.decision.instances, 6, 8);
}

static void a_wrong_ratio_takes_nothing_away(void **state) {
    struct pair *p = *state;
    p->call.ratio = 0.05;
    run(p, 1200, 20, 40);
    assert_in_range(p->back.decision.instances, 4, 6);
    p->call.ratio = 50; /* and gives nothing but in a campaign */
    run(p, 60, 20, 40);
    assert_in_range(p->back.decision.instances, 4, 6);
}

static void what_did_not_get_through_will_be_called_for(void **state) {
    struct pair *p = *state;
    run(p, 600, 20, 40);
    uint32_t before = p->back.decision.instances;
    for (int i = 0; i < 10; i++) {
        struct service_second front = { .seconds = 1, .offered_rps = 70, .refused_rps = 50 };
        struct service_second back = { .seconds = 1, .offered_rps = 40 };
        p->now_ms += 1000;
        foresee_observe(&p->front, p->now_ms, &front);
        foresee_observe(&p->back, p->now_ms, &back);
        foresee_decide(&p->front, p->now_ms, p->front.decision.instances, 0);
        foresee_decide(&p->back, p->now_ms, p->back.decision.instances, 0);
    }
    assert_true(p->back.demand_rps == 140);
    if (p->back.decision.instances < before + 9) {
        fail_msg("%u, before %u", p->back.decision.instances, before);
    }
}

static void calls_of_a_campaign_are_neither_counted_twice_nor_learned(void **state) {
    struct pair *p = *state;
    run(p, 1800, 20, 40);
    assert_true(highest(&p->back) > 200);
    run(p, 900, 120, 240); /* the crowd is here */
    double during = foresee_at(&p->back, p->now_ms, 1);
    run(p, 900, 120, 240);
    run(p, 300, 20, 40); /* and gone */
    double after = foresee_at(&p->back, p->now_ms, 1);
    if (during < 160 || during > 340 || after > 80) {
        fail_msg("%g during, %g after", during, after);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_that_are_not_seen_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_that_are_seen_count_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_campaign_of_the_front_scales_the_back_before_the_crowd,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_caller_that_is_not_heard_of_takes_nothing_away, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(learned_calls_are_part_of_what_is_seen, set_up_learned,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_ratio_takes_nothing_away, set_up_learned,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_did_not_get_through_will_be_called_for, set_up_learned,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_campaign_of_the_front_scales_the_back_before_the_crowd,
                                        set_up_learned, tear_down),
        cmocka_unit_test_setup_teardown(calls_of_a_campaign_are_neither_counted_twice_nor_learned,
                                        set_up_learned, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
