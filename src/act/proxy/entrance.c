/* [held] ──▶ PROXY_HEADER ──▶ HANDSHAKE ──▶ session
 *                   └────────────┴────────▲
 * States are left out that the listener does not ask for; held is a connection for which there is
 * no room, its client's (tarpit.h) or the worker's (crowd.h), before it is looked at once more. */
#include "act/proxy/entrance.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act/proxy/exchange.h"
#include "act/proxy/session.h"
#include "act/proxy/worker_internal.h"
#include "wire/net/proxy_protocol.h"

struct entrance {
    struct socket socket; /* first: sessions begin with it too */
    struct worker *worker;
    struct list link; /* in worker->entrances */
    struct client_info who;
    uint64_t since_us;
    struct tls_server *server; /* to begin with, until it is begun; NULL: plainly */
};

/* What ALPN offers, preferred first. */
static const struct session_protocol *const protocols[] = { &session_h2_protocol,
                                                            &session_h1_protocol };
#define PROTOCOLS (sizeof protocols / sizeof protocols[0])

struct slice entrance_alpn(void) {
    static char wire[64];
    static size_t len;
    if (len == 0) {
        for (size_t i = 0; i < PROTOCOLS; i++) {
            struct slice name = protocols[i]->alpn;
            assert(len + 1 + name.len <= sizeof wire);
            wire[len++] = (char)name.len;
            memcpy(wire + len, name.data, name.len);
            len += name.len;
        }
    }
    return slice_of(wire, len);
}

/* ---- memory ---- */

static size_t connection_bytes(void) {
    size_t bytes = sizeof(struct entrance);
    for (size_t i = 0; i < PROTOCOLS; i++) {
        bytes = protocols[i]->bytes > bytes ? protocols[i]->bytes : bytes;
    }
    return bytes;
}

struct spare_connection {
    struct spare_connection *next;
};

static struct entrance *connection_new(struct worker *w) {
    struct spare_connection *spare = w->spare_connections;
    if (spare == NULL) {
        return calloc(1, connection_bytes());
    }
    w->spare_connections = spare->next;
    w->spare_connection_count--;
    memset(spare, 0, sizeof(struct entrance));
    return (struct entrance *)(void *)spare;
}

static void give_back(struct worker *w, void *memory) {
    if (w->spare_connection_count < WORKER_SPARES_MAX) {
        struct spare_connection *spare = memory;
        spare->next = w->spare_connections;
        w->spare_connections = spare;
        w->spare_connection_count++;
    } else {
        free(memory);
    }
}

static void publish_open(struct worker *w) {
    atomic_store_explicit(&w->own->connections_open, w->clients.connections, memory_order_relaxed);
}

static void leave(struct worker *w, struct client *client) {
    clients_leave(&w->clients, client);
    publish_open(w);
}

void connection_free(struct worker *w, void *memory, struct client *client) {
    leave(w, client);
    give_back(w, memory);
    worker_session_ended(w);
}

void connection_free_spares(struct worker *w) {
    while (w->spare_connections != NULL) {
        struct spare_connection *spare = w->spare_connections;
        w->spare_connections = spare->next;
        free(spare);
    }
}

/* ---- whose it is ---- */

/* One that has just been opened, or used, does not: a flood that opens anew what was closed would
 * have us open and close without end. */
#define GIVES_WAY_AFTER_US 500000

/* At its limit the client's oldest connection that carries nothing gives way. */
static bool make_room(struct worker *w, struct client *client) {
    if (client->connections <= w->limits.connections_per_client) {
        return true;
    }
    uint64_t now_us = loop_now_us(w->loop);
    if (now_us < client->rest.until_us) {
        return false;
    }
    LIST_EACH(&client->sessions, link, saved) {
        if (session_give_way(link, GIVES_WAY_AFTER_US, UINT64_MAX)) {
            vitals_add(&w->own->client_gave_way, 1);
            client->rest = (struct client_rest){ 0 };
            return true;
        }
    }
    client_rest(&client->rest, now_us);
    return false;
}

/* Counts the connection for whoever it is. False: it has too many. */
static bool enter(struct worker *w, struct client_info *who, const struct address *from) {
    if (w->plan == NULL || from->storage.ss_family == AF_UNIX ||
        plan_sets_no_limit(w->plan, who->ip)) {
        who->client = clients_enter_unlimited(&w->clients);
        return true;
    }
    who->client = clients_enter(&w->clients, who->ip);
    return w->limits.connections_per_client == 0 || !client_is_limited(&w->clients, who->client) ||
           make_room(w, who->client);
}

