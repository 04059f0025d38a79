/* Any bytes as a service's answer to a probe. The first two say what was asked and in which pieces
 * it comes: whole and in pieces it must be judged the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "act/fleet/probe_h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum probe_result ask(uint8_t what, struct slice answer, size_t step,
                             struct expectation *expectation) {
    char why[PROBE_WHY_BYTES] = "";
    enum probe_result result = PROBE_MORE;
    struct probe_h1 *p = probe_h1_new(what & 1, expectation);
    assert(p != NULL);
    for (size_t at = 0; result == PROBE_MORE; at += step) {
        struct slice part = slice_sub(answer, at, step);
        bool last = at + part.len >= answer.len;
        result = probe_h1_take(p, part, last, why);
        assert(result != PROBE_MORE || !last);
    }
    assert((result == PROBE_WELL) == (why[0] == '\0'));
    probe_h1_free(p);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *bodies[] = { NULL, "ok", "/o+k$/", NULL };
    static const char *statuses[] = { "2xx" };
    if (size < 2) {
        return 0;
    }
    struct expect_config config = { .status = statuses,
                                    .status_len = data[0] >> 7,
                                    .body = bodies[data[0] >> 1 & 3] };
    struct slice answer = slice_of(data + 2, size - 2);
    struct expectation *expectation = expectation_new(&config, NULL);
    assert(expectation != NULL);
    enum probe_result whole = ask(data[0], answer, answer.len + 1, expectation);
    enum probe_result parts = ask(data[0], answer, 1 + data[1] % 64, expectation);
    /* What comes after the verdict is not read: in pieces a broken end may go unseen. */
    assert(whole == parts || whole == PROBE_PROTOCOL || parts == PROBE_WELL);
    expectation_free(expectation);
    return 0;
}
