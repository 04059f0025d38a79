#include "act/proxy/service.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "act/proxy/exchange.h"
#include "act/proxy/upstream.h"
#include "act/proxy/waiting.h"
#include "act/proxy/worker_internal.h"
#include "base/log.h"
#include "decide/balance/balance.h"
#include "decide/balance/ejection.h"

/* ---- life ---- */

void service_init(struct service *service, struct worker *worker, uint16_t index) {
    *service = (struct service){ .worker = worker, .index = index };
    admission_queue_init(&service->queue, OVERLOAD_BY_VALUE, 0, 0);
    list_init(&service->hedgeable);
    service->vitals = &worker->own->services[index];
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
static void endpoint_replace(struct worker *w, struct endpoint *e, uint32_t generation) {
    upstream_close_idle(w, e, UINT64_MAX);
    LIST_EACH(&e->in_flight, link, saved) {
        struct attempt *a = LIST_ITEM(link, struct attempt, in_flight);
        list_remove(link);
        list_remove(&a->awaiting);
        a->endpoint = NO_ENDPOINT;
        a->tunnel = false;
    }
    unsigned slot = (unsigned)(e - w->endpoints);
    e->generation = generation;
    e->refusals = 0;
    e->refused_until_us = 0;
    e->h2_streams = 0;
    e->connections = 0;
    vitals_adopt_endpoint(w->vitals, w->config->index, slot, generation);
    store_in_flight(e, 0);
    atomic_store_explicit(&e->vitals->tunnels, 0, memory_order_relaxed);
    store_awaiting(e, 0);
}

/* True when it was just ejected. */
static bool endpoint_refresh(struct worker *w, unsigned slot) {
    static const struct plan_endpoint nobody = { .state = ENDPOINT_NONE };
    struct endpoint *e = &w->endpoints[slot];
    const struct plan_endpoint *p =
        slot < w->plan->endpoint_count ? &w->plan->endpoints[slot] : &nobody;
    if (p->state == ENDPOINT_NONE && e->state == ENDPOINT_NONE) {
        return false;
    }
    bool same = e->state != ENDPOINT_NONE && e->generation == p->generation;
    if (!same && p->state != ENDPOINT_NONE) {
        endpoint_replace(w, e, p->generation);
    }
    bool ejected = same && p->state == ENDPOINT_EJECTED && e->state != ENDPOINT_EJECTED;
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
    return ejected;
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

static void rescue_in_flight(struct endpoint *e) {
    LIST_EACH(&e->in_flight, link, saved) {
        attempt_rescue(LIST_ITEM(link, struct attempt, in_flight));
    }
}

void services_refresh(struct worker *w) {
    bool ejected[PLAN_ENDPOINTS_MAX];
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        bool used = i < w->plan->service_count;
        w->services[i].plan = used ? w->plan->services[i] : (struct plan_service){ 0 };
    }
    for (unsigned slot = 0; slot < PLAN_ENDPOINTS_MAX; slot++) {
        ejected[slot] = endpoint_refresh(w, slot);
    }
    list_endpoints(w);
    for (unsigned slot = 0; slot < PLAN_ENDPOINTS_MAX; slot++) {
        if (ejected[slot]) {
            rescue_in_flight(&w->endpoints[slot]);
        }
        cut_in_flight(w, slot);
    }
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        waiting_refresh(&w->services[i]);
        waiting_pump(&w->services[i]);
    }
}

/* ---- what holds an endpoint back ---- */

bool endpoint_is_refused(const struct worker *w, const struct endpoint *e) {
    return e->refused_until_us > loop_now_us(w->loop);
}

bool endpoint_is_ejected(const struct worker *w, const struct endpoint *e) {
    return atomic_load_explicit(&e->shared->ejected_until_us, memory_order_relaxed) >
           loop_now_us(w->loop);
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
    }
}

