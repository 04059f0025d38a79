/* Any bytes as a chunked body: in one piece and in many it must hold the same data, end at the same
 * byte or be refused alike, and be read back as the same after it was written anew. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    struct buffer data; /* all that was in the chunks */
    struct buffer anew; /* the body written again */
    size_t used;        /* of the input */
    size_t trailer_count;
    enum h1_body_event_kind last;
};

static void reading_init(struct reading *r) {
    *r = (struct reading){ .last = H1_BODY_MORE };
    buffer_init(&r->data, 1u << 24);
    buffer_init(&r->anew, 1u << 24);
}

static void reading_fini(struct reading *r) {
    buffer_fini(&r->data);
    buffer_fini(&r->anew);
}

static void write_anew(struct reading *r, struct slice data) {
    char size_line[H1_CHUNK_HEAD_BYTES];
    size_t len = h1_chunk_head(size_line, data.len);
    assert(buffer_append(&r->data, data));
    assert(buffer_append(&r->anew, slice_of(size_line, len)) && buffer_append(&r->anew, data) &&
           buffer_append(&r->anew, SLICE("\r\n")));
}

/* Events until nothing more can be read of this piece. */
static void read_piece(struct h1_body *body, struct slice input, struct reading *r) {
    struct http_field fields[16];
    struct http_head trailers;
    char *copy = malloc(input.len > 0 ? input.len : 1); /* exact: reading past it is seen */
    assert(copy != NULL);
    if (input.len > 0) {
        memcpy(copy, input.data, input.len);
    }
    http_head_init(&trailers, fields, 16);
    size_t used = 0;
    do {
        struct slice rest = { copy + used, input.len - used };
        struct h1_body_event event = h1_body_next(body, rest, &trailers);
        assert(event.consumed <= rest.len);
        used += event.consumed;
        r->last = event.kind;
        if (event.kind == H1_BODY_DATA) {
            assert(event.data.len > 0);
            write_anew(r, event.data);
        } else if (event.kind == H1_BODY_END) {
            r->trailer_count = trailers.field_count;
            assert(h1_write_last_chunk(&r->anew, &trailers));
        }
    } while (r->last == H1_BODY_DATA || r->last == H1_BODY_TRAILERS);
    r->used += used;
    free(copy);
}

static void read_body(struct slice input, size_t piece_bytes, struct reading *r) {
    struct http_head head = { .framing = HTTP_BODY_CHUNKED };
    struct h1_body body;
    size_t end = 0;
    h1_body_init(&body, &head, &h1_limits_default);
    do {
        end = input.len - end < piece_bytes ? input.len : end + piece_bytes;
        read_piece(&body, slice_sub(input, r->used, end - r->used), r);
    } while (r->last == H1_BODY_MORE && end < input.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reading whole, pieces, again;
    if (size == 0) {
        return 0;
    }
    struct slice input = slice_of(data + 1, size - 1);
    reading_init(&whole);
    reading_init(&pieces);
    reading_init(&again);
    read_body(input, SIZE_MAX, &whole);
    read_body(input, 1 + data[0] % 19, &pieces);
    assert(whole.last == pieces.last);
    assert(slice_equal(buffer_slice(&whole.data), buffer_slice(&pieces.data)));
    assert(whole.last != H1_BODY_END || whole.used == pieces.used);
    if (whole.last == H1_BODY_END) {
        read_body(buffer_slice(&whole.anew), SIZE_MAX, &again);
        assert(again.last == H1_BODY_END && again.used == buffer_len(&whole.anew));
        assert(slice_equal(buffer_slice(&whole.data), buffer_slice(&again.data)));
        assert(again.trailer_count == whole.trailer_count);
    }
    reading_fini(&whole);
    reading_fini(&pieces);
    reading_fini(&again);
    return 0;
}
