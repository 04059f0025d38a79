/* Sockets of the io_uring backend.
 *
 *   receive  One request serves a connection for its life (multishot). It is taken back when the
 *            owner has paused and the peer goes on sending, and made again when it resumes.
 *            A connection that carries much at a time is polled instead (multishot, so edge-
 *            triggered, as with epoll) and read by a system call: all of them into one buffer that
 *            stays in the cache, where the ring's buffers would each be cold.
 *   send     Pending blocks go out with the turn's one submission, at most one send of a socket at
 *            a time; they are `writable` in between. Large parts are sent at once by a system call:
 *            a copy would cost more.
 * Completions are only made while we wait (DEFER_TASKRUN): a system call in between never overtakes
 * a receive of ours, unless the completions of this turn are not all read yet. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/net/loop_uring_internal.h"

bool uring_is_running(const struct uring_slot *slot, enum uring_request what) {
    return (slot->running & (1u << what)) != 0;
}

static bool ask_to_receive(struct uring *u, struct uring_slot *slot) {
    struct io_uring_sqe *sqe = uring_request(u, slot, URING_RECEIVE);
    if (sqe == NULL) {
        return false;
    }
    io_uring_prep_recv_multishot(sqe, slot->socket->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    slot->cancelled = false;
    return true;
}

static bool ask_to_poll(struct uring *u, struct uring_slot *slot) {
    struct io_uring_sqe *sqe = uring_request(u, slot, URING_POLL);
    if (sqe == NULL) {
        return false;
    }
    io_uring_prep_poll_multishot(sqe, slot->socket->fd, POLLIN | POLLRDHUP);
    return true;
}

static bool ask_to_connect(struct uring *u, struct uring_slot *slot) {
    struct io_uring_sqe *sqe = uring_request(u, slot, URING_POLL);
    if (sqe == NULL) {
        return false;
    }
    io_uring_prep_poll_add(sqe, slot->socket->fd, POLLOUT);
    return true;
}

bool uring_socket_add(void *self, struct socket *socket) {
    struct uring *u = self;
    struct uring_slot *slot = uring_slot_take(u, URING_SOCKET);
    if (slot == NULL) {
        errno = ENOMEM;
        return false;
    }
    slot->socket = socket;
    socket->slot = slot->index;
    if (!(socket->connecting ? ask_to_connect(u, slot) : ask_to_receive(u, slot))) {
        uring_slot_close(u, slot);
        errno = EBUSY;
        return false;
    }
    return true;
}

void uring_socket_disown(void *self, struct socket *socket) {
    struct uring_slot *slot = uring_slot_at(self, socket->slot);
    if (uring_is_running(slot, URING_SEND) && slot->orphans == NULL) {
        slot->orphans = socket->out_first;
        socket->out_first = socket->out_last = NULL;
    }
}

void uring_socket_remove(void *self, struct socket *socket) {
    struct uring *u = self;
    struct uring_slot *slot = uring_slot_at(u, socket->slot);
    for (enum uring_request what = URING_POLL; what <= URING_SEND; what++) {
        uring_cancel(u, slot, what);
    }
    uring_socket_disown(u, socket);
    free(slot->held);
    slot->held = NULL;
    slot->socket = NULL;
    uring_slot_close(u, slot);
}

/* ---- receiving ---- */

static bool is_open(const struct uring_slot *slot, const struct socket *socket) {
    return slot->state == URING_SOCKET && slot->socket == socket; /* else a callback closed it */
}

/* What comes while the owner has paused is held, and no more of it is asked for. */
static void hold(struct uring *u, struct uring_slot *slot, struct slice data) {
    struct socket *socket = slot->socket;
    uint32_t before = slot->held == NULL ? 0 : slot->held->len;
    if (data.len > URING_HELD_BYTES_MAX - before) {
        loop_socket_failed(socket, ENOBUFS);
        return;
    }
    struct uring_held *held = realloc(slot->held, sizeof *held + before + data.len);
    if (held == NULL) {
        loop_socket_failed(socket, ENOMEM);
        return;
    }
    memcpy(held->data + before, data.data, data.len);
    held->len = before + (uint32_t)data.len;
    slot->held = held;
    socket->readable = true; /* read when it resumes */
    if (!slot->cancelled) {
        slot->cancelled = true;
        uring_cancel(u, slot, URING_RECEIVE);
    }
}

