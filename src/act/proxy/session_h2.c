/* A client's HTTP/2 connection: bytes between the socket and the codec, time, and the end.
 *
 *   OPEN ── drain, too many requests ──▶ NOTICED ── PING answered, or 1 s ──▶ GOAWAY
 *     │                                                                         │ no stream left
 *     └── broken, abused, idle for too long ──▶ GOAWAY ──▶ linger (session_h1) ◀┘
 *
 * Frames are produced once a turn (session_h2_schedule), and only as many as the kernel takes: what
 * waits, waits in its stream's queue, so that urgency (RFC 9218) decides until the last moment. */
#include "act/proxy/session_h2.h"

#include <stdlib.h>

#include "act/proxy/session.h"
#include "act/proxy/session_h2_internal.h"

_Static_assert(2 * H2_PIECES_MAX + 1 <= SOCKET_PARTS_MAX, "an output goes out in one call");

#define OUTPUT_BYTES 65536  /* produced at once; and no more while so much waits in the socket */
#define NOTICE_US 1000000   /* for the answer to the PING behind the notice */
#define TICK_LEAST_US 20000 /* streams are looked through for those that stand still */
#define TICK_MOST_US 5000000

static struct session_h2 *of_socket(struct socket *socket) {
    return ((struct session *)socket)->h2;
}

uint64_t session_h2_now_us(const struct session_h2 *c) {
    return session_now_us(c->session);
}

static uint64_t ms(uint32_t milliseconds) {
    return (uint64_t)milliseconds * 1000;
}

/* ---- the end ---- */

static void free_spares(struct session_h2 *c) {
    while (c->spares != NULL) {
        struct session_stream *st = c->spares;
        c->spares = st->next_spare;
        h2_stream_fini(&st->h2);
        free(st);
    }
    c->spare_count = 0;
}

/* Tells the exchanges, one after the other: each may make others go on, here as well. */
static void forget_streams(struct session_h2 *c) {
    LIST_EACH(h2_streams(c->h2), link, saved) {
        struct session_stream *st = LIST_ITEM(link, struct session_stream, h2.link);
        if (st->stream.exchange != NULL) {
            exchange_on_client_gone(st->stream.exchange);
        }
    }
    struct list *link;
    struct list gone;
    list_init(&gone);
    while ((link = list_first(h2_streams(c->h2))) != NULL) {
        struct session_stream *st = LIST_ITEM(link, struct session_stream, h2.link);
        list_remove(link);
        list_append(&gone, link);
        st->stream.exchange = NULL;
    }
    h2_free(c->h2);
    while ((link = list_first(&gone)) != NULL) {
        struct session_stream *st = LIST_ITEM(link, struct session_stream, h2.link);
        list_remove(link);
        h2_stream_fini(&st->h2);
        free(st);
    }
}

/* The session is one of HTTP/1 again, of which only the closing is left. */
static void leave(struct session_h2 *c) {
    struct session *s = c->session;
    forget_streams(c);
    free_spares(c);
    loop_cancel(s->worker->loop, &c->flush);
    loop_cancel(s->worker->loop, &c->flush_lent);
    s->h2 = NULL;
    free(c);
    s->socket.handler = &session_h1_handler;
}

static void end(struct session_h2 *c) {
    struct session *s = c->session;
    bool abused = h2_is_abused(c->h2);
    if (abused) {
        vitals_add(&s->worker->own->h2_floods, 1);
    }
    leave(c);
    session_h1_linger(s);
    if (abused) {
        socket_pause(&s->socket); /* what it floods us with is not even read */
    }
}

/* ---- output ---- */

static void deliver_owed_ends(struct session_h2 *c) {
    c->tunnel_ends = false;
    LIST_EACH(h2_streams(c->h2), link, saved) {
        struct session_stream *st = LIST_ITEM(link, struct session_stream, h2.link);
        if (st->end_owed && st->stream.exchange != NULL) {
            st->end_owed = false;
            exchange_on_request_end(st->stream.exchange, NULL);
        }
    }
}

/* Returns whether nothing more can be sent now, for want of data or of windows. */
static bool write_frames(struct session_h2 *c) {
    struct socket *socket = &c->session->socket;
    struct buffer *frames = &c->session->worker->frames;
    struct slice parts[2 * H2_PIECES_MAX + 1];
    struct h2_pieces pieces;
    while (!socket->closing && socket_pending(socket) < OUTPUT_BYTES) {
        buffer_clear(frames);
        if (!h2_output_pieces(c->h2, frames, &pieces, OUTPUT_BYTES, session_h2_now_us(c))) {
            socket_close(socket);
        } else if (buffer_len(frames) == 0) {
            return true;
        } else {
            socket_send(socket, parts, h2_join(frames, &pieces, parts));
        }
    }
    return false;
}

/* The client has ended its direction: it opens no more windows. */
static bool is_stuck(struct session_h2 *c) {
    if (!c->session->socket.end_told) {
        return false;
    }
    LIST_EACH(h2_streams(c->h2), link, saved) {
        if (LIST_ITEM(link, struct session_stream, h2.link)->stream.exchange != NULL) {
            return false;
        }
    }
    return true;
}

