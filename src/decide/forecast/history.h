/* History: the last values of a series by slot number, NaN where missing, with running sums at
 * every HISTORY_BLOCKth slot so that the mean of any stretch costs the same and a slot hardly more
 * than its value. Slots count from the first ever seen; old ones fall off. What was no demand (an
 * outage, a burst) is set aside: it counts as missing, and can be put back when it turns out to be
 * demand after all. */
#pragma once
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_BLOCK 32

struct history_sum { /* of what is recorded before a block */
    double sum;
    uint32_t count;
};

struct history {
    float *values;            /* negative: set aside */
    struct history_sum *sums; /* by block */
    struct history_sum all;   /* of everything in `values` */
    size_t base;              /* slot number of values[0] */
    size_t len, capacity, keep;
    uint32_t revision; /* another when what was recorded changes or falls off; not by appending */
};

/* Keeps at least the last `keep` slots. False without memory. */
bool history_init(struct history *h, size_t keep);
void history_fini(struct history *h);
/* `value` >= 0, or NaN. */
void history_append(struct history *h, double value);

/* What is recorded of [from, to) is set aside, or (`aside` false) put back. */
void history_set_aside(struct history *h, int64_t from, int64_t to, bool aside);

/* Multiplies what is recorded before a slot, set aside or not. */
void history_scale(struct history *h, int64_t before, double ratio);

/* The slot that comes next. */
static inline int64_t history_end(const struct history *h) {
    return (int64_t)(h->base + h->len);
}

/* The value even where it is set aside; NaN when it is not recorded, not yet there, or has fallen
 * off. */
static inline double history_recorded(const struct history *h, int64_t slot) {
    int64_t i = slot - (int64_t)h->base;
    return i < 0 || i >= (int64_t)h->len ? (double)NAN : fabs((double)h->values[i]);
}

static inline bool history_is_aside(const struct history *h, int64_t slot) {
    int64_t i = slot - (int64_t)h->base;
    return i >= 0 && i < (int64_t)h->len && !isnan(h->values[i]) && signbit(h->values[i]);
}

/* … NaN where it is set aside, too. */
static inline double history_at(const struct history *h, int64_t slot) {
    int64_t i = slot - (int64_t)h->base;
    bool there = i >= 0 && i < (int64_t)h->len && !signbit(h->values[i]);
    return there ? (double)h->values[i] : (double)NAN;
}

/* Mean of what is recorded in [from, to), NaN when that is nothing. */
double history_mean(const struct history *h, int64_t from, int64_t to);