/* Offers what is kept and as much of `data` as there is room for behind it; returns how much. */
static size_t deliver(struct socket *socket, struct slice data) {
    size_t kept = socket->kept_len, room = loop_socket_room(socket);
    data = slice_sub(data, 0, room);
    if (kept == 0) {
        loop_socket_deliver(socket, data);
    } else if (room == 0) { /* the owner wants more before it takes anything */
        loop_socket_failed(socket, ENOBUFS);
    } else {
        memcpy(socket->loop->receive, socket->kept, kept);
        memcpy(socket->loop->receive + kept, data.data, data.len);
        loop_socket_deliver(socket, slice_of(socket->loop->receive, kept + data.len));
    }
    return data.len;
}

static void received(struct uring *u, struct uring_slot *slot, struct slice data) {
    struct socket *socket = slot->socket;
    while (data.len > 0 && is_open(slot, socket) && !socket->failed) {
        if (socket->paused || slot->held != NULL) {
            hold(u, slot, data);
            return;
        }
        data = slice_skip(data, deliver(socket, data));
    }
}

static void receiving_over(struct uring_slot *slot, int after_held) {
    struct socket *socket = slot->socket;
    socket->peer_ended = true;
    if (socket->paused || slot->held != NULL) {
        slot->after_held = (int16_t)after_held;
        socket->readable = true; /* told when it resumes */
    } else if (after_held == URING_ENDED) {
        loop_socket_ended(socket);
    } else {
        loop_socket_failed(socket, after_held);
    }
}

/* False: the owner does not want more, or there is nobody any more. */
static bool deliver_held(struct uring *u, struct uring_slot *slot) {
    struct socket *socket = slot->socket;
    struct uring_held *held = slot->held;
    slot->held = NULL;
    if (held == NULL) {
        loop_socket_deliver_kept(socket);
    } else {
        received(u, slot, slice_of(held->data, held->len));
        free(held);
    }
    return is_open(slot, socket) && slot->held == NULL && !socket->paused && !socket->failed;
}

static void ask_again(struct uring *u, struct uring_slot *slot) {
    bool asked = uring_is_running(slot, URING_RECEIVE) ||
                 (slot->polled ? uring_is_running(slot, URING_POLL) || ask_to_poll(u, slot)
                               : ask_to_receive(u, slot));
    slot->socket->readable = false;
    if (!asked) {
        loop_socket_failed(slot->socket, ENOBUFS);
    }
}

