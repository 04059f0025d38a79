/* Connections to a service in HTTP/1.
 *
 *   CONNECTING ──▶ HEAD ──▶ BODY ──▶ IDLE (in its endpoint's list) ──▶ HEAD …
 *                    └─ 101 ▶ TUNNEL ──▶ CLOSING (what is unsent goes out) ──▶ closed
 *
 * What comes unasked, or ends, while IDLE closes the connection at once: the loop tells us before
 * the next request could be lost in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "act/proxy/exchange_internal.h"
#include "act/proxy/upstream_protocols.h"
#include "act/proxy/worker_internal.h"
#include "wire/http/websocket.h"
#include "wire/net/socket.h"

#define CLOSING_US 5000000
#define LARGE_BYTES 32768       /* of a body: the next one may be as large */
#define MOVED_LEAST_BYTES 16384 /* below it a copy costs less */
#define HEAD_READ_BYTES 4096    /* read at once where a large body is likely to follow */

enum upstream_state {
    UPSTREAM_STATE_CONNECTING,
    UPSTREAM_STATE_IDLE,
    UPSTREAM_STATE_HEAD,
    UPSTREAM_STATE_BODY,
    UPSTREAM_STATE_TUNNEL,
    UPSTREAM_STATE_CLOSING,
};

struct upstream {
    struct socket socket; /* first: handlers cast */
    struct stream stream;
    struct worker *worker;
    union {
        struct list idle; /* in endpoint->idle */
        struct upstream *next_spare;
    };
    uint16_t slot;
    uint32_t generation;
    uint8_t state;       /* enum upstream_state */
    uint8_t out_framing; /* enum http_framing of the request */
    uint8_t method;      /* enum http_method of the request */
    bool request_ended, response_ended, keep_alive;
    bool counted;           /* in endpoint->connections */
    bool large;             /* the last response's body was, and could be moved to the client */
    uint64_t dialled;       /* dial_digest, when it was made */
    uint8_t visitor_ip[16]; /* who was named in its PROXY header */
    uint16_t visitor_port;
    bool key_is_ours; /* of a WebSocket that the client asked for in HTTP/2 */
    char key[WEBSOCKET_KEY_LEN], accept[WEBSOCKET_ACCEPT_LEN];
    uint64_t idle_since_us;
    struct h1_scan scan;
    struct h1_body body;
};

static struct upstream *upstream_of(struct stream *stream) {
    return (struct upstream *)((char *)stream - offsetof(struct upstream, stream));
}

static struct endpoint *endpoint_of(const struct upstream *u) {
    struct endpoint *e = &u->worker->endpoints[u->slot];
    return e->generation == u->generation ? e : NULL;
}

static void count(struct upstream *u, bool counts) {
    struct endpoint *e = endpoint_of(u);
    if (e != NULL && counts != u->counted) {
        e->connections += counts ? 1 : -1u;
    }
    u->counted = counts;
}

/* ---- the request, from the exchange ---- */

/* HTTP/2 has no handshake of its own for it (RFC 8441 5): this connection's is between us and the
 * service. `head` is a copy whose fields have room behind them. */
static bool add_websocket_key(struct upstream *u, struct http_head *head) {
    bool asked = websocket_is_asked(head);
    u->key_is_ours = asked && head->version >= 20;
    if (!u->key_is_ours) {
        return true;
    }
    uint64_t random[2] = { rand_next(&u->worker->rand), rand_next(&u->worker->rand) };
    websocket_key(random, u->key);
    struct slice key = slice_of(u->key, sizeof u->key);
    websocket_accept(key, u->accept);
    return http_head_add(head, SLICE("sec-websocket-key"), key);
}

static bool is_accepted(const struct upstream *u, const struct http_head *head) {
    const struct http_field *accept = http_head_find_name(head, SLICE("sec-websocket-accept"));
    return !u->key_is_ours ||
           (accept != NULL && slice_equal(accept->value, slice_of(u->accept, sizeof u->accept)));
}

