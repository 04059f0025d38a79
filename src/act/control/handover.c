#include "act/control/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/slice.h"

#define HANDOVER_MAGIC 0x74676875u /* "uhgt" */
#define FDS_MAX (3 + HANDOVER_LISTENERS_MAX)
#define OFFER_WAIT_MS 5000

/* On the wire: which descriptors follow, in this order. */
struct offer_body {
    struct handover_message head;
    uint8_t has_lock, has_plan, has_front;
    uint32_t listen_count;
    struct {
        uint32_t len;
        uint8_t storage[sizeof(struct sockaddr_storage)];
    } listen[HANDOVER_LISTENERS_MAX];
};

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static struct handover_message message_of(enum handover_kind kind) {
    return (struct handover_message){ .magic = HANDOVER_MAGIC,
                                      .version = HANDOVER_VERSION,
                                      .kind = kind };
}

static bool is_ours(const struct handover_message *m) {
    return m->magic == HANDOVER_MAGIC && m->version == HANDOVER_VERSION;
}

bool handover_pair(int fds[2], struct error *err) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
        return error_system(err, "a socket to hand over by");
    }
    return true;
}

bool handover_send(int fd, enum handover_kind kind, pid_t pid, const char *text) {
    struct handover_message m = message_of(kind);
    m.pid = pid;
    snprintf(m.text, sizeof m.text, "%s", text == NULL ? "" : text);
    return fd >= 0 && send(fd, &m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof m;
}

bool handover_receive(int fd, struct handover_message *m) {
    ssize_t n = recv(fd, m, sizeof *m, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        *m = (struct handover_message){ .kind = HANDOVER_NONE };
        return true;
    }
    if (n != (ssize_t)sizeof *m || !is_ours(m)) {
        return false;
    }
    m->text[sizeof m->text - 1] = '\0';
    return true;
}

/* ---- the offer ---- */

bool handover_send_offer(int fd, const struct handover_offer *offer, struct error *err) {
    static struct offer_body body;
    static union control control;
    int fds[FDS_MAX];
    unsigned count = 0;
    body = (struct offer_body){ .head = message_of(HANDOVER_OFFER),
                                .has_lock = offer->lock_fd >= 0,
                                .has_plan = offer->plan_fd >= 0,
                                .has_front = offer->front_fd >= 0,
                                .listen_count = offer->listen_count };
    const int first[] = { offer->lock_fd, offer->plan_fd, offer->front_fd };
    for (unsigned i = 0; i < 3; i++) {
        if (first[i] >= 0) {
            fds[count++] = first[i];
        }
    }
    for (unsigned i = 0; i < offer->listen_count; i++) {
        body.listen[i].len = offer->listen[i].len;
        memcpy(body.listen[i].storage, &offer->listen[i].storage, sizeof body.listen[i].storage);
        fds[count++] = offer->listen_fds[i];
    }
    struct iovec part = { &body, sizeof body };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
    if (sendmsg(fd, &message, MSG_NOSIGNAL) != (ssize_t)sizeof body) {
        return error_system(err, "offer the sockets");
    }
    return true;
}

static bool unpack(const struct offer_body *body, const int *fds, unsigned fd_count,
                   struct handover_offer *offer) {
    unsigned at = 0;
    int *const first[] = { &offer->lock_fd, &offer->plan_fd, &offer->front_fd };
    const uint8_t has[] = { body->has_lock, body->has_plan, body->has_front };
    for (unsigned i = 0; i < 3; i++) {
        *first[i] = has[i] && at < fd_count ? fds[at++] : -1;
    }
    bool whole = body->listen_count <= HANDOVER_LISTENERS_MAX &&
                 body->listen_count == fd_count - at && offer->lock_fd >= 0;
    for (unsigned i = 0; whole && i < body->listen_count; i++) {
        whole = body->listen[i].len <= sizeof(struct sockaddr_storage);
        offer->listen[i].len = (socklen_t)body->listen[i].len;
        memcpy(&offer->listen[i].storage, body->listen[i].storage, sizeof body->listen[i].storage);
        offer->listen_fds[i] = fds[at + i];
    }
    offer->listen_count = whole ? body->listen_count : 0;
    return whole;
}

bool handover_receive_offer(int fd, struct handover_offer *offer, struct error *err) {
    static struct offer_body body;
    static union control control;
    int fds[FDS_MAX];
    unsigned count = 0;
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    struct iovec part = { &body, sizeof body };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    *offer = (struct handover_offer){ .lock_fd = -1, .plan_fd = -1, .front_fd = -1 };
    if (poll(&wait, 1, OFFER_WAIT_MS) != 1) {
        return error_set(err, ERROR_UNAVAILABLE, "the old Tidegate offers nothing");
    }
    ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *rights = n < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (rights != NULL && rights->cmsg_type == SCM_RIGHTS) {
        count = (unsigned)((rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(rights), count * sizeof(int));
    }
    if (n == (ssize_t)sizeof body && is_ours(&body.head) && body.head.kind == HANDOVER_OFFER &&
        unpack(&body, fds, count, offer)) {
        return true;
    }
    for (unsigned i = 0; i < count; i++) {
        close(fds[i]);
    }
    return error_set(err, ERROR_INVALID,
                     "the old Tidegate hands over in a way that this version "
                     "does not know");
}

void handover_offer_close(struct handover_offer *offer) {
    int *const first[] = { &offer->lock_fd, &offer->plan_fd, &offer->front_fd };
    for (unsigned i = 0; i < 3; i++) {
        if (*first[i] >= 0) {
            close(*first[i]);
        }
        *first[i] = -1;
    }
    for (unsigned i = 0; i < offer->listen_count; i++) {
        if (offer->listen_fds[i] >= 0) {
            close(offer->listen_fds[i]);
        }
    }
    offer->listen_count = 0;
}

int handover_inherited(void) {
    const char *text = getenv(HANDOVER_ENVIRONMENT);
    uint64_t fd;
    if (text == NULL) {
        return -1;
    }
    bool good = parse_uint(slice_from(text), &fd) && fd > STDERR_FILENO && fd < 1024 &&
                fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0;
    unsetenv(HANDOVER_ENVIRONMENT); /* not for the instances */
    return good ? (int)fd : -1;
}
