#include "decide/forecast/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Room for a quarter more than is kept: dropping it moves 4 values a slot. */
#define SPARE_SHARE 4

static uint32_t shift_of(uint32_t season_steps) {
    uint32_t shift = 0;
    while (shift < TIER_SHIFT_MOST && (2U << shift) <= season_steps / HISTORY_PARTS_OF_SEASON) {
        shift++;
    }
    return shift;
}

/* Single slots, and what is older together. */
static bool init_tiers(struct history *h, const struct history_span *span) {
    uint32_t shift = shift_of(span->season_steps);
    size_t fine = shift == 0 || span->fine > span->keep ? span->keep : span->fine;
    size_t coarse = span->keep - fine, together = (size_t)TIER_CELLS << shift;
    return history_tier_init(&h->fine, fine + (coarse > 0 ? together : 0), 0) &&
           (coarse == 0 || history_tier_init(&h->coarse, coarse, shift));
}

bool history_init(struct history *h, const struct history_span *span) {
    *h = (struct history){ .keep = span->keep };
    bool tiers = span->keep > HISTORY_EXACT_MOST && span->exact < span->keep / 2;
    h->exact = tiers ? span->exact : span->keep;
    h->capacity =
        tiers ? (h->exact / TIER_CELLS + 2) * TIER_CELLS : h->exact + h->exact / SPARE_SHARE + 1;
    h->values = malloc(h->capacity * sizeof *h->values);
    h->sums = malloc((h->capacity / HISTORY_BLOCK + 1) * sizeof *h->sums);
    if (h->values == NULL || h->sums == NULL || (tiers && !init_tiers(h, span))) {
        history_fini(h);
        return false;
    }
    return true;
}

void history_fini(struct history *h) {
    free(h->values);
    free(h->sums);
    history_tier_fini(&h->fine);
    history_tier_fini(&h->coarse);
    *h = (struct history){ 0 };
}

static void add(struct history_sum *s, float value) {
    if (!isnan(value) && !signbit(value)) {
        s->sum += (double)value;
        s->count++;
    }
}

static void put(struct history *h, float value) {
    if (h->len % HISTORY_BLOCK == 0) {
        h->sums[h->len / HISTORY_BLOCK] = h->all;
    }
    h->values[h->len] = value;
    add(&h->all, value);
    h->len++;
}

/* Adds up again what stands from values[start] on, the start of a block. */
static void sum_from(struct history *h, size_t start) {
    size_t len = h->len;
    if (start == 0) {
        h->all = (struct history_sum){ 0 };
    } else {
        h->all = h->sums[start / HISTORY_BLOCK];
    }
    h->len = start;
    while (h->len < len) {
        put(h, h->values[h->len]);
    }
}

/* Means of a few slots each; what was set aside counts only where there is nothing else. */
static void put_together(const float *values, uint32_t shift, float *out) {
    size_t slots = (size_t)1 << shift;
    for (size_t cell = 0; cell < (size_t)TIER_CELLS >> shift; cell++, values += slots) {
        float sum[2] = { 0 };
        uint32_t count[2] = { 0 };
        for (size_t i = 0; i < slots; i++) {
            bool aside = signbit(values[i]);
            sum[aside] += isnan(values[i]) ? 0 : values[i];
            count[aside] += !isnan(values[i]);
        }
        bool aside = count[0] == 0;
        out[cell] = count[aside] == 0 ? NAN : sum[aside] / (float)count[aside];
    }
}

static void move_to_coarse(struct history *h) {
    float values[TIER_CELLS], together[TIER_CELLS];
    uint32_t shift = h->coarse.shift;
    int64_t from = h->fine.from;
    for (size_t i = 0; i < (size_t)1 << shift; i++) {
        history_tier_take(&h->fine, values);
        put_together(values, shift, together + i * (TIER_CELLS >> shift));
    }
    history_tier_append(&h->coarse, from, together);
}

/* Makes room in `values`. The sums start again from zero and do not lose digits over the years. */
static void drop_oldest(struct history *h) {
    size_t dropped = h->len - h->exact;
    if (h->fine.capacity > 0) {
        dropped -= dropped % TIER_CELLS;
    }
    for (size_t i = 0; h->fine.capacity > 0 && i < dropped; i += TIER_CELLS) {
        if (history_tier_full(&h->fine) && h->coarse.capacity > 0) {
            move_to_coarse(h);
        }
        history_tier_append(&h->fine, (int64_t)(h->base + i), h->values + i);
    }
    memmove(h->values, h->values + dropped, (h->len - dropped) * sizeof *h->values);
    h->base += dropped;
    h->len -= dropped;
    h->revision++;
    sum_from(h, 0);
}

void history_append(struct history *h, double value) {
    assert(!(value < 0));
    if (h->len == h->capacity) {
        drop_oldest(h);
    }
    put(h, fabsf((float)value));
}

static size_t clamp_slot(const struct history *h, int64_t slot) {
    int64_t i = slot - (int64_t)h->base;
    return i < 0 ? 0 : i > (int64_t)h->len ? h->len : (size_t)i;
}

void history_set_aside(struct history *h, int64_t from, int64_t to, bool aside) {
    history_tier_set_aside(&h->coarse, from, to, aside);
    history_tier_set_aside(&h->fine, from, to, aside);
    size_t a = clamp_slot(h, from), b = clamp_slot(h, to);
    for (size_t i = a; i < b; i++) {
        h->values[i] = copysignf(h->values[i], aside ? -1 : 1);
    }
    h->revision++;
    if (a < b) {
        sum_from(h, a - a % HISTORY_BLOCK);
    }
}

void history_scale(struct history *h, int64_t before, double ratio) {
    assert(ratio > 0);
    size_t end = clamp_slot(h, before);
    h->revision++;
    for (size_t i = 0; i < end; i++) {
        h->values[i] *= (float)ratio;
    }
    sum_from(h, 0);
    history_tier_scale(&h->fine, before, ratio);
    history_tier_scale(&h->coarse, before, ratio);
}

/* Of everything before values[end]. */
static struct history_sum sum_before(const struct history *h, size_t end) {
    if (end == h->len) {
        return h->all;
    }
    struct history_sum s = h->sums[end / HISTORY_BLOCK];
    for (size_t i = end - end % HISTORY_BLOCK; i < end; i++) {
        add(&s, h->values[i]);
    }
    return s;
}

static struct history_sum sum_of(const struct history *h, size_t a, size_t b) {
    struct history_sum s = { 0 };
    if (b - a <= HISTORY_BLOCK) { /* cheaper, and exact */
        for (size_t i = a; i < b; i++) {
            add(&s, h->values[i]);
        }
        return s;
    }
    struct history_sum before = sum_before(h, a), whole = sum_before(h, b);
    return (struct history_sum){ whole.sum - before.sum, whole.count - before.count };
}

static void add_sum(struct history_sum *s, struct history_sum more) {
    s->sum += more.sum;
    s->count += more.count;
}

double history_mean(const struct history *h, int64_t from, int64_t to) {
    size_t a = clamp_slot(h, from), b = clamp_slot(h, to);
    struct history_sum s = { 0 };
    if (a < b) {
        s = sum_of(h, a, b);
    }
    if (from < (int64_t)h->base) {
        add_sum(&s, history_tier_sum(&h->fine, from, to));
        add_sum(&s, history_tier_sum(&h->coarse, from, to));
    }
    return s.count == 0 ? (double)NAN : s.sum / s.count;
}
