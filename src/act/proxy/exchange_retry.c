/* Failing, and trying again: elsewhere, as often as that is safe (decide/balance/retry.h), pays
 * before the deadline, and the service's budget allows it (retry_budget.c). */
#include "act/proxy/evidence.h"
#include "act/proxy/exchange_internal.h"
#include "act/proxy/retry_budget.h"

bool exchange_is_repeatable(const struct exchange *x) {
    return (x->idempotent || http_method_is_idempotent(x->request.method)) && !x->request.upgrade;
}

/* A kept connection that was closed when the request met it is no try, as in nginx: most probably
 * nobody has read it. What follows has a new connection, so that it happens once. */
static uint32_t tries(const struct exchange *x) {
    return (uint32_t)(x->attempts - x->hedges - x->stale);
}

bool exchange_has_tries(const struct exchange *x) {
    return exchange_is_repeatable(x) && !x->body_overflowed &&
           tries(x) < x->service->plan.retry.attempts;
}

/* An answer of the quickest instance; 0: not known. */
static uint64_t expected_us(const struct exchange *x) {
    const struct service *s = x->service;
    uint32_t least = 0;
    for (uint32_t i = 0; i < s->serving_count; i++) {
        uint32_t ewma_us = atomic_load_explicit(
            &x->worker->endpoints[s->serving[i]].shared->ewma_us, memory_order_relaxed);
        least = least == 0 || (ewma_us > 0 && ewma_us < least) ? ewma_us : least;
    }
    return least;
}

static bool says_when(const struct http_head *head) {
    return http_head_find(head, HTTP_FIELD_RETRY_AFTER) != NULL ||
           http_head_find_name(head, SLICE("grpc-retry-pushback-ms")) != NULL;
}

static struct retry_facts facts_of(const struct exchange *x, enum retry_cause cause) {
    return (struct retry_facts){
        .cause = cause,
        .repeatable = exchange_is_repeatable(x),
        .lost = x->body_overflowed,
        .answer_begun = x->response_begun,
        .attempts = tries(x),
        .left_us = exchange_left_us(x),
        .expected_us = expected_us(x),
    };
}

/* Whether it goes out once more; then it is counted. */
static bool takes_retry_by(struct exchange *x, const struct retry_facts *facts) {
    struct vitals_service *v = x->service->vitals;
    enum retry_verdict verdict = retry_decide(&x->service->plan.retry, facts);
    if (verdict == RETRY_LATE) {
        vitals_add(&v->retries_late, 1);
    }
    if (verdict != RETRY_FREE &&
        (verdict != RETRY_CHARGED || !retry_budget_take(x->service, false))) {
        return false;
    }
    x->record.flags |= RECORD_RETRIED;
    vitals_add(&v->retried[facts->cause], 1);
    return true;
}

static bool takes_retry(struct exchange *x, enum retry_cause cause) {
    struct retry_facts facts = facts_of(x, cause);
    return takes_retry_by(x, &facts);
}

static const char *text_of(enum record_reason reason) {
    switch (reason) {
    case REASON_TIMEOUT_FIRST_BYTE:
    case REASON_TIMEOUT_IDLE:
    case REASON_TIMEOUT_TOTAL:
        return "The service did not answer in time.";
    case REASON_UPSTREAM_BAD:
        return "The service gave an answer that is not HTTP.";
    case REASON_UPSTREAM_REFUSED:
        return "The service takes no more requests.";
    case REASON_CONNECT_FAILED:
    case REASON_TIMEOUT_CONNECT:
        return "No connection to the service could be made.";
    default:
        return "The service broke off before it answered.";
    }
}

static bool is_timeout(enum record_reason reason) {
    return reason == REASON_TIMEOUT_FIRST_BYTE || reason == REASON_TIMEOUT_IDLE ||
           reason == REASON_TIMEOUT_TOTAL;
}

/* Nothing is under way any more: once more, or the visitor is told. */
static void again_or_answer(struct exchange *x, enum retry_cause cause, enum record_reason reason) {
    if (reason != REASON_TIMEOUT_TOTAL && takes_retry(x, cause)) {
        exchange_go(x);
        return;
    }
    uint16_t status = is_timeout(reason) ? 504 : reason == REASON_UPSTREAM_REFUSED ? 503 : 502;
    exchange_answer(x, status, reason, text_of(reason));
}

void attempt_failed(struct attempt *a, enum record_reason reason) {
    struct exchange *x = a->exchange;
    bool stale = a->reused_connection && reason == REASON_UPSTREAM_CLOSED;
    if (!stale) {
        endpoint_failed(x->worker, a); /* closing an idle connection is no failure */
    }
    attempt_leave(a, false);
    if (!attempt_yields(a)) {
        x->stale |= stale;
        again_or_answer(x, is_timeout(reason) ? RETRY_TIMEOUT : RETRY_RESET, reason);
    }
}

