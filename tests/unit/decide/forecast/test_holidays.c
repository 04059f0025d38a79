#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "decide/forecast/calendar.h"

static void expect_days(const char *country, int year, const char *const *days, size_t len) {
    struct calendar c;
    calendar_init(&c);
    struct calendar_window window = { clock_days_from_civil(year, 1, 1) * 86400000,
                                      clock_days_from_civil(year + 1, 1, 1) * 86400000 };
    assert_true(calendar_add_holidays(&c, slice_from(country), window, NULL));
    for (size_t i = 0; i < c.len; i++) {
        char day[CLOCK_ISO8601_BYTES];
        clock_format_iso8601(c.events[i].start_ms, day);
        day[10] = '\0';
        if (i >= len) {
            fail_msg("%s %s is one too many", country, day);
        }
        assert_string_equal(day, days[i]);
        assert_int_equal(c.events[i].end_ms - c.events[i].start_ms, 86400000);
    }
    assert_int_equal(c.len, len);
    calendar_fini(&c);
}

#define EXPECT(country, year, ...)                                                                 \
    do {                                                                                           \
        static const char *const days[] = { __VA_ARGS__ };                                         \
        expect_days(country, year, days, sizeof days / sizeof days[0]);                            \
    } while (0)

/* Checked against the official lists of these years. */
static void known_years(void **state) {
    (void)state;
    EXPECT("DE", 2026, "2026-01-01", "2026-04-03", "2026-04-06", "2026-05-01", "2026-05-14",
           "2026-05-25", "2026-10-03", "2026-12-25", "2026-12-26");
    EXPECT("AT", 2025, "2025-01-01", "2025-01-06", "2025-04-21", "2025-05-01", "2025-05-29",
           "2025-06-09", "2025-06-19", "2025-08-15", "2025-10-26", "2025-11-01", "2025-12-08",
           "2025-12-25", "2025-12-26");
    EXPECT("FR", 2024, "2024-01-01", "2024-04-01", "2024-05-01", "2024-05-08", "2024-05-09",
           "2024-05-20", "2024-07-14", "2024-08-15", "2024-11-01", "2024-11-11", "2024-12-25");
    /* Christmas on a Sunday: the Tuesday instead. */
    EXPECT("gb", 2016, "2016-01-01", "2016-03-25", "2016-03-28", "2016-05-02", "2016-05-30",
           "2016-08-29", "2016-12-25", "2016-12-26", "2016-12-27");
    /* Christmas on a Saturday: Monday and Tuesday. */
    EXPECT("GB", 2021, "2021-01-01", "2021-04-02", "2021-04-05", "2021-05-03", "2021-05-31",
           "2021-08-30", "2021-12-25", "2021-12-26", "2021-12-27", "2021-12-28");
    EXPECT("US", 2015, "2015-01-01", "2015-01-19", "2015-02-16", "2015-05-25", "2015-07-03",
           "2015-07-04", "2015-09-07", "2015-10-12", "2015-11-11", "2015-11-26", "2015-12-25");
    EXPECT("AU", 2025, "2025-01-01", "2025-01-27", "2025-03-10", "2025-04-18", "2025-04-19",
           "2025-04-21", "2025-04-25", "2025-06-09", "2025-11-04", "2025-12-25", "2025-12-26");
}

/* By the Python package `holidays` 0.109 (2010 to 2030 were compared, without Sundays and what is
 * kept on another day instead); shopping days and paydays by hand. */
