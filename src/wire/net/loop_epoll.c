/* The loop's epoll backend. Watches are level-triggered. Sockets are registered once,
 * edge-triggered for both directions, so that a request costs no epoll_ctl: what the kernel said is
 * remembered in `readable` and `writable` until a short read or a short write takes it back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/net/loop_internal.h"

#define EVENTS_PER_TURN 256
#define SOCKET_TAG 1u /* in the low bit of an event's pointer; watches have it clear */
#define IOV_MAX_HERE 32

struct epoll_backend {
    int fd;
    int at, count; /* of the events being dispatched */
    struct epoll_event events[EVENTS_PER_TURN];
};

static void *epoll_open(struct error *err) {
    struct epoll_backend *b = malloc(sizeof *b);
    if (b == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for epoll");
        return NULL;
    }
    b->at = b->count = 0;
    b->fd = epoll_create1(EPOLL_CLOEXEC);
    if (b->fd < 0) {
        error_system(err, "epoll_create1");
        free(b);
        return NULL;
    }
    return b;
}

static void epoll_close(void *self) {
    struct epoll_backend *b = self;
    close(b->fd);
    free(b);
}

/* ---- watches ---- */

static bool watch_control(struct epoll_backend *b, int operation, struct watch *watch) {
    struct epoll_event event = { .data.ptr = watch };
    event.events |= watch->events & WATCH_READ ? EPOLLIN : 0;
    event.events |= watch->events & WATCH_WRITE ? EPOLLOUT : 0;
    event.events |= watch->events & WATCH_EXCLUSIVE ? EPOLLEXCLUSIVE : 0;
    return epoll_ctl(b->fd, operation, watch->fd, &event) == 0;
}

static bool watch_add(void *self, struct watch *watch) {
    return watch_control(self, EPOLL_CTL_ADD, watch);
}

static bool watch_change(void *self, struct watch *watch) {
    return watch_control(self, EPOLL_CTL_MOD, watch);
}

static void watch_remove(void *self, struct watch *watch) {
    struct epoll_backend *b = self;
    epoll_ctl(b->fd, EPOLL_CTL_DEL, watch->fd, NULL);
    for (int i = b->at; i < b->count; i++) {
        if (b->events[i].data.ptr == watch) {
            b->events[i].data.ptr = NULL; /* its memory may be gone before its turn comes */
        }
    }
}

static void dispatch_watch(struct watch *watch, uint32_t happened) {
    unsigned events = 0;
    events |= happened & EPOLLIN ? WATCH_READ : 0;
    events |= happened & EPOLLOUT ? WATCH_WRITE : 0;
    if (happened & (EPOLLHUP | EPOLLERR)) {
        /* Whoever waits to read or write finds out why by trying. */
        events |= WATCH_HANGUP | (watch->events & (WATCH_READ | WATCH_WRITE));
    }
    watch->on_ready(watch, events);
}

/* ---- sockets ---- */

static bool socket_add(void *self, struct socket *socket) {
    struct epoll_backend *b = self;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
    event.data.u64 = (uint64_t)(uintptr_t)socket | SOCKET_TAG;
    return epoll_ctl(b->fd, EPOLL_CTL_ADD, socket->fd, &event) == 0;
}

static void socket_remove(void *self, struct socket *socket) {
    struct epoll_backend *b = self;
    /* close() alone is not enough: a child between fork and exec still holds the connection, and
     * epoll would go on naming a socket that is no more. */
    epoll_ctl(b->fd, EPOLL_CTL_DEL, socket->fd, NULL);
}

static void dispatch_connecting(struct socket *socket, uint32_t happened) {
    int error = 0;
    socklen_t len = sizeof error;
    if (happened & (EPOLLERR | EPOLLHUP)) {
        getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        loop_socket_failed(socket, error == 0 ? ECONNRESET : error);
    } else if (happened & EPOLLOUT) {
        loop_socket_connected(socket);
    }
}

