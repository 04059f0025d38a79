/* Encoders of content codings, sans-I/O: pieces of a body in, coded bytes out, each in one of three
 * ways: as it comes, up to here (what came so far can be decoded), or to the end. One at a time per
 * body; an encoder is used again for the next body, for that is cheaper than a new one.
 *
 * What one holds at most while a long body goes through, and what that costs and saves on pages of
 * text (bench: 4 MB in pieces of 16 KiB, every fourth flushed; one core of an EPYC):
 *
 *   gzip  window 2^15, memory level 8       level 1: 0.26 MiB, 127 MB/s, to 30 %
 *                                           level 4: 0.26 MiB,  94 MB/s, to 25 %
 *                                           level 6: 0.26 MiB,  46 MB/s, to 24 %
 *   br    window 2^18                       level 1: 0.10 MiB, 240 MB/s, to 34 %
 *                                           level 3: 1.15 MiB, 130 MB/s, to 25 %
 *                                           level 5: 2.48 MiB,  59 MB/s, to 22 %
 *   zstd  window 2^17, tables 2^16, 2^15    level 1: 1.12 MiB, 330 MB/s, to 28 %
 *                                           level 3: 1.24 MiB, 290 MB/s, to 26 %
 *                                           level 6: 1.24 MiB, 109 MB/s, to 23 %
 *
 * Without the bounds zstd takes 1.6 MiB at level 3 and 13 MiB at level 9, and gains nothing on
 * bodies shorter than the window. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "wire/http/coding.h"

#define ENCODER_GZIP_WINDOW_BITS 15
#define ENCODER_GZIP_MEMORY_LEVEL 8
#define ENCODER_BROTLI_WINDOW_BITS 18
#define ENCODER_ZSTD_WINDOW_BITS 17
#define ENCODER_ZSTD_HASH_BITS 16
#define ENCODER_ZSTD_CHAIN_BITS 15
#define ENCODER_BYTES_MAX (2700u << 10) /* of one encoder at work, whatever coding and level */
#define ENCODER_KEPT_BYTES (1u << 20)   /* of one that waits for its next body, about */
#define ENCODER_SIZE_UNKNOWN UINT64_MAX

/* Levels that are offered: beyond them a page costs more than it saves. */
#define ENCODER_GZIP_LEVEL_MAX 9
#define ENCODER_BROTLI_LEVEL_MAX 5
#define ENCODER_ZSTD_LEVEL_MAX 9

enum encoder_action {
    ENCODER_CONTINUE,
    ENCODER_FLUSH, /* what came so far can be decoded by who has got all output */
    ENCODER_END,
};

enum encoder_result {
    ENCODER_DONE, /* all input is taken, and all that the action asks for is in the output */
    ENCODER_MORE, /* `out` was too small: again, with the same action and the input's rest */
    ENCODER_FAILED,
};

struct encoder;

/* NULL when memory is out. `level` from 1 to the coding's most; identity has no encoder. */
struct encoder *encoder_new(enum http_coding coding, int level);
void encoder_free(struct encoder *encoder); /* NULL is fine */
enum http_coding encoder_coding(const struct encoder *encoder);
int encoder_level(const struct encoder *encoder);
size_t encoder_bytes(const struct encoder *encoder); /* what it holds now */

/* A new body of `size` bytes, ENCODER_SIZE_UNKNOWN, or a wrong guess: then ENCODER_END may fail.
 * False when memory is out. */
bool encoder_begin(struct encoder *encoder, uint64_t size);

/* Takes from the front of *input, writes to out[out_bytes] (at least ENCODER_OUT_BYTES_MIN). After
 * ENCODER_END is done only encoder_begin may follow. */
#define ENCODER_OUT_BYTES_MIN 64
enum encoder_result encoder_run(struct encoder *encoder, enum encoder_action action,
                                struct slice *input, char *out, size_t out_bytes, size_t *written);
