#include <limits.h>
#include <zlib.h>

#include "wire/http/encoder_internal.h"

#define GZIP_FRAMING 16 /* added to the window's bits: gzip instead of zlib around the blocks */

static void *take(void *memory, unsigned count, unsigned bytes) {
    return encoder_memory_take(memory, (size_t)count * bytes);
}

static bool gzip_open(struct encoder *e) {
    z_stream *z = encoder_memory_take(&e->memory, sizeof *z);
    if (z == NULL) {
        return false;
    }
    *z = (z_stream){ .zalloc = take, .zfree = encoder_memory_return, .opaque = &e->memory };
    if (deflateInit2(z, e->level, Z_DEFLATED, ENCODER_GZIP_WINDOW_BITS + GZIP_FRAMING,
                     ENCODER_GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        encoder_memory_return(&e->memory, z);
        return false;
    }
    e->state = z;
    return true;
}

static void gzip_close(struct encoder *e) {
    if (e->state != NULL) {
        deflateEnd(e->state);
        encoder_memory_return(&e->memory, e->state);
        e->state = NULL;
    }
}

static bool gzip_begin(struct encoder *e, uint64_t size) {
    (void)size;
    return deflateReset(e->state) == Z_OK;
}

static enum encoder_result gzip_run(struct encoder *e, enum encoder_action action,
                                    struct slice *input, char *out, size_t out_bytes,
                                    size_t *written) {
    static const int flushes[] = {
        [ENCODER_CONTINUE] = Z_NO_FLUSH, [ENCODER_FLUSH] = Z_SYNC_FLUSH, [ENCODER_END] = Z_FINISH
    };
    z_stream *z = e->state;
    if (input->len > UINT_MAX || out_bytes > UINT_MAX) {
        return ENCODER_FAILED;
    }
    z->next_in = (z_const Bytef *)(uintptr_t)input->data;
    z->avail_in = (unsigned)input->len;
    z->next_out = (Bytef *)out;
    z->avail_out = (unsigned)out_bytes;
    int result = deflate(z, flushes[action]);
    *written = out_bytes - z->avail_out;
    *input = slice_skip(*input, input->len - z->avail_in);
    if (action == ENCODER_END && result == Z_STREAM_END) {
        return ENCODER_DONE;
    }
    if (result != Z_OK && result != Z_BUF_ERROR) {
        return ENCODER_FAILED;
    }
    return z->avail_out == 0 || action == ENCODER_END ? ENCODER_MORE : ENCODER_DONE;
}

const struct encoder_ops encoder_gzip = { gzip_open, gzip_close, gzip_begin, gzip_run };
