#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "decide/forecast/calendar.h"

static const struct calendar_window year_2026 = { 1767225600000, 1798761600000 };

static int64_t at(const char *text) {
    int64_t ms;
    assert_true(clock_parse_iso8601(slice_from(text), &ms));
    return ms;
}

static void parse(struct calendar *c, const char *text) {
    struct error err = { 0 };
    calendar_init(c);
    if (!calendar_parse(c, slice_from(text), "c", year_2026, &err)) {
        fail_msg("%s", err.text);
    }
}

static void csv_events(void **state) {
    (void)state;
    struct calendar c;
    parse(&c, "start,end,name,kind,multiplier\n"
              "2026-05-02,2026-05-03,Later,,\n"
              "2026-05-01T08:00:00Z,2026-05-01T10:00:00Z,\"Spring, sale\",mail,3.5\n");
    assert_int_equal(c.len, 2);
    assert_memory_equal(c.events[0].name.data, "Spring, sale", 12); /* sorted by start */
    assert_true(c.events[0].multiplier == 3.5);
    assert_true(isnan(c.events[1].multiplier));
    assert_memory_equal(c.events[1].kind.data, "campaign", 8);
    assert_true(c.events[0].kind_index != c.events[1].kind_index);
    calendar_fini(&c);
}

#define EVENT(body)                                                                                \
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\n" body "END:VEVENT\r\nEND:VCALENDAR\r\n"

static void ical_events(void **state) {
    (void)state;
    struct calendar c;
    parse(&c, EVENT("DTSTART:20260501T080000Z\r\nDURATION:PT2H\r\nSUMMARY:Spring\r\n  sale\r\n"
                    "CATEGORIES:mail,vip\r\nX-TIDEGATE-MULTIPLIER:4\r\n"));
    assert_int_equal(c.len, 1);
    assert_int_equal(c.events[0].start_ms, at("2026-05-01T08:00:00Z"));
    assert_int_equal(c.events[0].end_ms, at("2026-05-01T10:00:00Z"));
    assert_memory_equal(c.events[0].name.data, "Spring sale", 11);
    assert_memory_equal(c.events[0].kind.data, "mail", 5);
    assert_true(c.events[0].multiplier == 4);
    calendar_fini(&c);
}

static void ical_recurrence_time_zone_and_exceptions(void **state) {
    (void)state;
    struct calendar c;
    /* Weekly at 9 in Berlin over the change to summer time; the second is taken out, the third is
     * moved by an hour, the last is cancelled. */
    parse(&c, "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\n"
              "DTSTART;TZID=Europe/Berlin:20260316T090000\r\n"
              "DTEND;TZID=Europe/Berlin:20260316T100000\r\nRRULE:FREQ=WEEKLY;COUNT=4\r\n"
              "EXDATE;TZID=Europe/Berlin:20260323T090000\r\nSUMMARY:Mail\r\nEND:VEVENT\r\n"
              "BEGIN:VEVENT\r\nUID:a\r\nRECURRENCE-ID;TZID=Europe/Berlin:20260330T090000\r\n"
              "DTSTART;TZID=Europe/Berlin:20260330T100000\r\n"
              "DTEND;TZID=Europe/Berlin:20260330T110000\r\nSUMMARY:Mail\r\nEND:VEVENT\r\n"
              "BEGIN:VEVENT\r\nUID:a\r\nRECURRENCE-ID;TZID=Europe/Berlin:20260406T090000\r\n"
              "DTSTART;TZID=Europe/Berlin:20260406T090000\r\nDURATION:PT1H\r\nSTATUS:CANCELLED\r\n"
              "END:VEVENT\r\nEND:VCALENDAR\r\n");
    assert_int_equal(c.len, 2);
    assert_int_equal(c.events[0].start_ms, at("2026-03-16T08:00:00Z"));
    assert_int_equal(c.events[1].start_ms, at("2026-03-30T08:00:00Z"));
    calendar_fini(&c);
}

