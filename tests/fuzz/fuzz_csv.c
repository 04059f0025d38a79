/* Any bytes as a series: refused with a place, or read within the limits. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/series/series.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct series s; /* large for a stack */
    struct error err = { 0 };
    if (!series_parse(&s, slice_of(data, size), "fuzz", &err)) {
        assert(err.kind != ERROR_NONE && strncmp(err.text, "fuzz:", 5) == 0);
        return 0;
    }
    assert(s.rows >= 2 && s.rows <= s.slots && s.step_ms > 0);
    const struct series_column *column;
    if (series_column(&s, SLICE(""), &column, &err)) {
        struct arena arena;
        double *values;
        size_t len;
        char time[CLOCK_ISO8601_BYTES];
        arena_init(&arena, 1u << 28);
        series_resample(&s, column, 2 * s.step_ms, SERIES_SUM, &arena, &values, &len, &err);
        series_format_time(s.clock, s.start_ms, time);
        arena_fini(&arena);
    }
    series_fini(&s);
    return 0;
}
