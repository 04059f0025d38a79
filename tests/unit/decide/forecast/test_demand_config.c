/* `demand:` of shop.yaml: what it means, what is refused in it, and the calendar it makes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../config/config_text.h"
#include "base/clock.h"
#include "decide/forecast/calendar.h"
#include "decide/forecast/demand_config.h"

/* As it stands in shop.yaml. */
struct shop {
    struct demand_config demand;
};
static const struct config_field shop_fields[] = {
    { "demand", CONFIG_BLOCK, offsetof(struct shop, demand), .table = &demand_config_table },
};
static const struct config_table shop_table = CONFIG_TABLE(struct shop, shop_fields);

static struct config_text text;
static struct shop shop;

static int set_up(void **state) {
    (void)state;
    config_text_init(&text, "t.yaml");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    config_text_fini(&text);
    return 0;
}

static void has_defaults(void **state) {
    (void)state;
    const struct demand_config *c = &shop.demand;
    assert_true(config_text_apply(&text, &shop_table, "demand: {}", &shop));
    assert_true(c->campaigns == NULL && c->calendar == NULL && c->history == NULL);
    assert_int_equal(c->holiday_count, 0);
    assert_true(isnan(c->margin_per_request));
    assert_true(c->step_ms == MS_PER_MINUTE);
    assert_int_equal(c->season_count, 2);
    assert_true(c->season_ms[0] == MS_PER_DAY && c->season_ms[1] == 7 * MS_PER_DAY);
}

static void what_does_not_fit_is_said(void **state) {
    (void)state;
    static const struct {
        const char *text, *report;
    } cases[] = {
        { "demand: { step: 10ms }", "1:17: step: expected a duration of 1s to 1d" },
        { "demand: { step: 2d }", "1:17: step: expected a duration of 1s to 1d" },
        { "demand: { seasons: [1m] }", "1:20: seasons: expected 2 to 800000 steps of 60 s" },
        { "demand: { seasons: [1h, 4000w] }", "1:20: seasons: expected 2 to 800000 steps of 60 s" },
        { "demand: { holidays: [DE, ZZ] }",
          "1:21: holidays: expected " CALENDAR_COUNTRIES ", found 'ZZ'" },
        { "demand: { holidays: [+S] }", /* a word of ours */
          "1:21: holidays: expected " CALENDAR_COUNTRIES ", found '+S'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_text_refuses(&text, &shop_table, cases[i].text, &shop, cases[i].report);
    }
}

static void seasons_are_sorted(void **state) {
    (void)state;
    const struct demand_config *c = &shop.demand;
    assert_true(config_text_apply(&text, &shop_table, "demand: { seasons: [1h, 3m] }", &shop));
    assert_true(c->season_ms[0] == 3 * MS_PER_MINUTE && c->season_ms[1] == MS_PER_HOUR);
}

static void the_calendar_holds_campaigns_and_holidays(void **state) {
    (void)state;
    struct demand_config c = { .campaigns = "tests/fuzz/corpus/calendar/events.csv",
                               .holidays = { SLICE("DE") },
                               .holiday_count = 1 };
    struct calendar calendar;
    struct error err = { 0 };
    struct calendar_window year = { 1767225600000, 1798761600000 };
    calendar_init(&calendar);
    assert_true(demand_config_calendar(&c, year, &calendar, &err));
    assert_int_equal(calendar.len, 2 + 9);
    c.campaigns = "/nowhere.ics";
    assert_false(demand_config_calendar(&c, year, &calendar, &err));
    calendar_fini(&calendar);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(has_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(seasons_are_sorted, set_up, tear_down),
        cmocka_unit_test(the_calendar_holds_campaigns_and_holidays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
