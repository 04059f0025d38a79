#include "decide/forecast/history.h"

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

/* Rebuilds the sums: they start again from zero and do not lose digits over the years. */
static void drop_oldest(struct history *h) {
    size_t drop = h->len - h->keep;
    memmove(h->values, h->values + drop, h->keep * sizeof *h->values);
    h->base += drop;
    h->len = 0;
    h->all = (struct history_sum){ 0 };
    for (size_t i = 0; i < h->keep; i++) {
        history_append(h, (double)h->values[i]);
    }
}

static void add(struct history_sum *s, float value) {
    if (!isnan(value)) {
        s->sum += (double)value;
        s->count++;
    }
}

void history_append(struct history *h, double value) {
    if (h->len == h->capacity) {
        drop_oldest(h);
    }
    if (h->len % HISTORY_BLOCK == 0) {
        h->sums[h->len / HISTORY_BLOCK] = h->all;
    }
    h->values[h->len] = (float)value;
    add(&h->all, h->values[h->len]);
    h->len++;
}

static size_t clamp_slot(const struct history *h, int64_t slot) {
    int64_t i = slot - (int64_t)h->base;
    return i < 0 ? 0 : i > (int64_t)h->len ? h->len : (size_t)i;
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
