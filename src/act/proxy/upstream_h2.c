/* Connections to a service in HTTP/2: few, and many requests on each.
 *
 *   CONNECTING ──▶ OPEN ── GOAWAY, numbers used up, endpoint replaced ──▶ RETIRED ──▶ closed
 *                   └──────────────── broken ─────────────────────────────────────────▲
 *
 * A retired one takes no new requests and closes with its last stream. What a service says it has
 * not begun (REFUSED_STREAM, GOAWAY below the stream, a request that never left us) is told as
 * such, so that any request may go elsewhere. What is queued leaves once a turn, as in
 * session_h2.c. */
#include <errno.h>
#include <stdlib.h>

#include "act/proxy/dial.h"
#include "act/proxy/exchange_internal.h"
#include "act/proxy/upstream_h2_internal.h"

#define STREAMS_MAX 256    /* on one connection, whatever more the service allows */
#define CONNECTIONS_MAX 16 /* of one worker to one endpoint; beyond, requests wait for a stream */
#define SPARES_MAX 64      /* streams kept on a connection */
#define OUTPUT_BYTES 65536
#define FAREWELL_US 1000000 /* for GOAWAY to go out */

static void on_flush(struct task *task);

void upstream_h2_schedule(struct upstream_h2 *u) {
    loop_defer(u->worker->loop, &u->flush, on_flush);
}

void upstream_h2_retire(struct upstream_h2 *u) {
    list_remove(&u->link);
}

static bool is_idle(const struct upstream_h2 *u) {
    return h2_stream_count(u->h2) == 0 && u->waiting_count == 0;
}

void upstream_h2_recycle(struct upstream_stream *st) {
    struct upstream_h2 *u = st->owner;
    if (u->spare_count < SPARES_MAX) {
        st->next_spare = u->spares;
        u->spares = st;
        u->spare_count++;
    } else {
        h2_stream_fini(&st->h2);
        free(st);
    }
    if (is_idle(u)) {
        u->idle_since_us = loop_now_us(u->worker->loop);
        upstream_h2_schedule(u); /* perhaps it is to be closed */
    }
}

/* ---- the connection ---- */

/* Extended CONNECT needs the service's word that it knows it (RFC 8441 3). */
static bool may_open(const struct upstream_h2 *u, const struct exchange *x) {
    return u->connected && (!x->request.upgrade || h2_peer_is_known(u->h2));
}

static struct upstream_stream *first_to_open(struct upstream_h2 *u) {
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links in a list are never NULL */
    LIST_EACH(&u->waiting, link, saved) {
        struct upstream_stream *st = LIST_ITEM(link, struct upstream_stream, waiting);
        if (!u->broken && may_open(u, st->stream.attempt->exchange)) {
            return st;
        }
    }
    return NULL;
}

static void open_waiting(struct upstream_h2 *u) {
    struct upstream_stream *st;
    while ((st = first_to_open(u)) != NULL) {
        list_remove(&st->waiting);
        u->waiting_count--;
        attempt_on_connected(st->stream.attempt);
    }
}

/* All that it carries fails; each request may go elsewhere at once, so not to here. */
static void fail(struct upstream_h2 *u, enum record_reason reason) {
    struct list *link;
    upstream_h2_retire(u);
    socket_close(&u->socket);
    while ((link = list_first(&u->waiting)) != NULL) {
        struct upstream_stream *st = LIST_ITEM(link, struct upstream_stream, waiting);
        list_remove(link);
        u->waiting_count--;
        upstream_h2_fail_stream(st, reason);
        upstream_h2_recycle(st);
    }
    LIST_EACH(h2_streams(u->h2), each, saved) {
        struct upstream_stream *st = LIST_ITEM(each, struct upstream_stream, h2.link);
        upstream_h2_fail_stream(st, st->h2.unsent_head ? REASON_UPSTREAM_REFUSED : reason);
    }
}

static bool is_wanted(const struct upstream_h2 *u) {
    return list_linked(&u->link) && !u->worker->draining;
}

static void say_farewell(struct upstream_h2 *u) {
    if (!u->leaving) {
        u->leaving = true;
        upstream_h2_retire(u);
        h2_goaway(u->h2, H2_NO_ERROR);
        socket_set_timeout(&u->socket, FAREWELL_US);
        upstream_h2_schedule(u);
    }
}

static void write_frames(struct upstream_h2 *u) {
    struct buffer *frames = &u->worker->frames;
    while (!u->socket.closing && socket_pending(&u->socket) < OUTPUT_BYTES) {
        buffer_clear(frames);
        if (!h2_output(u->h2, frames, OUTPUT_BYTES, loop_now_us(u->worker->loop))) {
            u->broken = true;
        }
        if (buffer_len(frames) == 0 || u->broken) {
            break;
        }
        socket_send_slice(&u->socket, buffer_slice(frames));
    }
}

