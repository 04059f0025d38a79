#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tool/sim/invariants.h"

static struct autoscale_policy policy(void) {
    struct autoscale_policy p;
    autoscale_policy_init(&p);
    p.instances_min = 2;
    p.instances_max = 20;
    p.headroom_ratio = 0;
    return p;
}

static struct invariants_moment moment(int64_t at_s, uint32_t running, uint32_t instances,
                                       enum autoscale_reason reason) {
    return (struct invariants_moment){
        .at_s = at_s,
        .demand_rps = 250,
        .announced_rps = NAN,
        .serving = running,
        .decision = { .instances = instances,
                      .reason = reason,
                      .wanted_reactive = 3,
                      .wanted_forecast = 2,
                      .demand_rps = 250,
                      .forecast_rps = 190,
                      .capacity_rps = 100,
                      .lead_ms = 1000 },
    };
}

/* A first moment that is right, and then one that is not, 1,000 s later unless it says otherwise.
 */
static void each_can_be_broken(void **state) {
    (void)state;
    static const struct {
        const char *broken;
        uint32_t running, instances;
        enum autoscale_reason reason;
        int64_t after_s;
        bool blind, disturbed, unknown;
        double announced_rps; /* 0: nothing */
    } cases[] = {
        { NULL, 3, 3, AUTOSCALE_STEADY, 1000, false, false, false, 0 },
        { NULL, 5, 3, AUTOSCALE_SHRINK, 1000, false, false, false, 0 },
        { NULL, 3, 5, AUTOSCALE_HOLDING, 1000, false, false, false, 0 },
        { "max", 3, 21, AUTOSCALE_DEMAND, 1000, false, false, false, 0 },
        { "max", 3, 1, AUTOSCALE_SHRINK, 1000, false, false, false, 0 },
        { "blind", 5, 4, AUTOSCALE_SHRINK, 1000, true, false, true, 0 },
        { "disturbed", 5, 4, AUTOSCALE_SHRINK, 1000, false, true, false, 0 },
        { "flapping", 7, 5, AUTOSCALE_SHRINK, 299, false, false, false, 0 },
        { "net", 2, 2, AUTOSCALE_STEADY, 1000, false, false, false, 0 },
        { "warm", 5, 6, AUTOSCALE_DEMAND, 1000, false, false, false, 900 },
        { NULL, 5, 8, AUTOSCALE_HOLDING, 1000, false, false, false, 900 },
        { NULL, 5, 20, AUTOSCALE_HOLDING, 1000, false, false, false, 1e6 },
        { "reason", 5, 4, AUTOSCALE_STEADY, 1000, false, false, false, 0 },
        { "reason", 5, 6, AUTOSCALE_FORECAST, 1000, false, false, false, 0 },
        { "reason", 5, 6, AUTOSCALE_BLIND, 1000, false, false, false, 0 },
        { "reason", 5, 6, AUTOSCALE_AT_MAX, 1000, false, false, false, 0 },
        { "reason", 5, 6, AUTOSCALE_AT_MIN, 1000, false, false, false, 0 },
    };
    struct autoscale_policy p = policy();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct invariants v;
        invariants_init(&v, &p);
        struct invariants_moment first = moment(0, 1, 7, AUTOSCALE_HOLDING);
        assert_true(invariants_check(&v, &first));
        struct invariants_moment second =
            moment(cases[i].after_s, cases[i].running, cases[i].instances, cases[i].reason);
        second.blind = cases[i].blind;
        second.disturbed = cases[i].disturbed;
        if (cases[i].announced_rps > 0) {
            second.announced_rps = cases[i].announced_rps;
        }
        if (cases[i].unknown) {
            second.demand_rps = NAN;
        }
        bool holds = invariants_check(&v, &second);
        const char *broken = v.broken != NULL ? v.broken : "nothing";
        const char *expected = cases[i].broken != NULL ? cases[i].broken : "nothing";
        if (holds != (cases[i].broken == NULL) || strcmp(broken, expected) != 0) {
            fail_msg("case %zu: expected %s, broken is %s: %s", i, expected, broken, v.text);
        }
    }
}

static bool holds_at_most(bool budgeted, enum autoscale_reason reason) {
    struct autoscale_policy p = policy();
    struct invariants v;
    p.budgeted = budgeted;
    invariants_init(&v, &p);
    struct invariants_moment m = moment(0, 20, p.instances_max, reason);
    m.decision.wanted_reactive = 25;
    return invariants_check(&v, &m);
}

static void a_budget_is_named_where_it_binds(void **state) {
    (void)state;
    assert_true(holds_at_most(false, AUTOSCALE_AT_MAX));
    assert_true(holds_at_most(true, AUTOSCALE_AT_BUDGET));
    assert_false(holds_at_most(true, AUTOSCALE_AT_MAX));
    assert_false(holds_at_most(false, AUTOSCALE_AT_BUDGET));
}

static void the_last_decisions_are_kept_with_their_sentences(void **state) {
    (void)state;
    struct autoscale_policy p = policy();
    struct invariants v;
    invariants_init(&v, &p);
    for (uint32_t i = 0; i < 12; i++) {
        struct invariants_moment m = moment(i, i, 3 + i, AUTOSCALE_HOLDING);
        m.decision.reason = i == 0 ? AUTOSCALE_DEMAND : AUTOSCALE_HOLDING;
        assert_true(invariants_check(&v, &m));
    }
    assert_int_equal(v.noted, 12);
    const struct invariants_note *last = &v.last[11 % INVARIANTS_LAST];
    assert_int_equal(last->at_s, 11);
    assert_non_null(strstr(last->sentence, "14 instances: "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_can_be_broken),
        cmocka_unit_test(a_budget_is_named_where_it_binds),
        cmocka_unit_test(the_last_decisions_are_kept_with_their_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
