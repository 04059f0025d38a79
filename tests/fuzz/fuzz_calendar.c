/* Any bytes as a calendar: refused with a place, or events in order within the limits. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "decide/forecast/calendar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct calendar_window window = { 1767225600000, 1798761600000 };
    struct calendar c;
    struct error err = { 0 };
    calendar_init(&c);
    if (!calendar_parse(&c, slice_of(data, size), "fuzz", window, &err)) {
        assert(err.kind != ERROR_NONE && strncmp(err.text, "fuzz:", 5) == 0);
        assert(c.len == 0);
    }
    assert(c.len <= CALENDAR_EVENTS_MAX);
    for (size_t i = 0; i < c.len; i++) {
        assert(c.events[i].end_ms > c.events[i].start_ms);
        assert(i == 0 || c.events[i].start_ms >= c.events[i - 1].start_ms);
        assert(c.events[i].kind_index < c.kind_count);
    }
    double multiplier = calendar_multiplier(&c, window.from_ms, window.to_ms, 1000);
    assert(multiplier >= 0);
    calendar_fini(&c);
    return 0;
}
