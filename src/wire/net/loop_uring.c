/* The loop's io_uring backend: one submission and one wait a turn, nothing else. Needs Linux 6.1
 * (DEFER_TASKRUN, multishot receive into a ring of buffers); where that is missing or forbidden
 * (seccomp, kernel.io_uring_disabled) it does not open.
 *
 * Watches are one-shot polls asked for again after each event: a multishot poll is edge-triggered,
 * and on a listening socket that several workers share it would be woken for every connection
 * while the others sleep; asked anew it goes to the end of the queue, and workers take turns. */
#include "wire/net/loop_uring_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* ---- slots ---- */

struct uring_slot *uring_slot_at(const struct uring *u, uint32_t index) {
    return &u->chunks[index / URING_CHUNK_SLOTS][index % URING_CHUNK_SLOTS];
}

static void free_slot(struct uring *u, struct uring_slot *slot) {
    slot->state = URING_FREE;
    slot->next_free = u->first_free;
    u->first_free = slot->index + 1;
}

static bool add_chunk(struct uring *u) {
    struct uring_slot *chunk =
        u->chunk_count == URING_CHUNKS_MAX ? NULL : calloc(URING_CHUNK_SLOTS, sizeof *chunk);
    if (chunk == NULL) {
        return false;
    }
    u->chunks[u->chunk_count++] = chunk;
    for (uint32_t i = URING_CHUNK_SLOTS; i-- > 0;) {
        chunk[i].index = (u->chunk_count - 1) * URING_CHUNK_SLOTS + i;
        free_slot(u, &chunk[i]);
    }
    return true;
}

struct uring_slot *uring_slot_take(struct uring *u, enum uring_slot_state state) {
    if (u->first_free == 0 && !add_chunk(u)) {
        return NULL;
    }
    struct uring_slot *slot = uring_slot_at(u, u->first_free - 1);
    u->first_free = slot->next_free;
    *slot = (struct uring_slot){ .index = slot->index, .state = (uint8_t)state };
    return slot;
}

void uring_slot_close(struct uring *u, struct uring_slot *slot) {
    slot->state = URING_CLOSED;
    if (slot->running == 0) {
        free_slot(u, slot);
    }
}

void uring_slot_return_orphans(struct uring *u, struct uring_slot *slot) {
    while (slot->orphans != NULL) {
        struct socket_block *block = slot->orphans;
        slot->orphans = block->next;
        loop_block_return(u->loop, block);
    }
}

/* ---- requests ---- */

static uint64_t name_of(const struct uring_slot *slot, enum uring_request what) {
    return (uint64_t)slot->index << 8 | what;
}

/* What the kernel has not taken yet, for want of memory, still refers to its message. */
static void reuse_messages(struct uring *u) {
    if (io_uring_sq_ready(&u->ring) == 0) {
        u->message_count = 0;
    }
}

void uring_submit(struct uring *u) {
    io_uring_submit(&u->ring);
    reuse_messages(u);
}

static struct io_uring_sqe *next_request(struct uring *u) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (sqe == NULL) {
        uring_submit(u);
        sqe = io_uring_get_sqe(&u->ring);
    }
    return sqe;
}

struct io_uring_sqe *uring_request(struct uring *u, struct uring_slot *slot,
                                   enum uring_request what) {
    struct io_uring_sqe *sqe = next_request(u);
    if (sqe != NULL) {
        sqe->user_data = name_of(slot, what); /* what fills it in leaves that alone */
        slot->running = (slot->running | 1u << what) & 0xf;
    }
    return sqe;
}

/* The request among those not yet submitted: its descriptor may be gone by then. */
static struct io_uring_sqe *find_unsubmitted(struct uring *u, uint64_t name) {
    struct io_uring_sq *sq = &u->ring.sq;
    for (unsigned i = *sq->khead; i != sq->sqe_tail; i++) {
        struct io_uring_sqe *sqe = &sq->sqes[i & sq->ring_mask];
        if (sqe->user_data == name) {
            return sqe;
        }
    }
    return NULL;
}

void uring_cancel(struct uring *u, struct uring_slot *slot, enum uring_request what) {
    if (!uring_is_running(slot, what)) {
        return;
    }
    struct io_uring_sqe *sqe = find_unsubmitted(u, name_of(slot, what));
    if (sqe != NULL) {
        io_uring_prep_nop(sqe);
        sqe->user_data = URING_NOTHING;
        slot->running &= ~(1u << what) & 0xf;
        return;
    }
    sqe = next_request(u);
    if (sqe != NULL) {
        io_uring_prep_cancel64(sqe, name_of(slot, what), 0);
        sqe->user_data = URING_NOTHING;
    } /* else it ends when the peer ends the connection: nobody waits for it */
}

