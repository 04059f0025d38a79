#include "act/proxy/service.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "act/proxy/evidence.h"
#include "act/proxy/exchange.h"
#include "act/proxy/upstream.h"
#include "act/proxy/waiting.h"
#include "act/proxy/worker_internal.h"
#include "decide/balance/balance.h"

/* ---- life ---- */

void service_init(struct service *service, struct worker *worker, uint16_t index) {
    *service = (struct service){ .worker = worker, .index = index };
    admission_queue_init(&service->queue, OVERLOAD_BY_VALUE, 0, 0);
    list_init(&service->hedgeable);
    service->vitals = &worker->own->services[index];
    service->shared = &worker->vitals->shared_services[index];
}

void service_fini(struct service *service) {
    timer_stop(service->worker->loop, &service->tick);
    timer_stop(service->worker->loop, &service->hedge);
    choice_fini(&service->choice);
    admission_queue_fini(&service->queue);
}

/* ---- a new plan ---- */

static void store_in_flight(struct endpoint *e, uint32_t count) {
    atomic_store_explicit(&e->vitals->in_flight, count, memory_order_relaxed);
}

static void store_awaiting(struct endpoint *e, uint32_t count) {
    struct list *oldest = list_first(&e->awaiting);
    atomic_store_explicit(&e->vitals->awaiting, count, memory_order_relaxed);
    atomic_store_explicit(
        &e->vitals->oldest_awaiting_us,
        oldest == NULL ? 0 : LIST_ITEM(oldest, const struct attempt, awaiting)->awaiting_since_us,
        memory_order_relaxed);
}

static bool may_keep_idle(uint8_t state) {
    return state == ENDPOINT_SERVING || state == ENDPOINT_WARM || state == ENDPOINT_STARTING;
}

/* Another endpoint takes the slot: what is in flight at the old one is nobody's any more. */
static void endpoint_replace(struct worker *w, struct endpoint *e, const struct plan_endpoint *p) {
    upstream_close_idle(w, e, UINT64_MAX);
    LIST_EACH(&e->in_flight, link, saved) {
        struct attempt *a = LIST_ITEM(link, struct attempt, in_flight);
        list_remove(link);
        list_remove(&a->awaiting);
        a->endpoint = NO_ENDPOINT;
        a->tunnel = a->held = false;
    }
    e->held = 0;
    unsigned slot = (unsigned)(e - w->endpoints);
    e->generation = p->generation;
    e->refusals = 0;
    e->refused_until_us = 0;
    e->h2_streams = 0;
    e->connections = 0;
    e->passed_by = 0;
    e->tried_us = 0;
    vitals_adopt_endpoint(w->vitals, w->config->index, slot, p->generation,
                          evidence_cold_steps(w, p->service));
    store_in_flight(e, 0);
    atomic_store_explicit(&e->vitals->tunnels, 0, memory_order_relaxed);
    store_awaiting(e, 0);
}

/* What became of an endpoint with a new plan. */
struct refreshed {
    bool ejected, serves; /* from now on */
};

static struct refreshed endpoint_refresh(struct worker *w, unsigned slot) {
    static const struct plan_endpoint nobody = { .state = ENDPOINT_NONE };
    struct endpoint *e = &w->endpoints[slot];
    const struct plan_endpoint *p =
        slot < w->plan->endpoint_count ? &w->plan->endpoints[slot] : &nobody;
    if (p->state == ENDPOINT_NONE && e->state == ENDPOINT_NONE) {
        return (struct refreshed){ 0 };
    }
    bool same = e->state != ENDPOINT_NONE && e->generation == p->generation;
    if (!same && p->state != ENDPOINT_NONE) {
        endpoint_replace(w, e, p);
    }
    struct refreshed changed = {
        .ejected = same && p->state == ENDPOINT_EJECTED && e->state != ENDPOINT_EJECTED,
        .serves = p->state == ENDPOINT_SERVING && !(same && e->state == ENDPOINT_SERVING),
    };
    e->state = p->state;
    if (!may_keep_idle(e->state)) {
        upstream_close_idle(w, e, UINT64_MAX);
    }
    e->service = p->service;
    e->concurrency = p->concurrency;
    e->weight = p->weight;
    e->elsewhere = p->elsewhere;
    e->sticky_tag = p->sticky_tag;
    e->id = XXH3_64bits(p->id, strnlen(p->id, sizeof p->id));
    e->address = p->address;
    e->address_len = p->address_len;
    return changed;
}

/* Writes the slots of the service in that state; returns how many. */
static uint32_t list_some(const struct worker *w, unsigned service, enum endpoint_state state,
                          bool elsewhere, uint16_t *slots) {
    uint32_t count = 0;
    if (service >= w->plan->service_count) {
        return 0;
    }
    for (uint16_t slot = 0; slot < w->plan->endpoint_count; slot++) {
        const struct endpoint *e = &w->endpoints[slot];
        if (e->service == service && e->state == state && e->elsewhere == elsewhere) {
            slots[count++] = slot;
        }
    }
    return count;
}