static void send_head(struct stream *stream, const struct http_head *head) {
    struct upstream *u = upstream_of(stream);
    struct buffer *scratch = &u->worker->scratch;
    struct http_head out = *head;
    out.keep_alive = true;
    u->out_framing = (uint8_t)head->framing;
    u->method = (uint8_t)head->method;
    u->request_ended = u->response_ended = false;
    u->scan = (struct h1_scan){ 0 };
    u->state = UPSTREAM_STATE_HEAD;
    buffer_clear(scratch);
    if (add_websocket_key(u, &out) && h1_write_request_head(scratch, &out)) {
        socket_send_slice(&u->socket, buffer_slice(scratch));
    } else {
        socket_reset(&u->socket); /* larger than any head that we read can become */
    }
}

static void send_data(struct stream *stream, struct slice data) {
    struct upstream *u = upstream_of(stream);
    if (u->out_framing != HTTP_BODY_CHUNKED || u->state == UPSTREAM_STATE_TUNNEL) {
        socket_send_slice(&u->socket, data);
        return;
    }
    char size_line[H1_CHUNK_HEAD_BYTES];
    struct slice parts[] = { { size_line, h1_chunk_head(size_line, data.len) },
                             data,
                             SLICE("\r\n") };
    socket_send(&u->socket, parts, 3);
}

static void send_end(struct stream *stream, const struct http_head *trailers) {
    struct upstream *u = upstream_of(stream);
    if (u->state == UPSTREAM_STATE_TUNNEL) {
        socket_finish(&u->socket);
        return;
    }
    u->request_ended = true;
    if (u->out_framing == HTTP_BODY_CHUNKED) {
        struct buffer *scratch = &u->worker->scratch;
        buffer_clear(scratch);
        if (h1_write_last_chunk(scratch, trailers)) {
            socket_send_slice(&u->socket, buffer_slice(scratch));
        }
    }
}

static size_t pending(const struct stream *stream) {
    return socket_pending(&upstream_of((struct stream *)(uintptr_t)stream)->socket);
}

static void pause_reading(struct stream *stream) {
    socket_pause(&upstream_of(stream)->socket);
}

static void resume_reading(struct stream *stream) {
    socket_resume(&upstream_of(stream)->socket);
}

static bool is_wanted(const struct upstream *u) {
    const struct endpoint *e = endpoint_of(u);
    return e != NULL && (e->state == ENDPOINT_SERVING || e->state == ENDPOINT_WARM) &&
           e->idle_count < UPSTREAM_IDLE_MAX && !u->worker->draining;
}

static bool is_reusable(const struct upstream *u) {
    return is_wanted(u) && u->keep_alive && u->request_ended && u->response_ended;
}

static void rest(struct upstream *u, struct endpoint *e) {
    u->state = UPSTREAM_STATE_IDLE;
    u->idle_since_us = loop_now_us(u->worker->loop);
    list_prepend(&e->idle, &u->idle);
    e->idle_count++;
}

static void release(struct stream *stream, bool complete) {
    struct upstream *u = upstream_of(stream);
    bool through = u->socket.end_told && socket_finished(&u->socket);
    if (complete && u->state == UPSTREAM_STATE_TUNNEL && !through) {
        u->state = UPSTREAM_STATE_CLOSING;
        socket_finish(&u->socket);
        socket_set_timeout(&u->socket, CLOSING_US);
    } else if (complete && is_reusable(u)) {
        rest(u, endpoint_of(u));
        socket_resume(&u->socket);
    } else {
        socket_close(&u->socket);
    }
}

static const struct stream_ops service_ops = {
    .send_head = send_head,
    .send_data = send_data,
    .send_end = send_end,
    .pending = pending,
    .pause = pause_reading,
    .resume = resume_reading,
    .release = release,
};

/* ---- the response, from the socket ---- */

/* Lets go of the exchange before it hears of it: it may go elsewhere at once. */
static void fail(struct upstream *u, enum record_reason reason) {
    struct attempt *a = u->stream.attempt;
    socket_close(&u->socket);
    u->stream.attempt = NULL;
    if (a != NULL) {
        attempt_on_failed(a, reason);
    }
}

static struct socket *outlet_of(const struct upstream *u) {
    return u->socket.tls == NULL ? exchange_outlet(u->stream.attempt->exchange) : NULL;
}

