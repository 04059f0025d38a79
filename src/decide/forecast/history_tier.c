#include "decide/forecast/history_tier.h"

#include <assert.h>
#include <stdlib.h>

#define HALF (TIER_CELLS / 2)
#define CELLS_ONE_BY_ONE 40 /* so few are added up quicker than with the running sums */

bool history_tier_init(struct history_tier *t, size_t slots, uint32_t shift) {
    assert(shift <= TIER_SHIFT_MOST);
    size_t block_slots = (size_t)TIER_CELLS << shift;
    *t = (struct history_tier){ .shift = shift, .capacity = slots / block_slots + 2 };
    t->blocks = malloc(t->capacity * sizeof *t->blocks);
    return t->blocks != NULL;
}

void history_tier_fini(struct history_tier *t) {
    free(t->blocks);
    *t = (struct history_tier){ 0 };
}

static struct history_block *block_at(const struct history_tier *t, size_t block) {
    size_t at = t->first + block;
    return &t->blocks[at < t->capacity ? at : at - t->capacity];
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    value = fabsf(value);
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool counts(float value) {
    return !isnan(value) && value != 0;
}

static void encode(struct history_block *b, const float *values) {
    uint32_t low = UINT32_MAX, high = 0;
    for (size_t i = 0; i < TIER_CELLS; i++) {
        uint32_t bits = bits_of(values[i]);
        low = counts(values[i]) && bits < low ? bits : low;
        high = counts(values[i]) && bits > high ? bits : high;
    }
    b->low = low;
    b->step = high > low ? (high - low + TIER_CODES - 1) / TIER_CODES : 1;
    b->aside = 0;
    for (size_t i = 0; i < TIER_CELLS; i++) {
        uint32_t code = (bits_of(values[i]) - low + b->step / 2) / b->step;
        bool there = !isnan(values[i]);
        b->code[i] = (uint8_t)(!there ? TIER_MISSING : values[i] == 0 ? TIER_ZERO : code);
        b->aside |= (uint64_t)(there && signbit(values[i])) << i;
    }
}

static void decode(const struct history_block *b, float *values) {
    for (size_t i = 0; i < TIER_CELLS; i++) {
        float value = history_block_value(b, i);
        values[i] = b->aside >> i & 1 ? -value : value;
    }
}

static void add(struct history_sum *s, float value, uint32_t slots) {
    if (!isnan(value)) {
        s->sum += (double)value * slots;
        s->count += slots;
    }
}

/* Of plain ones: four sums at a time, nothing asked. */
static float sum_plain(const struct history_block *b, size_t from, size_t to) {
    float sum[4] = { 0 };
    for (; from + 4 <= to; from += 4) {
        for (size_t i = 0; i < 4; i++) {
            sum[i] += history_code_value(b, from + i);
        }
    }
    for (; from < to; from++) {
        sum[0] += history_code_value(b, from);
    }
    return sum[0] + sum[1] + sum[2] + sum[3];
}

/* Of cells [from, to) of a block. */
static struct history_sum cells_of(const struct history_tier *t, const struct history_block *b,
                                   size_t from, size_t to) {
    struct history_sum s = { 0 };
    uint32_t slots = 1U << t->shift;
    if (b->plain) {
        return (struct history_sum){ (double)sum_plain(b, from, to) * slots,
                                     (uint32_t)(to - from) * slots };
    }
    for (size_t i = from; i < to; i++) {
        if ((b->aside >> i & 1) == 0) {
            add(&s, history_block_value(b, i), slots);
        }
    }
    return s;
}

static struct history_sum plus(struct history_sum a, struct history_sum b) {
    return (struct history_sum){ a.sum + b.sum, a.count + b.count };
}

static struct history_sum minus(struct history_sum a, struct history_sum b) {
    return (struct history_sum){ a.sum - b.sum, a.count - b.count };
}

static struct history_sum before_block(const struct history_tier *t, size_t block) {
    if (block == t->len) {
        return t->all;
    }
    const struct history_block *b = block_at(t, block);
    return (struct history_sum){ b->sum, b->count };
}

/* The running sums from a block on, whose own holds. */
static void sum_from(struct history_tier *t, size_t block) {
    struct history_sum s = before_block(t, block);
    for (; block < t->len; block++) {
        struct history_block *b = block_at(t, block);
        b->sum = s.sum;
        b->count = s.count;
        b->plain = b->aside == 0 && memchr(b->code, TIER_MISSING, TIER_CELLS) == NULL &&
                   memchr(b->code, TIER_ZERO, TIER_CELLS) == NULL;
        b->half = b->plain ? sum_plain(b, 0, HALF) : 0;
        s = plus(s, cells_of(t, b, 0, TIER_CELLS));
    }
    t->all = s;
}

static int64_t block_slots(const struct history_tier *t) {
    return (int64_t)TIER_CELLS << t->shift;
}

static void drop(struct history_tier *t) {
    t->first = t->first + 1 == t->capacity ? 0 : t->first + 1;
    t->len--;
    t->from += block_slots(t);
}

void history_tier_append(struct history_tier *t, int64_t from, const float *values) {
    if (t->len == t->capacity) {
        drop(t);
    }
    if (t->len == 0) {
        t->from = t->to = from;
    }
    assert(from == t->to);
    struct history_block *b = block_at(t, t->len++);
    encode(b, values);
    b->sum = t->all.sum;
    b->count = t->all.count;
    sum_from(t, t->len - 1);
    t->to += block_slots(t);
}

void history_tier_take(struct history_tier *t, float *values) {
    assert(t->len > 0);
    decode(block_at(t, 0), values);
    drop(t);
}

/* ---- changes ---- */

/* Cells whose middle lies before a slot, from the tier's first on. */
static size_t cells_before(const struct history_tier *t, int64_t slot) {
    int64_t after = slot - t->from + ((1 << t->shift) >> 1);
    int64_t cells = after < 0 ? 0 : after >> t->shift;
    return cells > (int64_t)(t->len * TIER_CELLS) ? t->len * TIER_CELLS : (size_t)cells;
}

void history_tier_set_aside(struct history_tier *t, int64_t from, int64_t to, bool aside) {
    size_t a = cells_before(t, from), b = cells_before(t, to);
    for (size_t cell = a; cell < b; cell++) {
        struct history_block *block = block_at(t, cell / TIER_CELLS);
        uint64_t bit = (uint64_t)1 << cell % TIER_CELLS;
        bool there = block->code[cell % TIER_CELLS] != TIER_MISSING;
        block->aside = aside && there ? block->aside | bit : block->aside & ~bit;
    }
    if (a < b) {
        sum_from(t, a / TIER_CELLS);
    }
}

void history_tier_scale(struct history_tier *t, int64_t before, double ratio) {
    float values[TIER_CELLS];
    size_t cells = cells_before(t, before);
    for (size_t start = 0; start < cells; start += TIER_CELLS) {
        struct history_block *b = block_at(t, start / TIER_CELLS);
        decode(b, values);
        for (size_t i = 0; i < TIER_CELLS && start + i < cells; i++) {
            values[i] *= (float)ratio;
        }
        encode(b, values);
    }
    if (cells > 0) {
        sum_from(t, 0);
    }
}

/* ---- sums ---- */

/* From the nearest of start, middle and end of the block. */
static struct history_sum plain_before(const struct history_tier *t, size_t block, size_t cell) {
    const struct history_block *b = block_at(t, block);
    uint32_t slots = 1U << t->shift;
    double sum = 0;
    if (cell < HALF / 2) {
        sum = (double)sum_plain(b, 0, cell);
    } else if (cell < HALF) {
        sum = (double)(b->half - sum_plain(b, cell, HALF));
    } else if (cell < HALF + HALF / 2) {
        sum = (double)(b->half + sum_plain(b, HALF, cell));
    } else {
        sum = (before_block(t, block + 1).sum - b->sum) / slots -
              (double)sum_plain(b, cell, TIER_CELLS);
    }
    return (struct history_sum){ b->sum + sum * slots, b->count + (uint32_t)cell * slots };
}

/* From the nearer end of the block. */
static struct history_sum sum_before(const struct history_tier *t, int64_t after) {
    size_t cell = (size_t)after >> t->shift, block = cell / TIER_CELLS;
    cell %= TIER_CELLS;
    if (block == t->len) {
        return t->all;
    }
    const struct history_block *b = block_at(t, block);
    struct history_sum s =
        b->plain      ? plain_before(t, block, cell)
        : cell < HALF ? plus(before_block(t, block), cells_of(t, b, 0, cell))
                      : minus(before_block(t, block + 1), cells_of(t, b, cell, TIER_CELLS));
    uint32_t rest = (uint32_t)(after & ((1 << t->shift) - 1)); /* slots of a cell that is cut */
    if (rest > 0 && (b->aside >> cell & 1) == 0) {
        add(&s, history_block_value(b, cell), rest);
    }
    return s;
}

/* Few of them, at most a block's. */
static struct history_sum add_up(const struct history_tier *t, size_t from, size_t to) {
    size_t block = from / TIER_CELLS, end = (block + 1) * TIER_CELLS;
    from %= TIER_CELLS;
    if (to <= end) {
        return cells_of(t, block_at(t, block), from, to - block * TIER_CELLS);
    }
    return plus(cells_of(t, block_at(t, block), from, TIER_CELLS),
                cells_of(t, block_at(t, block + 1), 0, to - end));
}

struct history_sum history_tier_sum(const struct history_tier *t, int64_t from, int64_t to) {
    int64_t a = (from > t->from ? from : t->from) - t->from;
    int64_t b = (to < t->to ? to : t->to) - t->from;
    if (b <= a) {
        return (struct history_sum){ 0 };
    }
    bool few = t->shift == 0 && b - a <= CELLS_ONE_BY_ONE;
    return few ? add_up(t, (size_t)a, (size_t)b) : minus(sum_before(t, b), sum_before(t, a));
}