static void on_flush(struct task *task) {
    struct session_h2 *c = (struct session_h2 *)((char *)task - offsetof(struct session_h2, flush));
    if (c->tunnel_ends) {
        deliver_owed_ends(c);
    }
    bool dry = write_frames(c);
    if (!c->session->socket.closing && (h2_is_over(c->h2) || c->broken || (dry && is_stuck(c)))) {
        end(c);
    }
}

static void on_flush_lent(struct task *task) {
    struct session_h2 *c =
        (struct session_h2 *)((char *)task - offsetof(struct session_h2, flush_lent));
    (void)write_frames(c);
    h2_settle(c->h2);
}

bool session_h2_schedule_lent(struct session_h2 *c) {
    return loop_defer_within(c->session->worker->loop, &c->flush_lent, on_flush_lent);
}

void session_h2_schedule(struct session_h2 *c) {
    loop_defer(c->session->worker->loop, &c->flush, on_flush);
}

/* ---- time ---- */

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static void arm(struct session_h2 *c) {
    const struct plan_limits *limits = &c->session->worker->limits;
    uint64_t idle_us = ms(limits->client_idle_timeout_ms);
    uint64_t delay_us = least(ms(limits->client_head_timeout_ms),
                              least(ms(limits->client_body_timeout_ms), idle_us)) /
                        4;
    delay_us = delay_us < TICK_LEAST_US ? TICK_LEAST_US : least(delay_us, TICK_MOST_US);
    bool quiet = h2_stream_count(c->h2) == 0 && !h2_in_head(c->h2) && c->noticed_us == 0;
    if (quiet) {
        uint64_t due_us = c->idle_since_us + idle_us, now_us = session_h2_now_us(c);
        delay_us = due_us > now_us ? due_us - now_us : 1;
    } else if (c->noticed_us > 0) {
        delay_us = least(delay_us, NOTICE_US);
    }
    socket_set_timeout(&c->session->socket, delay_us);
}

static void break_off(struct session_h2 *c, enum h2_code code) {
    h2_goaway(c->h2, code);
    c->broken = true;
    session_h2_schedule(c);
}

/* A client that is late with its request's body, or does not take what is ready for it. */
static void look_at_stream(struct session_h2 *c, struct session_stream *st) {
    uint64_t now_us = session_h2_now_us(c);
    uint64_t patience_us = ms(c->session->worker->limits.client_body_timeout_ms);
    struct exchange *x = st->stream.exchange;
    if (x == NULL) {
        if (now_us - st->went_us < patience_us) {
            return;
        }
        if (st->h2.reset) { /* not even the reset gets through */
            c->broken = true;
        }
        h2_reset(&st->h2, H2_CANCEL);
        st->went_us = now_us;
        session_h2_schedule(c);
    } else if (!st->h2.in_ended && !st->h2.paused && !st->h2.tunnel &&
               now_us - st->came_us >= patience_us) {
        exchange_on_request_bad(x, 408, REASON_CLIENT_TIMEOUT, "The request body came too slowly.");
    }
}

static bool is_late(struct session_h2 *c, uint64_t since_us, uint32_t patience_ms) {
    return session_h2_now_us(c) - since_us >= ms(patience_ms);
}

static void on_timeout(struct socket *socket) {
    struct session_h2 *c = of_socket(socket);
    const struct plan_limits *limits = &c->session->worker->limits;
    bool quiet = h2_stream_count(c->h2) == 0 && !h2_in_head(c->h2);
    if (h2_in_head(c->h2) && is_late(c, c->head_since_us, limits->client_head_timeout_ms)) {
        vitals_add(&c->session->worker->own->reasons[REASON_CLIENT_TIMEOUT], 1);
        break_off(c, H2_ENHANCE_YOUR_CALM);
        return;
    }
    if (quiet && is_late(c, c->idle_since_us, limits->client_idle_timeout_ms)) {
        break_off(c, H2_NO_ERROR);
        return;
    }
    if (c->noticed_us > 0 && !c->goaway_sent && session_h2_now_us(c) - c->noticed_us >= NOTICE_US) {
        c->goaway_sent = true;
        h2_goaway(c->h2, H2_NO_ERROR);
        session_h2_schedule(c);
    }
    if (quiet) { /* an idle connection owns no buffers */
        h2_rest(c->h2);
        free_spares(c);
    }
    LIST_EACH(h2_streams(c->h2), link, saved) {
        look_at_stream(c, LIST_ITEM(link, struct session_stream, h2.link));
    }
    arm(c);
}

/* ---- input ---- */

static size_t on_data(struct socket *socket, struct slice data) {
    struct session_h2 *c = of_socket(socket);
    bool was_quiet = h2_stream_count(c->h2) == 0 && !h2_in_head(c->h2);
    if (c->broken) {
        return data.len;
    }
    if (!h2_receive(c->h2, data, session_h2_now_us(c))) {
        c->broken = true;
    }
    if (!h2_in_head(c->h2)) {
        c->head_since_us = 0;
    } else if (c->head_since_us == 0) {
        c->head_since_us = session_h2_now_us(c);
    }
    if (was_quiet && !socket->closing) {
        arm(c);
    }
    if (h2_wants_output(c->h2) || c->broken) {
        session_h2_schedule(c);
    }
    return data.len;
}