static size_t read_head(struct upstream *u, struct slice data) {
    struct attempt *a = u->stream.attempt;
    struct http_head head;
    struct h1_problem problem;
    size_t consumed = 0;
    http_head_init(&head, u->worker->scratch_fields, HTTP_FIELDS_MAX);
    switch (h1_parse_response(data, &u->worker->h1_limits, &u->scan, (enum http_method)u->method,
                              &head, &consumed, &problem)) {
    case H1_MORE:
        return 0;
    case H1_BAD:
        fail(u, REASON_UPSTREAM_BAD);
        return data.len;
    case H1_DONE:
        break;
    }
    u->scan = (struct h1_scan){ 0 };
    if (head.status == 101 && !is_accepted(u, &head)) {
        fail(u, REASON_UPSTREAM_BAD);
        return data.len;
    }
    if (head.status == 101) {
        u->state = UPSTREAM_STATE_TUNNEL;
        count(u, false);
    } else if (head.status >= 200) {
        u->state = UPSTREAM_STATE_BODY;
        u->keep_alive = head.keep_alive;
        h1_body_init(&u->body, &head, &u->worker->h1_limits);
    }
    attempt_on_response_head(a, &head);
    u->large = u->state == UPSTREAM_STATE_BODY && u->stream.attempt == a &&
               h1_body_left(&u->body) >= LARGE_BYTES && outlet_of(u) != NULL;
    return consumed;
}

static void end_response(struct upstream *u, bool nothing_follows, struct http_head *trailers) {
    u->response_ended = true;
    u->keep_alive = u->keep_alive && nothing_follows;
    attempt_on_response_end(u->stream.attempt, trailers);
}

static size_t read_body(struct upstream *u, struct slice data) {
    struct attempt *a = u->stream.attempt;
    struct http_head trailers;
    size_t used = 0;
    http_head_init(&trailers, u->worker->scratch_fields, HTTP_FIELDS_MAX);
    while (u->stream.attempt == a) {
        struct h1_body_event event = h1_body_next(&u->body, slice_skip(data, used), &trailers);
        used += event.consumed;
        switch (event.kind) {
        case H1_BODY_MORE:
            return used;
        case H1_BODY_DATA:
            attempt_on_response_data(a, event.data);
            break;
        case H1_BODY_TRAILERS:
            break;
        case H1_BODY_END:
            end_response(u, used == data.len, &trailers);
            return data.len;
        case H1_BODY_BAD:
            fail(u, REASON_UPSTREAM_BAD);
            return data.len;
        }
    }
    return data.len;
}

static size_t on_data(struct socket *socket, struct slice data) {
    struct upstream *u = (struct upstream *)socket;
    struct attempt *a = u->stream.attempt;
    size_t used = 0;
    if (u->state == UPSTREAM_STATE_IDLE) {
        socket_close(socket); /* nobody has asked */
        return data.len;
    }
    while (u->state == UPSTREAM_STATE_HEAD && a != NULL && u->stream.attempt == a) {
        size_t taken = read_head(u, slice_skip(data, used));
        if (taken == 0) {
            return used;
        }
        used += taken;
    }
    if (a == NULL || u->stream.attempt != a) {
        return data.len;
    }
    struct slice rest = slice_skip(data, used);
    if (u->state == UPSTREAM_STATE_BODY) {
        used += read_body(u, rest);
    } else if (u->state == UPSTREAM_STATE_TUNNEL) {
        used = data.len;
        if (rest.len > 0) {
            attempt_on_response_data(a, rest);
        }
    }
    return used;
}

/* The head is read with little behind it and the rest moved, if this connection's last response is
 * anything to go by: what has been read must be copied out. */
static struct socket_intake on_intake(struct socket *socket) {
    const struct upstream *u = (const struct upstream *)socket;
    if (u->state == UPSTREAM_STATE_HEAD) {
        return (struct socket_intake){ .bytes = u->large ? HEAD_READ_BYTES : 0 };
    }
    if (u->state != UPSTREAM_STATE_BODY || h1_body_left(&u->body) < MOVED_LEAST_BYTES) {
        return (struct socket_intake){ 0 };
    }
    struct socket *to = outlet_of(u);
    return (struct socket_intake){ .to = to, .bytes = to == NULL ? 0 : h1_body_left(&u->body) };
}

