/* Listening sockets: opened once (by the supervisor), shared by all workers, each of which accepts
 * from them in its own loop.
 *
 * A turn accepts at most LISTENER_BATCH connections, so that workers share a burst, and a `shared`
 * one then queues anew: the kernel wakes the first that waits, which would be the same each time
 * (two idle workers, 320 connections one after the other: 0 and 320; with turns 160 each). Out of
 * descriptors (EMFILE, ENFILE): the oldest waiting client is turned away by closing the reserve
 * descriptor for a moment, then accepting pauses for LISTENER_PAUSE_US; both are counted. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/net/address.h"
#include "wire/net/loop.h"

#define LISTENER_BACKLOG 4096
#define LISTENER_BATCH 32
#define LISTENER_PAUSE_US 20000
#define LISTENER_LAST_US 1000 /* by then the kernel wakes this process no more */
/* Of a connection, with the kernel and not yet sent (TCP_NOTSENT_LOWAT, which accepted sockets
 * inherit): who reads slowly costs no megabytes of the kernel, and of HTTP/2 streams the urgent one
 * is not behind what is long written. */
#define LISTENER_UNSENT_BYTES 131072

/* A bound, listening, non-blocking, close-on-exec socket in *fd: SO_REUSEADDR, TCP_NODELAY handed
 * on to what is accepted. "Any" of IPv6 takes IPv4 too. A stale Unix path is replaced. */
bool listener_open(const struct address *address, int *fd, struct error *err);

struct listener {
    struct loop *loop;
    struct watch watch; /* watch.fd: the listening descriptor */
    struct timer pause;
    bool shared; /* with other processes: they take turns; may be set after listener_start */
    int reserve_fd;
    uint64_t turned_away; /* clients closed for want of descriptors */
    void *owner;
    /* A new connection: `fd` is non-blocking and now the callee's. */
    void (*on_accept)(struct listener *listener, int fd, const struct address *peer);
    void (*on_retired)(struct listener *listener);
};

/* Starts to accept from a descriptor of listener_open, which may be inherited and shared with other
 * processes. The descriptor stays the caller's. */
bool listener_start(struct listener *listener, struct loop *loop, int fd, void *owner,
                    void (*on_accept)(struct listener *, int, const struct address *),
                    struct error *err);
/* Leaves the descriptor to the other processes that accept from it. A connection that the kernel
 * has woken only this one for would wait in the queue until the next one comes: what is there is
 * accepted once more when no further wake can come. Then it is stopped and `on_retired` called.
 * Only for one that is started. */
void listener_retire(struct listener *listener, void (*on_retired)(struct listener *));
/* Accepts no more; safe on a zeroed or stopped one. Does not close the listening descriptor. */
void listener_stop(struct listener *listener);
