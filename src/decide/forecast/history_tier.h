/* A part of a history in a byte a value. 64 cells make a block: their float bits, which are nearly
 * a logarithm, are cut into 253 equal steps between the least and the most of the block. Where the
 * most is twice the least a value is off by 0.07 % on average and 0.2 % at most, where it is a
 * hundred times by 0.5 % and 0.9 %: less than demand differs from minute to minute. A cell is one
 * slot, or the mean of a power of two of them. */
#pragma once
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TIER_CELLS 64     /* in a block */
#define TIER_SHIFT_MOST 6 /* log2 of the slots in a cell */
#define TIER_CODES 253    /* steps in a block; then: */
#define TIER_ZERO 254
#define TIER_MISSING 255

struct history_sum { /* of what is recorded before a block, by slots */
    double sum;
    uint32_t count;
};

struct history_block {
    uint64_t aside;     /* a bit a cell */
    double sum;         /* before the block, as struct history_sum */
    uint32_t count;     /* … */
    uint32_t low, step; /* of the float bits */
    bool plain;         /* every cell has a value that counts, and then: */
    float half;         /* sum of the first half of them */
    uint8_t code[TIER_CELLS];
};

struct history_tier {
    struct history_block *blocks; /* ring */
    int64_t from, to;             /* slots that are there */
    struct history_sum all;       /* of everything there, and before */
    size_t capacity, first, len;  /* of blocks */
    uint32_t shift;               /* 1 << shift slots in a cell */
};

/* Room for that many slots and one block more. False without memory. */
bool history_tier_init(struct history_tier *t, size_t slots, uint32_t shift);
void history_tier_fini(struct history_tier *t);

/* What comes next: TIER_CELLS values (negative: aside, NaN: missing); the oldest block makes room
 * when there is none. The first ones start at slot `from`. */
void history_tier_append(struct history_tier *t, int64_t from, const float *values);
static inline bool history_tier_full(const struct history_tier *t) {
    return t->len == t->capacity;
}
/* Takes the oldest block out. */
void history_tier_take(struct history_tier *t, float *values);

void history_tier_set_aside(struct history_tier *t, int64_t from, int64_t to, bool aside);
void history_tier_scale(struct history_tier *t, int64_t before, double ratio);

/* Of what is recorded in [from, to). */
struct history_sum history_tier_sum(const struct history_tier *t, int64_t from, int64_t to);

static inline const struct history_block *history_tier_block(const struct history_tier *t,
                                                             size_t block) {
    size_t at = t->first + block;
    return &t->blocks[at < t->capacity ? at : at - t->capacity];
}

static inline float history_code_value(const struct history_block *b, size_t cell) {
    uint32_t bits = b->low + b->code[cell] * b->step;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A value without its sign. */
static inline float history_block_value(const struct history_block *b, size_t cell) {
    float value = history_code_value(b, cell);
    return b->code[cell] < TIER_ZERO ? value : b->code[cell] == TIER_ZERO ? 0 : NAN;
}

/* Negative: set aside; NaN: missing or not there. */
static inline float history_tier_at(const struct history_tier *t, int64_t slot) {
    if (slot < t->from || slot >= t->to) {
        return NAN;
    }
    size_t cell = (size_t)(slot - t->from) >> t->shift;
    const struct history_block *b = history_tier_block(t, cell / TIER_CELLS);
    float value = history_block_value(b, cell % TIER_CELLS);
    return b->aside >> cell % TIER_CELLS & 1 ? -value : value;
}
