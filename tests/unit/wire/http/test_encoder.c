/* Encoders against the libraries' own decoders: whatever the pieces, what is decoded is what went
 * in, at once after a flush; and memory stays within what the header says. */
#include "h1_dump.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/rand.h"
#include "wire/http/encoder.h"

#define BODY_MAX (1u << 20)
#define WINDOW_BITS_MAX 23 /* 8 MiB: a decoder need not have more (RFC 9659) */

static const struct {
    enum http_coding coding;
    int level_max;
} codings[] = {
    { HTTP_CODING_GZIP, ENCODER_GZIP_LEVEL_MAX },
    { HTTP_CODING_BROTLI, ENCODER_BROTLI_LEVEL_MAX },
    { HTTP_CODING_ZSTD, ENCODER_ZSTD_LEVEL_MAX },
};
#define CODINGS (sizeof codings / sizeof *codings)

/* ---- decoders, streaming ---- */

struct decoder {
    enum http_coding coding;
    z_stream gzip;
    BrotliDecoderState *brotli;
    ZSTD_DCtx *zstd;
    char *out;
    size_t len;
    bool ended;
};

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written through the decoder */
static void decoder_init(struct decoder *d, enum http_coding coding, char *out) {
    *d = (struct decoder){ .coding = coding, .out = out };
    if (coding == HTTP_CODING_GZIP) {
        assert_int_equal(inflateInit2(&d->gzip, 15 + 16), Z_OK);
    } else if (coding == HTTP_CODING_BROTLI) {
        d->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    } else {
        d->zstd = ZSTD_createDCtx();
        ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, WINDOW_BITS_MAX);
    }
}

static void decode(struct decoder *d, const char *data, size_t len) {
    size_t room = BODY_MAX + 1 - d->len;
    if (d->coding == HTTP_CODING_GZIP) {
        d->gzip.next_in = (z_const Bytef *)(uintptr_t)data;
        d->gzip.avail_in = (unsigned)len;
        d->gzip.next_out = (Bytef *)d->out + d->len;
        d->gzip.avail_out = (unsigned)room;
        int result = inflate(&d->gzip, Z_SYNC_FLUSH);
        assert_true(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
        assert_int_equal(d->gzip.avail_in, 0);
        d->len += room - d->gzip.avail_out;
        d->ended = result == Z_STREAM_END;
    } else if (d->coding == HTTP_CODING_BROTLI) {
        const uint8_t *in = (const uint8_t *)data;
        uint8_t *out = (uint8_t *)d->out + d->len;
        BrotliDecoderResult result =
            BrotliDecoderDecompressStream(d->brotli, &len, &in, &room, &out, NULL);
        assert_int_not_equal(result, BROTLI_DECODER_RESULT_ERROR);
        assert_int_equal(len, 0);
        d->len = (size_t)((char *)out - d->out);
        d->ended = result == BROTLI_DECODER_RESULT_SUCCESS;
    } else {
        ZSTD_inBuffer in = { data, len, 0 };
        ZSTD_outBuffer out = { d->out, BODY_MAX + 1, d->len };
        while (in.pos < in.size) {
            size_t left = ZSTD_decompressStream(d->zstd, &out, &in);
            assert_false(ZSTD_isError(left));
            d->ended = left == 0;
        }
        d->len = out.pos;
    }
}

static void decoder_fini(struct decoder *d) {
    inflateEnd(&d->gzip);
    BrotliDecoderDestroyInstance(d->brotli);
    ZSTD_freeDCtx(d->zstd);
}

/* ---- bodies ---- */

static uint64_t below(struct rand *r, uint64_t limit) {
    return rand_next(r) % limit;
}

/* Noise, one byte over and over, or words: what cannot be compressed, what vanishes, what is usual.
 */
static size_t make_body(struct rand *r, char *body) {
    static const size_t sizes[] = { 1, 40, 2000, 70000, BODY_MAX };
    size_t len = below(r, sizes[below(r, 5)] + 1);
    switch (below(r, 3)) {
    case 0:
        for (size_t i = 0; i < len; i++) {
            body[i] = (char)rand_next(r);
        }
        break;
    case 1:
        memset(body, 'x', len);
        break;
    default:
        for (size_t i = 0; i < len; i++) {
            body[i] = "the price of this article is 12,34 EUR\n"[(i * 7 + below(r, 3)) % 39];
        }
    }
    return len;
}

/* ---- tests ---- */

struct run {
    struct encoder *encoder;
    struct decoder decoder;
    size_t coded_bytes;
    size_t room; /* for the output of one call */
};

static void feed(struct run *run, enum encoder_action action, const char *data, size_t len) {
    static char out[65536];
    struct slice input = slice_of(data, len);
    enum encoder_result result;
    do {
        size_t written;
        result = encoder_run(run->encoder, action, &input, out, run->room, &written);
        assert_true(result != ENCODER_FAILED && written <= run->room);
        if (written > 0) {
            decode(&run->decoder, out, written);
        }
        run->coded_bytes += written;
    } while (result == ENCODER_MORE);
    assert_int_equal(input.len, 0);
}

static void code_in_pieces(struct rand *r, struct encoder *e, const char *body, size_t len,
                           char *decoded) {
    struct run run = { .encoder = e };
    size_t piece_max = 1 + below(r, len + 2);
    run.room = below(r, 2) == 0 ? ENCODER_OUT_BYTES_MIN + below(r, 200) : 16384;
    decoder_init(&run.decoder, encoder_coding(e), decoded);
    assert_true(encoder_begin(e, below(r, 2) == 0 ? len : ENCODER_SIZE_UNKNOWN));
    for (size_t at = 0; at < len;) {
        size_t piece = 1 + below(r, piece_max);
        piece = piece < len - at ? piece : len - at;
        bool flush = below(r, 4) == 0;
        feed(&run, flush ? ENCODER_FLUSH : ENCODER_CONTINUE, body + at, piece);
        at += piece;
        if (flush) { /* a reader sees all of it now */
            assert_int_equal(run.decoder.len, at);
        }
        assert_true(encoder_bytes(e) <= ENCODER_BYTES_MAX);
    }
    assert_false(run.decoder.ended);
    feed(&run, ENCODER_END, NULL, 0);
    assert_true(run.decoder.ended);
    assert_int_equal(run.decoder.len, len);
    assert_memory_equal(decoded, body, len);
    decoder_fini(&run.decoder);
}

/* Each encoder codes many bodies: nothing of one is left in the next. */
static void gives_back_what_went_in(void **state) {
    char *body = malloc(BODY_MAX), *decoded = malloc(BODY_MAX + 1);
    struct rand r;
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        rand_init(&r, seed);
        for (size_t i = 0; i < CODINGS; i++) {
            int level = 1 + (int)below(&r, (uint64_t)codings[i].level_max);
            struct encoder *e = encoder_new(codings[i].coding, level);
            assert_non_null(e);
            assert_int_equal(encoder_level(e), level);
            for (unsigned n = 0; n < 12; n++) {
                code_in_pieces(&r, e, body, make_body(&r, body), decoded);
            }
            encoder_free(e);
        }
    }
    free(body);
    free(decoded);
}

