#include "wire/net/socket.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/net/loop_internal.h"
#include "wire/net/tls_internal.h"

#define DIRECT_SEND_BYTES 8192 /* from here on a system call costs less than a copy */

/* ---- opening ---- */

static void socket_init(struct socket *socket, struct loop *loop, int fd,
                        const struct socket_handler *handler) {
    *socket = (struct socket){ .loop = loop, .handler = handler, .fd = fd };
}

static bool give_to_backend(struct socket *socket, struct error *err) {
    bool reserved = timer_reserve(socket->loop);
    if (reserved && socket->loop->backend->socket_add(socket->loop->backend_self, socket)) {
        return true;
    }
    error_system(err, "watch a socket");
    if (reserved) {
        timer_unreserve(socket->loop);
    }
    close(socket->fd);
    socket->fd = -1;
    return false;
}

bool socket_accept(struct socket *socket, struct loop *loop, int fd,
                   const struct socket_handler *handler, struct error *err) {
    socket_init(socket, loop, fd, handler);
    socket->writable = true;
    return give_to_backend(socket, err);
}

bool socket_connect(struct socket *sock, struct loop *loop, const struct sockaddr *address,
                    socklen_t address_len, uint64_t timeout_us,
                    const struct socket_handler *handler, struct error *err) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return error_system(err, "open a socket");
    }
    if (address->sa_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    }
    if (connect(fd, address, address_len) < 0 && errno != EINPROGRESS) {
        error_system(err, "connect");
        close(fd);
        return false;
    }
    socket_init(sock, loop, fd, handler);
    sock->connecting = true; /* even if it is done: on_connected comes with the first event */
    if (!give_to_backend(sock, err)) {
        return false;
    }
    if (timeout_us > 0) {
        socket_set_timeout(sock, timeout_us);
    }
    return true;
}

void loop_socket_connected(struct socket *socket) {
    socket->connecting = false;
    loop_socket_writable(socket);
    if (!socket_is_securing(socket)) {
        loop_socket_secured(socket);
    }
}

void loop_socket_secured(struct socket *socket) {
    socket_set_timeout(socket, 0);
    if (socket->handler->on_connected != NULL) {
        socket->handler->on_connected(socket);
    }
}

void loop_socket_failed(struct socket *socket, int system_errno) {
    if (socket->failed || socket->closing) {
        return;
    }
    socket->failed = true;
    socket_set_timeout(socket, 0);
    if (socket->handler->on_failed != NULL) {
        socket->handler->on_failed(socket, system_errno);
    }
}

void loop_socket_connecting(struct socket *socket, unsigned happened) {
    int error = 0;
    socklen_t len = sizeof error;
    if (happened & (POLLERR | POLLHUP)) {
        getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        loop_socket_failed(socket, error == 0 ? ECONNRESET : error);
    } else if (happened & POLLOUT) {
        loop_socket_connected(socket);
    }
}

static void schedule_flush(struct socket *socket) {
    if (!list_linked(&socket->flush)) {
        list_append(&socket->loop->flush, &socket->flush);
    }
}

/* ---- receiving ---- */

static bool wants_data(const struct socket *socket) {
    return !socket->paused && !socket->closing && !socket->failed;
}

static void drop_kept(struct socket *socket) {
    free(socket->kept);
    socket->kept = NULL;
    socket->kept_len = 0;
}

static void keep(struct socket *socket, struct slice rest) {
    char *kept = NULL;
    if (rest.len > 0) {
        kept = malloc(rest.len);
        if (kept == NULL) {
            loop_socket_failed(socket, ENOMEM);
            return;
        }
        memcpy(kept, rest.data, rest.len);
    }
    free(socket->kept);
    socket->kept = kept;
    socket->kept_len = (uint32_t)rest.len;
}

size_t loop_socket_room(const struct socket *socket) {
    size_t taken = socket->kept_len + (socket->tls == NULL ? 0 : TLS_RECORD_BYTES_MAX);
    return taken < LOOP_RECEIVE_BYTES ? LOOP_RECEIVE_BYTES - taken : 0;
}

/* Shows `data`, which begins with the kept bytes, to the owner; what is left is kept. An owner that
 * has handed the socket on, or has begun TLS in it, leaves the rest to its successor at once. */
