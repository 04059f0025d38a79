/* History: the last values of a series by slot number, NaN where missing. The newest are floats;
 * of a long history what is older is kept in a byte each (history_tier.h), and beyond the short
 * seasons that single slots are looked up in as means of a few slots: a service's history has to
 * fit in the memory that a thousand services have. Running sums at every HISTORY_BLOCKth slot make
 * the mean of any stretch cost the same and a slot hardly more than its value. Slots count from the
 * first ever seen; old ones fall off. What was no demand (an outage, a burst) is set aside: it
 * counts as missing, and can be put back when it turns out to be demand after all. */
#pragma once
#include "decide/forecast/history_tier.h"

#define HISTORY_BLOCK 32
#define HISTORY_EXACT_MOST 3500 /* slots: a shorter history is all floats */
/* Slots that are kept together, here and in origins.h, are no longer than one part of so many. */
#define HISTORY_PARTS_OF_SEASON 288

/* What has to be kept: at least the last `keep` slots. Whatever asks for single ones further back
 * than `fine` gets the mean of a few around; `exact` are kept as they came (numbers that repeat are
 * told by that), and so are all of at most HISTORY_EXACT_MOST. */
struct history_span {
    size_t keep, fine, exact;
    uint32_t season_steps; /* slots that are kept together are a small part of it */
};

struct history {
    float *values;            /* of the newest; negative: set aside */
    struct history_sum *sums; /* by block */
    struct history_sum all;   /* of everything in `values` */
    size_t base;              /* slot number of values[0] */
    size_t len, capacity, keep;
    size_t exact;                     /* that stay in `values` when it is full */
    struct history_tier fine, coarse; /* what was before `values`, and before that */
    uint32_t revision; /* another when what was recorded changes or falls off; not by appending */
};

/* False without memory. */
bool history_init(struct history *h, const struct history_span *span);
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

/* As in `values`: negative when set aside, NaN when it is not there. */
static inline float history_signed(const struct history *h, int64_t slot) {
    int64_t i = slot - (int64_t)h->base;
    if (i >= 0) {
        return i < (int64_t)h->len ? h->values[i] : NAN;
    }
    return history_tier_at(slot < h->fine.from ? &h->coarse : &h->fine, slot);
}

/* The value even where it is set aside; NaN when it is not recorded, not yet there, or has fallen
 * off. */
static inline double history_recorded(const struct history *h, int64_t slot) {
    return fabs((double)history_signed(h, slot));
}

static inline bool history_is_aside(const struct history *h, int64_t slot) {
    float value = history_signed(h, slot);
    return !isnan(value) && signbit(value);
}

/* … NaN where it is set aside, too. */
static inline double history_at(const struct history *h, int64_t slot) {
    float value = history_signed(h, slot);
    return signbit(value) ? (double)NAN : (double)value;
}

/* Mean of what is recorded in [from, to), NaN when that is nothing. */
double history_mean(const struct history *h, int64_t from, int64_t to);
