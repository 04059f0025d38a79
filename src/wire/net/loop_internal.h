/* Inside of the loop: what loop.c, socket.c and the backends share. A backend is how the kernel is
 * asked: loop_epoll.c, loop_uring.c. It calls back loop_socket_* of socket.c with what it
 * learned. */
#pragma once
#include <sys/uio.h>

#include "wire/net/loop.h"
#include "wire/net/socket.h"

#define LOOP_RECEIVE_BYTES 131072 /* of the one receive buffer: kept bytes and what follows */
#define LOOP_RECEIVE_ROUNDS 4     /* full buffers of one socket in a turn before others' turn */
#define LOOP_BLOCK_BYTES 16384
#define LOOP_IOV_MAX 32       /* blocks and parts of one system call */
#define LOOP_SPARE_BLOCKS 256 /* kept for reuse: 4 MiB */

/* Bytes waiting to be sent. */
struct socket_block {
    struct socket_block *next;
    uint32_t start, end; /* unsent: data[start, end) */
    char data[LOOP_BLOCK_BYTES];
};

struct loop_backend {
    const char *name;
    bool keeps_turn; /* a watch stays where it was among those that wait for the descriptor */
    void *(*open)(struct error *err);
    void (*close)(void *self);
    /* Waits for events, at most `wait_ms` (-1: for ever), updates the clock and dispatches. */
    bool (*wait)(void *self, struct loop *loop, int wait_ms, struct error *err);
    bool (*watch_add)(void *self, struct watch *watch);
    bool (*watch_change)(void *self, struct watch *watch);
    void (*watch_remove)(void *self, struct watch *watch);
    /* From now on the socket's both directions are served. */
    bool (*socket_add)(void *self, struct socket *socket);
    void (*socket_remove)(void *self, struct socket *socket);
    /* Reads while there is something and the owner wants it. */
    void (*receive)(void *self, struct socket *socket);
    /* Sends pending blocks, then `parts`; returns how much of the parts was taken, -1 with
     * errno. `more`: at once, and the kernel may wait for what follows in this very call. */
    ssize_t (*transmit)(void *self, struct socket *socket, const struct slice *parts, size_t count,
                        bool more);
    /* The pending blocks are about to be dropped: those that the kernel may still read are taken
     * over. NULL: it never reads them outside of `transmit`. */
    void (*disown)(void *self, struct socket *socket);
};

extern const struct loop_backend loop_backend_epoll, loop_backend_uring;

struct loop {
    const struct loop_backend *backend;
    void *backend_self;
    uint64_t now_us;
    bool stopped;
    struct heap timers;
    size_t timers_reserved;
    struct list tasks;   /* deferred */
    struct list within;  /* deferred until on_data returns */
    bool within_data;    /* it is being called */
    struct list ready;   /* sockets that may have something to read without a new event */
    struct list flush;   /* sockets with something to send, to finish or to report */
    struct list closing; /* closed ones, until the end of the turn */
    char *receive;       /* LOOP_RECEIVE_BYTES, of whoever is being read right now */
    char *plain;         /* what of it was decrypted; NULL until there is TLS */
    int pipe[2];         /* to move bytes through; -1: not open. Empty between two moves */
    bool cannot_move;    /* the kernel has said so */
    struct socket_block *spare_blocks;
    unsigned spare_block_count;
};

void loop_update_clock(struct loop *loop);
struct socket_block *loop_block_take(struct loop *loop); /* NULL when memory is out */
void loop_block_return(struct loop *loop, struct socket_block *block);

/* loop.c, for socket.c: on_data, and what was deferred until it returns. */
size_t loop_call_on_data(struct socket *socket, struct slice data);

/* loop.c, called by a backend: poll(2) has said `happened` of the watched descriptor. */
void loop_watch_happened(struct watch *watch, unsigned happened);

/* loop_stream.c, for backends: by plain system calls. */

/* Reads while there is something and the owner wants it. */
void loop_receive_now(struct socket *socket);
/* Sends pending blocks, then `parts`, while the kernel takes them; as loop_backend.transmit. */
ssize_t loop_transmit_now(struct socket *socket, const struct slice *parts, size_t count,
                          bool more);
/* Pending blocks first, then the parts; returns how many entries it filled. */
int loop_fill_iov(const struct socket *socket, const struct slice *parts, size_t count,
                  struct iovec iov[LOOP_IOV_MAX]);
/* Takes `sent` bytes off the front of the pending blocks; returns what is left of `sent`. */
size_t loop_advance_blocks(struct socket *socket, size_t sent);

/* loop_move.c: carries out intake->to. False: it cannot be, the bytes are to be read. */
bool loop_move_now(struct socket *from, const struct socket_intake *intake);
void loop_move_close(struct loop *loop);

/* socket.c, called by the loop and its backend. */

/* poll(2) has said `happened` of a socket that connects. */
void loop_socket_connecting(struct socket *socket, unsigned happened);
void loop_socket_connected(struct socket *socket);
void loop_socket_failed(struct socket *socket, int system_errno);
/* How many bytes may be read at most before loop_socket_deliver; 0: the owner wants more than it
 * may have. With TLS it is less: a record that has come in part before comes out with them. */
size_t loop_socket_room(const struct socket *socket);
/* `data` begins with the kept bytes; what follows is as it came from the network. */
void loop_socket_deliver(struct socket *socket, struct slice data);
void loop_socket_deliver_kept(struct socket *socket);
void loop_socket_ended(struct socket *socket);
/* What is pending is lost: told when all that came was read. */
void loop_socket_sending_failed(struct socket *socket, int system_errno);
void loop_socket_ready(struct socket *socket);    /* its place in loop->ready came up */
void loop_socket_flush(struct socket *socket);    /* its place in loop->flush came up */
void loop_socket_closed(struct socket *socket);   /* its place in loop->closing came up */
void loop_socket_writable(struct socket *socket); /* the kernel takes more */

/* socket.c, called by TLS. */
bool loop_socket_append(struct socket *socket, struct slice bytes); /* to the pending blocks */
/* The block's bytes are the next to be sent; the block is the socket's. */
void loop_socket_append_block(struct socket *socket, struct socket_block *block);
void loop_socket_push(struct socket *socket);    /* they go out now, as far as possible */
void loop_socket_secured(struct socket *socket); /* the handshake is done */
