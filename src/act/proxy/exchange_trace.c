/* Of some traces, chosen by a keyed hash of their id, the controller is told of each request: from
 * them it learns which service calls which (decide/autoscale/dependency.h). The key is secret, so
 * that nobody can choose which ones are followed. */
#include <string.h>

#include "act/proxy/exchange_internal.h"

/* What a rate limit refused is nobody's demand, and a tunnel no request of a moment. */
static bool counts(const struct exchange *x) {
    const struct request_record *r = &x->record;
    return x->service != NULL && r->trace_id != 0 && !(r->flags & RECORD_UPGRADED) &&
           r->reason != REASON_RATE_LIMITED;
}

void exchange_trace_end(const struct exchange *x) {
    struct worker *w = x->worker;
    uint64_t most = atomic_load_explicit(&w->vitals->trace_most, memory_order_relaxed);
    if (most == 0 || !counts(x)) {
        return;
    }
    uint64_t hash = vitals_hash_trace(w->vitals, x->record.trace_id_high, x->record.trace_id);
    if (hash >= most) {
        return;
    }
    struct vitals_trace trace = {
        .trace = hash,
        .begun_us = x->started_us,
        .ended_us = exchange_now_us(x),
        .service = x->service->index,
        .reached = x->attempts > 0,
        .begun = x->record.flags & RECORD_TRACE_BEGUN,
    };
    memcpy(trace.peer, x->peer->ip, sizeof trace.peer);
    vitals_trace(w->own, &trace);
}
