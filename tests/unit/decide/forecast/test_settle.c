#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "decide/forecast/calendar.h"

#define HOUR INT64_C(3600000)
#define EVENTS 3

/* What is announced, in the order in which it comes, and what is left of it. */
struct said {
    const char *uid, *name, *kind;
    int start, end; /* hours */
    double multiplier;
    uint32_t sequence;
    bool cancelled;
};

static const struct {
    const char *name;
    struct said said[EVENTS], left[EVENTS];
} cases[] = {
    { "two campaigns are two",
      { { "a", "x", "mail", 1, 2, 3, 0, false }, { "b", "y", "mail", 1, 2, 3, 0, false } },
      { { "a", "x", "mail", 1, 2, 3, 0, false }, { "b", "y", "mail", 1, 2, 3, 0, false } } },
    { "the same name and kind at an overlapping time is one, and the last word counts",
      { { "a", "Sale", "mail", 1, 3, 3, 0, false }, { "b", "sale", "MAIL", 2, 4, 5, 0, false } },
      { { "b", "sale", "MAIL", 2, 4, 5, 0, false } } },
    { "what the last word does not say is taken from the other",
      { { "a", "sale", "mail", 1, 3, 3, 0, false }, { "", "sale", "mail", 2, 4, NAN, 0, false } },
      { { "", "sale", "mail", 2, 4, 3, 0, false } } },
    { "another kind, or another time, is another campaign",
      { { "", "sale", "mail", 1, 2, 3, 0, false },
        { "", "sale", "push", 1, 2, 3, 0, false },
        { "", "sale", "mail", 2, 3, 3, 0, false } },
      { { "", "sale", "mail", 1, 2, 3, 0, false },
        { "", "sale", "push", 1, 2, 3, 0, false },
        { "", "sale", "mail", 2, 3, 3, 0, false } } },
    { "one uid is one campaign, wherever it was moved to; the higher sequence holds",
      { { "a", "x", "mail", 5, 6, 3, 2, false }, { "a", "x", "mail", 1, 2, 3, 1, false } },
      { { "a", "x", "mail", 5, 6, 3, 2, false } } },
    { "a cancelled one takes the other with it",
      { { "a", "x", "mail", 1, 2, 3, 0, false }, { "a", "x", "mail", 1, 2, 3, 1, true } },
      { { 0 } } },
    { "also by name",
      { { "a", "x", "mail", 1, 2, 3, 0, false }, { "b", "x", "mail", 1, 2, NAN, 0, true } },
      { { 0 } } },
    { "announced anew after it was cancelled",
      { { "a", "x", "mail", 1, 2, 3, 0, true }, { "a", "x", "mail", 1, 2, 4, 0, false } },
      { { "a", "x", "mail", 1, 2, 4, 0, false } } },
    { "nameless ones are not the same",
      { { "", "", "mail", 1, 2, 3, 0, false }, { "", "", "mail", 1, 2, 3, 0, false } },
      { { "", "", "mail", 1, 2, 3, 0, false }, { "", "", "mail", 1, 2, 3, 0, false } } },
};

static void one_of_what_was_announced_twice(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct calendar c;
        size_t left = 0;
        calendar_init(&c);
        for (size_t k = 0; k < EVENTS && cases[i].said[k].kind != NULL; k++) {
            const struct said *s = &cases[i].said[k];
            const struct calendar_event event = { .uid = slice_from(s->uid),
                                                  .name = slice_from(s->name),
                                                  .kind = slice_from(s->kind),
                                                  .start_ms = s->start * HOUR,
                                                  .end_ms = s->end * HOUR,
                                                  .multiplier = s->multiplier,
                                                  .sequence = s->sequence,
                                                  .cancelled = s->cancelled };
            assert_true(calendar_add(&c, &event, NULL));
        }
        calendar_settle(&c);
        for (; left < EVENTS && cases[i].left[left].kind != NULL; left++) {
            const struct said *s = &cases[i].left[left];
            const struct calendar_event *e = &c.events[left];
            if (left >= c.len || !slice_equal(e->uid, slice_from(s->uid)) ||
                !slice_equal(e->name, slice_from(s->name)) || e->start_ms != s->start * HOUR ||
                e->end_ms != s->end * HOUR || e->multiplier != s->multiplier) {
                fail_msg("%s: the one at %zu", cases[i].name, left);
            }
        }
        if (c.len != left) {
            fail_msg("%s: %zu are left", cases[i].name, c.len);
        }
        calendar_fini(&c);
    }
}

static const char series[] = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"
                             "BEGIN:VEVENT\r\nUID:weekly\r\nDTSTART:20260101T100000Z\r\n"
                             "DTEND:20260101T110000Z\r\nRRULE:FREQ=WEEKLY;COUNT=3\r\n"
                             "SUMMARY:Newsletter\r\nX-TIDEGATE-CHANNEL:email\r\nEND:VEVENT\r\n"
                             "BEGIN:VEVENT\r\nUID:weekly\r\nRECURRENCE-ID:20260108T100000Z\r\n"
                             "DTSTART:20260108T150000Z\r\nDTEND:20260108T160000Z\r\n"
                             "SUMMARY:Newsletter\r\nEND:VEVENT\r\n"
                             "BEGIN:VEVENT\r\nUID:weekly\r\nRECURRENCE-ID:20260115T100000Z\r\n"
                             "DTSTART:20260115T100000Z\r\nSTATUS:CANCELLED\r\n"
                             "SUMMARY:Newsletter\r\nEND:VEVENT\r\n"
                             "BEGIN:VEVENT\r\nUID:one\r\nSEQUENCE:1\r\nDTSTART:20260201T100000Z\r\n"
                             "DTEND:20260201T110000Z\r\nSUMMARY:One\r\nEND:VEVENT\r\n"
                             "BEGIN:VEVENT\r\nUID:one\r\nDTSTART:20260120T100000Z\r\n"
                             "DTEND:20260120T110000Z\r\nSUMMARY:One\r\nEND:VEVENT\r\n"
                             "END:VCALENDAR\r\n";

static void instances_of_a_series_keep_their_uid_when_they_are_moved(void **state) {
    (void)state;
    static const char *const uids[] = { "weekly/1767261600", "weekly/1767866400", "one" };
    struct calendar c;
    struct calendar_window window = { 1767000000000, 1777000000000 };
    struct error err = { 0 };
    calendar_init(&c);
    if (!calendar_parse(&c, slice_from(series), "series.ics", window, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(c.len, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(slice_equal(c.events[i].uid, slice_from(uids[i])));
    }
    assert_int_equal(c.events[1].start_ms - c.events[0].start_ms, 7 * 24 * HOUR + 5 * HOUR);
    assert_int_equal(c.events[2].start_ms, 1769940000000);
    assert_true(slice_equal(c.events[0].channel, SLICE("email")));
    calendar_fini(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_what_was_announced_twice),
        cmocka_unit_test(instances_of_a_series_keep_their_uid_when_they_are_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