static void on_moved(struct socket *socket, size_t bytes) {
    struct upstream *u = (struct upstream *)socket;
    struct exchange *x = u->stream.attempt->exchange;
    h1_body_skip(&u->body, bytes);
    exchange_on_response_moved(x, bytes);
    if (h1_body_done(&u->body)) {
        end_response(u, !socket->readable, NULL);
    }
}

static void on_end(struct socket *socket) {
    struct upstream *u = (struct upstream *)socket;
    switch ((enum upstream_state)u->state) {
    case UPSTREAM_STATE_BODY:
        if (u->body.framing == HTTP_BODY_UNTIL_CLOSE) {
            end_response(u, false, NULL);
        } else {
            fail(u, REASON_UPSTREAM_CUT);
        }
        break;
    case UPSTREAM_STATE_TUNNEL:
        attempt_on_response_end(u->stream.attempt, NULL);
        break;
    case UPSTREAM_STATE_CLOSING:
        if (socket_finished(socket)) {
            socket_close(socket);
        }
        break;
    default:
        fail(u, REASON_UPSTREAM_CLOSED);
    }
}

static void on_drained(struct socket *socket) {
    struct upstream *u = (struct upstream *)socket;
    if (u->stream.attempt != NULL) {
        attempt_on_drained(u->stream.attempt);
    } else if (u->state == UPSTREAM_STATE_CLOSING && socket_finished(socket)) {
        socket_close(socket);
    }
}

/* One that was opened ahead waits for its first request. */
static void on_connected(struct socket *socket) {
    struct upstream *u = (struct upstream *)socket;
    dial_count(u->worker, socket, true);
    if (u->stream.attempt != NULL) {
        attempt_on_connected(u->stream.attempt);
    } else if (is_wanted(u)) {
        rest(u, endpoint_of(u));
    } else {
        socket_close(socket);
    }
}

static void on_failed(struct socket *socket, int system_errno) {
    struct upstream *u = (struct upstream *)socket;
    enum record_reason reason = REASON_UPSTREAM_CLOSED;
    if (u->state == UPSTREAM_STATE_CONNECTING) {
        dial_count(u->worker, socket, false);
        reason = system_errno == ETIMEDOUT ? REASON_TIMEOUT_CONNECT : REASON_CONNECT_FAILED;
    }
    fail(u, reason);
}

static void on_timeout(struct socket *socket) {
    socket_close(socket); /* only CLOSING has a time limit of its own */
}

/* ---- life ---- */

static void leave_idle(struct upstream *u) {
    if (list_linked(&u->idle)) {
        list_remove(&u->idle);
        u->worker->endpoints[u->slot].idle_count--;
    }
}

static void on_closed(struct socket *socket) {
    struct upstream *u = (struct upstream *)socket;
    struct worker *w = u->worker;
    if (u->stream.attempt != NULL) { /* closed while writing, for want of memory */
        fail(u, REASON_UPSTREAM_CLOSED);
    }
    leave_idle(u);
    count(u, false);
    upstream_count(w, -1);
    if (w->spare_upstream_count < WORKER_SPARES_MAX) {
        u->next_spare = w->spare_upstreams;
        w->spare_upstreams = u;
        w->spare_upstream_count++;
    } else {
        free(u);
    }
}

static const struct socket_handler service_handler = {
    .on_data = on_data,
    .on_intake = on_intake,
    .on_moved = on_moved,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_connected = on_connected,
    .on_failed = on_failed,
    .on_timeout = on_timeout,
    .on_closed = on_closed,
};

static struct upstream *upstream_new(struct worker *w) {
    struct upstream *u = w->spare_upstreams;
    if (u == NULL) {
        return calloc(1, sizeof *u);
    }
    w->spare_upstreams = u->next_spare;
    w->spare_upstream_count--;
    memset(u, 0, sizeof *u);
    return u;
}

static void attach(struct upstream *u, struct attempt *a) {
    u->stream.attempt = a;
    a->upstream = &u->stream;
}

