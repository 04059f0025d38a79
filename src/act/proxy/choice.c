#include "act/proxy/choice.h"

#include <stdlib.h>
#include <xxhash.h>

#include "act/proxy/evidence.h"
#include "act/proxy/exchange_internal.h"
#include "act/proxy/waiting.h"
#include "act/proxy/worker_internal.h"
#include "base/log.h"
#include "decide/balance/balance_config.h"
#include "decide/balance/locality.h"

/* ---- what a candidate looks like ---- */

static uint32_t in_flight(const struct worker *w, uint16_t slot) {
    return vitals_endpoint_load(w->vitals, slot, w->endpoints[slot].generation);
}

static bool is_held_back(const struct service *s, const struct endpoint *e) {
    bool by_load = s->plan.balance.policy == BALANCE_FASTEST ||
                   s->plan.balance.policy == BALANCE_LEAST_REQUESTS;
    return evidence_is_out(s, e) || endpoint_is_refused(s->worker, e) ||
           (!by_load && evidence_is_cold(s, e));
}

bool choice_is_good(const struct service *s, const struct exchange *x, uint16_t slot) {
    return !is_held_back(s, &s->worker->endpoints[slot]) && !exchange_has_tried(x, slot);
}

/* At least what attempts have waited in vain since its last answer. */
static uint32_t usual_us(const struct vitals_shared_endpoint *shared) {
    bool known = atomic_load_explicit(&shared->trials, memory_order_relaxed) >= BALANCE_TRIALS;
    uint32_t usual = known ? atomic_load_explicit(&shared->usual_us, memory_order_relaxed) : 0;
    uint32_t unanswered = atomic_load_explicit(&shared->unanswered_us, memory_order_relaxed);
    return unanswered > usual ? unanswered : usual;
}

/* For balance_pick: the endpoints of a list, as this exchange sees them. */
struct view {
    const struct service *service;
    const uint16_t *slots;
    const struct exchange *exchange;
};

static struct balance_candidate look(const void *self, uint32_t position) {
    const struct view *view = self;
    const struct worker *w = view->service->worker;
    uint16_t slot = view->slots[position];
    const struct endpoint *e = &w->endpoints[slot];
    return (struct balance_candidate){
        .in_flight = evidence_load(view->service, e, in_flight(w, slot)),
        .usual_us = usual_us(e->shared),
        .error_ppm = atomic_load_explicit(&e->shared->error_ppm, memory_order_relaxed),
        .idle_us = endpoint_silence_us(e, loop_now_us(w->loop)),
        .weight = e->weight,
        .ejected = is_held_back(view->service, e),
        .tried = exchange_has_tried(view->exchange, slot),
    };
}

/* ---- by the state of the endpoints ---- */

struct found {
    enum balance_quality quality;
    uint16_t slot;
};

static struct found pick(struct service *s, struct balance *memory, const uint16_t *slots,
                         uint32_t count, const struct exchange *x) {
    struct view view = { s, slots, x };
    struct balance_request request = {
        .policy =
            s->plan.balance.policy == BALANCE_MAGLEV ? BALANCE_FASTEST : s->plan.balance.policy,
        .may_probe = exchange_is_repeatable(x),
    };
    struct balance_choice choice =
        balance_pick(memory, &request, &view, look, count, &s->worker->rand);
    return (struct found){
        choice.quality,
        choice.quality == BALANCE_NOBODY ? NO_ENDPOINT : slots[choice.position],
    };
}

/* How much an endpoint of the service carries before it is full; UINT32_MAX: not known. */
static uint32_t full_at(const struct service *s) {
    uint64_t limit = s->plan.concurrency;
    if (limit == 0 && s->limit_endpoints > 0) {
        limit = (uint64_t)admission_limit_now(&s->limit) * s->worker->vitals->worker_count;
    }
    return limit == 0 ? UINT32_MAX : (uint32_t)(limit / s->serving_count) + 1;
}

static float local_share(struct service *s) {
    const struct worker *w = s->worker;
    uint64_t now_us = loop_now_us(w->loop);
    uint32_t available = 0, full = full_at(s);
    if (s->choice.local_share_us != 0 && now_us - s->choice.local_share_us < CHOICE_LOCAL_US) {
        return s->choice.local_share;
    }
    for (uint32_t i = 0; i < s->local_count; i++) {
        const struct endpoint *e = &w->endpoints[s->serving[i]];
        available += !is_held_back(s, e) && in_flight(w, s->serving[i]) < full;
    }
    s->choice.local_share_us = now_us;
    s->choice.local_share = locality_share(available, s->local_count);
    return s->choice.local_share;
}

static struct found pick_by_zone(struct service *s, const struct exchange *x) {
    struct choice *c = &s->choice;
    const uint16_t *far = s->serving + s->local_count;
    uint32_t far_count = s->serving_count - s->local_count;
    float share = local_share(s);
    bool stays = share >= 1 || (float)rand_unit(&s->worker->rand) < share;
    struct found first = stays ? pick(s, &c->local, s->serving, s->local_count, x)
                               : pick(s, &c->elsewhere, far, far_count, x);
    if (first.quality == BALANCE_GOOD) {
        return first;
    }
    struct found second = stays ? pick(s, &c->elsewhere, far, far_count, x)
                                : pick(s, &c->local, s->serving, s->local_count, x);
    return second.quality < first.quality ? second : first;
}

