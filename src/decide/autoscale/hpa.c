#include "decide/autoscale/hpa.h"

#include <math.h>

void hpa_init(struct hpa *h, uint32_t min, uint32_t max) {
    *h = (struct hpa){ .min = min, .max = max };
}

static uint32_t recommend(uint32_t serving, uint32_t starting, double utilisation_ratio) {
    uint32_t current = serving + starting;
    double ratio = utilisation_ratio / HPA_TARGET_RATIO;
    if (fabs(ratio - 1) <= HPA_TOLERANCE_RATIO) {
        return current;
    }
    if (ratio < 1 || starting == 0) {
        return (uint32_t)ceil(serving * ratio - 1e-9);
    }
    double with_starting = ratio * serving / current;
    if (with_starting <= 1 + HPA_TOLERANCE_RATIO) {
        return current; /* what is starting will do */
    }
    return (uint32_t)ceil(current * with_starting - 1e-9);
}

static uint32_t at_least(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

uint32_t hpa_sync(struct hpa *h, uint32_t serving, uint32_t starting, double utilisation_ratio) {
    uint32_t current = serving + starting;
    uint32_t wanted = serving == 0 ? current : recommend(serving, starting, utilisation_ratio);
    h->desired[h->syncs++ % HPA_WINDOW] = wanted;
    if (wanted < current) {
        uint32_t most = wanted;
        for (uint64_t i = 0; i < HPA_WINDOW && i < h->syncs; i++) {
            most = at_least(most, h->desired[i]);
        }
        wanted = most < current ? most : current;
    }
    uint32_t limit = current + at_least(HPA_UP_PODS, current);
    wanted = wanted < limit ? wanted : limit;
    wanted = at_least(wanted, h->min);
    return wanted < h->max ? wanted : h->max;
}
