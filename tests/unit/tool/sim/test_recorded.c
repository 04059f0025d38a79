#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "decide/forecast/calendar.h"
#include "tool/sim/recorded.h"

static void schedules_are_told_from_history(void **state) {
    (void)state;
    struct recorded r;
    struct recorded_known known;
    struct error err = { 0 };
    struct recorded_options o = { .path = "tests/data/bike_share_8weeks.csv",
                                  .column = "rentals",
                                  .holidays = "US, DE" };
    if (!recorded_init(&r, &o, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(r.step_ms, 3600000);
    recorded_known_ahead(&r, 1000, &known);
    assert_int_equal(known.count, 2); /* holiday and working day */
    recorded_known_ahead(&r, r.len, &known);
    assert_int_equal(known.count, 0); /* nothing goes on */
    assert_true(r.calendar.len >= 3);
    recorded_fini(&r);
}

static void errors_are_those_of_the_input(void **state) {
    (void)state;
    struct recorded r;
    struct error err = { 0 };
    struct recorded_options o = { .path = "tests/data/bike_share_8weeks.csv", .holidays = "DE,XX" };
    assert_false(recorded_init(&r, &o, &err));
    assert_string_equal(err.text, "'XX': expected " CALENDAR_COUNTRIES);
    o = (struct recorded_options){ .path = "tests/data/bike_share_8weeks.csv", .column = "cars" };
    assert_false(recorded_init(&r, &o, &err));
    assert_non_null(strstr(err.text, "expected a numeric column named 'cars'"));
    o = (struct recorded_options){ .path = "tests/data/none.csv" };
    assert_false(recorded_init(&r, &o, &err));
    assert_int_equal(err.kind, ERROR_SYSTEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_are_told_from_history),
        cmocka_unit_test(errors_are_those_of_the_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
