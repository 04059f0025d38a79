/* Any bytes as what a store kept of a capacity: refused, or a model that knows what it knows. */
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/autoscale/capacity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct capacity c, again;
    uint8_t bytes[CAPACITY_MEMORY_BYTES];
    capacity_init(&c, 250, 0);
    bool taken = capacity_restore(&c, data, size);
    struct capacity_range range = capacity_range(&c);
    assert(range.low_rps > 0 && isfinite(range.high_rps));
    assert(range.low_rps <= range.likely_rps && range.likely_rps <= range.high_rps);
    if (taken) {
        capacity_init(&again, 250, 0);
        assert(capacity_restore(&again, bytes, capacity_save(&c, bytes)));
    }
    return 0;
}
