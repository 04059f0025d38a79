#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tool/sim/scenario_faults.h"

static float one[SCENARIO_DAY_S], other[SCENARIO_DAY_S];

static void the_same_seed_gives_the_same_days(void **state) {
    (void)state;
    struct scenario a, b, c;
    assert_true(scenario_init(&a, 7, 30, 100, NULL, NULL));
    assert_true(scenario_init(&b, 7, 30, 100, NULL, NULL));
    assert_true(scenario_init(&c, 8, 30, 100, NULL, NULL));
    assert_int_equal(a.surge_count, b.surge_count);
    assert_int_equal(a.fault_count, b.fault_count);
    for (uint32_t day = 0; day < 3; day++) {
        scenario_day(&a, day, one);
        scenario_day(&b, day, other);
        assert_memory_equal(one, other, sizeof one);
        scenario_day(&c, day, other);
        assert_memory_not_equal(one, other, sizeof one);
    }
    scenario_fini(&a);
    scenario_fini(&b);
    scenario_fini(&c);
}

static void a_month_has_campaigns_crowds_and_faults_in_order(void **state) {
    (void)state;
    struct scenario s;
    assert_true(scenario_init(&s, 3, 30, 100, NULL, NULL));
    assert_true(s.calendar.len > 5 && s.surge_count > s.calendar.len);
    assert_true(s.fault_count > 20);
    for (size_t i = 1; i < s.fault_count; i++) {
        assert_true(s.faults[i - 1].at_s <= s.faults[i].at_s);
    }
    double highest = 0;
    for (uint32_t day = 0; day < 30; day++) {
        scenario_day(&s, day, one);
        for (size_t i = 0; i < SCENARIO_DAY_S; i++) {
            assert_true(one[i] >= 0 && isfinite(one[i]));
            highest = fmax(highest, (double)one[i]);
        }
    }
    assert_true(highest > 250); /* an ordinary day's is 100 */
    scenario_fini(&s);
}

static void the_first_campaign_comes_in_the_first_hour(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct scenario s;
        assert_true(scenario_init(&s, seed, 1, 100, NULL, NULL));
        int64_t first_s = (s.calendar.events[0].start_ms - SCENARIO_START_MS) / 1000;
        assert_true(first_s > 0 && first_s < 3600 && s.calendar.events[0].multiplier > 1);
        for (size_t i = 0; i < s.surge_count; i++) {
            const struct scenario_surge *surge = &s.surges[i];
            assert_false(scenario_is_calm(&s, surge->start_s + surge->rise_s + 1));
        }
        assert_true(s.surge_count == 0 || scenario_is_calm(&s, -1));
        scenario_fini(&s);
    }
}

static bool parse(const char *text, struct scenario *s, struct error *err) {
    *s = (struct scenario){ .days = 1 };
    return scenario_parse_faults(s, slice_from(text), "faults.csv", err);
}

static void faults_of_a_file(void **state) {
    (void)state;
    struct scenario s;
    struct error err;
    assert_true(parse("at,for,fault,amount\n26h,10m,stale_metric,\n90s,,crash,3\n"
                      "1d,,clock_jump,-3600\n",
                      &s, &err));
    assert_int_equal(s.fault_count, 3);
    assert_int_equal(s.faults[0].kind, FAULT_CRASH);
    assert_true(s.faults[0].amount == 3);
    assert_true(s.faults[1].amount == -3600);
    assert_int_equal(s.faults[2].at_s, 26 * 3600);
    assert_int_equal(s.faults[2].for_s, 600);
    scenario_fini(&s);
}

static void faults_that_are_wrong_name_their_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "", "faults.csv:1:1: expected a header line" },
        { "when,what\n", "expected a header with at and fault" },
        { "at,fault\nsoon,crash\n", "faults.csv:2:1: expected a duration such as 26h" },
        { "at,fault\n1h,flood\n", "faults.csv:2:4: expected stale_metric, " },
        { "at,fault,amount\n1h,crash,-1\n", "faults.csv:2:10: expected a number above 0, found" },
        { "at,fault,amount\n1h,clock_jump,x\n", "above 0 or below, found 'x'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scenario s;
        struct error err = { 0 };
        assert_false(parse(cases[i].text, &s, &err));
        if (strstr(err.text, cases[i].message) == NULL) {
            fail_msg("%s: %s", cases[i].text, err.text);
        }
        scenario_fini(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_days),
        cmocka_unit_test(the_first_campaign_comes_in_the_first_hour),
        cmocka_unit_test(a_month_has_campaigns_crowds_and_faults_in_order),
        cmocka_unit_test(faults_of_a_file),
        cmocka_unit_test(faults_that_are_wrong_name_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
