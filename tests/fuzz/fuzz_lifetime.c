/* Any bytes as a table of customers: refused with a place, or sorted, each with a value one can
 * rank by. The first byte bounds the memory. */
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "decide/value/lifetime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct lifetime table = { 0 };
    struct error err = { 0 };
    if (size == 0) {
        return 0;
    }
    arena_init(&arena, data[0] == '#' ? 16u << 20 : (size_t)data[0] * 16);
    if (!lifetime_parse(slice_of(data + 1, size - 1), "fuzz", &arena, &table, &err)) {
        assert(err.kind != ERROR_NONE && strncmp(err.text, "fuzz", 4) == 0);
        arena_fini(&arena);
        return 0;
    }
    double sum = 0;
    assert(table.len <= LIFETIME_CUSTOMERS_MAX);
    for (uint32_t i = 0; i < table.len; i++) {
        const struct lifetime_customer *c = &table.customers[i];
        assert(c->id.len > 0 && c->expected_value >= 0 && isfinite(c->expected_value));
        assert(i == 0 || slice_compare(c[-1].id, c->id) < 0); /* each once */
        sum += c->expected_value;
    }
    double mean = table.len == 0 ? 0 : sum / table.len;
    assert(fabs(table.mean - mean) <= 1e-9 * fmax(1, mean));
    arena_fini(&arena);
    return 0;
}
