#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decide/forecast/calendar.h"
#include "decide/forecast/demand_config.h"

static void defaults_are_sound(void **state) {
    (void)state;
    struct demand_config c;
    demand_config_init(&c);
    assert_true(demand_config_check(&c, NULL));
    assert_true(isnan(c.margin_per_request));
    assert_int_equal(c.step_ms, 60000);
}

static void what_does_not_fit_is_said(void **state) {
    (void)state;
    static const struct {
        const char *name, *error;
        int64_t step_ms, season_ms;
        struct slice holiday;
    } cases[] = {
        { "step", "step: expected a duration of 1s to 1d", 10, 86400000, { "DE", 2 } },
        { "season", "seasons: expected 2 to 800000 steps of 60 s", 60000, 60000, { "DE", 2 } },
        { "country",
          "holidays: expected " CALENDAR_COUNTRIES ", found 'ZZ'",
          60000,
          86400000,
          { "ZZ", 2 } },
        { "a word of ours",
          "holidays: expected " CALENDAR_COUNTRIES ", found '+S'",
          60000,
          86400000,
          { "+S", 2 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct demand_config c;
        struct error err = { 0 };
        demand_config_init(&c);
        c.step_ms = cases[i].step_ms;
        c.season_ms[0] = cases[i].season_ms;
        c.season_count = 1;
        c.holidays[0] = cases[i].holiday;
        c.holiday_count = 1;
        assert_false(demand_config_check(&c, &err));
        assert_string_equal(err.text, cases[i].error);
    }
}

static void seasons_are_sorted(void **state) {
    (void)state;
    struct demand_config c;
    demand_config_init(&c);
    c.season_ms[0] = 3600000;
    c.season_ms[1] = 180000;
    assert_true(demand_config_check(&c, NULL));
    assert_true(c.season_ms[0] == 180000 && c.season_ms[1] == 3600000);
}

static void the_calendar_holds_campaigns_and_holidays(void **state) {
    (void)state;
    struct demand_config c;
    struct calendar calendar;
    struct error err = { 0 };
    struct calendar_window year = { 1767225600000, 1798761600000 };
    demand_config_init(&c);
    calendar_init(&calendar);
    c.campaigns = "tests/fuzz/corpus/calendar/events.csv";
    c.holidays[0] = SLICE("DE");
    c.holiday_count = 1;
    assert_true(demand_config_calendar(&c, year, &calendar, &err));
    assert_int_equal(calendar.len, 2 + 9);
    c.campaigns = "/nowhere.ics";
    assert_false(demand_config_calendar(&c, year, &calendar, &err));
    calendar_fini(&calendar);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_sound),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(seasons_are_sorted),
        cmocka_unit_test(the_calendar_holds_campaigns_and_holidays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
