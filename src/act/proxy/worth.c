#include "act/proxy/worth.h"

#include <xxhash.h>

#include "act/proxy/exchange.h"
#include "act/proxy/worker_internal.h"
#include "wire/http/cookie.h"

#define STAGE_MASK 0xffull

static bool find_cookie(const struct exchange *x, struct plan_text name, struct slice *value) {
    return name.len > 0 && cookie_find(&x->request, plan_slice(x->worker->plan, name), value) &&
           value->len > 0;
}

static size_t place_of(uint64_t session_key) {
    return (session_key >> 8) % WORTH_SESSIONS;
}

uint64_t worth_session_key(struct exchange *x) {
    struct slice session;
    if (x->session_key == 0 && find_cookie(x, x->worker->plan->session_cookie, &session)) {
        x->session_key = XXH3_64bits(session.data, session.len) | STAGE_MASK;
    }
    return x->session_key;
}

/* How far the session has come; STAGE_OTHER when there is none or it is not remembered. */
static enum stage furthest_stage(struct exchange *x) {
    if (worth_session_key(x) == 0) {
        return STAGE_OTHER;
    }
    uint64_t known = x->worker->worth.sessions[place_of(x->session_key)];
    bool same = (known | STAGE_MASK) == x->session_key;
    return same ? (enum stage)(known & STAGE_MASK) : STAGE_OTHER;
}

void worth_estimate(struct exchange *x) {
    const struct plan *plan = x->worker->plan;
    struct visit visit = { .stage = (enum stage)x->record.stage, .furthest = furthest_stage(x) };
    struct slice id;
    float expected_value;
    if (plan->customer_slots > 0 && find_cookie(x, plan->customer_cookie, &id) &&
        plan_find_customer(plan, id, &expected_value)) {
        visit.customer_known = true;
        visit.expected_value = (double)expected_value;
        x->record.flags |= RECORD_KNOWN_CUSTOMER;
    }
    x->waiting.value = value_of_visit(&x->worker->worth.policy, &visit);
    x->waiting.goes_first = value_goes_first(&visit);
    x->waiting.known = visit.customer_known;
    x->record.value = (float)x->waiting.value;
}

void worth_remember(struct exchange *x) {
    if (x->session_key == 0) {
        return;
    }
    uint64_t *place = &x->worker->worth.sessions[place_of(x->session_key)];
    bool same = (*place | STAGE_MASK) == x->session_key;
    if (!same || (*place & STAGE_MASK) < x->record.stage) {
        *place = (x->session_key & ~STAGE_MASK) | x->record.stage;
    }
}