static struct found pick_serving(struct service *s, const struct exchange *x) {
    bool zones = s->local_count > 0 && s->local_count < s->serving_count;
    return zones ? pick_by_zone(s, x)
                 : pick(s, &s->choice.serving, s->serving, s->serving_count, x);
}

/* ---- by a key ---- */

struct taker {
    const struct service *service;
    const struct exchange *exchange;
    uint32_t in_flight; /* of the whole service, this request included */
};

static bool takes(const void *self, uint16_t slot) {
    const struct taker *t = self;
    const struct service *s = t->service;
    const struct endpoint *e = &s->worker->endpoints[slot];
    return choice_is_good(s, t->exchange, slot) &&
           in_flight(s->worker, slot) < maglev_bound(t->in_flight, e->weight, s->choice.weight_sum,
                                                     s->plan.balance.hash_balance_factor);
}

static uint16_t pick_by_key(const struct service *s, const struct exchange *x) {
    struct taker taker = { s, x, 0 };
    uint16_t slot;
    uint64_t key;
    if (s->choice.maglev == NULL || !choice_key(s, x, &key)) {
        return NO_ENDPOINT;
    }
    taker.in_flight = service_in_flight(s);
    return maglev_find(s->choice.maglev, key, takes, &taker, &slot) ? slot : NO_ENDPOINT;
}

/* ---- the choice ---- */

/* Of those that are no good, one that can at least be asked: what service_has_endpoint promises. */
static uint16_t first_reachable(const struct service *s) {
    for (uint32_t i = 0; i < s->serving_count + s->warm_count; i++) {
        uint16_t slot = i < s->serving_count ? s->serving[i] : s->warm[i - s->serving_count];
        if (!endpoint_is_refused(s->worker, &s->worker->endpoints[slot])) {
            return slot;
        }
    }
    return NO_ENDPOINT;
}

static uint16_t pick_best(struct service *s, const struct exchange *x) {
    struct found best = pick_serving(s, x);
    if (best.quality == BALANCE_GOOD) {
        return best.slot;
    }
    /* Spares take over at once, before the controller says so. */
    struct found spare = pick(s, &s->choice.warm, s->warm, s->warm_count, x);
    best = spare.quality < best.quality ? spare : best;
    if (best.quality == BALANCE_NOBODY) {
        return NO_ENDPOINT;
    }
    return endpoint_is_refused(s->worker, &s->worker->endpoints[best.slot]) ? first_reachable(s)
                                                                            : best.slot;
}

uint16_t service_choose_endpoint(struct service *s, struct exchange *x) {
    uint16_t slot = NO_ENDPOINT;
    if (s->plan.balance.cookie.len > 0) {
        slot = choice_by_cookie(s, x);
    }
    if (slot == NO_ENDPOINT) {
        slot = evidence_trial(s, x);
    }
    if (slot == NO_ENDPOINT && s->plan.balance.policy == BALANCE_MAGLEV &&
        s->plan.balance.cookie.len == 0) {
        slot = pick_by_key(s, x);
    }
    return slot != NO_ENDPOINT ? slot : pick_best(s, x);
}

bool service_has_endpoint(const struct service *s) {
    return first_reachable(s) != NO_ENDPOINT;
}

/* ---- a new plan ---- */

static uint32_t list_members(const struct service *s, struct maglev_member *members) {
    for (uint32_t i = 0; i < s->serving_count; i++) {
        const struct endpoint *e = &s->worker->endpoints[s->serving[i]];
        members[i] =
            (struct maglev_member){ .id = e->id, .weight = e->weight, .position = s->serving[i] };
    }
    return s->serving_count;
}

/* A table costs a tenth of a millisecond: only where somebody came or went. */
static void refresh_maglev(struct service *s) {
    struct maglev_member members[PLAN_ENDPOINTS_MAX] = { 0 };
    struct choice *c = &s->choice;
    uint32_t count = s->plan.balance.policy == BALANCE_MAGLEV ? list_members(s, members) : 0;
    uint64_t of = XXH3_64bits(members, count * sizeof *members);
    if (count == 0) {
        choice_fini(c);
        return;
    }
    if (c->maglev == NULL) {
        c->maglev = malloc(sizeof *c->maglev);
    } else if (of == c->maglev_of) {
        return;
    }
    if (c->maglev == NULL) {
        log_warn("no_memory_for_maglev", "service=%s action=use_the_fastest", s->plan.name);
        return;
    }
    c->maglev_of = of;
    maglev_build(c->maglev, members, count);
}

void choice_refresh(struct service *s) {
    struct choice *c = &s->choice;
    c->weight_sum = 0;
    c->local_share_us = 0;
    for (uint32_t i = 0; i < s->serving_count; i++) {
        uint16_t weight = s->worker->endpoints[s->serving[i]].weight;
        c->weight_sum += weight > 0 ? weight : 1;
    }
    if (s->plan.balance.policy == BALANCE_MAGLEV || c->maglev != NULL) {
        refresh_maglev(s);
    }
    if (s->plan.balance.policy == BALANCE_ROUND_ROBIN && s->serving_count > 0) {
        /* Workers that begin with the same one would send it their requests all at once. */
        c->serving.position = rand_below(&s->worker->rand, s->serving_count);
    }
}

void choice_fini(struct choice *c) {
    free(c->maglev);
    c->maglev = NULL;
}
