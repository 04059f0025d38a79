/* Attempts: an endpoint is chosen and the request is sent to it. What follows when no answer comes
 * is in exchange_retry.c, and when it is slow to come in exchange_hedge.c. */
#include "act/proxy/evidence.h"
#include "act/proxy/exchange_internal.h"
#include "act/proxy/retry_budget.h"
#include "act/proxy/waiting.h"

bool exchange_has_tried(const struct exchange *x, uint16_t slot) {
    for (unsigned i = 0; i < x->tried_count; i++) {
        if (x->tried[i] == slot) {
            return true;
        }
    }
    return false;
}

void attempt_is_named(struct attempt *a, uint16_t slot) {
    a->exchange->record.endpoint = slot;
    exchange_log_endpoint(a->exchange, slot);
}

static enum upstream_opening open_at(struct attempt *a, uint16_t slot, bool fresh) {
    struct exchange *x = a->exchange;
    a->dispatched_us = exchange_now_us(x);
    if (x->tried_count < EXCHANGE_TRIED_MAX && !exchange_has_tried(x, slot)) {
        x->tried[x->tried_count++] = slot;
    }
    endpoint_begin(x->worker, a, slot);
    a->on_trial = evidence_is_on_trial(&x->worker->endpoints[slot]);
    enum upstream_opening opening = upstream_open(x->worker, slot, a, fresh);
    a->reused_connection = opening == UPSTREAM_READY;
    if (opening == UPSTREAM_FAILED) {
        endpoint_connect_failed(x->worker, a);
    }
    if (opening == UPSTREAM_FAILED || opening == UPSTREAM_FULL) {
        endpoint_end(x->worker, a);
    }
    return opening;
}

/* Head, what has come of the body, and the end if that has come too. */
static inline __attribute__((always_inline)) void send_request(struct attempt *a) {
    struct exchange *x = a->exchange;
    struct stream *upstream = a->upstream;
    a->sent = true;
    x->attempts++;
    if (x->grpc || x->service->plan.deadline_field.len > 0) {
        exchange_tell_deadline(x);
    }
    upstream->ops->send_head(upstream, &x->request);
    if (buffer_len(&x->body) > 0) {
        upstream->ops->send_data(upstream, buffer_slice(&x->body));
    }
    if (x->request_ended) {
        upstream->ops->send_end(upstream, x->trailers);
        endpoint_owes(x->worker, a);
    }
}

enum attempt_outcome attempt_go(struct attempt *a, bool hedge) {
    struct exchange *x = a->exchange;
    for (unsigned full = 0; full < EXCHANGE_TRIED_MAX;) {
        uint16_t slot = service_choose_endpoint(x->service, x);
        if (slot == NO_ENDPOINT ||
            (hedge && (exchange_has_tried(x, slot) || !retry_budget_take(x->service, true)))) {
            return ATTEMPT_NOWHERE;
        }
        if (!hedge) {
            attempt_is_named(a, slot);
        }
        switch (open_at(a, slot, !hedge && x->attempts > 0)) {
        case UPSTREAM_READY:
            send_request(a);
            return ATTEMPT_SENT;
        case UPSTREAM_CONNECTING:
            return ATTEMPT_CONNECTING;
        case UPSTREAM_FULL:
            vitals_add(&x->service->vitals->connections_full, 1);
            full++;
            break;
        case UPSTREAM_FAILED: /* ejects it, so that the loop ends */
            break;
        }
    }
    return ATTEMPT_FULL;
}

/* The first sending, and each retry: now it is the service's turn. */
static inline __attribute__((always_inline)) void sent(struct exchange *x) {
    struct stream *upstream = x->attempt->upstream;
    exchange_move(x, EXCHANGE_AWAITING);
    x->activity_us = exchange_now_us(x);
    bool once = !exchange_is_repeatable(x) && !upstream->may_refuse;
    if (once || buffer_len(&x->body) > EXCHANGE_REPLAY_BYTES) {
        buffer_fini(&x->body); /* never sent again */
        x->body_overflowed = true;
    }
    if (upstream->ops->pending(upstream) <= STREAM_PENDING_BYTES_MAX) {
        exchange_resume_client(x);
    }
    exchange_watch(x);
    exchange_arm(x);
}

static void wait_again(struct exchange *x) {
    bool first = x->waiting_since_us == 0;
    exchange_move(x, EXCHANGE_WAITING);
    x->record.flags |= RECORD_WAITED;
    x->waiting_since_us = first ? exchange_now_us(x) : x->waiting_since_us;
    exchange_arm(x);
    waiting_return(x->service, x);
}

/* All those that were asked have as many connections as they may. */
static void refuse_full(struct exchange *x) {
    x->record.flags |= RECORD_REFUSED;
    exchange_answer(x, 503, REASON_CONNECTIONS, "The service has as many connections as it may.");
}

void exchange_go(struct exchange *x) {
    if (!exchange_prepare_request(x)) {
        exchange_refuse_head(x);
        return;
    }
    switch (attempt_go(x->attempt, false)) {
    case ATTEMPT_SENT:
        sent(x);
        break;
    case ATTEMPT_CONNECTING:
        exchange_move(x, EXCHANGE_CONNECTING);
        exchange_arm(x);
        break;
    case ATTEMPT_NOWHERE:
        wait_again(x);
        break;
    case ATTEMPT_FULL:
        refuse_full(x);
        break;
    }
}

void attempt_on_connected(struct attempt *a) {
    struct exchange *x = a->exchange;
    endpoint_connected(x->worker, a);
    send_request(a);
    if (a == x->attempt) {
        sent(x);
    }
}
