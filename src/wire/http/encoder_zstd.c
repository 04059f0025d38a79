/* Before zstd.h: the function that takes an allocator is in its "static linking only" part, which
 * has been the same since 1.4 and is exported by Debian's library. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "wire/http/encoder_internal.h"

static bool set(ZSTD_CCtx *state, ZSTD_cParameter parameter, int value) {
    return !ZSTD_isError(ZSTD_CCtx_setParameter(state, parameter, value));
}

static bool zstd_open(struct encoder *e) {
    ZSTD_CCtx *state = ZSTD_createCCtx_advanced(
        (ZSTD_customMem){ encoder_memory_take, encoder_memory_return, &e->memory });
    e->state = state;
    return state != NULL && set(state, ZSTD_c_compressionLevel, e->level) &&
           set(state, ZSTD_c_windowLog, ENCODER_ZSTD_WINDOW_BITS) &&
           set(state, ZSTD_c_hashLog, ENCODER_ZSTD_HASH_BITS) &&
           set(state, ZSTD_c_chainLog, ENCODER_ZSTD_CHAIN_BITS);
}

static void zstd_close(struct encoder *e) {
    ZSTD_freeCCtx(e->state); /* NULL is fine */
    e->state = NULL;
}

static bool zstd_begin(struct encoder *e, uint64_t size) {
    ZSTD_CCtx *state = e->state;
    if (ZSTD_isError(ZSTD_CCtx_reset(state, ZSTD_reset_session_only))) {
        return false;
    }
    return size == ENCODER_SIZE_UNKNOWN || !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(state, size));
}

/* NOLINTBEGIN(readability-non-const-parameter): the library writes through `to` */
static enum encoder_result zstd_run(struct encoder *e, enum encoder_action action,
                                    struct slice *input, char *out, size_t out_bytes,
                                    size_t *written) {
    /* NOLINTEND(readability-non-const-parameter) */
    static const ZSTD_EndDirective directives[] = { [ENCODER_CONTINUE] = ZSTD_e_continue,
                                                    [ENCODER_FLUSH] = ZSTD_e_flush,
                                                    [ENCODER_END] = ZSTD_e_end };
    ZSTD_inBuffer from = { input->data, input->len, 0 };
    ZSTD_outBuffer to = { out, out_bytes, 0 };
    size_t left = ZSTD_compressStream2(e->state, &to, &from, directives[action]);
    *written = to.pos;
    *input = slice_skip(*input, from.pos);
    if (ZSTD_isError(left)) {
        return ENCODER_FAILED;
    }
    bool done = action == ENCODER_CONTINUE ? input->len == 0 : left == 0;
    return done ? ENCODER_DONE : ENCODER_MORE;
}

const struct encoder_ops encoder_zstd = { zstd_open, zstd_close, zstd_begin, zstd_run };
