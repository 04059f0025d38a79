/* One stream of an HTTP/2 connection to a service: an exchange's request goes into its queue, and
 * what the service answers is told to the exchange. */
#include "act/proxy/upstream_h2_internal.h"

static struct upstream_stream *stream_of(struct stream *stream) {
    return (struct upstream_stream *)((char *)stream - offsetof(struct upstream_stream, stream));
}

/* ---- the request, from the exchange ---- */

/* The client in HTTP/1 asked for a tunnel with its key; the service in HTTP/2 never sees it. */
static void remember_key(struct upstream_stream *st, const struct http_head *head) {
    const struct http_field *key = http_head_find_name(head, SLICE("sec-websocket-key"));
    st->has_accept = websocket_is_asked(head) && key != NULL;
    if (st->has_accept) {
        websocket_accept(key->value, st->accept);
    }
}

static void send_head(struct stream *stream, const struct http_head *head) {
    struct upstream_stream *st = stream_of(stream);
    bool empty = head->framing == HTTP_BODY_NONE ||
                 (head->framing == HTTP_BODY_LENGTH && head->content_length == 0);
    remember_key(st, head);
    if (!h2_send_request(st->owner->h2, &st->h2, head, empty)) {
        list_append(&st->owner->waiting, &st->waiting); /* told at the end of the turn */
        st->owner->waiting_count++;
        st->owner->broken = true;
    } else if (st->h2.id > UPSTREAM_H2_LAST_ID) {
        upstream_h2_retire(st->owner);
    }
    upstream_h2_schedule(st->owner);
}

static size_t pending(const struct stream *stream) {
    return h2_stream_unsent(&stream_of((struct stream *)(uintptr_t)stream)->h2);
}

static void send_data(struct stream *stream, struct slice data) {
    struct upstream_stream *st = stream_of(stream);
    h2_send_data(&st->h2, data);
    st->blocked = st->blocked || pending(stream) > STREAM_PENDING_BYTES_MAX;
    upstream_h2_schedule(st->owner);
}

static void send_end(struct stream *stream, const struct http_head *trailers) {
    struct upstream_stream *st = stream_of(stream);
    if (st->h2.tunnel && !st->tunnel_open) {
        return; /* the request that asks for it is complete; the tunnel has not begun */
    }
    h2_send_end(&st->h2, trailers);
    upstream_h2_schedule(st->owner);
}

static void pause_reading(struct stream *stream) {
    h2_pause(&stream_of(stream)->h2);
}

static void resume_reading(struct stream *stream) {
    struct upstream_stream *st = stream_of(stream);
    h2_resume(&st->h2);
    upstream_h2_schedule(st->owner);
}

static void release(struct stream *stream, bool complete) {
    struct upstream_stream *st = stream_of(stream);
    (void)complete; /* what has not ended both ways is reset */
    if (list_linked(&st->waiting)) {
        list_remove(&st->waiting);
        st->owner->waiting_count--;
        upstream_h2_recycle(st);
        return;
    }
    if (st->h2.h2 == NULL) { /* it could not even be opened */
        upstream_h2_recycle(st);
        return;
    }
    bool through = st->h2.in_ended && st->h2.out_ended && h2_stream_unsent(&st->h2) == 0;
    if (!through) {
        h2_reset(&st->h2, H2_CANCEL);
    }
    upstream_h2_schedule(st->owner);
}

const struct stream_ops upstream_h2_stream_ops = {
    .send_head = send_head,
    .send_data = send_data,
    .send_end = send_end,
    .pending = pending,
    .pause = pause_reading,
    .resume = resume_reading,
    .release = release,
};

/* ---- the response, from the connection ---- */

static struct upstream_stream *of(struct h2_stream *s) {
    return (struct upstream_stream *)s;
}

/* Lets go of the exchange before it hears of it: it may go elsewhere at once. */
void upstream_h2_fail_stream(struct upstream_stream *st, enum record_reason reason) {
    struct attempt *a = st->stream.attempt;
    st->stream.attempt = NULL;
    if (a != NULL) {
        attempt_on_failed(a, reason);
    }
}

static void complete_tunnel(struct upstream_stream *st, struct http_head *head) {
    head->upgrade_to = st->stream.attempt->exchange->request.upgrade_to;
    st->tunnel_open = true;
    if (st->has_accept) {
        (void)http_head_add(head, SLICE("sec-websocket-accept"),
                            slice_of(st->accept, sizeof st->accept));
    }
}

static void on_head(struct h2_stream *s, bool ended) {
    struct upstream_stream *st = of(s);
    struct attempt *a = st->stream.attempt;
    struct http_head head;
    if (a == NULL) {
        return;
    }
    http_head_init(&head, st->owner->worker->scratch_fields, HTTP_FIELDS_MAX);
    if (h2_read_response(s, ended, &head) != H2_READ) {
        upstream_h2_fail_stream(st, REASON_UPSTREAM_BAD);
        return;
    }
    if (head.status == 101) {
        complete_tunnel(st, &head);
    }
    attempt_on_response_head(a, &head);
    if (ended && st->stream.attempt == a) {
        attempt_on_response_end(a, NULL);
    }
}

/* A body comes in frames of 16 KiB, many of them at once: a client in HTTP/1 gets one write for
 * what came in one turn, not one for each. */
static void on_data(struct h2_stream *s, struct slice data) {
    struct upstream_stream *st = of(s);
    struct worker *w = st->owner->worker;
    if (st->stream.attempt != NULL) {
        w->more_follows = s->in_last_frame || data.data + data.len < st->owner->came_end;
        attempt_on_response_data(st->stream.attempt, data);
        w->more_follows = false;
    }
}

static void on_response_end(struct h2_stream *s, const struct http_head *trailers) {
    struct upstream_stream *st = of(s);
    if (st->stream.attempt != NULL) {
        attempt_on_response_end(st->stream.attempt, trailers);
    }
}

static void on_sent(struct h2_stream *s) {
    struct upstream_stream *st = of(s);
    if (st->blocked && h2_stream_unsent(s) <= SOCKET_LOW_WATER_BYTES) {
        st->blocked = false;
        if (st->stream.attempt != NULL) {
            attempt_on_drained(st->stream.attempt);
        }
    }
}

static enum record_reason reason_of(const struct h2_stream *s, uint32_t code) {
    return code == H2_REFUSED_STREAM || s->unsent_head ? REASON_UPSTREAM_REFUSED
           : code == H2_PROTOCOL_ERROR                 ? REASON_UPSTREAM_BAD
                                                       : REASON_UPSTREAM_CLOSED;
}

static void on_close(struct h2_stream *s, uint32_t code) {
    struct upstream_stream *st = of(s);
    if (st->stream.attempt != NULL) {
        st->stream.attempt->reused_connection = false; /* it is open, and the service has read it */
    }
    upstream_h2_fail_stream(st, reason_of(s, code));
    upstream_h2_recycle(st);
}

static void on_goaway(struct h2 *h2) {
    struct upstream_h2 *u = h2_owner(h2);
    upstream_h2_retire(u);
    upstream_h2_schedule(u);
}

const struct h2_handler upstream_h2_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_response_end,
    .on_sent = on_sent,
    .on_close = on_close,
    .on_goaway = on_goaway,
};
