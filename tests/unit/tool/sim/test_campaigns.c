/* Announced campaigns on a real base, with marketers who are wrong by half: what the live code lets
 * through, and what it costs beside an oracle. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "tool/sim/backtest.h"
#include "tool/sim/recorded.h"

#define MINUTE INT64_C(60000)
#define LEN_MAX (35 * 1440)
#define CAMPAIGN_MINUTES 60
#define HALF_LIFE_MINUTES 30.0
#define SEEDS 1
#define OVER_RATIO_MAX 0.0002
#define OVER_RATIO_LATE_MAX 0.0004
#define ADDED_COST_MAX 2.0
#define FIRST_DAY 14 /* before it there is only history */

static double counts[LEN_MAX];
static size_t len;
static int64_t start_ms;

/* Rentals by the hour as requests by the minute, 100 in a second on average. */
static void load_base(void) {
    struct recorded_options options = { .path = "tests/data/bike_share_8weeks.csv",
                                        .step_ms = 60 * MINUTE,
                                        .column = "" };
    struct recorded recorded;
    struct error err = { 0 };
    if (!recorded_init(&recorded, &options, &err)) {
        fail_msg("%s", err.text);
    }
    double sum = 0, last = 0;
    start_ms = recorded.start_ms;
    len = recorded.len * 60 < LEN_MAX ? recorded.len * 60 : LEN_MAX;
    for (size_t i = 0; i < len; i++) {
        double here = recorded.values[i / 60], next = recorded.values[i / 60 + 1];
        here = isnan(here) ? last : here;
        next = isnan(next) ? here : next;
        last = here;
        counts[i] = here + (next - here) * (double)(i % 60) / 60 + 5;
        sum += counts[i];
    }
    for (size_t i = 0; i < len; i++) {
        counts[i] *= 6000.0 * (double)len / sum;
    }
    recorded_fini(&recorded);
}

struct send {
    double peak, rise_minutes;
    int64_t late_ms;
};

static void add_send(size_t at, const struct send *send) {
    for (size_t m = at; m < at + CAMPAIGN_MINUTES && m < len; m++) {
        double age = (double)(m - at) + 0.5;
        double excess = (send->peak - 1) * fmin(age / send->rise_minutes, 1) *
                        exp2(-fmax(age - send->rise_minutes, 0) / HALF_LIFE_MINUTES);
        counts[m] *= 1 + excess;
    }
}

/* One a day, at an hour of its own; the marketer says half too much or half too little. */
static void add_campaigns(struct calendar *c, const struct send *send, uint64_t seed) {
    struct rand random;
    rand_init(&random, seed);
    for (size_t day = FIRST_DAY; (day + 1) * 1440 <= len; day++) {
        size_t at = day * 1440 + 8 * 60 + rand_below(&random, 10 * 60);
        double wrong = rand_below(&random, 2) == 0 ? 0.5 : 1.5;
        int64_t announced_ms = start_ms + (int64_t)at * MINUTE - send->late_ms;
        struct calendar_event event = { .start_ms = announced_ms,
                                        .end_ms = announced_ms + CAMPAIGN_MINUTES * MINUTE,
                                        .name = SLICE("newsletter"),
                                        .kind = SLICE("mail"),
                                        .multiplier = send->peak * wrong };
        assert_true(calendar_add(c, &event, NULL));
        add_send(at, send);
    }
    calendar_sort(c);
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

struct figures {
    double cost, oracle, over_ratio;
};

static struct figures measure(const struct calendar *calendar, int64_t startup_ms) {
    struct backtest_input in = { .counts = counts,
                                 .len = len,
                                 .start_ms = start_ms,
                                 .step_ms = MINUTE,
                                 .startup_ms = startup_ms,
                                 .patience_ms = BACKTEST_PATIENCE_MS,
                                 .unit_rps = 10,
                                 .calendar = calendar };
    autoscale_policy_init(&in.policy);
    in.policy.instances_max = 1000;
    struct backtest_result predictive = run(&in, "predictive"), oracle = run(&in, "oracle");
    struct figures f = { predictive.cost, oracle.cost, predictive.unserved_share };
    backtest_result_fini(&predictive);
    backtest_result_fini(&oracle);
    return f;
}

/* What prediction costs on smooth days is not judged here: only what the campaigns add. */
static void announced_campaigns_are_met_although_the_marketer_is_wrong(void **state) {
    (void)state;
    static const struct {
        struct send send;
        int64_t startup_ms;
    } cases[] = { { { 5, 2, 0 }, 90000 },
                  { { 5, 2, 0 }, 300000 },
                  { { 8, 1, 0 }, 90000 },
                  { { 8, 1, 0 }, 300000 },
                  { { 8, 1, 300000 }, 300000 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double over = 0, added = 0, whole = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct calendar calendar;
            calendar_init(&calendar);
            load_base();
            struct figures without = measure(NULL, cases[i].startup_ms);
            add_campaigns(&calendar, &cases[i].send, seed);
            struct figures with = measure(&calendar, cases[i].startup_ms);
            over += with.over_ratio / SEEDS;
            added += (with.cost - without.cost) / (with.oracle - without.oracle) / SEEDS;
            whole += with.cost / with.oracle / SEEDS;
            calendar_fini(&calendar);
        }
        print_message(
            "x%g in %g min, %g s late, start-up %g s: %.4f %% over capacity; cost %.3f of "
            "the oracle's (of what campaigns add: %.3f)\n",
            cases[i].send.peak, cases[i].send.rise_minutes, (double)cases[i].send.late_ms / 1000,
            (double)cases[i].startup_ms / 1000, 100 * over, whole, added);
        assert_true(over <= (cases[i].send.late_ms > 0 ? OVER_RATIO_LATE_MAX : OVER_RATIO_MAX));
        assert_true(added <= ADDED_COST_MAX);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(announced_campaigns_are_met_although_the_marketer_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
