/* The ledger, fed second by second, and `backtest` over the same counts say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "decide/cost/ledger.h"
#include "tool/sim/backtest.h"

#define STEP_MS 60000
#define STEPS 360 /* six hours */
#define START_MS (INT64_C(19675) * 86400000)
#define UNIT_RPS 10
#define STARTUP_MS 90000

static double counts[STEPS];
static struct ledger ledger;

/* A rise, two crowds and a slow ebb. */
static void make_counts(void) {
    for (int i = 0; i < STEPS; i++) {
        double rps = 40 + 30 * sin(i / 40.0) + (i >= 100 && i < 130 ? 150 : 0) +
                     (i >= 250 && i < 253 ? 80 : 0);
        counts[i] = rps * STEP_MS / 1000;
    }
}

static struct ledger_hour run_ledger(const struct autoscale_policy *policy) {
    struct ledger_hour sum = { .seconds = 0 }, done;
    struct error err;
    assert_true(ledger_init(&ledger, policy, &err));
    for (int64_t ms = 1000; ms <= (int64_t)STEPS * STEP_MS; ms += 1000) {
        struct ledger_second second = { .now_ms = START_MS + ms,
                                        .seconds = 1,
                                        .offered_rps = counts[(ms - 1) / STEP_MS] * 1000 / STEP_MS,
                                        .unit_rps = UNIT_RPS,
                                        .startup_ms = STARTUP_MS };
        ledger_observe(&ledger, &second);
        if (ms == (int64_t)STEPS * STEP_MS) {
            ledger_end(&ledger);
        }
        enum ledger_step step;
        while ((step = ledger_step(&ledger, &done)) != LEDGER_WAITS) {
            const struct ledger_hour *hour = step == LEDGER_HOUR_ENDED ? &done : NULL;
            for (int i = 0; hour != NULL && i < LEDGER_POLICIES; i++) {
                sum.accounts[i].instance_hours += hour->accounts[i].instance_hours;
                sum.accounts[i].unserved += hour->accounts[i].unserved;
            }
        }
    }
    for (int i = 0; i < LEDGER_POLICIES; i++) {
        sum.accounts[i].instance_hours += ledger.hour.accounts[i].instance_hours;
        sum.accounts[i].unserved += ledger.hour.accounts[i].unserved;
    }
    ledger_fini(&ledger);
    return sum;
}

static void the_same_hours_and_the_same_unserved(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum ledger_policy policy;
    } cases[] = { { "hpa", LEDGER_HPA },
                  { "reactive", LEDGER_REACTIVE },
                  { "oracle", LEDGER_ORACLE } };
    struct backtest_input in = { .counts = counts,
                                 .len = STEPS,
                                 .start_ms = START_MS,
                                 .step_ms = STEP_MS,
                                 .startup_ms = STARTUP_MS,
                                 .patience_ms = BACKTEST_PATIENCE_MS,
                                 .unit_rps = UNIT_RPS };
    make_counts();
    autoscale_policy_init(&in.policy);
    in.policy.instances_min = 2;
    in.policy.instances_max = 40;
    struct ledger_hour sum = run_ledger(&in.policy);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct backtest_policy policy;
        struct backtest_result result;
        struct error err;
        const struct ledger_account *account = &sum.accounts[cases[i].policy];
        assert_true(backtest_policy_parse(&policy, cases[i].name, &err));
        assert_true(backtest_run(&in, &policy, &result, &err));
        double hours = result.totals.instance_hours, unserved = result.totals.unserved;
        if (fabs(account->instance_hours - hours) > 1e-3 * hours ||
            fabs(account->unserved - unserved) > 1e-3 * unserved + 0.1) {
            fail_msg("%s: ledger %.6f h, %.3f unserved; backtest %.6f h, %.3f", cases[i].name,
                     account->instance_hours, account->unserved, hours, unserved);
        }
        backtest_result_fini(&result);
    }
    assert_true(sum.accounts[LEDGER_HPA].unserved > 100); /* there was something to compare */
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_same_hours_and_the_same_unserved) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
