#include "decide/forecast/history.h"

#include <stdlib.h>
#include <string.h>

/* Twice what is kept, so that dropping the older half costs one move in `keep` appends; the sums
 * have one more element: the total. */
bool history_init(struct history *h, size_t keep) {
    *h = (struct history){ .keep = keep, .capacity = 2 * keep };
    h->values = malloc(h->capacity * sizeof *h->values);
    h->sums = malloc((h->capacity + 1) * sizeof *h->sums);
    h->counts = malloc((h->capacity + 1) * sizeof *h->counts);
    if (h->values == NULL || h->sums == NULL || h->counts == NULL) {
        history_fini(h);
        return false;
    }
    h->sums[0] = 0;
    h->counts[0] = 0;
    return true;
}

void history_fini(struct history *h) {
    free(h->values);
    free(h->sums);
    free(h->counts);
    *h = (struct history){ 0 };
}

/* Rebuilds the sums: they start again from zero and do not lose digits over the years. */
static void drop_older_half(struct history *h) {
    size_t drop = h->len - h->keep;
    memmove(h->values, h->values + drop, h->keep * sizeof *h->values);
    h->base += drop;
    h->len = 0;
    for (size_t i = 0; i < h->keep; i++) {
        history_append(h, (double)h->values[i]);
    }
}

void history_append(struct history *h, double value) {
    if (h->len == h->capacity) {
        drop_older_half(h);
    }
    bool recorded = !isnan(value);
    h->values[h->len] = (float)value;
    h->sums[h->len + 1] = h->sums[h->len] + (recorded ? value : 0);
    h->counts[h->len + 1] = h->counts[h->len] + recorded;
    h->len++;
}

static size_t clamp_slot(const struct history *h, int64_t slot) {
    int64_t i = slot - (int64_t)h->base;
    return i < 0 ? 0 : i > (int64_t)h->len ? h->len : (size_t)i;
}

double history_mean(const struct history *h, int64_t from, int64_t to) {
    size_t a = clamp_slot(h, from), b = clamp_slot(h, to);
    if (b <= a || h->counts[b] == h->counts[a]) {
        return NAN;
    }
    return (h->sums[b] - h->sums[a]) / (h->counts[b] - h->counts[a]);
}
