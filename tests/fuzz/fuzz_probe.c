/* Any bytes as a service's answer to a probe. The first two say what was asked and in which pieces
 * it comes: whole and in pieces it must be judged the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "act/fleet/probe_h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGE_BYTES_MAX 64

/* `page`: where the answer is kept; NULL: it is held against the expectation. */
static enum probe_result ask(uint8_t what, struct slice answer, size_t step,
                             struct expectation *expectation, struct probe_page *page) {
    char why[PROBE_WHY_BYTES] = "";
    enum probe_result result = PROBE_MORE;
    struct probe_h1 *p = probe_h1_new(what & 1, expectation);
    assert(p != NULL);
    if (page != NULL) {
        probe_page_init(page, PAGE_BYTES_MAX);
        probe_h1_keep(p, page);
    }
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

static void ask_for_page(uint8_t what, struct slice answer, size_t step) {
    struct probe_page whole, parts;
    enum probe_result one = ask(what, answer, answer.len + 1, NULL, &whole);
    enum probe_result two = ask(what, answer, step, NULL, &parts);
    assert(one == two || one == PROBE_PROTOCOL || two == PROBE_WELL);
    assert(buffer_len(&whole.body) <= PAGE_BYTES_MAX && buffer_len(&parts.body) <= PAGE_BYTES_MAX);
    if (one == PROBE_WELL && two == PROBE_WELL) {
        assert(whole.status == parts.status && strcmp(whole.etag, parts.etag) == 0);
        assert(slice_equal(buffer_slice(&whole.body), buffer_slice(&parts.body)));
    }
    probe_page_fini(&whole);
    probe_page_fini(&parts);
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
    if (data[0] & 64) {
        ask_for_page(data[0], answer, 1 + data[1] % 64);
        return 0;
    }
    struct expectation *expectation = expectation_new(&config, NULL);
    assert(expectation != NULL);
    enum probe_result whole = ask(data[0], answer, answer.len + 1, expectation, NULL);
    enum probe_result parts = ask(data[0], answer, 1 + data[1] % 64, expectation, NULL);
    /* What comes after the verdict is not read: in pieces a broken end may go unseen. */
    assert(whole == parts || whole == PROBE_PROTOCOL || parts == PROBE_WELL);
    expectation_free(expectation);
    return 0;
}
