/* `retry:`, `hedge:` and `limits:` of a service: what is sent a second time, and how much is sent
 * at all. The one place where their defaults are written. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "act/shm/plan.h"
#include "config/config.h"

struct retry_config {
    struct slice *on;
    size_t on_count;
    uint32_t attempts; /* 0: as limits.retries says */
    double budget_ratio, floor_rps;
    int64_t per_try_ms;
    bool idempotency_key;
};

struct hedge_config {
    bool enabled;
    double percentile;
    int64_t least_ms;
};

struct circuit_config { /* 0: by what was learned, or as the shop says */
    uint32_t connections, pending, requests;
};

extern const struct config_table retry_config_table, hedge_config_table, circuit_config_table;

/* Fills in what they say; `retries`: limits.retries. Of circuit only what is written. */
void retry_plan_service(const struct retry_config *retry, const struct hedge_config *hedge,
                        const struct circuit_config *circuit, uint32_t retries,
                        struct plan_service *out);
