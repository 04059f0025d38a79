/* Any bytes as what a store kept of calls: refused, or ratios that are numbers; saved again they
 * read back as the same. */
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "decide/autoscale/dependency.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[DEPENDENCY_SERVICES_MAX] = { "front", "back", "a" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct dependencies d, again; /* the first one's pending requests stay none */
    uint8_t bytes[DEPENDENCY_MEMORY_BYTES];
    memset(d.pairs[0], 0, sizeof d.pairs[0]);
    d.callers[0] = (struct dependency_caller){ 0 };
    bool taken = dependencies_restore(&d, 0, names, data, size);
    for (unsigned i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        struct dependency_ratio r = dependencies_ratio(&d, 0, i);
        assert(isnan(r.likely) ? !r.proven : r.low <= r.likely && r.likely <= r.high);
        assert(taken || isnan(r.likely));
    }
    size_t len = dependencies_save(&d, 0, names, bytes);
    assert(dependencies_restore(&again, 0, names, bytes, len));
    assert(memcmp(d.pairs[0], again.pairs[0], sizeof d.pairs[0]) == 0);
    return 0;
}
