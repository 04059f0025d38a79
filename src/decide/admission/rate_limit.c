#include "decide/admission/rate_limit.h"

#include <assert.h>
#include <math.h>

struct rate_limit rate_limit_of(double rate_rps, uint32_t burst) {
    assert(rate_rps > 0);
    assert(burst >= 1 && burst <= RATE_LIMIT_BURST_MAX);
    uint64_t interval_ns = (uint64_t)llround(1e9 / rate_rps);
    interval_ns = interval_ns > 0 ? interval_ns : 1;
    assert(interval_ns <= RATE_LIMIT_SPAN_NS_MAX / burst);
    return (struct rate_limit){ .interval_ns = interval_ns, .span_ns = interval_ns * burst };
}

/* How far it is from full. */
static uint64_t debt_ns(uint64_t full_at_ns, uint64_t now_ns) {
    return full_at_ns > now_ns ? full_at_ns - now_ns : 0;
}

uint32_t rate_limit_remaining(const struct rate_limit *limit, uint64_t full_at_ns,
                              uint64_t now_ns) {
    uint64_t debt = debt_ns(full_at_ns, now_ns);
    return debt >= limit->span_ns ? 0 : (uint32_t)((limit->span_ns - debt) / limit->interval_ns);
}

uint64_t rate_limit_wait_ns(const struct rate_limit *limit, uint64_t full_at_ns, uint64_t now_ns) {
    uint64_t needed = debt_ns(full_at_ns, now_ns) + limit->interval_ns;
    return needed > limit->span_ns ? needed - limit->span_ns : 0;
}
