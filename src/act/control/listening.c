/* The listening sockets. A slot keeps its number while its address is configured: workers know
 * their listeners by it. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "act/control/supervisor_internal.h"
#include "act/proxy/worker.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/net/listener.h"

#define BIND_PATIENCE_US 3000000 /* workers of a dead supervisor may still hold the port */

static int find(const struct supervisor *s, const struct address *address) {
    for (int i = 0; i < LISTENERS_MAX; i++) {
        if (s->listen_fds[i] >= 0 && address_equal(&s->listen[i], address)) {
            return i;
        }
    }
    return -1;
}

static int free_slot(const struct supervisor *s) {
    for (int i = 0; i < LISTENERS_MAX; i++) {
        if (s->listen_fds[i] < 0) {
            return i;
        }
    }
    return -1;
}

static int take_offered(struct handover_offer *offer, const struct address *address) {
    for (unsigned i = 0; offer != NULL && i < offer->listen_count; i++) {
        if (offer->listen_fds[i] >= 0 && address_equal(&offer->listen[i], address)) {
            int fd = offer->listen_fds[i];
            offer->listen_fds[i] = -1;
            return fd;
        }
    }
    return -1;
}

/* The workers and the controller of a supervisor that was killed give their ports back within
 * moments. */
static bool open_patiently(const struct address *address, uint64_t patience_us, int *fd,
                           struct error *err) {
    uint64_t until_us = clock_monotonic_us() + patience_us;
    while (!listener_open(address, fd, err)) {
        if (err->system_errno != EADDRINUSE || clock_monotonic_us() > until_us) {
            return false;
        }
        usleep(20000);
    }
    return true;
}

bool listening_check_admin(const struct supervisor *s, struct error *err) {
    const char *text = s->shop->admin.address;
    struct address address;
    int fd;
    if (text == NULL || s->shop->admin.best_effort) {
        return true; /* the controller opens it, and can do without */
    }
    if (!address_parse(slice_from(text), 0, &address, err) ||
        !open_patiently(&address, BIND_PATIENCE_US, &fd, err)) {
        return error_wrap(err, "admin address %s", text);
    }
    close(fd);
    return true;
}

/* In a free slot. */
static bool open_one(struct supervisor *s, const struct listen_config *listen,
                     struct handover_offer *offer, uint64_t patience_us, struct error *err) {
    int slot = free_slot(s), fd = take_offered(offer, &listen->address);
    if (slot < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return error_set(err, ERROR_LIMIT, "more than %d listeners", LISTENERS_MAX);
    }
    if (fd < 0 && !open_patiently(&listen->address, patience_us, &fd, err)) {
        return error_wrap(err, "listen on %s", listen->text);
    }
    s->listen_fds[slot] = fd;
    s->listen[slot] = listen->address;
    return true;
}

/* Workers that start from now on open those only when the plan says what they speak. */
static void guard(struct supervisor *s, const struct shop *shop) {
    for (size_t i = 0; i < shop->listen_count; i++) {
        const struct listen_config *listen = &shop->listen[i];
        int slot = find(s, &listen->address);
        if (slot >= 0) {
            s->listen_guarded[slot] = listen_is_tls(listen) || listen->proxy_protocol;
        }
    }
}

bool listening_open(struct supervisor *s, struct handover_offer *offer, struct error *err) {
    for (size_t i = 0; i < s->shop->listen_count; i++) {
        const struct listen_config *listen = &s->shop->listen[i];
        if (find(s, &listen->address) >= 0) {
            continue;
        }
        if (!open_one(s, listen, offer, BIND_PATIENCE_US, err)) {
            return false;
        }
    }
    guard(s, s->shop);
    return true;
}

static void close_slot(struct supervisor *s, unsigned slot, bool remove_path) {
    const struct sockaddr_un *un = (const struct sockaddr_un *)&s->listen[slot].storage;
    if (remove_path && un->sun_family == AF_UNIX) {
        unlink(un->sun_path);
    }
    close(s->listen_fds[slot]);
    s->listen_fds[slot] = -1;
}

void listening_close(struct supervisor *s) {
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (s->listen_fds[i] >= 0) {
            close_slot(s, i, false);
        }
    }
}

/* ---- while it runs ---- */

static void order_worker(const struct child *worker, const struct worker_order *order, int fd) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec body = { (void *)(uintptr_t)order, sizeof *order };
    struct msghdr message = { .msg_iov = &body, .msg_iovlen = 1 };
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    if (sendmsg(worker->control_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        log_warn("worker_not_told", "child=%s error=\"%s\" action=leave_it_to_other_workers",
                 worker->name, strerror(errno));
    }
}

static void order_all(struct supervisor *s, enum worker_order_kind kind, unsigned slot) {
    const struct worker_order order = { kind, slot, s->listen_guarded[slot] };
    for (unsigned i = 0; i < s->worker_count; i++) {
        if (s->children[i].pid != 0 && s->children[i].control_fd >= 0) {
            order_worker(&s->children[i], &order, kind == WORKER_LISTEN ? s->listen_fds[slot] : -1);
        }
    }
}

static bool open_new(struct supervisor *s, const struct shop *fresh, bool is_new[LISTENERS_MAX],
                     struct error *err) {
    for (size_t i = 0; i < fresh->listen_count; i++) {
        const struct listen_config *listen = &fresh->listen[i];
        if (find(s, &listen->address) >= 0) {
            continue;
        }
        if (!open_one(s, listen, NULL, 0, err)) {
            return false;
        }
        is_new[find(s, &listen->address)] = true;
    }
    return true;
}

bool listening_apply(struct supervisor *s, const struct shop *fresh, struct error *err) {
    bool is_new[LISTENERS_MAX] = { false };
    char text[ADDRESS_TEXT_BYTES];
    bool good = open_new(s, fresh, is_new, err);
    if (good) {
        guard(s, fresh);
    }
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (s->listen_fds[i] < 0) {
            continue;
        }
        address_format(&s->listen[i], text);
        if (is_new[i] && good) {
            order_all(s, WORKER_LISTEN, i);
            log_info("listening", "address=%s workers=%u", text, s->worker_count);
        } else if (is_new[i]) {
            close_slot(s, i, true);
        } else if (good && !shop_listens_at(fresh, &s->listen[i])) {
            order_all(s, WORKER_UNLISTEN, i);
            close_slot(s, i, true);
            log_info("not_listening", "address=%s action=finish_its_connections", text);
        }
    }
    return good;
}