/* ---- watches ---- */

static bool poll_watch(struct uring *u, struct uring_slot *slot) {
    const struct watch *watch = slot->watch;
    struct io_uring_sqe *sqe = uring_request(u, slot, URING_POLL);
    if (sqe == NULL) {
        errno = EBUSY;
        return false;
    }
    unsigned events = 0;
    events |= watch->events & WATCH_READ ? POLLIN : 0;
    events |= watch->events & WATCH_WRITE ? POLLOUT : 0;
    events |= watch->events & WATCH_EXCLUSIVE ? EPOLLEXCLUSIVE : 0;
    io_uring_prep_poll_add(sqe, watch->fd, events);
    return true;
}

static bool watch_add(void *self, struct watch *watch) {
    struct uring *u = self;
    struct uring_slot *slot = uring_slot_take(u, URING_WATCH);
    if (slot == NULL) {
        errno = ENOMEM;
        return false;
    }
    slot->watch = watch;
    watch->slot = slot->index;
    if (!poll_watch(u, slot)) {
        uring_slot_close(u, slot);
        return false;
    }
    return true;
}

static void watch_remove(void *self, struct watch *watch) {
    struct uring *u = self;
    struct uring_slot *slot = uring_slot_at(u, watch->slot);
    uring_cancel(u, slot, URING_POLL);
    slot->watch = NULL;
    uring_slot_close(u, slot);
}

static bool watch_change(void *self, struct watch *watch) {
    watch_remove(self, watch);
    return watch_add(self, watch);
}

static void watch_completed(struct uring *u, struct uring_slot *slot, int result) {
    struct watch *watch = slot->watch;
    if (result > 0) {
        loop_watch_happened(watch, (unsigned)result);
    }
    /* The callback may have ended it, and the slot may be another's by now. */
    if (slot->state == URING_WATCH && slot->watch == watch && !uring_is_running(slot, URING_POLL)) {
        poll_watch(u, slot);
    }
}

/* ---- waiting ---- */

static void completed(struct uring *u, const struct io_uring_cqe *cqe) {
    enum uring_request what = (enum uring_request)(cqe->user_data & 0xff);
    if (what == URING_NOTHING) {
        return;
    }
    struct uring_slot *slot = uring_slot_at(u, (uint32_t)(cqe->user_data >> 8));
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        slot->running &= ~(1u << what) & 0xf;
    }
    struct slice data = what == URING_RECEIVE ? uring_buffers_take(u, cqe) : slice_of(NULL, 0);
    if (slot->state == URING_SOCKET) {
        uring_socket_completed(u, slot, what, cqe->res, data);
    } else if (slot->state == URING_WATCH) {
        watch_completed(u, slot, cqe->res);
    } else if (slot->state == URING_CLOSED) {
        if (what == URING_SEND) {
            uring_slot_return_orphans(u, slot);
        }
        uring_slot_close(u, slot);
    }
    if (what == URING_RECEIVE) {
        uring_buffers_return(u, cqe);
    }
}

static void dispatch(struct uring *u) {
    struct io_uring_cqe *batch[URING_BATCH];
    unsigned count, total = 0;
    while (total < URING_EVENTS_PER_TURN &&
           (count = io_uring_peek_batch_cqe(&u->ring, batch, URING_BATCH)) > 0) {
        for (unsigned i = 0; i < count; i++) {
            completed(u, batch[i]);
        }
        io_uring_cq_advance(&u->ring, count);
        uring_buffers_give(u);
        total += count;
    }
}

static int submit_and_wait(struct uring *u, int wait_ms) {
    if (wait_ms == 0 || io_uring_cq_ready(&u->ring) > 0) {
        return io_uring_submit_and_get_events(&u->ring);
    }
    struct __kernel_timespec patience = { .tv_sec = wait_ms / 1000,
                                          .tv_nsec = wait_ms % 1000 * 1000000LL };
    struct io_uring_cqe *first;
    return io_uring_submit_and_wait_timeout(&u->ring, &first, 1, wait_ms < 0 ? NULL : &patience,
                                            NULL);
}

