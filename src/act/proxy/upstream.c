#include "act/proxy/upstream.h"

#include "act/proxy/upstream_protocols.h"
#include "act/proxy/worker_internal.h"

enum upstream_opening upstream_open(struct worker *w, uint16_t slot, struct attempt *a,
                                    bool fresh) {
    switch ((enum plan_protocol)a->exchange->service->plan.protocol) {
    case PLAN_PROTOCOL_H2:
        return upstream_h2_open(w, slot, a);
    default:
        return upstream_h1_open(w, slot, a, fresh);
    }
}

/* What the others have, of connections in use and idle, on the average. */
static uint32_t used_by_peers(const struct worker *w, const struct service *s, uint16_t slot) {
    uint32_t sum = 0, peers = 0;
    for (uint32_t i = 0; i < s->serving_count; i++) {
        const struct endpoint *peer = &w->endpoints[s->serving[i]];
        if (s->serving[i] != slot) {
            sum += peer->idle_count +
                   atomic_load_explicit(&peer->vitals->in_flight, memory_order_relaxed);
            peers++;
        }
    }
    return peers == 0 ? 0 : (sum + peers - 1) / peers;
}

void upstream_open_ahead(struct worker *w, uint16_t slot) {
    const struct service *s = &w->services[w->endpoints[slot].service];
    uint32_t count = used_by_peers(w, s, slot);
    if (count == 0 || s->plan.proxy_protocol > 0 || w->draining) {
        return;
    }
    if (s->plan.protocol == PLAN_PROTOCOL_H2) {
        upstream_h2_open_ahead(w, slot);
    } else {
        upstream_h1_open_ahead(w, slot, count < UPSTREAM_AHEAD_MAX ? count : UPSTREAM_AHEAD_MAX);
    }
}

/* Nobody insists where something is wrong: that is for requests and probes to find out. */
static bool is_well(const struct worker *w, const struct endpoint *e) {
    return !endpoint_is_refused(w, e) && e->refusals == 0 &&
           atomic_load_explicit(&e->shared->connect_failures, memory_order_relaxed) == 0 &&
           atomic_load_explicit(&e->shared->ejected_until_us, memory_order_relaxed) == 0;
}

static void follow_plan_to(struct worker *w, uint16_t slot, uint32_t share) {
    const struct endpoint *e = &w->endpoints[slot];
    for (unsigned i = 0; i < UPSTREAM_AHEAD_MAX; i++) {
        if (e->connections >= share || !is_well(w, e) || !upstream_may_connect(w, e)) {
            return;
        }
        upstream_h1_open_ahead(w, slot, 1);
    }
}

void upstream_follow_plan(struct worker *w) {
    uint32_t workers = w->vitals->worker_count;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX && !w->draining; i++) {
        const struct service *s = &w->services[i];
        uint32_t share = (s->plan.connections_ahead + workers - 1) / workers;
        if (share == 0 || s->plan.proxy_protocol > 0 || s->plan.protocol == PLAN_PROTOCOL_H2) {
            continue;
        }
        share = share < UPSTREAM_IDLE_MAX ? share : UPSTREAM_IDLE_MAX;
        for (uint32_t k = 0; k < s->serving_count; k++) {
            follow_plan_to(w, s->serving[k], share);
        }
    }
}

void upstream_close_idle(struct worker *w, struct endpoint *e, uint64_t idle_since_us) {
    (void)w;
    upstream_h1_close_idle(e, idle_since_us);
    upstream_h2_close_idle(e, idle_since_us);
}

void upstream_close_all(struct worker *w) {
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        upstream_h1_close_idle(&w->endpoints[i], UINT64_MAX);
    }
    upstream_h2_close_all(w);
}

void upstream_free_spares(struct worker *w) {
    upstream_h1_free_spares(w);
}

void upstream_count(struct worker *w, int change) {
    uint64_t open = vitals_get(&w->own->upstream_open);
    atomic_store_explicit(&w->own->upstream_open, open + (uint64_t)change, memory_order_relaxed);
    if (change > 0) {
        vitals_add(&w->own->upstream_opened, 1);
    }
}

/* What the service was learned to carry at once, over all workers; 0: not known yet. */
static uint32_t learned(const struct worker *w, const struct service *s) {
    uint32_t sum = 0;
    for (unsigned i = 0; i < w->vitals->worker_count && s->plan.concurrency == 0; i++) {
        sum += atomic_load_explicit(&w->vitals->workers[i].services[s->index].concurrency_limit,
                                    memory_order_relaxed);
    }
    return s->plan.concurrency > 0 ? s->plan.concurrency : sum;
}

/* Each worker has its share, so that none takes it all with connections that it keeps unused. */
bool upstream_may_connect(const struct worker *w, const struct endpoint *e) {
    const struct service *s = &w->services[e->service];
    uint32_t most = s->plan.connections, workers = w->vitals->worker_count;
    if (most == 0) {
        uint32_t both = learned(w, s) * UPSTREAM_CONNECTIONS_RATIO;
        most = both > UPSTREAM_CONNECTIONS_LEAST ? both : UPSTREAM_CONNECTIONS_LEAST;
    }
    /* What slow visitors hold takes nothing of what others may have, unless somebody set a limit.
     */
    uint32_t held = s->plan.connections == 0 ? e->held : 0;
    return e->connections < (most + workers - 1) / workers + held;
}
