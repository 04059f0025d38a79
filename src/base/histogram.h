/* Log-linear histogram of microseconds (or any unsigned number): 32 buckets for each power of two,
 * so a quantile is at most 1/32 (3.1 %) too high. After HdrHistogram. One writer; readers in other
 * processes may read while it counts: each count is a relaxed atomic. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 5
#define HISTOGRAM_TOP_BITS 36 /* values from 2^36 us = 19 h on share the last bucket */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    _Atomic uint64_t count[HISTOGRAM_BUCKETS];
    _Atomic uint64_t total_count, total_sum;
};

void histogram_record(struct histogram *h, uint64_t value);
/* to += from */
void histogram_add(struct histogram *to, const struct histogram *from);
/* to = now - before: what was counted in between */
void histogram_difference(struct histogram *to, const struct histogram *now,
                          const struct histogram *before);
/* The value below or at which a share q in [0, 1] of all values lie; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double q);
double histogram_mean(const struct histogram *h);
uint64_t histogram_bucket_upper(unsigned bucket); /* largest value of that bucket */
