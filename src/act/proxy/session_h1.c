/* A client's HTTP/1 connection.
 *
 *            head complete         body complete            answered
 *   HEAD ─────────────────▶ BODY ───────────────▶ BUSY ────────────────▶ HEAD (next request)
 *     ▲                                            │ 101       │ close, or the body is unread
 *     └─ idle, or a head in parts                  ▼           ▼
 *                                               TUNNEL ────▶ LINGER ──▶ closed
 *
 * Requests that follow before the answer (pipelining) stay with the kernel and in the socket's kept
 * bytes: they are read when the answer is out, so that answers keep their order and memory its
 * bound. LINGER: our direction is ended and what still comes is thrown away for a while; closing at
 * once would make the kernel send a reset that destroys the answer on its way. */
#include <string.h>

#include "act/proxy/entrance.h"
#include "act/proxy/session.h"
#include "act/proxy/session_h1_internal.h"
#include "act/proxy/session_h2.h"
#include "wire/http/h2.h"

uint64_t session_now_us(const struct session *s) {
    return loop_now_us(s->worker->loop);
}

static uint64_t ms(uint32_t milliseconds) {
    return (uint64_t)milliseconds * 1000;
}

/* ---- the request, from the socket ---- */

static bool may_keep_alive(const struct session *s, const struct http_head *head) {
    uint32_t most = s->worker->limits.requests_per_connection;
    /* HTTP/1.0 is always closed: its keep-alive was never specified well enough to rely on. */
    return head->keep_alive && head->version >= 11 && !s->worker->draining &&
           (most == 0 || s->requests < most);
}

static void begin_request(struct session *s, struct exchange *x, struct slice raw) {
    struct http_head *head = &x->request;
    s->scan = (struct h1_scan){ 0 };
    s->head_begun = false;
    s->requests++;
    s->version = head->version;
    s->keep_alive = may_keep_alive(s, head);
    s->stream.exchange = x;
    h1_body_init(&s->body, head, &s->worker->h1_limits);
    x->request_ended = h1_body_done(&s->body) || head->framing == HTTP_BODY_NONE;
    s->state = x->request_ended ? SESSION_BUSY : SESSION_BODY;
    if (s->state == SESSION_BODY) {
        session_h1_await(s);
    }
    exchange_start(x, raw);
}

static void head_incomplete(struct session *s) {
    if (!s->head_begun) {
        s->head_begun = true;
        session_h1_await(s);
    }
}

/* HTTP/2 with prior knowledge (RFC 9113 3.3): the first bytes, as far as they have come. */
static bool may_be_preface(const struct session *s, struct slice data) {
    size_t len = data.len < H2_PREFACE.len ? data.len : H2_PREFACE.len;
    return s->requests == 0 && slice_equal(slice_sub(data, 0, len), slice_sub(H2_PREFACE, 0, len));
}

/* A request line of three words of which none is HTTP's: a preface of another protocol. Who sends
 * it would not understand an answer (RFC 9113 3.4); everything else that is bad gets its 400. */
static bool is_other_preface(struct slice data) {
    size_t end = slice_find(data, '\n');
    struct slice word, line = slice_sub(data, 0, end == SLICE_NONE ? data.len : end);
    struct slice method = slice_sub(line, 0, slice_find(line, ' '));
    unsigned words = 0;
    bool names_http = slice_find_slice(line, SLICE(" HTTP/")) != SLICE_NONE;
    while (words < 4 && slice_cut(&line, ' ', &word)) {
        words++;
    }
    return words == 3 && !names_http && http_method_of(method) == HTTP_METHOD_OTHER;
}

static size_t read_preface(struct session *s, struct slice data) {
    if (data.len < H2_PREFACE.len) {
        head_incomplete(s);
        return 0;
    }
    return session_h2_begin(s) ? s->socket.handler->on_data(&s->socket, data) : 0;
}

/* Returns how much it took; 0: more must come. */
static size_t read_head(struct session *s, struct slice data) {
    if (may_be_preface(s, data)) {
        return read_preface(s, data);
    }
    struct exchange *x = exchange_new(s->worker, &s->stream, &s->who);
    struct h1_problem problem;
    size_t consumed = 0;
    if (x == NULL) {
        socket_close(&s->socket);
        return 0;
    }
    switch (
        h1_parse_request(data, &s->worker->h1_limits, &s->scan, &x->request, &consumed, &problem)) {
    case H1_MORE:
        exchange_discard(x);
        head_incomplete(s);
        return 0;
    case H1_BAD:
        if (s->requests == 0 && is_other_preface(data)) {
            exchange_discard(x);
            vitals_add(&s->worker->own->reasons[REASON_BAD_REQUEST], 1);
            socket_close(&s->socket);
            return data.len;
        }
        s->state = SESSION_BUSY;
        s->version = 11;
        s->keep_alive = false;
        s->stream.exchange = x;
        exchange_log_bad_head(x, data);
        exchange_refuse(x, problem.status, problem.reason);
        return data.len;
    case H1_DONE:
        begin_request(s, x, slice_sub(data, 0, consumed));
        return consumed;
    }
    return 0;
}

