#include "act/proxy/retry_budget.h"

#include "act/proxy/service.h"
#include "act/proxy/worker_internal.h"
#include "base/log.h"
#include "decide/balance/budget.h"

#define STORM_QUIET_US 1000000 /* between two storms */

static struct budget look(const struct service *s) {
    const struct vitals *vitals = s->worker->vitals;
    struct budget b = { .ratio = s->plan.retry_ratio,
                        .floor_rps = s->plan.retry_floor_rps,
                        .now_us = loop_now_us(s->worker->loop) };
    for (unsigned i = 0; i < vitals->worker_count; i++) {
        const struct vitals_service *v = &vitals->workers[i].services[s->index];
        for (int stage = 0; stage < STAGE_COUNT; stage++) {
            b.requests += vitals_get(&v->offered[stage]) - vitals_get(&v->refused[stage]);
        }
        b.in_flight += atomic_load_explicit(&v->in_flight, memory_order_relaxed);
    }
    return b;
}

static bool take(struct service *s, bool hedge) {
    _Atomic uint64_t *word = &s->worker->vitals->shared_services[s->index].budget_spent;
    struct budget budget = look(s);
    uint64_t before = atomic_load(word), after;
    bool taken;
    do {
        after = before;
        taken = budget_take(&budget, hedge, &after);
    } while (!atomic_compare_exchange_weak(word, &before, after));
    return taken;
}

/* Requests fail faster than they may be sent again: said once a storm. */
static void refuse_retry(struct service *s) {
    uint64_t now_us = loop_now_us(s->worker->loop);
    vitals_add(&s->vitals->retries_refused, 1);
    if (s->retry_refused_us == 0 || now_us - s->retry_refused_us > STORM_QUIET_US) {
        vitals_add(&s->vitals->retry_storms, 1);
        log_warn("retry_storm", "service=%s budget_ratio=%.2f floor_rps=%.1f action=no_retries",
                 s->plan.name, s->plan.retry_ratio, s->plan.retry_floor_rps);
    }
    s->retry_refused_us = now_us;
}

bool retry_budget_take(struct service *s, bool hedge) {
    bool taken = take(s, hedge);
    if (!taken && hedge) {
        vitals_add(&s->vitals->hedges_refused, 1);
    } else if (!taken) {
        refuse_retry(s);
    }
    return taken;
}
