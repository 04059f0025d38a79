/* The loop's epoll backend. Watches are level-triggered. Sockets are registered once,
 * edge-triggered for both directions, so that a request costs no epoll_ctl: what the kernel said is
 * remembered in `readable` and `writable` until a short read or a short write takes it back. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/net/loop_internal.h"

#define EVENTS_PER_TURN 256
#define SOCKET_TAG 1u /* in the low bit of an event's pointer; watches have it clear */

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

static void dispatch_socket(struct socket *socket, uint32_t happened) {
    if (socket->closing || socket->failed) {
        return;
    }
    if (socket->connecting) {
        loop_socket_connecting(socket, happened);
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
    loop_receive_now(socket);
}

static ssize_t transmit(void *self, struct socket *socket, const struct slice *parts, size_t count,
                        bool more) {
    (void)self;
    return loop_transmit_now(socket, parts, count, more);
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
            loop_watch_happened(event.data.ptr, event.events);
        }
    }
    b->at = b->count = 0;
    return true;
}

const struct loop_backend loop_backend_epoll = {
    .name = "epoll",
    .keeps_turn = true,
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
