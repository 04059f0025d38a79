/* Reading and writing a socket by plain system calls: all that the epoll backend does, and what the
 * io_uring backend does where a completion would come too late or cost a copy. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/net/loop_internal.h"

/* At most `most` bytes; 0: as many as there is room for. */
static void read_now(struct socket *socket, uint64_t most) {
    char *buffer = socket->loop->receive;
    size_t kept = socket->kept_len, room = loop_socket_room(socket);
    if (room == 0) { /* the owner wants more before it takes anything */
        loop_socket_failed(socket, ENOBUFS);
        return;
    }
    room = most > 0 && most < room ? (size_t)most : room;
    if (kept > 0) {
        memcpy(buffer, socket->kept, kept);
    }
    ssize_t n = recv(socket->fd, buffer + kept, room, 0);
    if (n < 0 && errno == EINTR) {
        return;
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
    /* A short read has emptied the stream: the next byte is a new edge. The peer's end is not, when
     * its edge has already come. */
    socket->readable = (size_t)n == room || socket->peer_ended;
    loop_socket_deliver(socket, slice_of(buffer, kept + (size_t)n));
}

void loop_receive_now(struct socket *socket) {
    for (unsigned round = 0; round < LOOP_RECEIVE_ROUNDS; round++) {
        struct socket_intake intake = { 0 };
        if (socket->handler->on_intake != NULL) {
            intake = socket->handler->on_intake(socket);
        }
        if (intake.to == NULL) {
            read_now(socket, intake.bytes);
        } else if (!loop_move_now(socket, &intake)) {
            read_now(socket, 0);
        }
        if (!socket->readable || socket->paused || socket->closing || socket->failed) {
            return;
        }
    }
}

int loop_fill_iov(const struct socket *socket, const struct slice *parts, size_t count,
                  struct iovec iov[LOOP_IOV_MAX]) {
    int filled = 0;
    for (struct socket_block *b = socket->out_first; b != NULL && filled < LOOP_IOV_MAX;
         b = b->next) {
        iov[filled++] = (struct iovec){ b->data + b->start, b->end - b->start };
    }
    for (size_t i = 0; i < count && filled < LOOP_IOV_MAX; i++) {
        if (parts[i].len > 0) {
            iov[filled++] = (struct iovec){ (void *)(uintptr_t)parts[i].data, parts[i].len };
        }
    }
    return filled;
}

size_t loop_advance_blocks(struct socket *socket, size_t sent) {
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

ssize_t loop_transmit_now(struct socket *socket, const struct slice *parts, size_t count,
                          bool more) {
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    struct iovec iov[LOOP_IOV_MAX];
    size_t taken = 0;
    while (socket->writable) {
        struct msghdr message = { .msg_iov = iov };
        message.msg_iovlen = (size_t)loop_fill_iov(socket, parts, count, iov);
        size_t offered = 0;
        for (size_t i = 0; i < message.msg_iovlen; i++) {
            offered += iov[i].iov_len;
        }
        if (offered == 0) {
            break;
        }
        ssize_t n = message.msg_iovlen == 1
                        ? send(socket->fd, iov[0].iov_base, iov[0].iov_len, flags)
                        : sendmsg(socket->fd, &message, flags);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            return -1;
        }
        size_t sent = n < 0 ? 0 : (size_t)n;
        socket->writable = sent == offered; /* else an edge says when there is room again */
        taken += loop_advance_blocks(socket, sent);
        if (count > 0 || more) {
            break; /* the parts were offered: the caller keeps what was not taken */
        }
    }
    return (ssize_t)taken;
}
