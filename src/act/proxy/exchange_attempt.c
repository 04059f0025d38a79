/* Attempts: an endpoint is chosen, the request is sent to it, and when no answer comes it is
 * sent to another one, as often as that is safe and the budget allows. */
#include "act/proxy/evidence.h"
#include "act/proxy/exchange_internal.h"
#include "act/proxy/upstream.h"
#include "act/proxy/waiting.h"

bool exchange_has_tried(const struct exchange *x, uint16_t slot) {
    for (unsigned i = 0; i < x->tried_count; i++) {
        if (x->tried[i] == slot) {
            return true;
        }
    }
    return false;
}

bool exchange_is_repeatable(const struct exchange *x) {
    return (x->idempotent || http_method_is_idempotent(x->request.method)) && !x->request.upgrade;
}

/* Head, what has come of the body, and the end if that has come too. */
static void send_request(struct exchange *x) {
    exchange_move(x, EXCHANGE_AWAITING);
    x->attempts++;
    x->activity_us = exchange_now_us(x);
    struct stream *upstream = x->upstream;
    upstream->ops->send_head(upstream, &x->request);
    if (buffer_len(&x->body) > 0) {
        upstream->ops->send_data(upstream, buffer_slice(&x->body));
    }
    if (x->request_ended) {
        upstream->ops->send_end(upstream, x->trailers);
        endpoint_owes(x->worker, x);
    }
    bool once = !exchange_is_repeatable(x) && !upstream->may_refuse;
    if (once || buffer_len(&x->body) > EXCHANGE_REPLAY_BYTES) {
        buffer_fini(&x->body); /* never sent again */
        x->body_overflowed = true;
    }
    if (upstream->ops->pending(upstream) <= STREAM_PENDING_BYTES_MAX) {
        exchange_resume_client(x);
    }
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

static void choose(struct exchange *x, uint16_t slot) {
    x->dispatched_us = exchange_now_us(x);
    x->record.endpoint = slot;
    exchange_log_endpoint(x, slot);
    if (x->tried_count < EXCHANGE_TRIED_MAX && !exchange_has_tried(x, slot)) {
        x->tried[x->tried_count++] = slot;
    }
    endpoint_begin(x->worker, x, slot);
    x->on_trial = evidence_is_on_trial(&x->worker->endpoints[slot]);
}

void exchange_go(struct exchange *x) {
    if (x->waiting_since_us > 0) {
        x->record.waited_us = exchange_since_us(x, x->waiting_since_us);
    }
    if (!exchange_prepare_request(x)) {
        exchange_answer_and_close(x, 431, REASON_TOO_LARGE, "The head is too large.");
        return;
    }
    for (;;) {
        uint16_t slot = service_choose_endpoint(x->service, x);
        if (slot == NO_ENDPOINT) {
            wait_again(x);
            return;
        }
        choose(x, slot);
        switch (upstream_open(x->worker, slot, x, x->attempts > 0)) {
        case UPSTREAM_READY:
            x->reused_connection = true;
            send_request(x);
            return;
        case UPSTREAM_CONNECTING:
            x->reused_connection = false;
            exchange_move(x, EXCHANGE_CONNECTING);
            exchange_arm(x);
            return;
        case UPSTREAM_FAILED: /* ejects it, so that the loop ends */
            endpoint_connect_failed(x->worker, x);
            endpoint_end(x->worker, x);
        }
    }
}

void exchange_on_connected(struct exchange *x) {
    endpoint_connected(x->worker, x);
    send_request(x);
}

/* ---- failing and trying again ---- */

/* May the request go out once more after an endpoint may have seen it? Only what changes nothing
 * when it is done twice, and only while we still have all of it. */
static bool may_send_again(struct exchange *x) {
    return exchange_is_repeatable(x) && !x->body_overflowed && !x->response_begun &&
           x->attempts <= x->worker->limits.retries;
}

static void count_retry(struct exchange *x) {
    x->record.flags |= RECORD_RETRIED;
    vitals_add(&x->service->vitals->retries, 1);
}

static const char *text_of(enum record_reason reason) {
    switch (reason) {
    case REASON_TIMEOUT_FIRST_BYTE:
    case REASON_TIMEOUT_IDLE:
    case REASON_TIMEOUT_TOTAL:
        return "The service did not answer in time.";
    case REASON_UPSTREAM_BAD:
        return "The service gave an answer that is not HTTP.";
    default:
        return "The service broke off before it answered.";
    }
}

static bool is_timeout(enum record_reason reason) {
    return reason == REASON_TIMEOUT_FIRST_BYTE || reason == REASON_TIMEOUT_IDLE ||
           reason == REASON_TIMEOUT_TOTAL;
}

void exchange_attempt_failed(struct exchange *x, enum record_reason reason) {
    if (!(x->reused_connection && reason == REASON_UPSTREAM_CLOSED)) {
        endpoint_failed(x->worker, x); /* closing an idle connection is no failure */
    }
    exchange_leave_endpoint(x, false);
    bool again = may_send_again(x) && reason != REASON_TIMEOUT_TOTAL;
    if (again && service_take_retry(x->service)) {
        count_retry(x);
        exchange_go(x);
        return;
    }
    exchange_answer(x, is_timeout(reason) ? 504 : 502, reason, text_of(reason));
}

bool exchange_trial_failed(struct exchange *x, uint16_t status) {
    if (!x->on_trial || status < 500 || !may_send_again(x)) {
        return false;
    }
    endpoint_answered(x->worker, x, status);
    exchange_leave_endpoint(x, false);
    count_retry(x);
    exchange_go(x);
    return true;
}

/* The service says that it has not begun: any request may go once more, if we still have all of it.
 * It is no failure of the endpoint, which is just full or about to leave. */
static void not_begun(struct exchange *x) {
    bool again = !x->body_overflowed && x->attempts <= x->worker->limits.retries;
    exchange_leave_endpoint(x, false);
    if (again && service_take_retry(x->service)) {
        count_retry(x);
        exchange_go(x);
    } else {
        exchange_answer(x, 503, REASON_UPSTREAM_REFUSED, "The service takes no more requests.");
    }
}

void exchange_on_upstream_failed(struct exchange *x, enum record_reason reason) {
    x->upstream = NULL;
    if (x->state == EXCHANGE_CONNECTING) { /* nothing was sent: any request may go elsewhere */
        endpoint_connect_failed(x->worker, x);
        endpoint_end(x->worker, x);
        count_retry(x);
        exchange_go(x);
    } else if (x->state == EXCHANGE_AWAITING && reason == REASON_UPSTREAM_REFUSED) {
        not_begun(x);
    } else if (x->state == EXCHANGE_AWAITING) {
        exchange_attempt_failed(x, reason);
    } else {
        if (x->state != EXCHANGE_TUNNEL) { /* how those inside a tunnel part is their affair */
            endpoint_failed(x->worker, x);
        }
        bool cut = reason == REASON_UPSTREAM_CLOSED;
        x->record.reason = (uint8_t)(cut ? REASON_UPSTREAM_CUT : reason);
        x->record.flags |= x->state == EXCHANGE_TUNNEL ? 0 : RECORD_FAILED;
        exchange_finish(x, false);
    }
}

void exchange_rescue(struct exchange *x) {
    bool unsent = x->state == EXCHANGE_CONNECTING;
    bool unanswered =
        x->state == EXCHANGE_AWAITING && exchange_is_repeatable(x) && !x->body_overflowed;
    if (x->rescued || !(unsent || unanswered)) {
        return;
    }
    x->rescued = true;
    exchange_leave_endpoint(x, false);
    count_retry(x);
    exchange_go(x);
}

void exchange_cut(struct exchange *x) {
    uint16_t slot = x->endpoint;
    exchange_rescue(x); /* elsewhere, if that is safe */
    if (x->endpoint == slot && x->state != EXCHANGE_CONNECTING) {
        exchange_fail(x, REASON_ENDPOINT_CLOSED);
    }
}

void exchange_fail(struct exchange *x, enum record_reason reason) {
    if (x->state == EXCHANGE_AWAITING) {
        exchange_attempt_failed(x, reason);
        return;
    }
    x->record.reason = (uint8_t)reason;
    if (x->state == EXCHANGE_ANSWERING) {
        endpoint_failed(x->worker, x);
        x->record.flags |= RECORD_FAILED;
        exchange_finish(x, false);
    } else if (x->state == EXCHANGE_TUNNEL) {
        exchange_finish(x, false);
    } else {
        exchange_answer(x, 504, reason, text_of(reason));
    }
}