static void on_flush(struct task *task) {
    struct upstream_h2 *u =
        (struct upstream_h2 *)((char *)task - offsetof(struct upstream_h2, flush));
    if (u->socket.closing || !u->connected) {
        return;
    }
    if (!u->leaving && is_idle(u) && !is_wanted(u)) {
        say_farewell(u);
    }
    write_frames(u);
    bool over = !u->leaving && h2_is_over(u->h2); /* nghttp2 has seen what it cannot go on from */
    if (u->broken || over) {
        fail(u, REASON_UPSTREAM_CLOSED);
    } else if (u->leaving && socket_pending(&u->socket) == 0) {
        socket_close(&u->socket);
    } else if (u->leaving) {
        socket_finish(&u->socket);
    }
}

/* So that the next connection does not ask for more before it is told. */
static void note_settings(struct upstream_h2 *u) {
    struct endpoint *e = &u->worker->endpoints[u->slot];
    if (e->generation == u->generation) {
        e->h2_streams = h2_peer_streams_max(u->h2);
    }
}

static size_t on_bytes(struct socket *socket, struct slice data) {
    struct upstream_h2 *u = (struct upstream_h2 *)socket;
    bool known = h2_peer_is_known(u->h2);
    u->came_end = data.data + data.len;
    if (!h2_receive(u->h2, data, loop_now_us(u->worker->loop)) && !u->leaving) {
        u->broken = h2_trouble(u->h2) != NULL;
        upstream_h2_retire(u);
    }
    if (!known && h2_peer_is_known(u->h2)) {
        socket_set_timeout(socket, 0);
        note_settings(u);
        open_waiting(u);
    }
    if (h2_wants_output(u->h2) || u->broken || !list_linked(&u->link)) {
        upstream_h2_schedule(u);
    }
    return data.len;
}

static void on_end(struct socket *socket) {
    fail((struct upstream_h2 *)socket, REASON_UPSTREAM_CLOSED);
}

static void on_drained(struct socket *socket) {
    struct upstream_h2 *u = (struct upstream_h2 *)socket;
    if (socket_finished(socket)) {
        socket_close(socket);
    } else {
        upstream_h2_schedule(u);
    }
}

static void on_connected(struct socket *socket) {
    struct upstream_h2 *u = (struct upstream_h2 *)socket;
    const struct service *s = &u->worker->services[u->worker->endpoints[u->slot].service];
    u->connected = true;
    dial_count(u->worker, socket, true);
    /* From here on for its SETTINGS (RFC 9113 3.4): who sends none does not speak HTTP/2. */
    socket_set_timeout(socket, (uint64_t)s->plan.connect_timeout_ms * 1000);
    open_waiting(u);
    upstream_h2_schedule(u);
}

static void on_failed(struct socket *socket, int system_errno) {
    struct upstream_h2 *u = (struct upstream_h2 *)socket;
    if (!u->connected) {
        dial_count(u->worker, socket, false);
    }
    fail(u, u->connected                ? REASON_UPSTREAM_CLOSED
            : system_errno == ETIMEDOUT ? REASON_TIMEOUT_CONNECT
                                        : REASON_CONNECT_FAILED);
}

static void on_timeout(struct socket *socket) {
    struct upstream_h2 *u = (struct upstream_h2 *)socket;
    fail(u, REASON_TIMEOUT_CONNECT);
}

static void forget_streams(struct upstream_h2 *u) {
    struct list *link;
    while ((link = list_first(h2_streams(u->h2))) != NULL) {
        struct upstream_stream *st = LIST_ITEM(link, struct upstream_stream, h2.link);
        list_remove(link);
        upstream_h2_fail_stream(st, REASON_UPSTREAM_CLOSED);
        h2_stream_fini(&st->h2);
        free(st);
    }
}

static void on_closed(struct socket *socket) {
    struct upstream_h2 *u = (struct upstream_h2 *)socket;
    fail(
        u,
        REASON_UPSTREAM_CLOSED); /* closed while writing, for want of memory: else nobody is left */
    forget_streams(u);
    while (u->spares != NULL) {
        struct upstream_stream *st = u->spares;
        u->spares = st->next_spare;
        h2_stream_fini(&st->h2);
        free(st);
    }
    struct endpoint *e = &u->worker->endpoints[u->slot];
    e->connections -= e->generation == u->generation;
    loop_cancel(u->worker->loop, &u->flush);
    list_remove(&u->all);
    h2_free(u->h2);
    upstream_count(u->worker, -1);
    free(u);
}

static const struct socket_handler service_handler = {
    .on_data = on_bytes,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_connected = on_connected,
    .on_failed = on_failed,
    .on_timeout = on_timeout,
    .on_closed = on_closed,
};

/* ---- opening ---- */

static bool make(struct upstream_h2 *u, const struct worker *w, const struct endpoint *e) {
    struct h2_limits limits = {
        .head_bytes = w->h1_limits.head_bytes,
        .fields = w->h1_limits.fields,
        .target_bytes = w->h1_limits.target_bytes,
        .streams = STREAMS_MAX,
        .peer_streams = e->h2_streams,
    };
    u->h2 = h2_new(H2_CLIENT, &limits, &upstream_h2_events, u);
    return u->h2 != NULL;
}

