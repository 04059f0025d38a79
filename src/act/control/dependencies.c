/* Which service calls which, from the traces that the workers follow for us: who connected to them
 * is put beside the addresses of our instances, decide/autoscale/dependency.h does the rest. */
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "act/control/controller_internal.h"

#define SETTLE_US 5000000

_Static_assert(PLAN_SERVICES_MAX <= DEPENDENCY_SERVICES_MAX, "every index of a service fits");

/* The services that have an instance at that address. */
static uint64_t owners_of(const struct controller *c, const uint8_t peer[16]) {
    uint64_t owners = 0;
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        const struct instance *instance = c->members[i].instance;
        if (instance != NULL && instance->address.storage.ss_family != AF_UNIX) {
            uint8_t ip[16];
            address_ip(&instance->address, ip);
            owners |= (uint64_t)(memcmp(ip, peer, sizeof ip) == 0) << instance->service;
        }
    }
    return owners;
}

static void hear_traces(struct controller *c) {
    uint64_t dropped = 0;
    for (unsigned i = 0; i < c->config.worker_count; i++) {
        struct vitals_worker *w = &c->config.vitals->workers[i];
        struct vitals_trace trace;
        while (vitals_hear_trace(w, &trace)) {
            if (trace.service < PLAN_SERVICES_MAX && c->services[trace.service].used) {
                struct dependency_request request = {
                    .trace = trace.trace,
                    .begun_us = trace.begun_us,
                    .ended_us = trace.ended_us,
                    .owners = owners_of(c, trace.peer),
                    .peer = XXH64(trace.peer, sizeof trace.peer, 0),
                    .service = trace.service,
                    .reached = trace.reached,
                    .begun = trace.begun,
                };
                dependencies_observe(&c->dependencies, &request);
            }
        }
        dropped += vitals_get(&w->traces_dropped);
    }
    if (dropped != c->traces_dropped) {
        c->traces_dropped = dropped;
        dependencies_lost(&c->dependencies);
    }
}

/* Such a share of all traces that about DEPENDENCY_AIM_RPS requests a second are told of; none
 * where there is only one service, which calls nobody that we could see. */
static void choose_share(struct controller *c) {
    double demand_rps = 0;
    unsigned services = 0;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        services += c->services[i].used;
        demand_rps += c->services[i].has_second ? c->services[i].second.offered_rps : 0;
    }
    double share = DEPENDENCY_AIM_RPS / fmax(demand_rps, DEPENDENCY_AIM_RPS);
    uint64_t most = services < 2 ? 0 : share >= 1 ? UINT64_MAX : (uint64_t)(share * 0x1p64);
    atomic_store_explicit(&c->config.vitals->trace_most, most, memory_order_relaxed);
}

static void tell_learned(struct controller *c, unsigned caller, unsigned called) {
    struct dependency_ratio r = dependencies_ratio(&c->dependencies, caller, called);
    const char *front = c->services[caller].name, *back = c->services[called].name;
    const struct told told = { .kind = "scale",
                               .action = "learn_calls",
                               .subject = back,
                               .service = (int)called,
                               .noticed_ms = NAN };
    tell(c, &told,
         "%s calls %s %.2f times for each of its requests (%.2f to %.2f, from %.0f requests, by "
         "%s): "
         "campaigns of %s scale %s",
         front, back, r.likely, r.low, r.high, r.requests, r.by_trace ? "their traces" : "address",
         front, back);
}

static void select_learned(const struct controller *c, uint64_t used[DEPENDENCY_SERVICES_MAX]) {
    uint64_t configured[DEPENDENCY_SERVICES_MAX] = { 0 };
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        configured[i] = calls_configured(c, i);
        used[i] = c->calls_learned[i];
    }
    dependencies_select(&c->dependencies, configured, used);
}

void dependencies_recall(struct controller *c) {
    uint64_t used[DEPENDENCY_SERVICES_MAX] = { 0 };
    uint64_t recalled = calls_recall(c);
    select_learned(c, used); /* also: the configuration may close a cycle with them now */
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        c->calls_learned[i] = recalled >> i & 1 ? used[i] : used[i] & c->calls_learned[i];
    }
}

/* Which of them plans go by, and how often they call now. */
static void conclude(struct controller *c) {
    uint64_t used[DEPENDENCY_SERVICES_MAX] = { 0 };
    select_learned(c, used);
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        uint64_t fresh = used[i] & ~c->calls_learned[i];
        c->calls_learned[i] = used[i];
        for (; fresh != 0; fresh &= fresh - 1) {
            tell_learned(c, i, (unsigned)__builtin_ctzll(fresh));
        }
    }
    calls_apply(c);
}

void dependencies_second(struct controller *c) {
    hear_traces(c);
    choose_share(c);
    if (c->now_us - c->dependencies_settled_us >= SETTLE_US) {
        dependencies_settle(&c->dependencies, c->now_us);
        c->dependencies_settled_us = c->now_us;
        conclude(c);
        calls_note(c);
    }
}

/* ---- for people ---- */

static bool show(const struct controller *c, unsigned caller, unsigned called,
                 struct api_call *out) {
    struct dependency_ratio r = dependencies_ratio(&c->dependencies, caller, called);
    double configured = calls_ratio_configured(c, caller, called);
    bool planned = c->calls_learned[caller] >> called & 1;
    if (isnan(configured) && !(r.likely >= DEPENDENCY_RATIO_LEAST)) {
        return false;
    }
    *out = (struct api_call){
        .caller = (uint16_t)caller,
        .called = (uint16_t)called,
        .configured = configured,
        .likely = r.likely,
        .low = r.low,
        .high = r.high,
        .requests = r.requests,
        .source = !isnan(configured) ? "configured"
                  : r.by_trace       ? "traces"
                                     : "addresses",
        .planned = !isnan(configured) || planned,
    };
    return true;
}

void dependencies_fill_view(const struct controller *c, struct api_view *view) {
    view->call_count = 0;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        for (unsigned k = 0; k < PLAN_SERVICES_MAX && view->call_count < API_CALLS_MAX; k++) {
            if (i != k && c->services[i].used && c->services[k].used &&
                show(c, i, k, &view->calls[view->call_count])) {
                view->call_count++;
            }
        }
    }
}