static bool wait_and_dispatch(void *self, struct loop *loop, int wait_ms, struct error *err) {
    struct uring *u = self;
    u->loop = loop;
    int result = submit_and_wait(u, wait_ms);
    reuse_messages(u);
    if (result < 0 && result != -ETIME && result != -EINTR && result != -EBUSY &&
        result != -EAGAIN) {
        errno = -result;
        return error_system(err, "io_uring_enter");
    }
    loop_update_clock(loop);
    dispatch(u);
    return true;
}

/* ---- opening and closing ---- */

/* Locked memory or the cgroup may allow only a smaller ring. */
static int open_ring(struct uring *u) {
    int result = -ENOMEM;
    for (unsigned entries = URING_ENTRIES; entries >= URING_ENTRIES_LEAST && result == -ENOMEM;
         entries /= 4) {
        struct io_uring_params params = {
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                     IORING_SETUP_R_DISABLED,
            .cq_entries = entries * 4,
        };
        result = io_uring_queue_init_params(entries, &u->ring, &params);
    }
    return result;
}

/* What a seccomp filter cannot see: the ring itself refuses everything else from now on, opening
 * files among it. */
static int restrict_ring(struct uring *u) {
    static const uint8_t requests[] = { IORING_OP_NOP,  IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD,
                                        IORING_OP_RECV, IORING_OP_SEND,         IORING_OP_SENDMSG };
    static const uint8_t registrations[] = { IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS,
                                             IORING_REGISTER_SYNC_CANCEL };
    struct io_uring_restriction rules[sizeof requests + sizeof registrations + 1] = { 0 };
    unsigned count = 0;
    for (size_t i = 0; i < sizeof requests; i++) {
        rules[count].opcode = IORING_RESTRICTION_SQE_OP;
        rules[count++].sqe_op = requests[i];
    }
    for (size_t i = 0; i < sizeof registrations; i++) {
        rules[count].opcode = IORING_RESTRICTION_REGISTER_OP;
        rules[count++].register_op = registrations[i];
    }
    rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    rules[count++].sqe_flags = IOSQE_BUFFER_SELECT;
    /* liburing 2.3 has forgotten to export what wraps these two. */
    int fd = u->ring.ring_fd;
    int result = io_uring_register((unsigned)fd, IORING_REGISTER_RESTRICTIONS, rules, count);
    return result < 0 ? result
                      : io_uring_register((unsigned)fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static void *uring_open(struct error *err) {
    struct uring *u = calloc(1, sizeof *u);
    if (u == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for io_uring");
        return NULL;
    }
    int result = open_ring(u);
    if (result < 0) {
        errno = -result;
        error_system(err, "io_uring_setup%s",
                     result == -EINVAL ? " (it needs Linux 6.1 or newer)" : "");
        free(u);
        return NULL;
    }
    io_uring_ring_dontfork(&u->ring); /* a child has nothing to look for in it */
    bool ready = uring_buffers_open(u, err);
    if (ready && (result = restrict_ring(u)) < 0) {
        errno = -result;
        ready = error_system(err, "restrict the ring");
    }
    if (!ready) {
        uring_buffers_close(u);
        io_uring_queue_exit(&u->ring);
        free(u);
        return NULL;
    }
    io_uring_register_ring_fd(&u->ring); /* saves a look-up a turn; does without if refused */
    return u;
}

static void uring_close(void *self) {
    struct uring *u = self;
    /* The kernel takes a ring down in its own time; listening sockets and connections must not
     * stay open so long. */
    struct io_uring_sync_cancel_reg all = {
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
        .timeout = { .tv_sec = 0, .tv_nsec = 100000000 },
    };
    io_uring_submit(&u->ring);
    io_uring_register_sync_cancel(&u->ring, &all);
    io_uring_queue_exit(&u->ring);
    uring_buffers_close(u);
    for (uint32_t i = 0; i < u->chunk_count; i++) {
        for (uint32_t k = 0; k < URING_CHUNK_SLOTS; k++) {
            uring_slot_return_orphans(u, &u->chunks[i][k]);
            free(u->chunks[i][k].held);
        }
        free(u->chunks[i]);
    }
    free(u);
}

const struct loop_backend loop_backend_uring = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .wait = wait_and_dispatch,
    .watch_add = watch_add,
    .watch_change = watch_change,
    .watch_remove = watch_remove,
    .socket_add = uring_socket_add,
    .socket_remove = uring_socket_remove,
    .receive = uring_socket_receive,
    .transmit = uring_socket_transmit,
    .disown = uring_socket_disown,
};