static void dispatch_socket(struct socket *socket, uint32_t happened) {
    if (socket->closing || socket->failed) {
        return;
    }
    if (socket->connecting) {
        dispatch_connecting(socket, happened);
    } else if (happened & EPOLLOUT) {
        loop_socket_writable(socket);
    }
    if (happened & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        socket->readable = true;
        socket->peer_ended |= (happened & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        if (!socket->closing && !socket->failed && !socket->paused && !socket->connecting) {
            loop_socket_ready(socket);
        }
    }
}

static void receive(void *self, struct socket *socket) {
    (void)self;
    char *buffer = socket->loop->receive;
    for (unsigned round = 0; round < LOOP_RECEIVE_ROUNDS; round++) {
        size_t kept = socket->kept_len, room = LOOP_RECEIVE_BYTES - kept;
        if (room == 0) { /* the owner wants more than it may have before it takes anything */
            loop_socket_failed(socket, ENOBUFS);
            return;
        }
        if (kept > 0) {
            memcpy(buffer, socket->kept, kept);
        }
        ssize_t n = recv(socket->fd, buffer + kept, room, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            socket->readable = false;
            if (errno != EAGAIN) {
                loop_socket_failed(socket, errno);
            }
            return;
        }
        if (n == 0) {
            socket->readable = false;
            loop_socket_ended(socket);
            return;
        }
        /* A short read has emptied the stream: the next byte is a new edge. The peer's end is not,
         * when its edge has already come. */
        socket->readable = (size_t)n == room || socket->peer_ended;
        loop_socket_deliver(socket, slice_of(buffer, kept + (size_t)n));
        if (!socket->readable || socket->paused || socket->closing || socket->failed) {
            return;
        }
    }
}

/* Pending blocks first, then the parts. */
static int fill_iov(const struct socket *socket, const struct slice *parts, size_t count,
                    struct iovec iov[IOV_MAX_HERE]) {
    int filled = 0;
    for (struct socket_block *b = socket->out_first; b != NULL && filled < IOV_MAX_HERE;
         b = b->next) {
        iov[filled++] = (struct iovec){ b->data + b->start, b->end - b->start };
    }
    for (size_t i = 0; i < count && filled < IOV_MAX_HERE; i++) {
        if (parts[i].len > 0) {
            iov[filled++] = (struct iovec){ (void *)(uintptr_t)parts[i].data, parts[i].len };
        }
    }
    return filled;
}

/* Takes `sent` bytes off the front of the pending blocks; returns what is left of `sent`. */
static size_t advance_blocks(struct socket *socket, size_t sent) {
    while (socket->out_first != NULL && sent > 0) {
        struct socket_block *block = socket->out_first;
        size_t len = block->end - block->start;
        size_t taken = sent < len ? sent : len;
        block->start += (uint32_t)taken;
        socket->pending_bytes -= taken;
        sent -= taken;
        if (taken == len) {
            socket->out_first = block->next;
            loop_block_return(socket->loop, block);
        }
    }
    return sent;
}

static ssize_t transmit(void *self, struct socket *socket, const struct slice *parts,
                        size_t count) {
    (void)self;
    struct iovec iov[IOV_MAX_HERE];
    size_t taken = 0;
    while (socket->writable) {
        struct msghdr message = { .msg_iov = iov };
        message.msg_iovlen = (size_t)fill_iov(socket, parts, count, iov);
        size_t offered = 0;
        for (size_t i = 0; i < message.msg_iovlen; i++) {
            offered += iov[i].iov_len;
        }
        if (offered == 0) {
            break;
        }
        ssize_t n = message.msg_iovlen == 1
                        ? send(socket->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL)
                        : sendmsg(socket->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            return -1;
        }
        size_t sent = n < 0 ? 0 : (size_t)n;
        socket->writable = sent == offered; /* else an edge says when there is room again */
        taken += advance_blocks(socket, sent);
        if (count > 0) {
            break; /* the parts were offered: the caller keeps what was not taken */
        }
    }
    return (ssize_t)taken;
}

/* ---- waiting ---- */

static bool wait_and_dispatch(void *self, struct loop *loop, int wait_ms, struct error *err) {
    struct epoll_backend *b = self;
    int count = epoll_wait(b->fd, b->events, EVENTS_PER_TURN, wait_ms);
    if (count < 0 && errno != EINTR) {
        return error_system(err, "epoll_wait");
    }
    loop_update_clock(loop);
    b->count = count < 0 ? 0 : count;
    for (b->at = 0; b->at < b->count;) {
        struct epoll_event event = b->events[b->at++];
        if (event.data.u64 & SOCKET_TAG) {
            dispatch_socket((struct socket *)(uintptr_t)(event.data.u64 & ~(uint64_t)SOCKET_TAG),
                            event.events);
        } else if (event.data.ptr != NULL) {
            dispatch_watch(event.data.ptr, event.events);
        }
    }
    b->at = b->count = 0;
    return true;
}

const struct loop_backend loop_backend_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .wait = wait_and_dispatch,
    .watch_add = watch_add,
    .watch_change = watch_change,
    .watch_remove = watch_remove,
    .socket_add = socket_add,
    .socket_remove = socket_remove,
    .receive = receive,
    .transmit = transmit,
};
