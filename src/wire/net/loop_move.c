/* From one socket to another inside the kernel: splice(2) hands pages on instead of copying them
 * out and in again. They go through a pipe, which is the loop's and empty again before the call
 * returns: what the receiving socket does not take at once is read out of it and waits in that
 * socket's blocks, under the same measure of back-pressure as all that is sent. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "wire/net/loop_internal.h"

void loop_move_close(struct loop *loop) {
    for (unsigned i = 0; i < 2; i++) {
        if (loop->pipe[i] >= 0) {
            close(loop->pipe[i]);
        }
        loop->pipe[i] = -1;
    }
}

/* A page of the pipe holds one piece of what came, which may be as short as a packet: the more
 * pages the better, but less will do. */
static bool open_pipe(struct loop *loop) {
    if (loop->pipe[0] < 0 && !loop->cannot_move) {
        if (pipe2(loop->pipe, O_NONBLOCK | O_CLOEXEC) < 0) {
            return false; /* no descriptors: perhaps later */
        }
        (void)fcntl(loop->pipe[1], F_SETPIPE_SZ, 2 * LOOP_RECEIVE_BYTES);
    }
    return loop->pipe[0] >= 0;
}

/* Nothing may stand between the two, and nobody may wait for room. */
static bool is_possible(const struct socket *from, const struct socket *to) {
    bool open = to->fd >= 0 && !to->closing && !to->failed && !to->connecting && !to->finishing;
    return open && from->kept_len == 0 && from->tls == NULL && to->tls == NULL && to->writable &&
           to->write_errno == 0 && to->pending_bytes <= SOCKET_LOW_WATER_BYTES;
}

/* What waits in the blocks goes first; the kernel holds it back for what follows. */
static void push_pending(struct socket *to) {
    if (to->pending_bytes > 0 &&
        to->loop->backend->transmit(to->loop->backend_self, to, NULL, 0, true) < 0) {
        loop_socket_sending_failed(to, errno);
    }
}

/* Returns how many of the pipe's bytes were not taken. */
static size_t push_pipe(struct socket *to, size_t bytes) {
    while (bytes > 0 && to->pending_bytes == 0 && to->write_errno == 0) {
        ssize_t n = splice(to->loop->pipe[0], NULL, to->fd, NULL, bytes, SPLICE_F_NONBLOCK);
        if (n > 0) {
            bytes -= (size_t)n;
        } else if (n == 0 || errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            loop_socket_sending_failed(to, errno);
        }
    }
    return bytes;
}

static void queue_rest(struct socket *to, size_t bytes) {
    struct loop *loop = to->loop;
    while (bytes > 0 && to->write_errno == 0) {
        ssize_t n = read(loop->pipe[0], loop->receive, bytes);
        if (n > 0) {
            socket_send_slice(to, slice_of(loop->receive, (size_t)n));
            bytes -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            loop_socket_sending_failed(to, EIO); /* a pipe that lost bytes */
        }
    }
    if (bytes > 0) {
        loop_move_close(loop); /* they are nobody's */
    }
}

/* Whether there is more, when the owner wants no more: a reused connection must be known quiet. */
static bool has_more(const struct socket *from) {
    int unread = 0;
    return ioctl(from->fd, FIONREAD, &unread) < 0 || unread > 0 || from->peer_ended;
}

bool loop_move_now(struct socket *from, const struct socket_intake *intake) {
    struct loop *loop = from->loop;
    struct socket *to = intake->to;
    if (!is_possible(from, to) || !open_pipe(loop)) {
        return false;
    }
    size_t most = intake->bytes < LOOP_RECEIVE_BYTES ? (size_t)intake->bytes : LOOP_RECEIVE_BYTES;
    ssize_t n = splice(from->fd, NULL, loop->pipe[1], NULL, most, SPLICE_F_NONBLOCK);
    if (n < 0 && errno == EINVAL) {
        loop->cannot_move = true;
        loop_move_close(loop);
        return false;
    }
    if (n < 0) {
        from->readable = errno == EINTR;
        if (errno != EAGAIN && errno != EINTR) {
            loop_socket_failed(from, errno);
        }
        return true;
    }
    if (n == 0) {
        from->readable = false;
        loop_socket_ended(from);
        return true;
    }
    push_pending(to);
    queue_rest(to, push_pipe(to, (size_t)n));
    from->readable = (uint64_t)n < intake->bytes || has_more(from);
    from->handler->on_moved(from, (size_t)n);
    return true;
}
