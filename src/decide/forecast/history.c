#include "decide/forecast/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Room for a quarter more than is kept: dropping it moves 4 values a slot. */
#define SPARE_SHARE 4

bool history_init(struct history *h, size_t keep) {
    *h = (struct history){ .keep = keep, .capacity = keep + keep / SPARE_SHARE + 1 };
    h->values = malloc(h->capacity * sizeof *h->values);
    h->sums = malloc((h->capacity / HISTORY_BLOCK + 1) * sizeof *h->sums);
    if (h->values == NULL || h->sums == NULL) {
        history_fini(h);
        return false;
    }
    return true;
}

void history_fini(struct history *h) {
    free(h->values);
    free(h->sums);
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

/* The sums start again from zero and do not lose digits over the years. */
static void drop_oldest(struct history *h) {
    size_t drop = h->len - h->keep;
    memmove(h->values, h->values + drop, h->keep * sizeof *h->values);
    h->base += drop;
    h->revision++;
    h->len = h->keep;
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
    size_t a = clamp_slot(h, from), b = clamp_slot(h, to);
    for (size_t i = a; i < b; i++) {
        h->values[i] = copysignf(h->values[i], aside ? -1 : 1);
    }
    if (a < b) {
        h->revision++;
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

static double mean_of(double sum, uint32_t count) {
    return count == 0 ? (double)NAN : sum / count;
}

double history_mean(const struct history *h, int64_t from, int64_t to) {
    size_t a = clamp_slot(h, from), b = clamp_slot(h, to);
    if (b <= a) {
        return NAN;
    }
    if (b - a <= HISTORY_BLOCK) { /* cheaper, and exact */
        struct history_sum s = { 0 };
        for (size_t i = a; i < b; i++) {
            add(&s, h->values[i]);
        }
        return mean_of(s.sum, s.count);
    }
    struct history_sum before = sum_before(h, a), whole = sum_before(h, b);
    return mean_of(whole.sum - before.sum, whole.count - before.count);
}