static bool may_handshake(struct worker *w, const struct client_info *who) {
    double rate = w->limits.handshakes_per_client;
    bool may = rate <= 0 || !client_is_limited(&w->clients, who->client) ||
               clients_may_handshake(&w->clients, who->ip, rate, loop_now_us(w->loop));
    vitals_add(&w->own->client_handshakes_refused, !may);
    return may;
}

/* ---- onwards ---- */

static const struct session_protocol *protocol_named(struct slice alpn) {
    for (size_t i = 0; i < PROTOCOLS; i++) {
        if (slice_equal(protocols[i]->alpn, alpn)) {
            return protocols[i];
        }
    }
    return &session_h1_protocol; /* who has not asked for any speaks HTTP/1.1 */
}

static void begin_session(struct entrance *e) {
    struct worker *w = e->worker;
    struct client_info who = e->who;
    const struct session_protocol *protocol = protocol_named(socket_protocol(&e->socket));
    list_remove(&e->link);
    who.tls = e->socket.tls != NULL;
    who.trusted = w->plan != NULL && plan_trusts(w->plan, who.ip);
    protocol->begin(w, &e->socket, &who);
}

static void count_failure(struct worker *w, enum tls_failure failure) {
    vitals_add(&w->own->handshake_failures[failure], 1);
}

static void drop_server(struct entrance *e) {
    tls_server_free(e->server);
    e->server = NULL;
}

static void begin_tls(struct entrance *e) {
    if (!may_handshake(e->worker, &e->who)) {
        socket_close(&e->socket);
    } else if (!socket_start_tls(&e->socket, e->server)) {
        count_failure(e->worker, TLS_FAILURE_OTHER);
        socket_close(&e->socket);
    }
    drop_server(e); /* the handshake holds it */
}

/* ---- what comes ---- */

static size_t on_data(struct socket *socket, struct slice data) {
    struct entrance *e = (struct entrance *)socket;
    struct worker *w = e->worker;
    struct proxy_header header;
    size_t consumed = 0;
    switch (proxy_protocol_parse(data, &header, &consumed)) {
    case PROXY_MORE:
        return 0;
    case PROXY_BAD:
        vitals_add(&w->own->proxy_headers_refused, 1);
        socket_close(socket);
        return data.len;
    case PROXY_DONE:
        break;
    }
    if (header.known) {
        bool beyond = e->who.beyond;
        leave(w, e->who.client);
        client_info_init(&e->who, &header.source, 11);
        e->who.beyond = beyond;
        if (!enter(w, &e->who, &header.source)) {
            vitals_add(&w->own->client_refused, 1);
            socket_close(socket);
            return data.len;
        }
        address_ip(&header.destination, e->who.local_ip);
        e->who.local_port = address_port(&header.destination);
    }
    if (e->server != NULL) {
        begin_tls(e);
    } else {
        begin_session(e);
    }
    return consumed;
}

static void on_secured(struct socket *socket) {
    struct entrance *e = (struct entrance *)socket;
    struct vitals_worker *own = e->worker->own;
    vitals_add(socket_tls_resumed(socket) ? &own->handshakes_resumed : &own->handshakes_full, 1);
    begin_session(e);
}

static void on_end(struct socket *socket) {
    socket_close(socket);
}

static void on_failed(struct socket *socket, int system_errno) {
    struct entrance *e = (struct entrance *)socket;
    if (socket_is_securing(socket)) {
        count_failure(e->worker, TLS_FAILURE_CLOSED);
    } else if (system_errno == EPROTO) {
        count_failure(e->worker, socket_tls_failure(socket));
    }
    socket_close(socket);
}

static void on_timeout(struct socket *socket) {
    struct entrance *e = (struct entrance *)socket;
    if (socket_is_securing(socket)) {
        count_failure(e->worker, TLS_FAILURE_TIMEOUT);
    } else {
        vitals_add(&e->worker->own->reasons[REASON_CLIENT_TIMEOUT], 1);
    }
    socket_close(socket);
}

static void on_closed(struct socket *socket) {
    struct entrance *e = (struct entrance *)socket;
    list_remove(&e->link);
    drop_server(e);
    connection_free(e->worker, e, e->who.client);
}

static const struct socket_handler entrance_handler = {
    .on_data = on_data,
    .on_end = on_end,
    .on_connected = on_secured,
    .on_failed = on_failed,
    .on_timeout = on_timeout,
    .on_closed = on_closed,
};

/* Of a Unix socket whoever may open it is trusted. */
static bool speaks_for_others(const struct worker *w, const struct client_info *who,
                              const struct address *peer) {
    return peer->storage.ss_family == AF_UNIX || (w->plan != NULL && plan_trusts(w->plan, who->ip));
}

