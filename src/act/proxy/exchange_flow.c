/* Bytes on their way: the request's body to the service, the response to the client, each side held
 * back by how much the other one has not taken yet. */
#include "act/proxy/compression_flow.h"
#include "act/proxy/evidence.h"
#include "act/proxy/exchange_internal.h"
#include "act/proxy/waiting.h"

void exchange_resume_client(struct exchange *x) {
    if (x->client_paused && x->client != NULL) {
        x->client_paused = false;
        x->client->ops->resume(x->client);
    }
}

static void pause_client(struct exchange *x) {
    if (!x->client_paused) {
        x->client_paused = true;
        x->client->ops->pause(x->client);
    }
}

/* ---- the request's body ---- */

/* Keeps the piece for a later (or a second) sending. False when the first sending would lack it. */
static bool keep_body(struct exchange *x, struct slice data) {
    bool sent_already = x->state == EXCHANGE_AWAITING;
    if (x->body_overflowed) {
        return true;
    }
    bool too_much = buffer_len(&x->body) + data.len > EXCHANGE_REPLAY_BYTES;
    bool once = sent_already && !exchange_is_repeatable(x) && !x->attempt->upstream->may_refuse;
    bool useless = once || (sent_already && too_much);
    if (useless || !buffer_append(&x->body, data)) {
        x->body_overflowed = true;
        buffer_fini(&x->body);
        return sent_already;
    }
    return true;
}

void exchange_on_request_data(struct exchange *x, struct slice data) {
    uint64_t body_max = exchange_body_max(x);
    x->activity_us = exchange_now_us(x);
    x->record.bytes_in += data.len;
    if (body_max > 0 && x->record.bytes_in > body_max && x->state != EXCHANGE_TUNNEL) {
        exchange_answer_and_close(x, 413, REASON_TOO_LARGE, "The request body is too large.");
        return;
    }
    bool sending = x->state >= EXCHANGE_AWAITING;
    if (x->state <= EXCHANGE_AWAITING && !keep_body(x, data)) {
        x->record.flags |= RECORD_REFUSED;
        exchange_answer_and_close(x, 503, REASON_OVERLOAD, "There is no memory for the body.");
        return;
    }
    if (!sending) {
        bool full = buffer_len(&x->body) >= EXCHANGE_REPLAY_BYTES;
        if (full) {
            pause_client(x);
        }
        if (full && x->state == EXCHANGE_GATHERING) {
            exchange_admit(x);
        }
        return;
    }
    struct stream *upstream = x->attempt->upstream;
    upstream->ops->send_data(upstream, data);
    if (upstream->ops->pending(upstream) > STREAM_PENDING_BYTES_MAX) {
        pause_client(x);
    }
}

static void end_tunnel_if_both_ended(struct exchange *x) {
    if (x->request_ended && x->response_ended) {
        exchange_finish(x, true);
    }
}

struct http_head *exchange_copy_trailers(struct exchange *x, const struct http_head *trailers) {
    struct http_head *copy = arena_alloc(&x->arena, sizeof *copy);
    struct http_field *fields = arena_array(&x->arena, trailers->field_count, sizeof *fields);
    if (copy == NULL || fields == NULL) {
        return NULL; /* trailers may be dropped (RFC 9110 6.5.1) */
    }
    http_head_init(copy, fields, trailers->field_count);
    for (size_t i = 0; i < trailers->field_count; i++) {
        struct http_field field = trailers->fields[i];
        field.name = arena_copy(&x->arena, field.name);
        field.value = arena_copy(&x->arena, field.value);
        if (field.name.data == NULL || field.value.data == NULL) {
            return NULL;
        }
        http_head_append(copy, field);
    }
    exchange_clean_trailers(x, copy);
    return copy;
}

void exchange_on_request_end(struct exchange *x, const struct http_head *trailers) {
    x->request_ended = true;
    if (trailers != NULL && trailers->field_count > 0) {
        x->trailers = exchange_copy_trailers(x, trailers);
    }
    if (x->state == EXCHANGE_GATHERING) {
        exchange_admit(x);
        return;
    }
    if (x->state >= EXCHANGE_AWAITING) {
        x->attempt->upstream->ops->send_end(x->attempt->upstream, x->trailers);
        if (x->state == EXCHANGE_AWAITING) {
            endpoint_owes(x->worker, x->attempt);
        }
        exchange_arm(x); /* from now on it is the service's turn */
    }
    if (x->state == EXCHANGE_TUNNEL) {
        end_tunnel_if_both_ended(x);
    }
}

void exchange_on_request_bad(struct exchange *x, uint16_t status, enum record_reason reason,
                             const char *why) {
    x->record.flags |= RECORD_BAD_REQUEST;
    exchange_answer_and_close(x, status, reason, why);
}

void exchange_on_client_leaving(struct exchange *x) {
    x->leaving_since_us = exchange_now_us(x);
    exchange_arm(x);
}

void exchange_on_client_gone(struct exchange *x) {
    if (x->client != NULL) {
        x->client->exchange = NULL;
        x->client = NULL;
    }
    x->record.flags |= x->state == EXCHANGE_TUNNEL ? 0 : RECORD_CLIENT_GONE;
    exchange_finish(x, false);
}