static size_t read_body(struct session *s, struct slice data) {
    struct exchange *x = s->stream.exchange;
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head trailers;
    size_t used = 0;
    http_head_init(&trailers, fields, HTTP_FIELDS_MAX);
    while (s->stream.exchange == x && s->state == SESSION_BODY) {
        struct h1_body_event event = h1_body_next(&s->body, slice_skip(data, used), &trailers);
        used += event.consumed;
        switch (event.kind) {
        case H1_BODY_MORE:
            return used;
        case H1_BODY_DATA:
            exchange_on_request_data(x, event.data);
            break;
        case H1_BODY_TRAILERS:
            break;
        case H1_BODY_END:
            s->state = SESSION_BUSY;
            exchange_on_request_end(x, &trailers);
            break;
        case H1_BODY_BAD:
            exchange_on_request_bad(x, 400, REASON_BAD_REQUEST, event.reason);
            break;
        }
    }
    return used;
}

static size_t on_data(struct socket *socket, struct slice data) {
    struct session *s = (struct session *)socket;
    size_t used = 0;
    while (used < data.len && !socket->closing) {
        struct slice rest = slice_skip(data, used);
        size_t taken = rest.len;
        switch ((enum session_state)s->state) {
        case SESSION_HEAD:
            taken = read_head(s, rest);
            break;
        case SESSION_BODY:
            s->since_us = session_now_us(s);
            taken = read_body(s, rest);
            break;
        case SESSION_BUSY:
            socket_pause(socket); /* the next request waits for this one's answer */
            return used;
        case SESSION_TUNNEL:
            exchange_on_request_data(s->stream.exchange, rest);
            break;
        case SESSION_LINGER:
            s->since_us = session_now_us(s);
            break;
        }
        if (taken == 0) {
            break;
        }
        used += taken;
    }
    return used;
}

static void on_end(struct socket *socket) {
    struct session *s = (struct session *)socket;
    struct exchange *x = s->stream.exchange;
    switch ((enum session_state)s->state) {
    case SESSION_HEAD:
        socket_close(socket);
        break;
    case SESSION_BODY:
        exchange_on_request_bad(x, 400, REASON_BAD_REQUEST, "The request body ended early.");
        break;
    case SESSION_BUSY:
        exchange_on_client_leaving(x);
        break;
    case SESSION_TUNNEL:
        exchange_on_request_end(x, NULL);
        break;
    case SESSION_LINGER:
        if (socket_finished(socket)) {
            socket_close(socket);
        }
    }
}

static void on_drained(struct socket *socket) {
    struct session *s = (struct session *)socket;
    if (s->stream.exchange != NULL) {
        exchange_on_client_drained(s->stream.exchange);
    } else if (s->state == SESSION_LINGER && socket->end_told && socket_finished(socket)) {
        socket_close(socket);
    }
}

static void on_failed(struct socket *socket, int system_errno) {
    struct session *s = (struct session *)socket;
    (void)system_errno; /* visitors leave in many ways */
    struct exchange *x = s->stream.exchange;
    if (x != NULL) {
        exchange_on_client_gone(x);
    }
    socket_close(socket);
}

/* ---- time ---- */

static void head_too_late(struct session *s) {
    vitals_add(&s->worker->own->reasons[REASON_CLIENT_TIMEOUT], 1);
    exchange_log_late_head(s->worker, &s->who);
    socket_send_slice(&s->socket, SLICE("HTTP/1.1 408 Request Timeout\r\n"
                                        "content-length: 0\r\nconnection: close\r\n\r\n"));
    session_h1_linger(s);
}

static uint64_t due_us(const struct session *s) {
    const struct plan_limits *limits = &s->worker->limits;
    switch ((enum session_state)s->state) {
    case SESSION_HEAD:
        /* A connection that has not said a word yet is treated like one in mid-head. */
        return s->since_us + ms(s->requests == 0 || s->head_begun ? limits->client_head_timeout_ms
                                                                  : limits->client_idle_timeout_ms);
    case SESSION_BODY:
        return s->since_us + ms(limits->client_body_timeout_ms);
    case SESSION_LINGER:
        return s->since_us + LINGER_IDLE_US;
    default:
        /* The exchange has its own clock. */
        return session_now_us(s) + ms(limits->client_idle_timeout_ms);
    }
}

void session_h1_await(struct session *s) {
    s->since_us = session_now_us(s);
    socket_set_timeout(&s->socket, due_us(s) - s->since_us);
}

static void on_linger_due(struct session *s) {
    size_t unsent = socket_pending(&s->socket);
    bool moves = unsent > 0 && unsent != s->pending_seen;
    s->pending_seen = unsent;
    if (moves) { /* a slow reader is still reading */
        s->since_us = session_now_us(s);
        socket_set_timeout(&s->socket, ms(s->worker->limits.client_body_timeout_ms));
    } else {
        socket_close(&s->socket);
    }
}

