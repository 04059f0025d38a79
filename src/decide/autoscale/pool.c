#include "decide/autoscale/pool.h"

#include <math.h>

#define SMOOTH 0.1 /* of each second's latency */

static void learn_latency(struct pool *pool, double latency_ms) {
    if (latency_ms > 0) {
        pool->latency_ms += (latency_ms - pool->latency_ms) * (pool->latency_ms > 0 ? SMOOTH : 1);
    }
}

static uint32_t wanted(const struct pool *pool, const struct pool_input *in) {
    bool rises = in->peak_rps > POOL_RISE_RATIO * in->now_rps;
    if (!rises || in->serving == 0 || !(pool->latency_ms > 0)) {
        return 0;
    }
    double under_way = in->peak_rps * pool->latency_ms / 1000 * POOL_HEADROOM_RATIO;
    return (uint32_t)fmin(ceil(under_way / in->serving), POOL_CONNECTIONS_MOST);
}

bool pool_decide(struct pool *pool, const struct pool_input *in) {
    uint32_t before = pool->ahead;
    learn_latency(pool, in->latency_ms);
    uint32_t now = wanted(pool, in);
    if (now > 0) {
        pool->wanted_ms = in->now_ms;
    }
    bool more = now > before * POOL_CHANGE_RATIO, less = now * POOL_CHANGE_RATIO < before;
    bool keeps = in->now_ms - pool->wanted_ms < POOL_KEEP_MS && in->now_ms >= pool->wanted_ms;
    if (more || (less && (now > 0 || !keeps))) {
        pool->ahead = now;
    }
    return pool->ahead != before;
}
