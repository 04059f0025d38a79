/* Any bytes as a quantity: whole and in bounds, or refused with the result as it was. */
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/units.h"

#define KEPT 42

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice text = slice_of(data, size);
    int64_t ms = KEPT;
    uint64_t bytes = KEPT;
    double rps = KEPT, ratio = KEPT, amount = KEPT;
    char currency[UNITS_CURRENCY_BYTES] = "old";
    assert(units_parse_duration_ms(text, &ms) ? ms >= 0 && ms <= INT64_C(1) << 53 : ms == KEPT);
    assert(units_parse_size_bytes(text, &bytes) ? bytes <= UINT64_C(1) << 53 : bytes == KEPT);
    assert(units_parse_rate_rps(text, &rps) ? rps >= 0 && isfinite(rps) : rps == KEPT);
    assert(units_parse_share(text, &ratio) ? ratio >= 0 && ratio <= 1 : ratio == KEPT);
    if (units_parse_money(text, &amount, currency)) {
        assert(amount >= 0 && isfinite(amount) && strlen(currency) == 3);
    } else {
        assert(amount == KEPT && strcmp(currency, "old") == 0);
    }
    return 0;
}