static void on_timeout(struct socket *socket) {
    struct session *s = (struct session *)socket;
    uint64_t now = session_now_us(s), due = due_us(s);
    bool lingered_long = s->state == SESSION_LINGER && socket_pending(socket) == 0 &&
                         now - s->linger_since_us > LINGER_MAX_US;
    bool paused = s->state == SESSION_BODY && socket->paused;
    if ((now < due && !lingered_long) || paused) {
        socket_set_timeout(socket,
                           paused ? ms(s->worker->limits.client_body_timeout_ms) : due - now);
    } else if (s->state == SESSION_HEAD && s->head_begun) {
        head_too_late(s);
    } else if (s->state == SESSION_HEAD) {
        socket_close(socket);
    } else if (s->state == SESSION_BODY) {
        exchange_on_request_bad(s->stream.exchange, 408, REASON_CLIENT_TIMEOUT,
                                "The request body came too slowly.");
    } else {
        on_linger_due(s);
    }
}

/* ---- life ---- */

static void on_closed(struct socket *socket) {
    struct session *s = (struct session *)socket;
    struct worker *w = s->worker;
    if (s->stream.exchange != NULL) { /* closed while writing, for want of memory */
        exchange_on_client_gone(s->stream.exchange);
    }
    list_remove(&s->link);
    connection_free(w, s, s->who.client);
}

const struct socket_handler session_h1_handler = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
    .on_timeout = on_timeout,
    .on_closed = on_closed,
};

static void begin(struct worker *w, struct socket *socket, const struct client_info *who) {
    struct session *s = (struct session *)socket;
    memset((char *)s + sizeof s->socket, 0, sizeof *s - sizeof s->socket);
    socket->handler = &session_h1_handler;
    s->worker = w;
    s->stream.ops = &session_h1_stream_ops;
    s->who = *who;
    list_append(&s->who.client->sessions, &s->link);
    session_h1_await(s);
}

const struct session_protocol session_h1_protocol = {
    .alpn = { "http/1.1", 8 },
    .bytes = sizeof(struct session),
    .begin = begin,
};

void session_drain(struct list *link, bool now) {
    struct session *s = LIST_ITEM(link, struct session, link);
    struct exchange *x = s->stream.exchange;
    if (s->h2 != NULL) {
        session_h2_drain(s, now);
    } else if (now) {
        if (x != NULL) {
            exchange_on_client_gone(x);
        }
        socket_close(&s->socket);
    } else if (s->state == SESSION_HEAD && !s->head_begun) {
        /* What the client sends in this moment is not answered: it asks elsewhere. */
        session_h1_linger(s);
    } else {
        s->keep_alive = false;
    }
}

/* So long: the connection is open, waits for a head and has none of it. */
static bool is_idle_for(const struct session *s, uint64_t idle_us) {
    return s->state == SESSION_HEAD && !s->head_begun && session_now_us(s) - s->since_us >= idle_us;
}

/* An answer that is written and not read stalls later than others: half of it may be with the
 * kernel, and we see nothing of that. */
static bool is_stalled_for(const struct session *s, uint64_t idle_us, uint64_t stalled_us) {
    uint64_t for_us = session_now_us(s) - s->since_us;
    if (s->h2 != NULL) {
        return session_h2_is_stalled(s, idle_us, stalled_us);
    }
    switch ((enum session_state)s->state) {
    case SESSION_HEAD:
        return socket_pending(&s->socket) > 0 ? for_us / EXCHANGE_UNREAD_TIMES >= stalled_us
                                              : s->head_begun && for_us >= idle_us;
    case SESSION_LINGER:
        return socket_pending(&s->socket) == 0 &&
               session_now_us(s) - s->linger_since_us >= stalled_us;
    default:
        return s->stream.exchange != NULL && exchange_is_stalled(s->stream.exchange, stalled_us);
    }
}

static bool is_at_rest_for(const struct session *s, uint64_t idle_us) {
    return s->h2 != NULL ? session_h2_is_idle(s, idle_us)
                         : is_idle_for(s, idle_us) && socket_pending(&s->socket) == 0;
}

static bool gives_way(const struct session *s, uint64_t idle_us, uint64_t stalled_us) {
    return is_at_rest_for(s, idle_us) ||
           (stalled_us != UINT64_MAX && is_stalled_for(s, idle_us, stalled_us));
}

bool session_give_way(struct list *link, uint64_t idle_us, uint64_t stalled_us) {
    struct session *s = LIST_ITEM(link, struct session, link);
    if (!s->socket.closing && gives_way(s, idle_us, stalled_us)) {
        socket_close(&s->socket);
        return true;
    }
    return false;
}

void session_retire(struct list *link, uint64_t idle_us) {
    struct session *s = LIST_ITEM(link, struct session, link);
    if (s->h2 != NULL) {
        session_h2_retire(s, idle_us);
    } else if (is_idle_for(s, idle_us)) {
        session_h1_linger(s);
    }
}