/* The service says that it has not begun: no failure of the endpoint, which is just full or about
 * to leave. */
static void not_begun(struct attempt *a) {
    attempt_leave(a, false);
    if (!attempt_yields(a)) {
        again_or_answer(a->exchange, RETRY_REFUSED, REASON_UPSTREAM_REFUSED);
    }
}

static void not_connected(struct attempt *a, enum record_reason reason) {
    endpoint_connect_failed(a->exchange->worker, a);
    attempt_leave(a, false);
    if (!attempt_yields(a)) {
        again_or_answer(a->exchange, RETRY_CONNECT, reason);
    }
}

void attempt_on_failed(struct attempt *a, enum record_reason reason) {
    struct exchange *x = a->exchange;
    a->upstream = NULL;
    if (!a->sent) {
        not_connected(a, reason);
    } else if (x->state == EXCHANGE_AWAITING && reason == REASON_UPSTREAM_REFUSED) {
        not_begun(a);
    } else if (x->state == EXCHANGE_AWAITING) {
        attempt_failed(a, reason);
    } else {
        if (x->state != EXCHANGE_TUNNEL) { /* how those inside a tunnel part is their affair */
            endpoint_failed(x->worker, a);
        }
        bool cut = reason == REASON_UPSTREAM_CLOSED;
        x->record.reason = (uint8_t)(cut ? REASON_UPSTREAM_CUT : reason);
        x->record.flags |= x->state == EXCHANGE_TUNNEL ? 0 : RECORD_FAILED;
        exchange_finish(x, false);
    }
}

bool attempt_is_retried(struct attempt *a, uint16_t status, const struct http_head *head) {
    struct exchange *x = a->exchange;
    struct retry_facts facts = facts_of(x, RETRY_STATUS);
    facts.status = status;
    facts.says_when = says_when(head);
    facts.outlier = status == 500 && facts.repeatable && facts.attempts == 1 &&
                    evidence_is_outlier(x->service, a->endpoint);
    if (!retry_is_wanted(&x->service->plan.retry, &facts)) {
        return false;
    }
    if (!x->racing && !takes_retry_by(x, &facts)) {
        return false;
    }
    attempt_leave(a, false);
    if (!attempt_yields(a)) {
        exchange_go(x);
    }
    return true;
}

bool attempt_trial_failed(struct attempt *a) {
    struct exchange *x = a->exchange;
    if (!a->on_trial || !(x->racing || (exchange_has_tries(x) && takes_retry(x, RETRY_EJECTED)))) {
        return false;
    }
    attempt_leave(a, false);
    if (!attempt_yields(a)) {
        exchange_go(x);
    }
    return true;
}

void attempt_rescue(struct attempt *a) {
    struct exchange *x = a->exchange;
    if (x->racing) {
        attempt_leave(a, false);
        attempt_yields(a);
        return;
    }
    bool open = x->state == EXCHANGE_CONNECTING || x->state == EXCHANGE_AWAITING;
    if (x->rescued || !open || !takes_retry(x, a->sent ? RETRY_EJECTED : RETRY_CONNECT)) {
        return;
    }
    x->rescued = true;
    attempt_leave(a, false);
    exchange_go(x);
}

void attempt_cut(struct attempt *a) {
    struct exchange *x = a->exchange;
    uint16_t slot = a->endpoint;
    attempt_rescue(a); /* elsewhere, if that is safe */
    if (a->endpoint == slot && x->state != EXCHANGE_CONNECTING) {
        exchange_fail(x, REASON_ENDPOINT_CLOSED);
    }
}

void exchange_try_over(struct exchange *x) {
    struct attempt *a = x->attempt;
    if (x->racing || !takes_retry(x, RETRY_TIMEOUT)) {
        x->patient = true;
        exchange_arm(x);
        return;
    }
    endpoint_failed(x->worker, a);
    attempt_leave(a, false);
    exchange_go(x);
}

void exchange_fail(struct exchange *x, enum record_reason reason) {
    if (x->state == EXCHANGE_AWAITING) {
        if (reason == REASON_TIMEOUT_TOTAL && x->racing) {
            attempt_leave(attempt_rival(x->attempt), false);
            x->racing = false;
        }
        attempt_failed(x->attempt, reason);
        return;
    }
    x->record.reason = (uint8_t)reason;
    if (x->state == EXCHANGE_ANSWERING) {
        endpoint_failed(x->worker, x->attempt);
        x->record.flags |= RECORD_FAILED;
        exchange_finish(x, false);
    } else if (x->state == EXCHANGE_TUNNEL) {
        exchange_finish(x, false);
    } else {
        exchange_answer(x, 504, reason, text_of(reason));
    }
}
