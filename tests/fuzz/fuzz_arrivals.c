/* Any bytes as a trace, with a target in front of it (up to the first NUL). The trace is refused
 * with a place, or a stream of requests in order, as many as it says. */
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tool/load/arrivals.h"
#include "tool/load/target.h"

#define LOOKED_AT 10000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_target(struct slice url) {
    char authority[TARGET_AUTHORITY_BYTES];
    struct error err = { 0 };
    if (!target_parse(url, authority, &err)) {
        assert(err.text[0] != '\0');
        return;
    }
    struct slice found = slice_from(authority);
    assert(found.len > 0 && found.len < sizeof authority &&
           slice_find_slice(url, found) != SLICE_NONE);
    assert(slice_find(found, '/') == SLICE_NONE && slice_find(found, '\r') == SLICE_NONE &&
           slice_find(found, '\n') == SLICE_NONE && slice_find(found, ' ') == SLICE_NONE);
}

static void check_stream(struct arrivals *a) {
    struct arrival one, before = { 0 };
    double total = arrivals_total(a);
    uint64_t count = 0;
    assert(total >= 0 && isfinite(total));
    while (count < LOOKED_AT && arrivals_next(a, &one)) {
        assert(one.at_us >= before.at_us && one.at_us <= arrivals_duration_us(a));
        assert(one.target.len == 0 || one.target.data[0] == '/');
        before = one;
        count++;
    }
    assert(count == LOOKED_AT ? total >= LOOKED_AT - 1 : fabs((double)count - total) <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arrivals_options options = { .speed = 60, .scale = 0.5, .seed = 7 };
    struct arrivals a;
    struct error err = { 0 };
    struct slice trace = slice_of(data, size), url = { 0 };
    slice_cut(&trace, '\0', &url);
    try_target(url);
    if (arrivals_parse(&a, trace, "fuzz", &options, &err)) {
        check_stream(&a);
        arrivals_fini(&a);
    } else {
        assert(err.kind != ERROR_NONE && strncmp(err.text, "fuzz", 4) == 0);
    }
    return 0;
}
