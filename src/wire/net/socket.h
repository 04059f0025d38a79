/* Byte streams (TCP, Unix) served by the loop, in a shape that readiness (epoll) and completion
 * (io_uring) backends both fit: bytes arrive by on_data, bytes to send are handed over.
 *
 *   receive  The loop's one receive buffer is offered to on_data, which says how much it took. The
 *            rest is kept and offered again, in front of what follows: when more has come, or after
 *            socket_resume. A socket that has nothing unread holds no receive memory.
 *   send     Bytes are copied into pending blocks and written once, at the end of the turn; large
 *            ones are written at once without a copy. With nothing pending it holds no blocks.
 *   move     What comes may go straight on to another socket, inside the kernel (on_intake).
 *   close    The descriptor goes at once, no callback comes any more but on_closed, at the end of
 *            the turn, when nobody refers to the socket: only then its memory may be reused.
 *
 * The socket is embedded in the object it serves. Callbacks never run inside the calls below. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "wire/net/address.h"
#include "wire/net/loop.h"
#include "wire/net/tls.h"

#define SOCKET_LOW_WATER_BYTES 32768 /* on_drained comes when no more than this is pending */
#define SOCKET_PARTS_MAX 16          /* of one socket_send */

struct socket;
struct socket_block;
struct tls;

/* What the owner would like to be done with the bytes that come next. */
struct socket_intake {
    struct socket *to; /* they go there unseen; NULL: to on_data */
    uint64_t bytes;    /* so many at most; 0 with `to` NULL: any number */
};

/* What the owner hears. All but on_data and on_closed may be NULL. */
struct socket_handler {
    /* Returns how much of `data` it took (0 .. data.len). */
    size_t (*on_data)(struct socket *socket, struct slice data);
    /* Asked before the loop reads by itself; a wish: what has come already, or cannot be moved,
     * goes to on_data all the same, and more than `bytes` may. */
    struct socket_intake (*on_intake)(struct socket *socket);
    /* So many went where on_intake said; socket_pending of that one may have grown. */
    void (*on_moved)(struct socket *socket, size_t bytes);
    /* The peer will send no more; all it sent was offered before. We may still send. */
    void (*on_end)(struct socket *socket);
    /* socket_pending was above the low water mark and has fallen to it; also when socket_finish has
     * been carried out. */
    void (*on_drained)(struct socket *socket);
    /* Of socket_connect, and of either side when the TLS handshake is done. The owner may change
     * `handler` in it, or in on_data: the next bytes are the new one's. */
    void (*on_connected)(struct socket *socket);
    /* The connection could not be made, or broke; what was pending is lost. The owner closes it. */
    void (*on_failed)(struct socket *socket, int system_errno);
    /* The delay of socket_set_timeout is over. */
    void (*on_timeout)(struct socket *socket);
    /* After socket_close: the memory is the owner's again. */
    void (*on_closed)(struct socket *socket);
};

struct socket {
    struct loop *loop;
    const struct socket_handler *handler;
    int fd;        /* -1: closed or never opened */
    uint32_t slot; /* the backend's */
    unsigned connecting : 1, closing : 1, failed : 1;
    unsigned paused : 1, readable : 1;    /* readable: recv may find something */
    unsigned peer_ended : 1;              /* the kernel said that an end or an error is to come */
    unsigned ended : 1, end_told : 1;     /* recv has found the end; on_end was called */
    unsigned writable : 1, blocked : 1;   /* blocked: on_drained is owed */
    unsigned finishing : 1, finished : 1; /* socket_finish was called; was carried out */
    uint32_t kept_len;
    int write_errno; /* 0, or why sending failed: reported when all that came was read */
    char *kept;      /* offered and not taken */
    struct socket_block *out_first, *out_last;
    struct tls *tls; /* NULL: bytes go as they are */
    size_t pending_bytes;
    struct list ready; /* in loop->ready: there may be something to read */
    struct list flush; /* in loop->flush, or after socket_close in loop->closing */
    struct timer timer;
};

/* Serves a connected, non-blocking descriptor, which is now the socket's (closed also on failure).
 * False when the loop cannot take it; on_closed does not come then. */
bool socket_accept(struct socket *socket, struct loop *loop, int fd,
                   const struct socket_handler *handler, struct error *err);

/* Starts to connect: on_connected or on_failed (ETIMEDOUT after `timeout_us`, 0: the kernel's
 * patience). May be sent to at once. False when that is hopeless from the start; on_closed does
 * not come then. */
bool socket_connect(struct socket *socket, struct loop *loop, const struct sockaddr *address,
                    socklen_t address_len, uint64_t timeout_us,
                    const struct socket_handler *handler, struct error *err);

/* From the next byte that comes on it is TLS: bytes are decrypted before on_data sees them and
 * encrypted when they are sent. on_connected comes when the handshake is done, on_failed (EPROTO)
 * when it failed; its time limit is the owner's (socket_set_timeout). Nothing may be sent before.
 * The peer's close_notify is on_end; an end without it is on_failed (ECONNRESET): somebody may have
 * cut the stream. May be called in on_data: what that does not take is TLS already. False when
 * memory is out. */
bool socket_start_tls(struct socket *socket, struct tls_server *server);
/* Towards a service, after socket_connect and what is sent in the clear: on_connected comes when
 * the handshake is done, within the time that socket_connect was given. `peer` < TLS_CLIENT_PEERS:
 * whose session may be resumed. */
bool socket_start_tls_client(struct socket *socket, struct tls_client *client, unsigned peer);
/* Whether the handshake is under way; how it ended. */
bool socket_is_securing(const struct socket *socket);
bool socket_tls_resumed(const struct socket *socket);
enum tls_failure socket_tls_failure(const struct socket *socket);
/* What ALPN has agreed on, "h2"; empty: nothing. */
struct slice socket_protocol(const struct socket *socket);

/* Takes copies of the parts, in order; false only when memory is out (the socket then fails). */
bool socket_send(struct socket *socket, const struct slice *parts, size_t count);
bool socket_send_slice(struct socket *socket, struct slice bytes);
/* As socket_send, inside on_data of any socket, of bytes that stay until it returns, when more is
 * sent before that: one system call takes what is large of both, without a copy. */
bool socket_send_with_next(struct socket *socket, const struct slice *parts, size_t count);
static inline bool socket_finished(const struct socket *socket) {
    return socket->finished; /* all was sent, and our direction is ended */
}
/* Bytes handed over that the kernel has not taken yet: the sender's measure of back-pressure. */
size_t socket_pending(const struct socket *socket);

/* No on_data and no on_end until socket_resume; what is unread stays with the kernel. */
void socket_pause(struct socket *socket);
void socket_resume(struct socket *socket);

/* Ends our direction once all pending bytes are sent (half-close). */
void socket_finish(struct socket *socket);
/* Drops what is pending. `on_closed` comes at the end of this turn. Safe when closed already. */
void socket_close(struct socket *socket);
/* As socket_close, and the peer sees a reset instead of an end. */
void socket_reset(struct socket *socket);

/* One timer for the owner's use; a later call moves it, 0 stops it. Moving it to later is O(1). */
void socket_set_timeout(struct socket *socket, uint64_t delay_us);

/* For an idle connection taken from a pool: whether the peer has ended it or said something
 * unasked. Costs no system call: the loop has heard of it in an earlier turn or has not. */
bool socket_is_quiet(const struct socket *socket);

/* The other side's address; false of a closed socket. */
bool socket_peer(const struct socket *socket, struct address *out);