static void offer(struct socket *socket, struct slice data) {
    for (;;) {
        const struct socket_handler *handler = socket->handler;
        const struct tls *tls = socket->tls;
        size_t consumed = loop_call_on_data(socket, data);
        assert(consumed <= data.len);
        if (socket->closing || (consumed == data.len && socket->kept_len == 0)) {
            return;
        }
        bool changed = socket->handler != handler || socket->tls != tls;
        bool moved = consumed > 0 || data.len > socket->kept_len;
        data = slice_skip(data, consumed);
        if (!changed) {
            if (moved) {
                keep(socket, data);
            }
            return;
        }
        drop_kept(socket);
        if (data.len == 0) {
            return;
        }
        if (socket->tls != tls) {
            loop_socket_deliver(socket, data);
            return;
        }
    }
}

static void tell_end(struct socket *socket);

static void deliver_encrypted(struct socket *socket, struct slice data) {
    if (socket->ended) {
        return; /* behind the end that TLS has said nothing means anything */
    }
    struct slice plain = tls_receive(socket, data);
    if (socket->pending_bytes > 0) {
        schedule_flush(socket); /* the handshake's, or an answer of TLS's own */
    }
    if (plain.len > LOOP_RECEIVE_BYTES) { /* a backend that did not ask for the room */
        loop_socket_failed(socket, ENOBUFS);
        return;
    }
    if (wants_data(socket) && plain.len > socket->kept_len) {
        offer(socket, plain);
    } else if (!socket->closing && plain.len > socket->kept_len) {
        keep(socket, plain);
    }
    if (socket->tls->state == TLS_ENDED && !socket->closing && !socket->ended) {
        socket->readable = false;
        socket->ended = true;
        if (!socket->paused) {
            tell_end(socket);
        }
    }
}

void loop_socket_deliver(struct socket *socket, struct slice data) {
    if (socket->tls != NULL) {
        deliver_encrypted(socket, data);
    } else {
        offer(socket, data);
    }
}

void loop_socket_deliver_kept(struct socket *socket) {
    if (socket->kept_len > 0) {
        memcpy(socket->loop->receive, socket->kept, socket->kept_len);
        offer(socket, slice_of(socket->loop->receive, socket->kept_len));
    }
}

/* An end of the stream without TLS's own end may be somebody else's doing. */
static bool ended_well(const struct socket *socket) {
    return socket->tls == NULL || socket->tls->state == TLS_ENDED;
}

static void tell_end(struct socket *socket) {
    loop_socket_deliver_kept(socket);
    if (wants_data(socket) && !ended_well(socket)) {
        loop_socket_failed(socket, ECONNRESET);
    } else if (wants_data(socket) && !socket->end_told) {
        socket->end_told = true;
        if (socket->handler->on_end != NULL) {
            socket->handler->on_end(socket);
        }
    }
}

void loop_socket_ended(struct socket *socket) {
    socket->ended = true;
    tell_end(socket);
}

void loop_socket_ready(struct socket *socket) {
    if (!wants_data(socket)) {
        return;
    }
    if (socket->ended) {
        tell_end(socket);
        return;
    }
    /* Little room behind what is kept, or nothing to follow it: the kept bytes go alone. */
    if (!socket->readable || socket->kept_len > LOOP_RECEIVE_BYTES / 2) {
        loop_socket_deliver_kept(socket);
    }
    if (socket->readable && wants_data(socket)) {
        socket->loop->backend->receive(socket->loop->backend_self, socket);
    }
    if (socket->readable && wants_data(socket) && !list_linked(&socket->ready)) {
        list_append(&socket->loop->ready, &socket->ready); /* others first, then the rest */
    }
}

void socket_pause(struct socket *socket) {
    socket->paused = true;
}

void socket_resume(struct socket *socket) {
    if (!socket->paused) {
        return;
    }
    socket->paused = false;
    bool something = socket->readable || socket->kept_len > 0 || socket->ended;
    if (something && wants_data(socket) && !list_linked(&socket->ready)) {
        list_append(&socket->loop->ready, &socket->ready);
    }
}

/* ---- sending ---- */

static void drop_pending(struct socket *socket) {
    if (socket->loop->backend->disown != NULL) {
        socket->loop->backend->disown(socket->loop->backend_self, socket);
    }
    while (socket->out_first != NULL) {
        struct socket_block *block = socket->out_first;
        socket->out_first = block->next;
        loop_block_return(socket->loop, block);
    }
    socket->pending_bytes = 0;
    if (socket->tls != NULL) {
        tls_drop_waiting(socket->tls);
    }
}

