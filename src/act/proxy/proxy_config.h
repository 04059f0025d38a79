/* `limits:` and `timeouts:` of shop.yaml, and a service's `objective:` and `timeouts:`:
 * what the workers go by. The one place where their defaults are written. */
#pragma once
#include <stdint.h>

#include "act/proxy/route_config.h"
#include "act/shm/plan.h"
#include "config/config.h"

struct limits_config {
    uint64_t head_bytes, target_bytes, body_bytes;
    uint32_t fields, connections, requests_per_connection, streams, retries;
    uint64_t memory_bytes; /* of a worker, as `descriptors` is */
    uint32_t descriptors;
    uint32_t connections_per_client, requests_per_client;
    double handshakes_per_client; /* a second */
};

struct timeouts_config {
    int64_t client_head_ms, client_idle_ms, client_body_ms, pool_idle_ms, drain_ms, upgrade_ms;
};

struct objective_config {
    int64_t latency_ms;
    double share_ratio;
};

struct upstream_config { /* `timeouts:` of a service */
    int64_t connect_ms, first_byte_ms, idle_ms, total_ms;
    struct slice deadline_field; /* empty: none */
};

extern const struct config_table limits_config_table, timeouts_config_table, objective_config_table,
    upstream_config_table;

/* What goes into the plan. */
struct plan_limits proxy_plan_limits(const struct limits_config *limits,
                                     const struct timeouts_config *timeouts);
