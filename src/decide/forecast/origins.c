#include "decide/forecast/origins.h"

#include <stdlib.h>

#define FINE 32

bool origins_init(struct origins *o, uint32_t steps, uint32_t season_steps) {
    *o = (struct origins){ .newest = -1, .fine_count = steps, .stride = 1 };
    uint32_t stride = season_steps / HISTORY_PARTS_OF_SEASON;
    if (stride > 1 && steps > 2 * FINE) {
        o->fine_count = FINE;
        o->stride = stride;
        o->coarse_count = steps / stride + 2;
    }
    o->fine = calloc((size_t)o->fine_count + o->coarse_count, sizeof *o->fine);
    if (o->fine == NULL) {
        return false;
    }
    o->coarse = o->fine + o->fine_count;
    return true;
}

void origins_fini(struct origins *o) {
    free(o->fine);
    *o = (struct origins){ 0 };
}

void origins_put(struct origins *o, int64_t slot, const struct origin *origin) {
    o->newest = slot > o->newest ? slot : o->newest;
    if (slot > o->newest - (int64_t)o->fine_count) {
        o->fine[slot % o->fine_count] = *origin;
    }
    if (o->coarse_count > 0 && slot % o->stride == 0) {
        o->coarse[slot / o->stride % o->coarse_count] = *origin;
    }
}