/* Bytes are there, or an end. */
static void polled(struct uring *u, struct uring_slot *slot, int result) {
    struct socket *socket = slot->socket;
    if (socket->failed) {
        return;
    }
    socket->readable = true; /* if it was for nothing, reading will say so */
    socket->peer_ended |= result > 0 && (result & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    if (!uring_is_running(slot, URING_POLL) && !ask_to_poll(u, slot)) {
        loop_socket_failed(socket, ENOBUFS);
    } else if (!socket->paused) {
        loop_socket_ready(socket);
    }
}

/* It resumes; or a send has failed, and the last words are wanted before that is told. */
void uring_socket_receive(void *self, struct socket *socket) {
    struct uring *u = self;
    struct uring_slot *slot = uring_slot_at(u, socket->slot);
    if (!deliver_held(u, slot)) {
        return;
    }
    if (slot->after_held != 0) {
        socket->readable = false;
        receiving_over(slot, slot->after_held);
        return;
    }
    /* The last words: unless some that came before them are still to be looked at. */
    bool last_words = socket->write_errno != 0 && io_uring_cq_ready(&u->ring) == 0;
    if (last_words || (socket->write_errno == 0 && uring_is_running(slot, URING_POLL))) {
        loop_receive_now(socket);
    } else if (socket->write_errno == 0) {
        ask_again(u, slot);
    }
}

/* The request to receive is over, for a reason that lies with us or the kernel's buffers. */
static void receive_again(struct uring *u, struct uring_slot *slot, struct socket *socket) {
    if (!is_open(slot, socket) || uring_is_running(slot, URING_RECEIVE) || socket->failed ||
        socket->connecting) {
        return;
    }
    if (socket->paused || slot->held != NULL) {
        socket->readable = true; /* asked for when it resumes */
    } else {
        ask_again(u, slot);
    }
}

static void receive_completed(struct uring *u, struct uring_slot *slot, int result,
                              struct slice data) {
    struct socket *socket = slot->socket;
    if (socket->failed) {
        return;
    }
    if (result == 0) {
        receiving_over(slot, URING_ENDED);
        return;
    }
    if (result < 0 && result != -ENOBUFS && result != -ECANCELED && result != -EINTR &&
        result != -EAGAIN) {
        receiving_over(slot, -result);
        return;
    }
    if (result >= URING_LARGE_BYTES && !slot->polled) {
        slot->polled = slot->cancelled = true;
        uring_cancel(u, slot, URING_RECEIVE);
    }
    if (result > 0) {
        received(u, slot, data);
    }
    receive_again(u, slot, socket); /* unless it goes on by itself */
}

/* ---- sending ---- */

/* Returns how many bytes it would send. */
static uint32_t fill_send(struct uring *u, struct io_uring_sqe *sqe, const struct socket *socket) {
    struct socket_block *first = socket->out_first;
    if (first->next == NULL) {
        io_uring_prep_send(sqe, socket->fd, first->data + first->start, first->end - first->start,
                           MSG_NOSIGNAL);
        return first->end - first->start;
    }
    struct iovec *iov = u->messages[u->message_count].iov;
    struct msghdr *header = &u->messages[u->message_count++].header;
    *header = (struct msghdr){ .msg_iov = iov };
    header->msg_iovlen = (size_t)loop_fill_iov(socket, NULL, 0, iov);
    io_uring_prep_sendmsg(sqe, socket->fd, header, MSG_NOSIGNAL);
    uint32_t bytes = 0;
    for (size_t i = 0; i < header->msg_iovlen; i++) {
        bytes += (uint32_t)iov[i].iov_len;
    }
    return bytes;
}

static int ask_to_send(struct uring *u, struct uring_slot *slot) {
    if (u->message_count == URING_MESSAGES) {
        uring_submit(u);
    }
    struct io_uring_sqe *sqe =
        u->message_count == URING_MESSAGES ? NULL : uring_request(u, slot, URING_SEND);
    if (sqe == NULL) {
        return ENOBUFS;
    }
    slot->sending_bytes = fill_send(u, sqe, slot->socket);
    if (slot->full) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    return 0;
}

ssize_t uring_socket_transmit(void *self, struct socket *socket, const struct slice *parts,
                              size_t count, bool more) {
    struct uring *u = self;
    struct uring_slot *slot = uring_slot_at(u, socket->slot);
    if (count > 0 || more) {
        ssize_t taken = loop_transmit_now(socket, parts, count, more);
        slot->full = !socket->writable;
        socket->writable = true; /* the rest goes by the ring, which waits for room */
        return taken;
    }
    int problem = socket->out_first == NULL ? 0 : ask_to_send(u, slot);
    if (problem != 0) {
        errno = problem;
        return -1;
    }
    socket->writable = false;
    return 0;
}

static void send_completed(struct uring_slot *slot, int result) {
    struct socket *socket = slot->socket;
    if (socket->failed || socket->write_errno != 0) {
        return;
    }
    if (result < 0 && result != -EAGAIN && result != -EINTR) {
        loop_socket_sending_failed(socket, -result);
        return;
    }
    uint32_t sent = result < 0 ? 0 : (uint32_t)result;
    slot->full = sent < slot->sending_bytes;
    loop_advance_blocks(socket, sent);
    loop_socket_writable(socket);
}

/* ---- completions ---- */

void uring_socket_completed(struct uring *u, struct uring_slot *slot, enum uring_request what,
                            int result, struct slice data) {
    struct socket *socket = slot->socket;
    if (what == URING_SEND && slot->orphans != NULL) {
        uring_slot_return_orphans(u, slot);
    } else if (what == URING_SEND) {
        send_completed(slot, result);
    } else if (what == URING_RECEIVE) {
        receive_completed(u, slot, result, data);
    } else if (!socket->failed && socket->connecting) {
        if (result < 0) {
            loop_socket_failed(socket, -result);
            return;
        }
        loop_socket_connecting(socket, (unsigned)result);
        receive_again(u, slot, socket);
    } else if (slot->polled) {
        polled(u, slot, result);
    }
}
