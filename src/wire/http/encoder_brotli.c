#include <brotli/encode.h>

#include "wire/http/encoder_internal.h"

static void brotli_close(struct encoder *e) {
    if (e->state != NULL) {
        BrotliEncoderDestroyInstance(e->state);
        e->state = NULL;
    }
}

/* A state serves one body only: the next one is made of its memory. */
static bool brotli_begin(struct encoder *e, uint64_t size) {
    brotli_close(e);
    BrotliEncoderState *state =
        BrotliEncoderCreateInstance(encoder_memory_take, encoder_memory_return, &e->memory);
    e->state = state;
    uint32_t hint = size < (1u << 30) ? (uint32_t)size : 0;
    return state != NULL &&
           BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, (uint32_t)e->level) &&
           BrotliEncoderSetParameter(state, BROTLI_PARAM_LGWIN, ENCODER_BROTLI_WINDOW_BITS) &&
           BrotliEncoderSetParameter(state, BROTLI_PARAM_SIZE_HINT, hint);
}

static bool brotli_open(struct encoder *e) {
    return brotli_begin(e, ENCODER_SIZE_UNKNOWN);
}

static enum encoder_result brotli_run(struct encoder *e, enum encoder_action action,
                                      struct slice *input, char *out, size_t out_bytes,
                                      size_t *written) {
    static const BrotliEncoderOperation operations[] = {
        [ENCODER_CONTINUE] = BROTLI_OPERATION_PROCESS,
        [ENCODER_FLUSH] = BROTLI_OPERATION_FLUSH,
        [ENCODER_END] = BROTLI_OPERATION_FINISH,
    };
    const uint8_t *next_in = (const uint8_t *)input->data;
    size_t in_left = input->len, out_left = out_bytes;
    uint8_t *next_out = (uint8_t *)out;
    bool good = BrotliEncoderCompressStream(e->state, operations[action], &in_left, &next_in,
                                            &out_left, &next_out, NULL);
    *written = out_bytes - out_left;
    *input = slice_skip(*input, input->len - in_left);
    if (!good) {
        return ENCODER_FAILED;
    }
    bool done = in_left == 0 && !BrotliEncoderHasMoreOutput(e->state) &&
                (action != ENCODER_END || BrotliEncoderIsFinished(e->state));
    return done ? ENCODER_DONE : ENCODER_MORE;
}

const struct encoder_ops encoder_brotli = { brotli_open, brotli_close, brotli_begin, brotli_run };
