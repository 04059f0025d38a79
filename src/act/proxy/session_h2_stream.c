/* One stream of a client's HTTP/2 connection: a request of the client becomes an exchange, and what
 * the exchange answers goes into the stream's queue. */
#include <stdlib.h>

#include "act/proxy/session_h2_internal.h"

#define LENT_LEAST_BYTES 8192 /* below it a copy costs less than a system call */

static struct session_stream *stream_of(struct stream *stream) {
    return (struct session_stream *)((char *)stream - offsetof(struct session_stream, stream));
}

/* ---- the response, from the exchange ---- */

static void send_head(struct stream *stream, const struct http_head *head) {
    struct session_stream *st = stream_of(stream);
    if (head->status == 101) {
        st->tunnel_open = true;
        if (st->h2.in_ended) { /* no event may come from within this call */
            st->end_owed = st->owner->tunnel_ends = true;
        }
    }
    h2_send_response(&st->h2, head);
    st->went_us = session_h2_now_us(st->owner);
    session_h2_schedule(st->owner);
}

static size_t pending(const struct stream *stream) {
    const struct session_stream *st = stream_of((struct stream *)(uintptr_t)stream);
    size_t own = h2_stream_unsent(&st->h2);
    bool crowded = st->h2.h2 != NULL && own > SOCKET_LOW_WATER_BYTES &&
                   h2_unsent(st->h2.h2) > SESSION_H2_UNSENT_BYTES_MAX;
    return crowded && own <= STREAM_PENDING_BYTES_MAX ? STREAM_PENDING_BYTES_MAX + 1 : own;
}

static void send_data(struct stream *stream, struct slice data) {
    struct session_stream *st = stream_of(stream);
    h2_send_data(&st->h2, data);
    st->blocked = st->blocked || pending(stream) > STREAM_PENDING_BYTES_MAX;
    session_h2_schedule(st->owner);
}

/* Small ones wait for the turn's end, so that many share a write. */
static void lend_data(struct stream *stream, struct slice data) {
    struct session_stream *st = stream_of(stream);
    if (data.len < LENT_LEAST_BYTES || !session_h2_schedule_lent(st->owner)) {
        send_data(stream, data);
        return;
    }
    h2_lend_data(&st->h2, data);
    st->blocked = st->blocked || pending(stream) > STREAM_PENDING_BYTES_MAX;
    session_h2_schedule(st->owner);
}

static void send_end(struct stream *stream, const struct http_head *trailers) {
    struct session_stream *st = stream_of(stream);
    h2_send_end(&st->h2, trailers);
    session_h2_schedule(st->owner);
}

static void pause_reading(struct stream *stream) {
    h2_pause(&stream_of(stream)->h2);
}

static void resume_reading(struct stream *stream) {
    struct session_stream *st = stream_of(stream);
    st->came_us = session_h2_now_us(st->owner); /* while it was paused it could not be late */
    h2_resume(&st->h2);
    session_h2_schedule(st->owner);
}

static void release(struct stream *stream, bool complete) {
    struct session_stream *st = stream_of(stream);
    if (!complete) {
        h2_reset(&st->h2, st->h2.tunnel ? H2_CANCEL : H2_INTERNAL_ERROR);
    } else {
        h2_stop_request(&st->h2); /* an answer before the whole request came */
    }
    st->went_us = session_h2_now_us(st->owner);
    session_h2_schedule(st->owner);
}

static const struct stream_ops ops = {
    .send_head = send_head,
    .send_data = send_data,
    .lend_data = lend_data,
    .send_end = send_end,
    .pending = pending,
    .pause = pause_reading,
    .resume = resume_reading,
    .release = release,
};

/* ---- the request, from the connection ---- */

static struct session_stream *of(struct h2_stream *s) {
    return (struct session_stream *)s;
}

static struct h2_stream *on_open(struct h2 *h2) {
    struct session_h2 *c = h2_owner(h2);
    struct session_stream *st = c->spares;
    if (st != NULL) {
        c->spares = st->next_spare;
        c->spare_count--;
    } else {
        st = calloc(1, sizeof *st);
        if (st == NULL) {
            return NULL;
        }
        buffer_init(&st->h2.out, H2_STREAM_OUT_BYTES_MAX);
    }
    uint64_t now_us = session_h2_now_us(c);
    *st = (struct session_stream){
        .h2.out = st->h2.out, .stream.ops = &ops, .owner = c, .came_us = now_us, .went_us = now_us
    };
    return &st->h2;
}

