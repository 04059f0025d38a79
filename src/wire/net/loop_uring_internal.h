/* Inside of the io_uring backend: the ring and its slots (loop_uring.c), the memory that the kernel
 * receives into (loop_uring_buffers.c), sockets (loop_uring_socket.c).
 *
 * A completion names a slot, never a socket: the kernel refers to slots, to our receive buffers and
 * to the blocks of a send, so that a closed socket's memory is its owner's at the end of the turn
 * while what it had asked for is still being cancelled. A slot is free again when its last request
 * has completed.
 *
 *   FREE ──▶ SOCKET or WATCH ──▶ CLOSED ── last completion ──▶ FREE
 *                        └── nothing is running ───────────────▲ */
#pragma once
#include <liburing.h>

#include "wire/net/loop_internal.h"

#define URING_ENTRIES 1024     /* requests of one submission; fewer where memory is short */
#define URING_ENTRIES_LEAST 64 /* below it io_uring does not come up */
#define URING_BATCH 256        /* completions looked at in one go */
#define URING_EVENTS_PER_TURN 4096
#define URING_MESSAGES 64            /* sends of more than one block in a submission */
#define URING_HELD_BYTES_MAX 1048576 /* of a paused socket; one turn receives less than that */
#define URING_LARGE_BYTES 32768      /* a receive of so much: from then on the socket is polled */
#define URING_CHUNK_SLOTS 256
#define URING_CHUNKS_MAX 4096 /* of slots: a million sockets */

enum uring_request {
    URING_NOTHING, /* a completion that nobody waits for: cancellations */
    URING_POLL,    /* of a watch, of a socket that connects or that is polled */
    URING_RECEIVE,
    URING_SEND,
};

enum uring_slot_state { URING_FREE, URING_SOCKET, URING_WATCH, URING_CLOSED };

/* What came while the owner had paused, as it came. */
struct uring_held {
    uint32_t len;
    char data[];
};

#define URING_ENDED (-1)

struct uring_slot {
    union {
        struct socket *socket;
        struct watch *watch;
        uint32_t next_free; /* its index + 1; 0: none */
    };
    struct socket_block *orphans; /* the kernel may still send from them, and nobody else waits */
    struct uring_held *held;      /* NULL: nothing */
    uint32_t index;
    uint32_t sending_bytes; /* of the send that is running */
    int16_t after_held;     /* told when the socket resumes: URING_ENDED, or an errno; 0: neither */
    uint8_t state;
    uint8_t running : 4;   /* 1 << enum uring_request */
    uint8_t cancelled : 1; /* the receive */
    uint8_t full : 1;      /* the last send was short: wait for room before the next */
    uint8_t polled : 1;    /* large receives: it is told of bytes and reads them by itself */
};

/* Where the kernel puts what it receives. */
struct uring_buffers {
    struct io_uring_buf_ring *ring;
    char *memory;
    uint32_t count, each_bytes;
    bool incremental; /* a buffer is used up piece by piece (kernel 6.12) */
    uint32_t used_bytes[128];
    unsigned given; /* back to the ring, not yet told to the kernel */
};

struct uring {
    struct io_uring ring;
    struct loop *loop;
    struct uring_buffers buffers;
    struct uring_slot *chunks[URING_CHUNKS_MAX];
    uint32_t chunk_count, first_free; /* index + 1; 0: none */
    unsigned message_count;           /* used since the last submission */
    struct {
        struct msghdr header;
        struct iovec iov[LOOP_IOV_MAX];
    } messages[URING_MESSAGES];
};

/* loop_uring.c */
struct uring_slot *uring_slot_take(struct uring *u, enum uring_slot_state state); /* NULL: none */
struct uring_slot *uring_slot_at(const struct uring *u, uint32_t index);
void uring_slot_close(struct uring *u, struct uring_slot *slot);
/* The kernel has done with what it was sending from. */
void uring_slot_return_orphans(struct uring *u, struct uring_slot *slot);
/* A request for the slot, to be filled in; it goes out with the next wait. NULL: the kernel takes
 * no more. */
struct io_uring_sqe *uring_request(struct uring *u, struct uring_slot *slot,
                                   enum uring_request what);
/* Before the turn's end, when there is no room for more. */
void uring_submit(struct uring *u);
/* What this turn has asked for so far never happens, what the kernel has begun is cancelled. */
void uring_cancel(struct uring *u, struct uring_slot *slot, enum uring_request what);

/* loop_uring_buffers.c */
bool uring_buffers_open(struct uring *u, struct error *err);
void uring_buffers_close(struct uring *u);
/* The bytes of a completion; they are the kernel's again after uring_buffers_return. */
struct slice uring_buffers_take(struct uring *u, const struct io_uring_cqe *cqe);
void uring_buffers_return(struct uring *u, const struct io_uring_cqe *cqe);
void uring_buffers_give(struct uring *u); /* tells the kernel of those returned */

/* loop_uring_socket.c */
bool uring_is_running(const struct uring_slot *slot, enum uring_request what);
bool uring_socket_add(void *self, struct socket *socket);
void uring_socket_remove(void *self, struct socket *socket);
void uring_socket_receive(void *self, struct socket *socket);
ssize_t uring_socket_transmit(void *self, struct socket *socket, const struct slice *parts,
                              size_t count, bool more);
void uring_socket_disown(void *self, struct socket *socket);
/* `running` is up to date; `data` is empty unless it was a receive. */
void uring_socket_completed(struct uring *u, struct uring_slot *slot, enum uring_request what,
                            int result, struct slice data);
