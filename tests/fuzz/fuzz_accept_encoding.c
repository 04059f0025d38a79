/* Any bytes as Accept-Encoding fields (lines). */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/http/coding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum http_coding order[] = { HTTP_CODING_ZSTD, HTTP_CODING_BROTLI,
                                              HTTP_CODING_GZIP };
    struct http_field fields[16];
    struct http_head head;
    struct slice rest = slice_of(data, size), line;
    http_head_init(&head, fields, 16);
    while (slice_cut(&rest, '\n', &line) && http_head_add(&head, SLICE("accept-encoding"), line)) {
    }
    struct http_acceptance accepted = http_accept_encoding(&head);
    for (unsigned i = 0; i < HTTP_CODINGS; i++) {
        assert(accepted.weight[i] <= 1000);
    }
    assert(accepted.identity_refused == (accepted.weight[HTTP_CODING_IDENTITY] == 0));
    enum http_coding chosen = http_coding_choose(&accepted, order, 3);
    assert(chosen < HTTP_CODINGS);
    /* What is refused is never chosen, and nothing that is liked better is passed over. */
    assert(chosen == HTTP_CODING_IDENTITY || accepted.weight[chosen] > 0);
    for (unsigned i = 0; i < 3; i++) {
        assert(accepted.weight[order[i]] <= accepted.weight[chosen] ||
               accepted.weight[order[i]] == 0);
    }
    return 0;
}