static struct upstream_h2 *connect_to(struct worker *w, uint16_t slot, uint64_t timeout_us,
                                      const struct client_info *who) {
    struct endpoint *e = &w->endpoints[slot];
    struct upstream_h2 *u = dial_is_ready(w, e->service) ? calloc(1, sizeof *u) : NULL;
    if (u == NULL || !make(u, w, e)) {
        free(u);
        return NULL;
    }
    if (!socket_connect(&u->socket, w->loop, (const struct sockaddr *)&e->address, e->address_len,
                        timeout_us, &service_handler, NULL)) {
        h2_free(u->h2);
        free(u);
        return NULL;
    }
    u->worker = w;
    u->slot = slot;
    u->generation = e->generation;
    list_init(&u->waiting);
    list_append(&w->upstreams_h2, &u->all);
    list_append(&e->h2, &u->link);
    e->connections++;
    upstream_count(w, 1);
    u->dialled = dial_digest(w, e->service);
    if (!dial_begin(w, e->service, slot, &u->socket, who)) {
        socket_close(&u->socket);
        upstream_h2_retire(u);
        return NULL;
    }
    return u;
}

static uint32_t load_of(const struct upstream_h2 *u) {
    return h2_stream_count(u->h2) + u->waiting_count;
}

/* The first that has room, so that few are in use; else the least busy, when there are enough. */
static struct upstream_h2 *choose(const struct worker *w, struct endpoint *e) {
    uint64_t dialled = dial_digest(w, e->service);
    struct upstream_h2 *least_busy = NULL;
    unsigned count = 0;
    LIST_EACH(&e->h2, link, saved) {
        struct upstream_h2 *u = LIST_ITEM(link, struct upstream_h2, link);
        if (u->dialled != dialled) { /* other certificates, other rules: it ends with its streams */
            upstream_h2_retire(u);
            upstream_h2_schedule(u);
            continue;
        }
        if (load_of(u) < h2_peer_streams_max(u->h2)) {
            return u;
        }
        if (least_busy == NULL || load_of(u) < load_of(least_busy)) {
            least_busy = u;
        }
        count++;
    }
    bool more = count < CONNECTIONS_MAX && (least_busy == NULL || upstream_may_connect(w, e));
    return more ? NULL : least_busy;
}

static struct upstream_stream *stream_new(struct upstream_h2 *u) {
    struct upstream_stream *st = u->spares;
    if (st != NULL) {
        u->spares = st->next_spare;
        u->spare_count--;
    } else {
        st = calloc(1, sizeof *st);
        if (st == NULL) {
            return NULL;
        }
        buffer_init(&st->h2.out, H2_STREAM_OUT_BYTES_MAX);
    }
    *st =
        (struct upstream_stream){ .h2.out = st->h2.out,
                                  .stream = { .ops = &upstream_h2_stream_ops, .may_refuse = true },
                                  .owner = u };
    return st;
}

enum upstream_opening upstream_h2_open(struct worker *w, uint16_t slot, struct attempt *a) {
    const struct exchange *x = a->exchange;
    struct upstream_h2 *u = choose(w, &w->endpoints[slot]);
    if (u == NULL && !upstream_may_connect(w, &w->endpoints[slot])) {
        return UPSTREAM_FULL;
    }
    if (u == NULL) {
        u = connect_to(w, slot, (uint64_t)EXCHANGE_TIMEOUT(x, connect_timeout_ms) * 1000, x->who);
    }
    struct upstream_stream *st = u == NULL ? NULL : stream_new(u);
    if (st == NULL) {
        return UPSTREAM_FAILED;
    }
    st->stream.attempt = a;
    a->upstream = &st->stream;
    if (may_open(u, x)) {
        return UPSTREAM_READY;
    }
    list_append(&u->waiting, &st->waiting);
    u->waiting_count++;
    return UPSTREAM_CONNECTING;
}

void upstream_h2_open_ahead(struct worker *w, uint16_t slot) {
    (void)connect_to(
        w, slot, (uint64_t)w->services[w->endpoints[slot].service].plan.connect_timeout_ms * 1000,
        NULL);
}

void upstream_h2_close_idle(struct endpoint *e, uint64_t idle_since_us) {
    LIST_EACH(&e->h2, link, saved) {
        struct upstream_h2 *u = LIST_ITEM(link, struct upstream_h2, link);
        bool idle = u->connected && is_idle(u);
        if (idle_since_us == UINT64_MAX) {
            upstream_h2_retire(u);
        }
        if (idle && u->idle_since_us < idle_since_us) {
            say_farewell(u);
        }
    }
}

void upstream_h2_close_all(struct worker *w) {
    LIST_EACH(&w->upstreams_h2, link, saved) {
        socket_close(&LIST_ITEM(link, struct upstream_h2, all)->socket);
    }
}