static void count_request(struct session_h2 *c) {
    uint32_t most = c->session->worker->limits.requests_per_connection;
    c->requests++;
    c->session->requests++;
    if (most > 0 && c->requests >= most) {
        session_h2_announce(c);
    }
}

/* An answer would cost more than the refusal, which may be asked again (RFC 9113 8.7). */
static bool has_too_many(const struct session_h2 *c) {
    struct worker *w = c->session->worker;
    const struct client *client = c->session->who.client;
    bool full = client_is_full(&w->clients, client, w->limits.requests_per_client);
    vitals_add(&w->own->reasons[REASON_CLIENT_LIMIT], full);
    return full;
}

static void on_head(struct h2_stream *s, bool ended) {
    struct session_stream *st = of(s);
    struct session_h2 *c = st->owner;
    struct worker *w = c->session->worker;
    struct h1_problem problem;
    struct slice raw;
    struct exchange *x = has_too_many(c) ? NULL : exchange_new(w, &st->stream, &c->session->who);
    c->head_since_us = 0;
    if (x == NULL) {
        h2_reset(s, H2_REFUSED_STREAM);
        return;
    }
    count_request(c);
    switch (h2_read_request(s, ended, &x->request, &raw, &problem)) {
    case H2_MALFORMED:
        vitals_add(&w->own->reasons[REASON_BAD_REQUEST], 1);
        exchange_discard(x);
        break;
    case H2_REFUSED:
        st->stream.exchange = x;
        exchange_refuse(x, problem.status, problem.reason);
        break;
    case H2_READ:
        st->stream.exchange = x;
        x->request_ended = ended || s->tunnel;
        exchange_start(x, raw);
        break;
    }
}

static void on_data(struct h2_stream *s, struct slice data) {
    struct session_stream *st = of(s);
    st->came_us = session_h2_now_us(st->owner);
    if (st->stream.exchange == NULL) {
        return;
    }
    if (s->tunnel && !st->tunnel_open) { /* nobody has agreed to it yet: who would read it? */
        h2_reset(s, H2_PROTOCOL_ERROR);
        return;
    }
    exchange_on_request_data(st->stream.exchange, data);
}

static void on_end(struct h2_stream *s, const struct http_head *trailers) {
    struct session_stream *st = of(s);
    bool early = s->tunnel && !st->tunnel_open;
    if (st->stream.exchange != NULL && !early) {
        exchange_on_request_end(st->stream.exchange, s->tunnel ? NULL : trailers);
    }
}

static void on_sent(struct h2_stream *s) {
    struct session_stream *st = of(s);
    st->went_us = session_h2_now_us(st->owner);
    if (st->blocked && h2_stream_unsent(s) <= SOCKET_LOW_WATER_BYTES) {
        st->blocked = false;
        if (st->stream.exchange != NULL) {
            exchange_on_client_drained(st->stream.exchange);
        }
    }
}

static void on_close(struct h2_stream *s, uint32_t code) {
    struct session_stream *st = of(s);
    struct session_h2 *c = st->owner;
    (void)code; /* visitors leave in many ways */
    if (st->stream.exchange != NULL) {
        exchange_on_client_gone(st->stream.exchange);
    }
    if (c->spare_count < SESSION_H2_SPARES_MAX) {
        st->next_spare = c->spares;
        c->spares = st;
        c->spare_count++;
    } else {
        h2_stream_fini(s);
        free(st);
    }
    session_h2_stream_over(c);
}

/* It has heard the notice, so that no request can be on its way that it does not know of. */
static void on_ping_answered(struct h2 *h2) {
    struct session_h2 *c = h2_owner(h2);
    if (c->noticed_us > 0 && !c->goaway_sent) {
        c->goaway_sent = true;
        h2_goaway(h2, H2_NO_ERROR);
        session_h2_schedule(c);
    }
}

const struct h2_handler session_h2_events = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_end,
    .on_sent = on_sent,
    .on_close = on_close,
    .on_ping_answered = on_ping_answered,
};
