/* A worker's listening sockets: those it was started with, and those that come and go while it
 * runs, by orders of the supervisor. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "act/proxy/worker_internal.h"
#include "base/log.h"

void worker_listen_stop(struct worker *w) {
    for (unsigned i = 0; i < WORKER_LISTENERS_MAX; i++) {
        listener_stop(&w->listeners[i]);
    }
}

static void on_retired(struct listener *listener) {
    worker_listener_retired(listener->owner);
}

void worker_listen_retire(struct worker *w) {
    for (unsigned i = 0; i < WORKER_LISTENERS_MAX; i++) {
        if (w->listeners[i].loop != NULL) {
            listener_retire(&w->listeners[i], on_retired);
        }
    }
}

bool worker_listens(const struct worker *w) {
    bool listens = false;
    for (unsigned i = 0; i < WORKER_LISTENERS_MAX; i++) {
        listens |= w->listeners[i].loop != NULL;
    }
    return listens;
}

/* Accepts from the descriptor, in turns with the other workers. */
static bool start(struct worker *w, unsigned slot, struct error *err) {
    if (!listener_start(&w->listeners[slot], w->loop, w->listen_fds[slot], w, worker_on_accept,
                        err)) {
        return false;
    }
    w->listeners[slot].shared = w->vitals->worker_count > 1;
    return true;
}

/* A guarded one is started by the plan that names it. */
static bool open_slot(struct worker *w, unsigned slot, int fd, bool guarded, struct error *err) {
    w->listen_fds[slot] = fd; /* ours to close when it is taken away */
    w->listen_guarded[slot] = guarded;
    front_open(w, slot, fd);
    return (guarded && !w->fronts[slot].known) || start(w, slot, err);
}

void worker_listen_named(struct worker *w) {
    struct error err;
    for (unsigned i = 0; i < WORKER_LISTENERS_MAX; i++) {
        bool waits = w->listen_guarded[i] && w->listen_fds[i] >= 0 && w->listeners[i].loop == NULL;
        if (waits && w->fronts[i].known && !w->draining && !start(w, i, &err)) {
            log_error("listen_failed", "slot=%u error=\"%s\" action=leave_it_to_other_workers", i,
                      err.text);
        }
    }
}

static void forget(struct worker *w, unsigned slot) {
    listener_stop(&w->listeners[slot]);
    tarpit_empty(&w->tarpit); /* the slot may become another listener's */
    front_close(w, slot);
    w->listen_guarded[slot] = false;
    if (w->listen_fds[slot] >= 0) {
        close(w->listen_fds[slot]);
    }
    w->listen_fds[slot] = -1;
}

/* The message and the descriptor that came with it (-1: none). False: there is none, or it is not
 * one of ours. */
static bool receive(int from, struct worker_order *order, int *fd) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec body = { order, sizeof *order };
    struct msghdr message = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    *fd = -1;
    ssize_t n = recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *rights = n < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (rights != NULL && rights->cmsg_type == SCM_RIGHTS &&
        rights->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(fd, CMSG_DATA(rights), sizeof *fd);
    }
    return n == (ssize_t)sizeof *order;
}

static void obey(struct worker *w, const struct worker_order *order, int fd) {
    struct error err = { 0 };
    bool known = order->slot < WORKER_LISTENERS_MAX;
    if (known) {
        forget(w, order->slot);
    }
    if (!known || order->kind != WORKER_LISTEN || fd < 0 || w->draining) {
        if (fd >= 0) {
            close(fd);
        }
        worker_listener_retired(w);
        return;
    }
    if (!open_slot(w, order->slot, fd, order->guarded, &err)) {
        log_error("listen_failed", "slot=%u error=\"%s\" action=leave_it_to_other_workers",
                  order->slot, err.text);
    }
}

static void on_order(struct watch *watch, unsigned events) {
    struct worker *w = (struct worker *)((char *)watch - offsetof(struct worker, control));
    struct worker_order order = { 0 };
    int fd;
    while (receive(watch->fd, &order, &fd)) {
        obey(w, &order, fd);
    }
    if (events & WATCH_HANGUP) { /* the supervisor is gone: its pidfd says so too */
        loop_unwatch(w->loop, watch);
    }
}

bool worker_listen_start(struct worker *w, struct error *err) {
    const struct worker_config *c = w->config;
    memset(w->listen_fds, -1, sizeof w->listen_fds);
    if (c->listen_count > WORKER_LISTENERS_MAX) {
        return error_set(err, ERROR_LIMIT, "more than %d listeners", WORKER_LISTENERS_MAX);
    }
    for (unsigned i = 0; i < c->listen_count; i++) {
        bool guarded = c->listen_guarded != NULL && c->listen_guarded[i];
        if (c->listen_fds[i] >= 0 && !open_slot(w, i, c->listen_fds[i], guarded, err)) {
            return false;
        }
    }
    return c->control_fd <= 0 ||
           loop_watch(w->loop, &w->control, c->control_fd, WATCH_READ, on_order, err);
}

void worker_listen_fini(struct worker *w) {
    worker_listen_stop(w);
    loop_unwatch(w->loop, &w->control);
}
