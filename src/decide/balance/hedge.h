/* When a read that has no answer yet is slow enough for a second attempt elsewhere.
 *
 * After a percentile of the service's own recent times to first byte, so that by itself it adds as
 * many requests as lie above it (5 % at the 95th); and not before one and a half medians: where all
 * answers take about as long, the slowest ones are not slow, and a second attempt would come later.
 * Both are streaming estimates: a sample above moves the estimate up, one below moves it down, in
 * proportion to the percentile. Only the side counts, so an attempt that was called off when it was
 * slower than the estimate is as good a sample as one that ended.
 * Pure; a few instructions a sample.
 * After: "The Tail at Scale", Dean and Barroso 2013; "Multiplicative Update Methods for Incremental
 * Quantile Estimation", Yazidi and Hammer 2017. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define HEDGE_STEP 0.03F       /* of the estimate, a sample */
#define HEDGE_SAMPLES_LEAST 50 /* before that nothing is known; the first steps are larger */
#define HEDGE_MEDIANS 1.5F

struct hedge_policy {
    float ratio; /* (0.5, 1): the percentile; 0: no hedging */
    uint32_t least_us;
};

struct hedge_estimate { /* zeroed: nothing known */
    float median_us, slow_us;
    uint32_t samples; /* up to HEDGE_SAMPLES_LEAST */
};

void hedge_observe(struct hedge_estimate *estimate, const struct hedge_policy *policy,
                   uint64_t first_byte_us);
static inline bool hedge_is_known(const struct hedge_estimate *estimate) {
    return estimate->samples >= HEDGE_SAMPLES_LEAST;
}
/* From the sending on. */
uint64_t hedge_delay_us(const struct hedge_estimate *estimate, const struct hedge_policy *policy);
