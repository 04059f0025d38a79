#include "decide/balance/hedge.h"

static void move(float *estimate, float sample, float ratio, float step) {
    *estimate *= sample > *estimate ? 1 + step * ratio : 1 - step * (1 - ratio);
}

void hedge_observe(struct hedge_estimate *e, const struct hedge_policy *p, uint64_t first_byte_us) {
    float sample = first_byte_us > 0 ? (float)first_byte_us : 1, step = HEDGE_STEP;
    if (e->samples < HEDGE_SAMPLES_LEAST) {
        if (e->samples++ == 0) {
            e->median_us = e->slow_us = sample;
        }
        step = 1 / (float)(e->samples + 1);
        step = step < HEDGE_STEP ? HEDGE_STEP : step;
    }
    move(&e->median_us, sample, 0.5F, step);
    move(&e->slow_us, sample, p->ratio, step);
}

uint64_t hedge_delay_us(const struct hedge_estimate *e, const struct hedge_policy *p) {
    float by_median = e->median_us * HEDGE_MEDIANS;
    float delay = e->slow_us > by_median ? e->slow_us : by_median;
    return delay > (float)p->least_us ? (uint64_t)delay : p->least_us;
}
