#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/clock.h"
#include "decide/forecast/accuracy.h"

#define START_MS (INT64_C(19675) * MS_PER_DAY)

static struct accuracy a;

static void say(int64_t start_ms, float median) {
    struct accuracy_said said = { start_ms, median - 10, median, median + 10, median + 12 };
    accuracy_said(&a, &said);
}

static void assert_near(double found, double wanted) {
    if (!(fabs(found - wanted) < 1e-5)) {
        fail_msg("expected %.9g, found %.9g", wanted, found);
    }
}

/* Ten steps a day apart from ten others: said 100, came 105; the day before it was 115, one came
 * far out. */
static void errors_and_coverage_by_hand(void **state) {
    (void)state;
    accuracy_init(&a, MS_PER_MINUTE, MS_PER_DAY);
    for (int i = 0; i < 10; i++) {
        accuracy_came(&a, START_MS + i * MS_PER_MINUTE, 115);
    }
    assert_int_equal(accuracy_score(&a).steps, 0);
    assert_true(isnan(accuracy_score(&a).mase));
    for (int i = 0; i < 10; i++) {
        int64_t at_ms = START_MS + MS_PER_DAY + i * MS_PER_MINUTE;
        say(at_ms, 100);
        accuracy_came(&a, at_ms, i == 9 ? 155 : i == 8 ? 111 : 105);
    }
    struct accuracy_score s = accuracy_score(&a);
    assert_int_equal(s.steps, 10);
    assert_true(s.since_ms == START_MS + MS_PER_DAY);
    assert_near(s.wape, (8 * 5 + 11 + 55) / (8 * 105.0 + 111 + 155));
    assert_near(s.mase, (8 * 5 + 11 + 55) / (8 * 10.0 + 4 + 40));
    assert_near(s.in_band, 0.8);
    assert_near(s.under_bound, 0.9);
}

static void only_the_past_week_counts(void **state) {
    (void)state;
    accuracy_init(&a, MS_PER_MINUTE, MS_PER_DAY);
    for (int64_t i = 0; i < 10 * 1440; i++) {
        int64_t at_ms = START_MS + i * MS_PER_MINUTE;
        say(at_ms, i < 2 * 1440 ? 500 : 100);
        accuracy_came(&a, at_ms, 100);
    }
    struct accuracy_score s = accuracy_score(&a);
    assert_int_equal(s.steps, 7 * 1440);
    assert_near(s.wape, 0);
    assert_near(s.in_band, 1);
}

static void what_is_said_too_late_or_did_not_come_is_no_score(void **state) {
    (void)state;
    accuracy_init(&a, MS_PER_MINUTE, MS_PER_DAY);
    accuracy_came(&a, START_MS, 100);
    say(START_MS, 100); /* it is over */
    say(START_MS + MS_PER_MINUTE, 100);
    accuracy_came(&a, START_MS + MS_PER_MINUTE, NAN);
    say(START_MS + 2 * MS_PER_MINUTE, NAN);
    accuracy_came(&a, START_MS + 2 * MS_PER_MINUTE, 100);
    assert_int_equal(accuracy_score(&a).steps, 0);
    /* The last word counts, the ring's next round does not. */
    say(START_MS + 3 * MS_PER_MINUTE, 50);
    say(START_MS + 3 * MS_PER_MINUTE, 90);
    accuracy_came(&a, START_MS + 3 * MS_PER_MINUTE, 100);
    accuracy_came(&a, START_MS + (3 + ACCURACY_AHEAD_MAX) * MS_PER_MINUTE, 100);
    assert_int_equal(accuracy_score(&a).steps, 1);
    assert_near(accuracy_score(&a).wape, 0.1);
}

/* Seconds: a season has more of them than means are kept. */
static void a_long_season_is_compared_by_its_parts(void **state) {
    (void)state;
    accuracy_init(&a, 1000, MS_PER_DAY);
    for (int64_t i = 0; i < 86400 + 60; i++) {
        int64_t at_ms = START_MS + i * 1000;
        if (i >= 86400) {
            say(at_ms, 100);
        }
        accuracy_came(&a, at_ms, i < 86400 ? (i % 2 == 0 ? 80 : 100) : 100);
    }
    assert_int_equal(accuracy_score(&a).steps, 60);
    say(START_MS + 86460 * 1000, 95);
    accuracy_came(&a, START_MS + 86460 * 1000, 100);
    assert_near(accuracy_score(&a).mase, 5.0 / (61 * 10)); /* a minute's mean was 90 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_and_coverage_by_hand),
        cmocka_unit_test(only_the_past_week_counts),
        cmocka_unit_test(what_is_said_too_late_or_did_not_come_is_no_score),
        cmocka_unit_test(a_long_season_is_compared_by_its_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