static void errors_name_the_line_and_leave_the_calendar_as_it_was(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *error;
    } cases[] = {
        { "no header", "", "c:1:1: expected a header line, found nothing" },
        { "wrong header", "a,b\n",
          "c:1:1: expected a header with start and end "
          "(start,end,name,kind,multiplier)" },
        { "time", "start,end\n2026-01-01,soon\n",
          "c:2:12: expected a time such as 2026-11-27T08:00:00Z, found 'soon'" },
        { "order", "start,end\n2026-01-02,2026-01-01\n",
          "c:2:12: expected an end after the start" },
        { "multiplier", "start,end,multiplier\n2026-01-01,2026-01-02,-3\n",
          "c:2:23: expected a multiplier above 0 and at most 1000, found '-3'" },
        { "ical line", EVENT("DTSTART:20260101\r\nnonsense\r\n"), "c:5:1: expected NAME:VALUE" },
        { "ical date", EVENT("DTSTART:20261301\r\n"),
          "c:4:9: expected a date or time such as 20261127T080000Z" },
        { "ical rule", EVENT("DTSTART:20260101\r\nRRULE:FREQ=SOMETIMES\r\n"),
          "c:5:7: expected a rule such as FREQ=WEEKLY;COUNT=4" },
        { "ical multiplier", EVENT("DTSTART:20260101\r\nX-TIDEGATE-MULTIPLIER:much\r\n"),
          "c:5:23: expected a multiplier above 0 and at most 1000" },
        { "no start", EVENT("SUMMARY:x\r\n"), "c:2:1: expected a DTSTART in this VEVENT" },
        { "not ended", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n",
          "c:3:1: expected END:VEVENT, found the end of the file" },
        { "wrong end", "BEGIN:VCALENDAR\r\nEND:VEVENT\r\n",
          "c:2:5: expected the END of the component that was begun last" },
        { "no length", EVENT("SUMMARY:x\r\nDTSTART:20260101T000000Z\r\n"),
          "c:2:1: 'x': expected an end after the start" },
        { "too often",
          EVENT("DTSTART:20200101T000000Z\r\nDURATION:PT1S\r\nRRULE:FREQ=SECONDLY\r\n"),
          "c:2:1: expected at most 5000 instances of one rule" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct calendar c;
        struct error err = { 0 };
        parse(&c, "start,end,kind\n2026-01-01,2026-01-02,old\n");
        if (calendar_parse(&c, slice_from(cases[i].text), "c", year_2026, &err)) {
            fail_msg("%s: was taken", cases[i].name);
        }
        assert_string_equal(err.text, cases[i].error);
        assert_int_equal(c.len, 1);
        assert_int_equal(c.kind_count, 1);
        calendar_fini(&c);
    }
}

static void multiplier_counts_the_share_of_the_slot_and_the_lead(void **state) {
    (void)state;
    struct calendar c;
    int64_t hour = 3600000, start = at("2026-05-01T08:00:00Z");
    parse(&c, "start,end,multiplier\n2026-05-01T08:00:00Z,2026-05-01T10:00:00Z,3\n"
              "2026-05-01T09:00:00Z,2026-05-01T10:00:00Z,2\n");
    assert_true(calendar_multiplier(&c, start - hour, start, 0) == 1);
    assert_true(calendar_multiplier(&c, start, start + hour, 0) == 3);
    assert_true(calendar_multiplier(&c, start + hour, start + 2 * hour, 0) == 6);
    assert_true(calendar_multiplier(&c, start - hour, start + hour, 0) == 2); /* half of it */
    assert_true(calendar_multiplier(&c, start - hour, start, hour) == 3);
    assert_true(calendar_multiplier(&c, start + 2 * hour, start + 3 * hour, 0) == 1);
    assert_true(calendar_multiplier(NULL, 0, 1, 0) == 1);
    assert_true(calendar_strongest(&c, start, start + 2 * hour)->multiplier == 3);
    assert_null(calendar_strongest(&c, start + 2 * hour, start + 3 * hour));
    calendar_fini(&c);
}

static void a_long_event_is_found_from_its_middle(void **state) {
    (void)state;
    struct calendar c;
    parse(&c, "start,end,multiplier\n2026-01-01,2026-12-31,2\n2026-02-01,2026-02-02,5\n"
              "2026-03-01,2026-03-02,5\n");
    int64_t june = at("2026-06-01");
    assert_true(calendar_multiplier(&c, june, june + 1000, 0) == 2);
    calendar_fini(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_events),
        cmocka_unit_test(ical_events),
        cmocka_unit_test(ical_recurrence_time_zone_and_exceptions),
        cmocka_unit_test(errors_name_the_line_and_leave_the_calendar_as_it_was),
        cmocka_unit_test(multiplier_counts_the_share_of_the_slot_and_the_lead),
        cmocka_unit_test(a_long_event_is_found_from_its_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
