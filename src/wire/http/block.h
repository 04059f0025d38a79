/* Sixteen bytes at a time, for questions about every byte of a text. A comparison of blocks gives
 * 0xff where it holds and 0 elsewhere; GCC and clang make vector code of it (SSE2, NEON). */
#pragma once
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/slice.h"

#define BLOCK_BYTES 16

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "block_mask counts from the low end");

typedef unsigned char block __attribute__((vector_size(BLOCK_BYTES)));

static inline block block_load(const char *from) {
    block b;
    memcpy(&b, from, sizeof b);
    return b;
}

/* Up to a block of the front; what is missing is `filler`. */
static inline block block_load_padded(struct slice text, char filler) {
    if (text.len >= BLOCK_BYTES) {
        return block_load(text.data);
    }
    char copy[BLOCK_BYTES];
    memset(copy, filler, sizeof copy);
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    return block_load(copy);
}

/* A bit for each byte of a comparison, the first byte's lowest. */
static inline uint32_t block_mask(block comparison) {
#ifdef __SSE2__
    return (uint32_t)_mm_movemask_epi8((__m128i)comparison);
#else
    uint64_t halves[2];
    memcpy(halves, &comparison, sizeof comparison);
    /* The multiplication brings the lowest bits of eight bytes side by side. */
    uint64_t low = (halves[0] & 0x0101010101010101) * 0x0102040810204080 >> 56;
    uint64_t high = (halves[1] & 0x0101010101010101) * 0x0102040810204080 >> 56;
    return (uint32_t)(low | high << 8);
#endif
}