static void an_abandoned_body_leaves_nothing(void **state) {
    char *decoded = malloc(BODY_MAX + 1);
    (void)state;
    for (size_t i = 0; i < CODINGS; i++) {
        struct run run = { .encoder = encoder_new(codings[i].coding, 1), .room = 4096 };
        struct slice input = SLICE("half of a body whose visitor has left");
        char out[4096];
        size_t written;
        assert_true(encoder_begin(run.encoder, 100));
        assert_int_equal(encoder_run(run.encoder, ENCODER_FLUSH, &input, out, sizeof out, &written),
                         ENCODER_DONE);
        assert_true(encoder_begin(run.encoder, ENCODER_SIZE_UNKNOWN));
        decoder_init(&run.decoder, codings[i].coding, decoded);
        feed(&run, ENCODER_END, "whole", 5);
        assert_true(run.decoder.ended);
        assert_int_equal(run.decoder.len, 5);
        assert_memory_equal(decoded, "whole", 5);
        decoder_fini(&run.decoder);
        encoder_free(run.encoder);
    }
    free(decoded);
}

/* A long body at every level: the header's bound holds. */
static void memory_is_bounded(void **state) {
    char *body = malloc(BODY_MAX), *decoded = malloc(BODY_MAX + 1);
    struct rand r;
    rand_init(&r, 7);
    (void)state;
    for (size_t i = 0; i < BODY_MAX; i++) {
        body[i] = (char)(i % 3 == 0 ? rand_next(&r) : 'a' + i / 64 % 26);
    }
    for (size_t i = 0; i < CODINGS; i++) {
        for (int level = 1; level <= codings[i].level_max; level++) {
            struct encoder *e = encoder_new(codings[i].coding, level);
            size_t most = 0;
            struct run run = { .encoder = e, .room = 16384 };
            decoder_init(&run.decoder, codings[i].coding, decoded);
            encoder_begin(e, ENCODER_SIZE_UNKNOWN);
            for (size_t at = 0; at < BODY_MAX; at += 16384) {
                feed(&run, at % 65536 == 0 ? ENCODER_FLUSH : ENCODER_CONTINUE, body + at, 16384);
                most = encoder_bytes(e) > most ? encoder_bytes(e) : most;
            }
            feed(&run, ENCODER_END, NULL, 0);
            assert_true(most <= ENCODER_BYTES_MAX);
            assert_true(run.coded_bytes < BODY_MAX);
            decoder_fini(&run.decoder);
            encoder_free(e);
        }
    }
    free(body);
    free(decoded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_what_went_in),
        cmocka_unit_test(an_abandoned_body_leaves_nothing),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