void loop_socket_sending_failed(struct socket *socket, int system_errno) {
    drop_pending(socket);
    socket->write_errno = system_errno;
    schedule_flush(socket); /* reported from there, never inside the sender's call */
}

static struct socket_block *last_block(const struct socket *socket) {
    return socket->out_first == NULL ? NULL : socket->out_last;
}

static void link_block(struct socket *socket, struct socket_block *fresh) {
    struct socket_block *last = last_block(socket);
    if (last == NULL) {
        socket->out_first = fresh;
    } else {
        last->next = fresh;
    }
    socket->out_last = fresh;
}

bool loop_socket_append(struct socket *socket, struct slice bytes) {
    while (bytes.len > 0) {
        struct socket_block *block = last_block(socket);
        if (block == NULL || block->end == LOOP_BLOCK_BYTES) {
            block = loop_block_take(socket->loop);
            if (block == NULL) {
                return false;
            }
            link_block(socket, block);
        }
        size_t room = LOOP_BLOCK_BYTES - block->end;
        size_t taken = bytes.len < room ? bytes.len : room;
        memcpy(block->data + block->end, bytes.data, taken);
        block->end += (uint32_t)taken;
        socket->pending_bytes += taken;
        bytes = slice_skip(bytes, taken);
    }
    return true;
}

/* Copied where there is room: a peer that does not read must not make us hold a whole block for
 * each byte that we count. */
void loop_socket_append_block(struct socket *socket, struct socket_block *block) {
    struct slice bytes = slice_of(block->data + block->start, block->end - block->start);
    const struct socket_block *last = last_block(socket);
    if (last != NULL && bytes.len <= LOOP_BLOCK_BYTES - last->end) {
        loop_socket_append(socket, bytes);
        loop_block_return(socket->loop, block);
    } else {
        link_block(socket, block);
        socket->pending_bytes += bytes.len;
    }
}

static bool append_parts(struct socket *socket, const struct slice *parts, size_t count,
                         size_t skip) {
    for (size_t i = 0; i < count; i++) {
        size_t skipped = skip < parts[i].len ? skip : parts[i].len;
        skip -= skipped;
        if (!loop_socket_append(socket, slice_skip(parts[i], skipped))) {
            loop_socket_sending_failed(socket, ENOMEM);
            return false;
        }
    }
    return true;
}

/* From here, not from the flush: by then an event may have made room for all of it, and a sender
 * who has seen the high number would wait for ever. */
static void note_blocked(struct socket *socket) {
    if (socket_pending(socket) > SOCKET_LOW_WATER_BYTES) {
        socket->blocked = true;
    }
}

static bool send_encrypted(struct socket *socket, const struct slice *parts, size_t count) {
    bool good = tls_send(socket->tls, parts, count);
    if (!good) {
        loop_socket_sending_failed(socket, ENOMEM);
    }
    schedule_flush(socket);
    note_blocked(socket);
    return good;
}

bool socket_send(struct socket *socket, const struct slice *parts, size_t count) {
    assert(count <= SOCKET_PARTS_MAX);
    if (socket->closing || socket->failed || socket->write_errno != 0) {
        return true; /* the owner hears of it, or has */
    }
    assert(!socket->finishing);
    if (socket->tls != NULL) {
        return send_encrypted(socket, parts, count);
    }
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += parts[i].len;
    }
    size_t sent = 0;
    if (total >= DIRECT_SEND_BYTES && socket->writable) {
        ssize_t n = socket->loop->backend->transmit(socket->loop->backend_self, socket, parts,
                                                    count, false);
        if (n < 0) {
            loop_socket_sending_failed(socket, errno);
            return true;
        }
        sent = (size_t)n;
    }
    if (sent < total && !append_parts(socket, parts, count, sent)) {
        return false;
    }
    if (socket->pending_bytes > 0) {
        schedule_flush(socket);
    }
    note_blocked(socket);
    return true;
}

bool socket_send_slice(struct socket *socket, struct slice bytes) {
    return socket_send(socket, &bytes, 1);
}

size_t socket_pending(const struct socket *socket) {
    return socket->pending_bytes + (socket->tls == NULL ? 0 : tls_waiting(socket->tls));
}

void loop_socket_push(struct socket *socket) {
    if (socket->fd >= 0 && socket->pending_bytes > 0 && socket->writable) {
        (void)loop_transmit_now(socket, NULL, 0, false); /* a completion would come too late */
    }
}

