#include "decide/forecast/blend.h"

#include <math.h>

#include "base/interpolate.h"

#define POWER 12

void blend_init(struct blend *b, double memory_steps, double enough_steps) {
    *b = (struct blend){ .keep = (float)(1 - 1 / fmax(memory_steps, 2)),
                         .enough = (float)enough_steps };
}

double blend_mix(const struct blend *b, double first, double second) {
    return isnan(second) ? first : interpolate(first, second, (double)b->share);
}

void blend_observe(struct blend *b, double first, double second, double value) {
    float least = INFINITY, sum = 0, weights = 0;
    if (isnan(first) || isnan(second)) {
        return;
    }
    b->scored = b->scored * b->keep + 1;
    for (size_t i = 0; i < BLEND_SHARES; i++) {
        double share = (double)i / (BLEND_SHARES - 1);
        b->loss[i] = b->loss[i] * b->keep + (float)fabs(value - first - share * (second - first));
        least = fminf(least, b->loss[i]);
    }
    for (size_t i = 0; i < BLEND_SHARES; i++) {
        float weight = powf((least + 1e-12F) / (b->loss[i] + 1e-12F), POWER);
        sum += weight * (float)i / (BLEND_SHARES - 1);
        weights += weight;
    }
    b->share = b->scored >= b->enough ? sum / weights : 0;
}
