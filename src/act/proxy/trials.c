/* Which request goes to an endpoint on purpose: to one on probation a single one at a time, to one
 * under suspicion until its silence says enough, to one that is cold as many as its warmth earns.
 */
#include "act/proxy/evidence_internal.h"
#include "act/proxy/exchange.h"
#include "act/proxy/exchange_internal.h"
#include "decide/balance/warmth.h"

/* One on probation waits so long for a request that may be sent twice, then takes any. */
#define ANY_REQUEST_US 2000000

static bool is_of_interest(const struct endpoint *e) {
    const struct vitals_shared_endpoint *shared = e->shared;
    return SHARED_GET(shared->ejected_until_us) != 0 || SHARED_GET(shared->cold_steps) != 0 ||
           SHARED_GET(shared->unanswered) != 0;
}

void trials_collect(struct service *s) {
    s->trial_count = 0;
    s->cold_count = 0;
    for (uint32_t i = 0; i < s->serving_count; i++) {
        const struct endpoint *e = &s->worker->endpoints[s->serving[i]];
        s->cold_count += SHARED_GET(e->shared->cold_steps) != 0;
        if (is_of_interest(e) && s->trial_count < SERVICE_TRIALS_MAX) {
            s->trials[s->trial_count++] = s->serving[i];
        }
    }
}

/* One at a time over all workers: whoever swaps the word has it. */
static bool claim_trial(const struct service *s, struct endpoint *e, bool repeatable,
                        uint64_t now_us) {
    struct vitals_shared_endpoint *shared = e->shared;
    uint64_t since_us = SHARED_GET(shared->ejected_until_us);
    uint64_t taken_us = SHARED_GET(shared->trial_until_us);
    if (taken_us > now_us || !(repeatable || now_us - since_us > ANY_REQUEST_US)) {
        return false;
    }
    uint64_t lease_us = now_us + 2 * hang_patience_us(tail_us(&s->tail));
    return atomic_compare_exchange_strong(&shared->trial_until_us, &taken_us, lease_us);
}

static bool is_cold_due(const struct service *s, struct endpoint *e, uint16_t slot,
                        uint64_t now_us) {
    uint32_t steps = SHARED_GET(e->shared->cold_steps);
    uint32_t interval = warmth_interval(steps, s->cold_count, s->serving_count);
    if (steps == 0 || interval <= 1) {
        return false; /* it has its share as all have */
    }
    bool due = ++e->passed_by >= interval || now_us - e->tried_us >= WARMTH_SEEN_US;
    if (!due || vitals_endpoint_in_flight(s->worker->vitals, slot, e->generation) >=
                    warmth_in_flight(steps)) {
        return false;
    }
    e->passed_by = 0;
    e->tried_us = now_us;
    return true;
}

static bool is_due(const struct service *s, uint16_t slot, bool repeatable, uint64_t now_us) {
    struct endpoint *e = &s->worker->endpoints[slot];
    if (endpoint_is_refused(s->worker, e)) {
        return false;
    }
    switch (evidence_state(e, now_us)) {
    case EJECTION_OUT:
        return false;
    case EJECTION_ON_PROBATION:
        return claim_trial(s, e, repeatable, now_us);
    default:
        break;
    }
    struct hang hang = evidence_hang(e->shared);
    if (repeatable && hang_is_suspected(&hang, tail_us(&s->tail), now_us)) {
        return true;
    }
    return is_cold_due(s, e, slot, now_us);
}

uint16_t evidence_trial(struct service *s, const struct exchange *x) {
    if (s->trial_count == 0 || x->tried_count > 0 || s->serving_count < 2) {
        return NO_ENDPOINT;
    }
    uint64_t now_us = loop_now_us(s->worker->loop);
    bool repeatable = exchange_is_repeatable(x);
    for (uint32_t i = 0; i < s->trial_count; i++) {
        if (is_due(s, s->trials[i], repeatable, now_us)) {
            return s->trials[i];
        }
    }
    return NO_ENDPOINT;
}