void loop_socket_writable(struct socket *socket) {
    socket->writable = true;
    if (socket->pending_bytes > 0 || socket->finishing || socket->blocked ||
        socket->write_errno != 0) { /* it had failed before the connection was there */
        schedule_flush(socket);
    }
}

/* What the peer said before it broke the connection is worth reading: often it says why. */
static void report_sending_failed(struct socket *socket) {
    if (wants_data(socket) && !socket->ended) {
        socket->readable = true;
        socket->loop->backend->receive(socket->loop->backend_self, socket);
    }
    loop_socket_failed(socket, socket->write_errno);
}

void loop_socket_flush(struct socket *socket) {
    if (socket->closing || socket->failed || socket->connecting) {
        return;
    }
    if (socket->tls != NULL && !tls_flush(socket->tls, socket->finishing)) {
        drop_pending(socket);
        socket->write_errno = ENOMEM;
    }
    if (socket->pending_bytes > 0 && socket->writable &&
        socket->loop->backend->transmit(socket->loop->backend_self, socket, NULL, 0, false) < 0) {
        drop_pending(socket);
        socket->write_errno = errno;
    }
    if (socket->write_errno != 0) {
        report_sending_failed(socket);
        return;
    }
    if (socket->pending_bytes == 0 && socket->finishing && !socket->finished) {
        socket->finished = true;
        socket->blocked = true; /* on_drained is owed */
        shutdown(socket->fd, SHUT_WR);
    }
    if (socket->blocked && socket->pending_bytes <= SOCKET_LOW_WATER_BYTES) {
        socket->blocked = false;
        if (socket->handler->on_drained != NULL) {
            socket->handler->on_drained(socket);
        }
    }
}

void socket_finish(struct socket *socket) {
    if (!socket->finishing && !socket->closing) {
        socket->finishing = true;
        schedule_flush(socket);
    }
}

/* ---- time, closing ---- */

static void on_timer(struct timer *timer) {
    struct socket *socket = (struct socket *)((char *)timer - offsetof(struct socket, timer));
    if (socket->connecting || (socket_is_securing(socket) && socket->tls->client != NULL)) {
        loop_socket_failed(socket, ETIMEDOUT);
    } else if (socket->handler->on_timeout != NULL) {
        socket->handler->on_timeout(socket);
    }
}

void socket_set_timeout(struct socket *socket, uint64_t delay_us) {
    if (delay_us == 0) {
        timer_stop(socket->loop, &socket->timer);
    } else if (!socket->closing) {
        timer_start(socket->loop, &socket->timer, delay_us, on_timer);
    }
}

void socket_close(struct socket *socket) {
    if (socket->closing || socket->loop == NULL || socket->fd < 0) {
        return;
    }
    if (socket->tls != NULL) {
        tls_say_end(socket->tls);
    }
    socket->closing = true;
    timer_stop(socket->loop, &socket->timer);
    socket->loop->backend->socket_remove(socket->loop->backend_self, socket);
    close(socket->fd);
    socket->fd = -1;
    drop_pending(socket);
    drop_kept(socket);
    list_remove(&socket->ready);
    list_remove(&socket->flush);
    list_append(&socket->loop->closing, &socket->flush);
}

void socket_reset(struct socket *socket) {
    if (!socket->closing && socket->fd >= 0) {
        struct linger now = { .l_onoff = 1, .l_linger = 0 };
        setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        socket->failed = true; /* TLS says no end to it either */
    }
    socket_close(socket);
}

void loop_socket_closed(struct socket *socket) {
    tls_free(socket->tls);
    socket->tls = NULL;
    timer_unreserve(socket->loop);
    socket->handler->on_closed(socket); /* the memory may be gone after this */
}

bool socket_is_quiet(const struct socket *socket) {
    return socket->fd >= 0 && !socket->failed && !socket->readable && !socket->peer_ended &&
           socket->kept_len == 0 && socket->write_errno == 0;
}

bool socket_peer(const struct socket *socket, struct address *out) {
    struct sockaddr_storage storage = { 0 };
    socklen_t len = sizeof storage;
    if (socket->fd < 0 || getpeername(socket->fd, (struct sockaddr *)&storage, &len) < 0) {
        return false;
    }
    *out = (struct address){ .storage = storage, .len = len };
    return true;
}