static void more_countries(void **state) {
    (void)state;
    EXPECT("BE", 2026, "2026-01-01", "2026-04-06", "2026-05-01", "2026-05-14", "2026-05-25",
           "2026-07-21", "2026-08-15", "2026-11-01", "2026-11-11", "2026-12-25");
    EXPECT("CA", 2026, "2026-01-01", "2026-04-03", "2026-05-18", "2026-07-01", "2026-09-07",
           "2026-09-30", "2026-10-12", "2026-11-11", "2026-12-25", "2026-12-26");
    EXPECT("CH", 2026, "2026-01-01", "2026-05-14", "2026-08-01", "2026-12-25");
    EXPECT("CZ", 2026, "2026-01-01", "2026-04-03", "2026-04-06", "2026-05-01", "2026-05-08",
           "2026-07-05", "2026-07-06", "2026-09-28", "2026-10-28", "2026-11-17", "2026-12-24",
           "2026-12-25", "2026-12-26");
    EXPECT("ES", 2026, "2026-01-01", "2026-01-06", "2026-04-03", "2026-05-01", "2026-08-15",
           "2026-10-12", "2026-11-01", "2026-12-06", "2026-12-08", "2026-12-25");
    EXPECT("FI", 2026, "2026-01-01", "2026-01-06", "2026-04-03", "2026-04-06", "2026-05-01",
           "2026-05-14", "2026-06-20", "2026-10-31", "2026-12-06", "2026-12-25", "2026-12-26");
    EXPECT("IT", 2026, "2026-01-01", "2026-01-06", "2026-04-06", "2026-04-25", "2026-05-01",
           "2026-06-02", "2026-08-15", "2026-10-04", "2026-11-01", "2026-12-08", "2026-12-25",
           "2026-12-26");
    EXPECT("NL", 2025, "2025-01-01", "2025-04-21", "2025-04-26", "2025-05-29", "2025-06-09",
           "2025-12-25", "2025-12-26");
    EXPECT("NO", 2026, "2026-01-01", "2026-04-02", "2026-04-03", "2026-04-06", "2026-05-01",
           "2026-05-14", "2026-05-17", "2026-05-25", "2026-12-25", "2026-12-26");
    EXPECT("PL", 2025, "2025-01-01", "2025-01-06", "2025-04-21", "2025-05-01", "2025-05-03",
           "2025-06-19", "2025-08-15", "2025-11-01", "2025-11-11", "2025-12-24", "2025-12-25",
           "2025-12-26");
    EXPECT("PT", 2026, "2026-01-01", "2026-04-03", "2026-04-25", "2026-05-01", "2026-06-04",
           "2026-06-10", "2026-08-15", "2026-10-05", "2026-11-01", "2026-12-01", "2026-12-08",
           "2026-12-25");
    EXPECT("SE", 2026, "2026-01-01", "2026-01-06", "2026-04-03", "2026-04-06", "2026-05-01",
           "2026-05-14", "2026-06-06", "2026-06-20", "2026-10-31", "2026-12-25", "2026-12-26");
    EXPECT("shopping", 2026, "2026-02-14", "2026-05-10", "2026-11-11", "2026-11-27", "2026-11-30");
    EXPECT("paydays", 2026, "2026-01-30", "2026-02-27", "2026-03-31", "2026-04-30", "2026-05-29",
           "2026-06-30", "2026-07-31", "2026-08-31", "2026-09-30", "2026-10-30", "2026-11-30",
           "2026-12-31");
}

/* They are no campaigns, whose crowds are provisioned for on somebody's word. */
static void shopping_days_have_effects_of_their_own(void **state) {
    (void)state;
    struct calendar c;
    calendar_init(&c);
    struct calendar_window window = { clock_days_from_civil(2026, 1, 1) * 86400000,
                                      clock_days_from_civil(2027, 1, 1) * 86400000 };
    assert_true(calendar_add_holidays(&c, SLICE("shopping"), window, NULL));
    assert_int_equal(c.kind_count, 5);
    for (size_t i = 0; i < c.len; i++) {
        assert_true(calendar_is_ordinary(&c.events[i]));
    }
    calendar_fini(&c);
}

static void an_unknown_country_is_an_error(void **state) {
    (void)state;
    struct calendar c;
    struct error err = { 0 };
    calendar_init(&c);
    assert_false(calendar_add_holidays(&c, SLICE("XX"), (struct calendar_window){ 0, 1 }, &err));
    assert_string_equal(err.text, "'XX': expected " CALENDAR_COUNTRIES);
    assert_true(calendar_country_known(SLICE("at")));
    assert_true(calendar_country_known(SLICE("Paydays")));
    static const char *const ours[] = { "+S", "+s", "+P", "+",
                                        "" }; /* of the table, not of users */
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        char words[32];
        assert_false(
            calendar_add_holidays(&c, slice_from(ours[i]), (struct calendar_window){ 0, 1 }, &err));
        snprintf(words, sizeof words, "'%s': expected ", ours[i]);
        assert_true(strncmp(err.text, words, strlen(words)) == 0);
    }
    assert_int_equal(c.len, 0);
    calendar_fini(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_years),
        cmocka_unit_test(more_countries),
        cmocka_unit_test(shopping_days_have_effects_of_their_own),
        cmocka_unit_test(an_unknown_country_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