/* One system call, where somebody wants to know. */
static void find_local(struct entrance *e) {
    struct address local = { .len = sizeof local.storage };
    if (e->worker->tells_addresses &&
        getsockname(e->socket.fd, (struct sockaddr *)&local.storage, &local.len) == 0) {
        address_ip(&local, e->who.local_ip);
        e->who.local_port = address_port(&local);
    }
}

/* The client of `who` has room for it. */
static void admit(struct worker *w, const struct front *front, int fd,
                  const struct client_info *who, const struct address *peer) {
    struct entrance *e = connection_new(w);
    if (e == NULL) {
        tarpit_reset(fd);
        leave(w, who->client);
        return;
    }
    if (!socket_accept(&e->socket, w->loop, fd, &entrance_handler, NULL)) {
        give_back(w, e); /* the descriptor is closed */
        leave(w, who->client);
        return;
    }
    e->worker = w;
    e->who = *who;
    e->since_us = loop_now_us(w->loop);
    e->server = front->tls ? tls_server_hold(front->server) : NULL;
    find_local(e);
    list_append(&w->entrances, &e->link);
    publish_open(w);
    socket_set_timeout(&e->socket, (uint64_t)w->limits.client_head_timeout_ms * 1000);
    if (front->proxy_protocol && speaks_for_others(w, &e->who, peer)) {
        return;
    }
    if (front->tls) {
        begin_tls(e);
    } else {
        begin_session(e);
    }
}

enum entry { ENTRY_LET_IN, ENTRY_CLIENT_FULL, ENTRY_WORKER_FULL };

/* `finally`: it was held, or cannot be. Not let in: the descriptor is still the caller's. */
static enum entry let_in(struct worker *w, unsigned listener, int fd, const struct address *peer,
                         bool finally) {
    const struct front *front = &w->fronts[listener];
    if (front->tls && front->server == NULL) {
        count_failure(w, TLS_FAILURE_OTHER);
        close(fd);
        return ENTRY_LET_IN;
    }
    struct client_info who;
    client_info_init(&who, peer, 11);
    if (!enter(w, &who, peer)) {
        leave(w, who.client);
        return ENTRY_CLIENT_FULL;
    }
    if (crowd_is_full(w) && !crowd_make_room(w, who.client)) {
        who.beyond = finally && crowd_may_tell(w);
        if (!who.beyond) {
            leave(w, who.client);
            return ENTRY_WORKER_FULL;
        }
    }
    admit(w, front, fd, &who, peer);
    return ENTRY_LET_IN;
}

static void hold(struct worker *w, enum entry entry) {
    if (entry == ENTRY_WORKER_FULL) {
        crowd_held(w);
    } else {
        vitals_add(&w->own->client_held, 1);
    }
}

static void let_in_or_refuse(struct worker *w, unsigned listener, int fd,
                             const struct address *peer) {
    enum entry entry = let_in(w, listener, fd, peer, true);
    if (entry == ENTRY_LET_IN) {
        return;
    }
    if (entry == ENTRY_WORKER_FULL) {
        crowd_reset(w);
    } else {
        vitals_add(&w->own->client_refused, 1);
    }
    tarpit_reset(fd);
}

void entrance_accept(struct worker *w, unsigned listener, int fd, const struct address *peer) {
    enum entry entry = let_in(w, listener, fd, peer, false);
    if (entry == ENTRY_LET_IN) {
        return;
    }
    if (tarpit_hold(&w->tarpit, fd, listener)) {
        hold(w, entry);
    } else {
        let_in_or_refuse(w, listener, fd, peer);
    }
}

void entrance_held_over(void *worker, int fd, uint32_t listener) {
    struct worker *w = worker;
    struct address peer = { .len = sizeof peer.storage };
    if (getpeername(fd, (struct sockaddr *)&peer.storage, &peer.len) != 0) {
        close(fd); /* the client has reset it */
    } else {
        let_in_or_refuse(w, listener, fd, &peer);
    }
}

bool entrance_give_way(struct worker *w, uint64_t stalled_us) {
    struct list *link = list_first(&w->entrances);
    struct entrance *oldest = link == NULL ? NULL : LIST_ITEM(link, struct entrance, link);
    if (oldest == NULL || loop_now_us(w->loop) - oldest->since_us < stalled_us) {
        return false;
    }
    list_remove(link); /* once is enough */
    socket_close(&oldest->socket);
    return true;
}

void entrance_drain(struct worker *w) {
    tarpit_empty(&w->tarpit);
    LIST_EACH(&w->entrances, link, saved) {
        socket_close(&LIST_ITEM(link, struct entrance, link)->socket);
    }
}