/* Whether the PROXY header that the connection began with, if any, names this visitor. */
static bool is_of(const struct upstream *u, const struct exchange *x) {
    return x->service->plan.proxy_protocol == 0 ||
           (u->visitor_port == x->who->port && memcmp(u->visitor_ip, x->who->ip, 16) == 0);
}

/* The connection used last, if it may carry this request. */
static struct upstream *take_idle(struct worker *w, struct endpoint *e, const struct exchange *x) {
    bool repeatable = http_method_is_idempotent(x->request.method);
    uint64_t dialled = dial_digest(w, e->service);
    LIST_EACH(&e->idle, link, saved) {
        struct upstream *u = LIST_ITEM(link, struct upstream, idle);
        if (u->dialled == dialled && !is_of(u, x)) {
            continue;
        }
        if (!repeatable && loop_now_us(w->loop) - u->idle_since_us > UPSTREAM_FRESH_US) {
            return NULL;
        }
        leave_idle(u);
        if (socket_is_quiet(&u->socket) && u->dialled == dialled) {
            return u;
        }
        socket_close(&u->socket);
    }
    return NULL;
}

/* NULL when it is hopeless from the start. `who`: whom a PROXY header names. */
static struct upstream *connect_to(struct worker *w, uint16_t slot, uint64_t timeout_us,
                                   const struct client_info *who) {
    struct endpoint *e = &w->endpoints[slot];
    struct upstream *u = dial_is_ready(w, e->service) ? upstream_new(w) : NULL;
    if (u == NULL) {
        return NULL;
    }
    if (!socket_connect(&u->socket, w->loop, (const struct sockaddr *)&e->address, e->address_len,
                        timeout_us, &service_handler, NULL)) {
        free(u);
        return NULL;
    }
    u->worker = w;
    u->slot = slot;
    u->generation = e->generation;
    u->state = UPSTREAM_STATE_CONNECTING;
    u->stream.ops = &service_ops;
    count(u, true);
    upstream_count(w, 1);
    u->dialled = dial_digest(w, e->service);
    if (!dial_begin(w, e->service, slot, &u->socket, who)) {
        socket_close(&u->socket);
        return NULL;
    }
    return u;
}

enum upstream_opening upstream_h1_open(struct worker *w, uint16_t slot, struct attempt *a,
                                       bool fresh) {
    const struct exchange *x = a->exchange;
    struct endpoint *e = &w->endpoints[slot];
    struct upstream *u = fresh ? NULL : take_idle(w, e, x);
    if (u != NULL) {
        attach(u, a);
        return UPSTREAM_READY;
    }
    if (!upstream_may_connect(w, e)) {
        return UPSTREAM_FULL;
    }
    u = connect_to(w, slot, (uint64_t)EXCHANGE_TIMEOUT(x, connect_timeout_ms) * 1000, x->who);
    if (u == NULL) {
        return UPSTREAM_FAILED;
    }
    memcpy(u->visitor_ip, x->who->ip, sizeof u->visitor_ip);
    u->visitor_port = x->who->port;
    attach(u, a);
    return UPSTREAM_CONNECTING;
}

void upstream_h1_open_ahead(struct worker *w, uint16_t slot, uint32_t count) {
    uint64_t timeout_us =
        (uint64_t)w->services[w->endpoints[slot].service].plan.connect_timeout_ms * 1000;
    while (count-- > 0 && connect_to(w, slot, timeout_us, NULL) != NULL) {
    }
}

void upstream_h1_close_idle(struct endpoint *e, uint64_t idle_since_us) {
    for (;;) { /* the last one in the list has been idle for the longest time */
        struct list *link = list_empty(&e->idle) ? NULL : e->idle.prev;
        struct upstream *u = link == NULL ? NULL : LIST_ITEM(link, struct upstream, idle);
        if (u == NULL || u->idle_since_us >= idle_since_us) {
            return;
        }
        leave_idle(u);
        socket_close(&u->socket);
    }
}

void upstream_h1_free_spares(struct worker *w) {
    while (w->spare_upstreams != NULL) {
        struct upstream *u = w->spare_upstreams;
        w->spare_upstreams = u->next_spare;
        free(u);
    }
}