static void list_endpoints(struct worker *w) {
    uint16_t *slots = w->slots_of_services;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        struct service *s = &w->services[i];
        s->serving = slots;
        s->local_count = list_some(w, i, ENDPOINT_SERVING, false, slots);
        s->serving_count = s->local_count;
        s->serving_count += list_some(w, i, ENDPOINT_SERVING, true, slots + s->serving_count);
        s->warm = slots + s->serving_count;
        s->warm_count = list_some(w, i, ENDPOINT_WARM, false, s->warm);
        s->warm_count += list_some(w, i, ENDPOINT_WARM, true, s->warm + s->warm_count);
        slots = s->warm + s->warm_count;
        choice_refresh(s);
    }
}

/* Of one that is being emptied and has had its time. */
static void cut_in_flight(struct worker *w, unsigned slot) {
    struct endpoint *e = &w->endpoints[slot];
    bool cut = slot < w->plan->endpoint_count && w->plan->endpoints[slot].cut;
    if (cut && !e->cut) {
        LIST_EACH(&e->in_flight, link, saved) {
            attempt_cut(LIST_ITEM(link, struct attempt, in_flight));
        }
    }
    e->cut = cut;
}

void endpoint_rescue(struct endpoint *e) {
    LIST_EACH(&e->in_flight, link, saved) {
        attempt_rescue(LIST_ITEM(link, struct attempt, in_flight));
    }
}

void services_refresh(struct worker *w) {
    struct refreshed changed[PLAN_ENDPOINTS_MAX];
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        bool used = i < w->plan->service_count;
        w->services[i].plan = used ? w->plan->services[i] : (struct plan_service){ 0 };
    }
    for (unsigned slot = 0; slot < PLAN_ENDPOINTS_MAX; slot++) {
        changed[slot] = endpoint_refresh(w, slot);
    }
    list_endpoints(w);
    for (uint16_t slot = 0; slot < PLAN_ENDPOINTS_MAX; slot++) {
        if (changed[slot].serves) {
            upstream_open_ahead(w, slot);
        }
        if (changed[slot].ejected) {
            endpoint_rescue(&w->endpoints[slot]);
        }
        cut_in_flight(w, slot);
    }
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        evidence_refresh(&w->services[i]);
        waiting_refresh(&w->services[i]);
        waiting_pump(&w->services[i]);
    }
}

/* ---- what holds an endpoint back ---- */

bool endpoint_is_refused(const struct worker *w, const struct endpoint *e) {
    return e->refused_until_us > loop_now_us(w->loop);
}

uint64_t endpoint_silence_us(const struct endpoint *e, uint64_t now_us) {
    uint64_t answered_us = atomic_load_explicit(&e->shared->answered_us, memory_order_relaxed);
    return answered_us == 0 || answered_us > now_us ? 0 : now_us - answered_us;
}

/* ---- in flight ---- */

static uint32_t in_flight_now(const struct endpoint *e) {
    return atomic_load_explicit(&e->vitals->in_flight, memory_order_relaxed);
}

void endpoint_begin(struct worker *w, struct attempt *a, uint16_t slot) {
    struct endpoint *e = &w->endpoints[slot];
    assert(a->endpoint == NO_ENDPOINT);
    a->endpoint = slot;
    list_append(&e->in_flight, &a->in_flight);
    store_in_flight(e, in_flight_now(e) + 1);
    vitals_add(&e->vitals->requests, 1);
}

static uint32_t awaiting_now(const struct endpoint *e) {
    return atomic_load_explicit(&e->vitals->awaiting, memory_order_relaxed);
}

void endpoint_owes(struct worker *w, struct attempt *a) {
    if (a->endpoint != NO_ENDPOINT && !list_linked(&a->awaiting)) {
        struct endpoint *e = &w->endpoints[a->endpoint];
        a->awaiting_since_us = loop_now_us(w->loop);
        list_append(&e->awaiting, &a->awaiting);
        store_awaiting(e, awaiting_now(e) + 1);
        evidence_owed(w, e);
    }
}

void endpoint_owes_no_more(struct endpoint *e, struct attempt *a) {
    if (list_linked(&a->awaiting)) {
        list_remove(&a->awaiting);
        store_awaiting(e, awaiting_now(e) - 1);
    }
}

static void add_tunnels(struct endpoint *e, int change) {
    uint32_t now = atomic_load_explicit(&e->vitals->tunnels, memory_order_relaxed);
    atomic_store_explicit(&e->vitals->tunnels, now + (uint32_t)change, memory_order_relaxed);
}

void endpoint_tunnels(struct worker *w, struct attempt *a) {
    if (a->endpoint != NO_ENDPOINT && !a->tunnel) {
        a->tunnel = true;
        add_tunnels(&w->endpoints[a->endpoint], 1);
    }
}

void endpoint_is_held(struct worker *w, struct attempt *a) {
    if (a->endpoint != NO_ENDPOINT && !a->held && !a->tunnel) {
        a->held = true;
        w->endpoints[a->endpoint].held++;
    }
}

void endpoint_end(struct worker *w, struct attempt *a) {
    if (a->endpoint == NO_ENDPOINT) {
        return; /* none chosen, or its slot has another endpoint now */
    }
    struct endpoint *e = &w->endpoints[a->endpoint];
    e->held -= a->held;
    a->held = false;
    if (a->tunnel) {
        a->tunnel = false;
        add_tunnels(e, -1);
    }
    endpoint_owes_no_more(e, a);
    list_remove(&a->in_flight);
    store_in_flight(e, in_flight_now(e) - 1);
    a->endpoint = NO_ENDPOINT;
}