static void owes_no_more(struct endpoint *e, struct attempt *a) {
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

void endpoint_end(struct worker *w, struct attempt *a) {
    if (a->endpoint == NO_ENDPOINT) {
        return; /* none chosen, or its slot has another endpoint now */
    }
    struct endpoint *e = &w->endpoints[a->endpoint];
    if (a->tunnel) {
        a->tunnel = false;
        add_tunnels(e, -1);
    }
    owes_no_more(e, a);
    list_remove(&a->in_flight);
    store_in_flight(e, in_flight_now(e) - 1);
    a->endpoint = NO_ENDPOINT;
}

/* ---- what was seen ---- */

static struct endpoint *endpoint_of(struct worker *w, const struct attempt *a) {
    return a->endpoint == NO_ENDPOINT ? NULL : &w->endpoints[a->endpoint];
}

static uint32_t count_ejected(const struct service *s) {
    uint32_t ejected = 0;
    for (uint32_t i = 0; i < s->serving_count; i++) {
        ejected += endpoint_is_ejected(s->worker, &s->worker->endpoints[s->serving[i]]);
    }
    return ejected;
}

/* The words are copied out and in: a worker that does the same at the same moment may be forgotten,
 * which costs one failure of the count. */
static void observe(struct worker *w, const struct attempt *a, struct endpoint *e,
                    enum ejection_event event) {
    struct vitals_shared_endpoint *shared = e->shared;
    struct ejection known = {
        .connect_failures = atomic_load(&shared->connect_failures),
        .failures = atomic_load(&shared->failures),
        .ejections = atomic_load(&shared->ejections),
        .until_us = atomic_load(&shared->ejected_until_us),
    };
    bool clean = known.connect_failures == 0 && known.failures == 0 && known.ejections == 0;
    if (event == EJECTION_SUCCESS && clean) {
        return; /* the usual case writes nothing that others must fetch */
    }
    if (ejection_observe(&known, event, count_ejected(a->exchange->service),
                         a->exchange->service->serving_count, loop_now_us(w->loop))) {
        log_warn("endpoint_ejected", "service=%s slot=%u failures_in_a_row=%s until_ms=%llu",
                 a->exchange->service->plan.name, a->endpoint,
                 event == EJECTION_CONNECT_FAILED ? "connect" : "answer",
                 (unsigned long long)((known.until_us - loop_now_us(w->loop)) / 1000));
    }
    atomic_store(&shared->connect_failures, known.connect_failures);
    atomic_store(&shared->failures, known.failures);
    atomic_store(&shared->ejections, known.ejections);
    atomic_store(&shared->ejected_until_us, known.until_us);
}

static void add_error_sample(struct vitals_shared_endpoint *shared, bool failed, uint64_t idle_us) {
    uint32_t before = atomic_load_explicit(&shared->error_ppm, memory_order_relaxed);
    if (before > 0 || failed) {
        atomic_store_explicit(&shared->error_ppm, balance_add_error(before, failed, idle_us),
                              memory_order_relaxed);
    }
}

static void add_usual_sample(struct vitals_shared_endpoint *shared, uint64_t latency_us,
                             uint64_t idle_us) {
    uint32_t usual_us = atomic_load_explicit(&shared->usual_us, memory_order_relaxed);
    uint32_t trials = atomic_load_explicit(&shared->trials, memory_order_relaxed);
    atomic_store_explicit(&shared->usual_us,
                          balance_add_usual(usual_us, trials, latency_us, idle_us),
                          memory_order_relaxed);
    if (trials < BALANCE_TRIALS) {
        atomic_store_explicit(&shared->trials, trials + 1, memory_order_release);
    }
}

void endpoint_connected(struct worker *w, const struct attempt *a) {
    struct endpoint *e = endpoint_of(w, a);
    if (e != NULL) {
        e->refusals = 0;
        e->refused_until_us = 0;
    }
}

void endpoint_connect_failed(struct worker *w, const struct attempt *a) {
    struct endpoint *e = endpoint_of(w, a);
    if (e == NULL) {
        return;
    }
    vitals_add(&e->vitals->connect_failures, 1);
    if (!endpoint_is_refused(w, e)) { /* several that fail at one moment are one refusal */
        uint32_t doublings = e->refusals++;
        uint64_t pause_us = (uint64_t)REFUSED_FIRST_US << (doublings > 8 ? 8 : doublings);
        e->refused_until_us =
            loop_now_us(w->loop) + (pause_us > REFUSED_MAX_US ? REFUSED_MAX_US : pause_us);
    }
    observe(w, a, e, EJECTION_CONNECT_FAILED);
}

void endpoint_answered(struct worker *w, struct attempt *a, uint16_t status) {
    struct endpoint *e = endpoint_of(w, a);
    if (e == NULL) {
        return;
    }
    owes_no_more(e, a);
    uint64_t now_us = loop_now_us(w->loop), latency_us = now_us - a->dispatched_us;
    uint64_t idle_us = endpoint_silence_us(e, now_us);
    uint32_t ewma_us = atomic_load_explicit(&e->shared->ewma_us, memory_order_relaxed);
    vitals_add(&e->vitals->answers, 1);
    vitals_add(&e->vitals->latency_us_sum, latency_us);
    vitals_add(&e->vitals->status_5xx, status >= 500);
    histogram_record(&e->vitals->first_byte_us, latency_us);
    atomic_store_explicit(&e->shared->ewma_us, balance_add_latency(ewma_us, latency_us, idle_us),
                          memory_order_relaxed);
    if (status < 500) { /* how long a failure takes says nothing of an answer */
        add_usual_sample(e->shared, latency_us, idle_us);
    }
    atomic_store_explicit(&e->shared->answered_us, now_us, memory_order_relaxed);
    add_error_sample(e->shared, status >= 500, idle_us);
    observe(w, a, e, status >= 500 ? EJECTION_FAILED : EJECTION_SUCCESS);
    waiting_observe(a->exchange->service, latency_us, status == 503 || status == 504);
}

void endpoint_failed(struct worker *w, const struct attempt *a) {
    struct endpoint *e = endpoint_of(w, a);
    if (e != NULL) {
        uint64_t now_us = loop_now_us(w->loop);
        vitals_add(&e->vitals->failures, 1);
        add_error_sample(e->shared, true, endpoint_silence_us(e, now_us));
        atomic_store_explicit(&e->shared->answered_us, now_us, memory_order_relaxed);
        observe(w, a, e, EJECTION_FAILED);
    }
}
