/* Any bytes as the faults of a simulation: refused with a place, or faults in order. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tool/sim/scenario_faults.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct scenario s = { .days = 1 };
    struct error err = { 0 };
    if (!scenario_parse_faults(&s, slice_of((const char *)data, size), "fuzz", &err)) {
        assert(err.kind == ERROR_LIMIT || strncmp(err.text, "fuzz:", 5) == 0);
    }
    assert(s.fault_count <= SCENARIO_FAULTS_MAX);
    for (size_t i = 0; i < s.fault_count; i++) {
        assert(s.faults[i].kind < FAULT_KINDS && s.faults[i].at_s >= 0 && s.faults[i].for_s >= 0);
        assert(i == 0 || s.faults[i].at_s >= s.faults[i - 1].at_s);
    }
    scenario_fini(&s);
    return 0;
}
