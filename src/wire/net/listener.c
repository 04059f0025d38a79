#include "wire/net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

/* ---- opening ---- */

/* A Unix path that nobody listens on any more is in the way of bind. */
static void remove_stale_path(const struct address *address) {
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    struct stat info;
    if (stat(un->sun_path, &info) < 0 || !S_ISSOCK(info.st_mode)) {
        return;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)un, address->len) < 0 &&
        errno == ECONNREFUSED) {
        unlink(un->sun_path);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void set_options(int fd, const struct address *address) {
    int yes = 1, no = 0, unsent = LISTENER_UNSENT_BYTES;
    if (address->storage.ss_family == AF_UNIX) {
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    if (address->storage.ss_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    }
}

/* Where the kernel has no IPv6, "any" means any of IPv4. */
static struct address fallback_v4(const struct address *address) {
    struct address v4 = { .len = sizeof(struct sockaddr_in) };
    struct sockaddr_in *in = (struct sockaddr_in *)&v4.storage;
    in->sin_family = AF_INET;
    in->sin_port = htons(address_port(address));
    return v4;
}

bool listener_open(const struct address *address, int *fd, struct error *err) {
    char text[ADDRESS_TEXT_BYTES];
    struct address wanted = *address;
    if (wanted.storage.ss_family == AF_UNIX) {
        remove_stale_path(&wanted);
    }
    int opened = socket(wanted.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (opened < 0 && errno == EAFNOSUPPORT && address_is_any(&wanted)) {
        wanted = fallback_v4(address);
        opened = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (opened >= 0) {
        set_options(opened, &wanted);
    }
    if (opened < 0 || bind(opened, (struct sockaddr *)&wanted.storage, wanted.len) < 0 ||
        listen(opened, LISTENER_BACKLOG) < 0) {
        address_format(address, text);
        error_system(err, "%s", text);
        if (opened >= 0) {
            close(opened);
        }
        return false;
    }
    *fd = opened;
    return true;
}

/* ---- accepting ---- */

/* No file: a confined worker may open none. */
static int open_reserve(void) {
    return eventfd(0, EFD_CLOEXEC);
}

static void on_ready(struct watch *watch, unsigned events);

static void on_pause_over(struct timer *timer) {
    struct listener *l = (struct listener *)((char *)timer - offsetof(struct listener, pause));
    int fd = l->watch.fd;
    if (!loop_watch(l->loop, &l->watch, fd, WATCH_READ | WATCH_EXCLUSIVE, on_ready, NULL)) {
        l->watch.fd = fd; /* loop_watch has forgotten it: once more later */
        timer_start(l->loop, &l->pause, LISTENER_PAUSE_US, on_pause_over);
    }
}

/* Without a descriptor nothing can be accepted, and the backlog would wake us for ever. */
static void out_of_descriptors(struct listener *l) {
    if (l->reserve_fd >= 0) {
        close(l->reserve_fd);
        int fd = accept4(l->watch.fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
            l->turned_away++;
        }
        l->reserve_fd = open_reserve();
    }
    log_warn("out_of_descriptors", "turned_away=%llu action=pause_accepting_%ums",
             (unsigned long long)l->turned_away, LISTENER_PAUSE_US / 1000);
    int fd = l->watch.fd;
    loop_unwatch(l->loop, &l->watch);
    l->watch.fd = fd;
    timer_start(l->loop, &l->pause, LISTENER_PAUSE_US, on_pause_over);
}

/* The others' turn. */
static void yield_turn(struct listener *l) {
    int fd = l->watch.fd;
    if (l->shared && fd >= 0 && !timer_running(&l->pause) &&
        !loop_watch_yield(l->loop, &l->watch)) {
        l->watch.fd = fd;
        timer_start(l->loop, &l->pause, LISTENER_PAUSE_US, on_pause_over);
    }
}

/* So many; -1: there are no descriptors. */
static int accept_batch(struct listener *l) {
    int accepted = 0;
    for (unsigned i = 0; i < LISTENER_BATCH && l->watch.fd >= 0; i++) {
        struct address peer = { .len = sizeof peer.storage };
        int fd = accept4(l->watch.fd, (struct sockaddr *)&peer.storage, &peer.len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted++;
            l->on_accept(l, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            return -1;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            break; /* EAGAIN: all are accepted, or another worker was faster */
        }
    }
    return accepted;
}

static void on_ready(struct watch *watch, unsigned events) {
    struct listener *l = (struct listener *)((char *)watch - offsetof(struct listener, watch));
    (void)events;
    if (l->reserve_fd < 0) { /* it went when there were none, and could not be had again */
        l->reserve_fd = open_reserve();
    }
    int accepted = accept_batch(l);
    if (accepted < 0) {
        out_of_descriptors(l);
    } else if (accepted > 0) {
        yield_turn(l);
    }
}

bool listener_start(struct listener *listener, struct loop *loop, int fd, void *owner,
                    void (*on_accept)(struct listener *, int, const struct address *),
                    struct error *err) {
    *listener = (struct listener){ .loop = loop, .owner = owner, .on_accept = on_accept };
    listener->reserve_fd = open_reserve();
    if (!loop_watch(loop, &listener->watch, fd, WATCH_READ | WATCH_EXCLUSIVE, on_ready, err)) {
        listener_stop(listener);
        return error_wrap(err, "accept connections");
    }
    return true;
}

static void on_last(struct timer *timer) {
    struct listener *l = (struct listener *)((char *)timer - offsetof(struct listener, pause));
    void (*on_retired)(struct listener *) = l->on_retired;
    (void)accept_batch(l);
    l->watch.fd = -1; /* it is not watched any more */
    listener_stop(l);
    on_retired(l);
}

void listener_retire(struct listener *listener, void (*on_retired)(struct listener *)) {
    int fd = listener->watch.fd;
    if (timer_running(&listener->pause)) {
        timer_stop(listener->loop, &listener->pause);
    } else {
        loop_unwatch(listener->loop, &listener->watch);
    }
    listener->watch.fd = fd;
    listener->on_retired = on_retired;
    timer_start(listener->loop, &listener->pause, LISTENER_LAST_US, on_last);
}

void listener_stop(struct listener *listener) {
    if (listener->loop == NULL) {
        return;
    }
    if (timer_running(&listener->pause)) {
        timer_stop(listener->loop, &listener->pause);
        listener->watch.fd = -1; /* it is not watched while accepting pauses */
    } else {
        loop_unwatch(listener->loop, &listener->watch);
    }
    if (listener->reserve_fd >= 0) {
        close(listener->reserve_fd);
    }
    listener->reserve_fd = -1;
    listener->loop = NULL;
}
