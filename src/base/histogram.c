#include "base/histogram.h"

#include <math.h>

#define SUB_BUCKETS (1u << HISTOGRAM_SUB_BITS)

/* Values below 64 have a bucket each; above, the exponent picks a group of 32 and the five bits
 * after the leading one pick the bucket in it. */
static unsigned bucket_of(uint64_t value) {
    if (value < SUB_BUCKETS) {
        return (unsigned)value;
    }
    unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
    if (exponent >= HISTOGRAM_TOP_BITS) {
        return HISTOGRAM_BUCKETS - 1;
    }
    unsigned group = exponent - HISTOGRAM_SUB_BITS;
    return ((group + 1) << HISTOGRAM_SUB_BITS) + (unsigned)(value >> group) - SUB_BUCKETS;
}

uint64_t histogram_bucket_upper(unsigned bucket) {
    if (bucket < SUB_BUCKETS) {
        return bucket;
    }
    unsigned group = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t mantissa = SUB_BUCKETS + (bucket & (SUB_BUCKETS - 1));
    return ((mantissa + 1) << group) - 1;
}

static uint64_t load(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* A plain add, not a locked one: there is one writer. */
static void add(_Atomic uint64_t *counter, uint64_t value) {
    atomic_store_explicit(counter, load(counter) + value, memory_order_relaxed);
}

void histogram_record(struct histogram *h, uint64_t value) {
    add(&h->count[bucket_of(value)], 1);
    add(&h->total_count, 1);
    add(&h->total_sum, value);
}

void histogram_add(struct histogram *to, const struct histogram *from) {
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        add(&to->count[i], load(&from->count[i]));
    }
    add(&to->total_count, load(&from->total_count));
    add(&to->total_sum, load(&from->total_sum));
}

void histogram_difference(struct histogram *to, const struct histogram *now,
                          const struct histogram *before) {
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        atomic_init(&to->count[i], load(&now->count[i]) - load(&before->count[i]));
    }
    atomic_init(&to->total_count, load(&now->total_count) - load(&before->total_count));
    atomic_init(&to->total_sum, load(&now->total_sum) - load(&before->total_sum));
}

uint64_t histogram_quantile(const struct histogram *h, double q) {
    /* The buckets are summed here: total_count may be ahead of or behind them while one counts. */
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total += load(&h->count[i]);
    }
    if (total == 0) {
        return 0;
    }
    uint64_t rank = (uint64_t)ceil(q * (double)total);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += load(&h->count[i]);
        if (seen >= rank && seen > 0) {
            return histogram_bucket_upper(i);
        }
    }
    return histogram_bucket_upper(HISTOGRAM_BUCKETS - 1);
}

double histogram_mean(const struct histogram *h) {
    uint64_t total = load(&h->total_count);
    return total == 0 ? 0 : (double)load(&h->total_sum) / (double)total;
}
