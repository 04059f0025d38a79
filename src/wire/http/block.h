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
    slice_put(copy, text);
    return block_load(copy);
}

/* The lower halves of two blocks, a byte of each in turn. */
static inline block block_interleave(block a, block b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/* Which bytes are from `first` to `last`. */
static inline block block_between(block b, unsigned char first, unsigned char last) {
    return (block)((block)(b - first) <= (unsigned char)(last - first));
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

/* How many bytes of the front are letters, digits, "-" or ".": most names, of fields as of hosts,
 * are nothing else, and what may stand in them besides is looked at byte by byte. */
static inline size_t block_name_len(struct slice text) {
    size_t at = 0;
    while (at < text.len) {
        block b = block_load_padded((struct slice){ text.data + at, text.len - at }, '\0');
        uint32_t others = ~block_mask(block_between(b | 0x20, 'a', 'z') |
                                      block_between(b, '-', '.') | block_between(b, '0', '9')) &
                          ((1u << BLOCK_BYTES) - 1);
        if (others != 0) {
            return at + (size_t)__builtin_ctz(others);
        }
        at += BLOCK_BYTES;
    }
    return text.len;
}