/* No more frames come: what needs none of them is finished. */
static void on_end(struct socket *socket) {
    struct session_h2 *c = of_socket(socket);
    LIST_EACH(h2_streams(c->h2), link, saved) {
        struct session_stream *st = LIST_ITEM(link, struct session_stream, h2.link);
        struct exchange *x = st->stream.exchange;
        if (x != NULL && st->h2.in_ended && !st->h2.tunnel) {
            exchange_on_client_leaving(x);
        } else if (x != NULL) {
            exchange_on_client_gone(x);
            h2_reset(&st->h2, H2_CANCEL);
        }
    }
    if (!c->goaway_sent) {
        c->goaway_sent = true;
        h2_goaway(c->h2, H2_NO_ERROR);
    }
    session_h2_schedule(c);
}

static void on_drained(struct socket *socket) {
    session_h2_schedule(of_socket(socket));
}

static void on_failed(struct socket *socket, int system_errno) {
    (void)system_errno; /* visitors leave in many ways */
    socket_close(socket);
}

static void on_closed(struct socket *socket) {
    leave(of_socket(socket));
    session_h1_handler.on_closed(socket);
}

static const struct socket_handler client_handler = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
    .on_timeout = on_timeout,
    .on_closed = on_closed,
};

/* ---- life ---- */

void session_h2_stream_over(struct session_h2 *c) {
    if (h2_stream_count(c->h2) == 0) {
        c->idle_since_us = session_h2_now_us(c);
        session_h2_schedule(c); /* perhaps it was the last of all */
    }
}

void session_h2_announce(struct session_h2 *c) {
    if (c->noticed_us == 0) {
        c->noticed_us = session_h2_now_us(c);
        h2_announce_goaway(c->h2);
        session_h2_schedule(c);
        arm(c);
    }
}

bool session_h2_begin(struct session *s) {
    struct session_h2 *c = calloc(1, sizeof *c);
    const struct worker *w = s->worker;
    struct h2_limits limits = {
        .head_bytes = w->h1_limits.head_bytes,
        .fields = w->h1_limits.fields,
        .target_bytes = w->h1_limits.target_bytes,
        .streams = w->limits.streams,
    };
    if (c != NULL) {
        c->h2 = h2_new(H2_SERVER, &limits, &session_h2_events, c);
    }
    if (c == NULL || c->h2 == NULL) {
        free(c);
        socket_close(&s->socket);
        return false;
    }
    c->session = s;
    c->idle_since_us = session_now_us(s);
    s->h2 = c;
    s->who.protocol = 20;
    s->socket.handler = &client_handler;
    vitals_add(&w->own->h2_connections, 1);
    if (w->draining) {
        session_h2_announce(c);
    }
    arm(c);
    session_h2_schedule(c);
    return true;
}

bool session_h2_is_idle(const struct session *s, uint64_t idle_us) {
    const struct session_h2 *c = s->h2;
    return h2_stream_count(c->h2) == 0 && !h2_in_head(c->h2) &&
           session_now_us(s) - c->idle_since_us >= idle_us;
}

bool session_h2_is_stalled(const struct session *s, uint64_t idle_us, uint64_t stalled_us) {
    const struct session_h2 *c = s->h2;
    if (h2_in_head(c->h2)) {
        return session_now_us(s) - c->head_since_us >= idle_us;
    }
    LIST_EACH(h2_streams(c->h2), link, saved) {
        const struct session_stream *st = LIST_ITEM(link, struct session_stream, h2.link);
        const struct exchange *x = st->stream.exchange;
        uint64_t over_us = (session_now_us(s) - st->went_us) / EXCHANGE_UNREAD_TIMES;
        if (x != NULL ? !exchange_is_stalled(x, stalled_us) : over_us < stalled_us) {
            return false;
        }
    }
    return h2_stream_count(c->h2) > 0;
}

void session_h2_retire(struct session *s, uint64_t idle_us) {
    const struct session_h2 *c = s->h2;
    if (h2_stream_count(c->h2) == 0 && session_now_us(s) - c->idle_since_us >= idle_us) {
        session_h2_announce(s->h2);
    }
}

void session_h2_drain(struct session *s, bool now) {
    if (now) {
        socket_close(&s->socket); /* on_closed tells the exchanges */
    } else {
        session_h2_announce(s->h2);
    }
}

/* Agreed on by ALPN. */
static void begin(struct worker *w, struct socket *socket, const struct client_info *who) {
    session_h1_protocol.begin(w, socket, who);
    session_h2_begin((struct session *)socket);
}

const struct session_protocol session_h2_protocol = {
    .alpn = { "h2", 2 },
    .bytes = sizeof(struct session),
    .begin = begin,
};