/* The client takes more of the response. */
void exchange_on_client_drained(struct exchange *x) {
    x->activity_us = exchange_now_us(x);
    if (x->coder != NULL) {
        compression_on_drained(x);
    } else if (x->upstream_paused && x->attempt->upstream != NULL) {
        x->upstream_paused = false;
        x->attempt->upstream->ops->resume(x->attempt->upstream);
    }
}

void attempt_on_drained(struct attempt *a) {
    struct exchange *x = a->exchange;
    x->activity_us = exchange_now_us(x);
    exchange_resume_client(x);
}

/* ---- the response ---- */

void exchange_leave_room(struct exchange *x) {
    waiting_done(x->service, x);
    endpoint_counts_as(x->worker, x->attempt,
                       x->state == EXCHANGE_TUNNEL ? ATTEMPT_TUNNEL : ATTEMPT_HELD);
}

void exchange_pause_upstream(struct exchange *x) {
    x->upstream_paused = true;
    x->attempt->upstream->ops->pause(x->attempt->upstream);
    exchange_leave_room(x);
}

static void begin_response(struct exchange *x, struct http_head *head) {
    x->response_begun = true;
    x->record.status = head->status;
    x->record.first_byte_us = exchange_since_us(x, x->started_us);
    x->record.flags |= head->status >= 500 ? RECORD_FAILED : 0;
    buffer_clear(&x->body); /* there will be no second sending */
    x->body_overflowed = true;
    bool tunnel = head->status == 101;
    x->record.flags |= tunnel ? RECORD_UPGRADED : 0;
    exchange_move(x, tunnel ? EXCHANGE_TUNNEL : EXCHANGE_ANSWERING);
    x->client->ops->send_head(x->client, head);
    x->request_ended = tunnel ? false : x->request_ended;
    if (tunnel) { /* an open WebSocket is no work: others may go on */
        exchange_release_client(x);
        exchange_leave_room(x);
        exchange_slim(x);
    }
    exchange_arm_state(x);
}

/* Of the first attempt; what a hedge has to say before its answer nobody needs. */
static void pass_on_interim(struct attempt *a, struct http_head *head) {
    struct exchange *x = a->exchange;
    if (a == x->attempt) {
        http_strip_hop_by_hop(head);
        head->keep_alive = true;
        head->upgrade = false;
        x->client->ops->send_head(x->client, head);
    }
}

void attempt_on_response_head(struct attempt *a, struct http_head *head) {
    struct exchange *x = a->exchange;
    x->activity_us = exchange_now_us(x);
    bool upgrade = head->status == 101;
    if (head->status < 200 && !upgrade) {
        pass_on_interim(a, head);
        return;
    }
    if (upgrade && !x->request.upgrade) {
        attempt_failed(a, REASON_UPSTREAM_BAD);
        return;
    }
    uint16_t status = x->grpc ? exchange_grpc_means(head) : head->status;
    endpoint_answered(x->worker, a, status);
    if (status >= 500 && (attempt_is_retried(a, status, head) || attempt_trial_failed(a))) {
        return;
    }
    attempt_wins(a);
    if (!exchange_prepare_response(x, head)) {
        attempt_failed(a, REASON_UPSTREAM_BAD);
        return;
    }
    head->upgrade = upgrade;
    if (x->compression.on && !upgrade) {
        compression_on_response(x, head);
    }
    begin_response(x, head);
}

static void count_response(struct exchange *x, size_t bytes) {
    x->record.bytes_out += bytes;
    if (x->client->ops->pending(x->client) > STREAM_PENDING_BYTES_MAX && !x->upstream_paused) {
        exchange_pause_upstream(x);
    }
}

void attempt_on_response_data(struct attempt *a, struct slice data) {
    struct exchange *x = a->exchange;
    x->activity_us = exchange_now_us(x);
    if (x->coder != NULL) {
        compression_on_data(x, data);
        return;
    }
    if (x->client->ops->lend_data != NULL) {
        x->client->ops->lend_data(x->client, data);
    } else {
        x->client->ops->send_data(x->client, data);
    }
    count_response(x, data.len);
}

struct socket *exchange_outlet(const struct exchange *x) {
    bool as_it_is = x->coder == NULL && x->state == EXCHANGE_ANSWERING;
    return as_it_is && x->client->ops->outlet != NULL ? x->client->ops->outlet(x->client) : NULL;
}

void exchange_on_response_moved(struct exchange *x, size_t bytes) {
    x->activity_us = exchange_now_us(x);
    count_response(x, bytes);
}

void attempt_on_response_end(struct attempt *a, const struct http_head *trailers) {
    struct exchange *x = a->exchange;
    x->response_ended = true;
    if (x->coder != NULL) {
        compression_on_end(x, trailers);
        return;
    }
    x->client->ops->send_end(x->client, trailers);
    if (x->state == EXCHANGE_TUNNEL) {
        end_tunnel_if_both_ended(x);
    } else {
        exchange_finish(x, true);
    }
}
