/* HTTP/2 (RFC 9113): bytes in, events out, and back. No I/O, no clock of its own. Frames, HPACK and
 * windows are nghttp2's; ours is what a proxy in front of strangers needs around them: heads mapped
 * strictly to struct http_head (RFC 9113 §8), windows tied to what was taken, queues with a bound,
 * and counters of what nobody needs often (h2_calm.c).
 *
 * One struct h2 a connection, one struct h2_stream a message exchange on it, embedded in what
 * serves it. Events come out of h2_receive and h2_output; every other function may be called from
 * within an event, those two and h2_free may not.
 *
 * Malformed heads are stream errors and are reset here: the owner hears on_close only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"
#include "base/slice.h"
#include "wire/http/h1.h" /* struct h1_problem: which answer a refused head gets */
#include "wire/http/message.h"

#define H2_PREFACE SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") /* RFC 9113 §3.4 */

/* What a peer may send on one stream before we have taken any of it, and on all together. */
#define H2_STREAM_WINDOW_BYTES 196608
#define H2_CONNECTION_WINDOW_BYTES 1048576
/* Of paused streams, counted as taken for the connection so that the others go on; beyond, the
 * whole connection waits for them. */
#define H2_HELD_BYTES_MAX 1048576
#define H2_STREAM_OUT_BYTES_MAX 1048576 /* of one stream, unsent: the owner pauses long before */
#define H2_FRAME_BYTES 16384
#define H2_LENT_MAX 8   /* pieces of one stream */
#define H2_PIECES_MAX 7 /* of one output: a socket takes so many with the frames between them */

/* RFC 9113 §7. */
enum h2_code {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_INTERNAL_ERROR = 2,
    H2_REFUSED_STREAM = 7,
    H2_CANCEL = 8,
    H2_ENHANCE_YOUR_CALM = 11,
};

enum h2_role { H2_SERVER, H2_CLIENT };

struct h2_limits {
    uint32_t head_bytes, fields, target_bytes; /* as of HTTP/1 */
    uint32_t streams;                          /* at once; of a client what we open at most */
    uint32_t peer_streams; /* client: what the service allows until it says so; 0: 100 */
};

struct h2;

struct h2_stream {
    struct h2 *h2; /* NULL: not open, or closed */
    int32_t id;
    struct list link; /* in the connection's */
    struct buffer out;
    struct slice lent[H2_LENT_MAX]; /* to be sent after `out` */
    uint32_t lent_count, lent_bytes;
    struct h2_trailers *trailers; /* to be sent after both */
    uint32_t held_bytes;          /* given while paused: not yet counted as taken */
    enum http_method method;      /* of the request */
    bool paused;
    bool head_seen;     /* a final response, or the request: what follows are trailers */
    bool tunnel;        /* an extended CONNECT (RFC 8441) */
    bool in_last_frame; /* on_data: behind it comes the end of the message */
    bool in_ended, out_ended, end_sent;
    bool reset;          /* RST_STREAM is under way or was received */
    bool unsent_head;    /* of a client: the peer cannot have seen the request */
    bool stop_after_end; /* RST_STREAM NO_ERROR follows our end (RFC 9113 §8.1) */
};

struct h2_handler {
    /* Server: a stream is opened by the client; NULL refuses it (nothing was processed). */
    struct h2_stream *(*on_open)(struct h2 *h2);
    /* A head is complete: h2_read_request or h2_read_response, now. `ended`: nothing follows. */
    void (*on_head)(struct h2_stream *stream, bool ended);
    void (*on_data)(struct h2_stream *stream, struct slice data);
    /* The peer's message is complete (not called after on_head with `ended`). `trailers`: NULL when
     * there are none, else the caller's for the moment. */
    void (*on_end)(struct h2_stream *stream, const struct http_head *trailers);
    /* Some of what the stream had queued went out. */
    void (*on_sent)(struct h2_stream *stream);
    /* The stream is over, for whatever reason; its memory is the owner's again. */
    void (*on_close)(struct h2_stream *stream, uint32_t code);
    /* The peer will take no new streams; NULL: not interesting. */
    void (*on_goaway)(struct h2 *h2);
    void (*on_ping_answered)(struct h2 *h2);
};

/* NULL when memory is out. The preface and SETTINGS are the first output. */
struct h2 *h2_new(enum h2_role role, const struct h2_limits *limits,
                  const struct h2_handler *handler, void *owner);
/* Streams that are still open are forgotten without an event. NULL is allowed. */
void h2_free(struct h2 *h2);
void *h2_owner(const struct h2 *h2);

/* Takes all of `bytes`. False: the connection is broken; what h2_output still gives says why, and
 * then it is to be closed. h2_trouble names the reason. */
bool h2_receive(struct h2 *h2, struct slice bytes, uint64_t now_us);
/* Appends frames until `out` holds about `most` bytes (a frame more) or nothing is to be sent.
 * False when memory is out: the connection is to be closed. */
bool h2_output(struct h2 *h2, struct buffer *out, size_t most, uint64_t now_us);
/* The same, but what was lent stays where it is: before the byte `at` of `out` comes `data`. */
struct h2_pieces {
    size_t count, bytes;
    struct {
        size_t at;
        struct slice data;
    } piece[H2_PIECES_MAX];
};
bool h2_output_pieces(struct h2 *h2, struct buffer *out, struct h2_pieces *pieces, size_t most,
                      uint64_t now_us);
/* All of it in order; returns how many parts. */
size_t h2_join(const struct buffer *out, const struct h2_pieces *pieces,
               struct slice parts[2 * H2_PIECES_MAX + 1]);
bool h2_wants_output(const struct h2 *h2);
/* After GOAWAY and the last stream: nothing will be read or written any more. */
bool h2_is_over(const struct h2 *h2);
const char *h2_trouble(const struct h2 *h2); /* NULL: none */
bool h2_is_abused(const struct h2 *h2);      /* it was ended for a flood: h2_calm.c */

/* Ends the connection in two steps (RFC 9113 §6.8): a notice that names no stream and a PING, whose
 * answer tells that what was under way has arrived; then the true last stream. */
void h2_announce_goaway(struct h2 *h2);
void h2_goaway(struct h2 *h2, enum h2_code code);

struct list *h2_streams(struct h2 *h2); /* the links of all that are open */
uint32_t h2_stream_count(const struct h2 *h2);
uint32_t h2_peer_streams_max(const struct h2 *h2); /* how many we may have open there */
bool h2_peer_allows_connect(const struct h2 *h2);  /* RFC 8441 §3; false until it has said so */
bool h2_peer_is_known(const struct h2 *h2);        /* its SETTINGS have come */
size_t h2_unsent(const struct h2 *h2);             /* queued on all streams together */
bool h2_in_head(const struct h2 *h2);              /* a head has begun and is not complete */
void h2_rest(struct h2 *h2);                       /* between heads: gives their memory back */

/* ---- heads ---- */

enum h2_result {
    H2_READ,
    H2_REFUSED,   /* *problem says which answer it gets */
    H2_MALFORMED, /* the stream is being reset: forget it, on_close comes */
};

/* Slices point into the connection's memory: valid until the event returns. Of *raw all are a part,
 * but for literals. An extended CONNECT becomes what it is in HTTP/1: GET with head->upgrade. */
enum h2_result h2_read_request(struct h2_stream *stream, bool ended, struct http_head *head,
                               struct slice *raw, struct h1_problem *problem);
/* A 2xx to an extended CONNECT becomes 101. */
enum h2_result h2_read_response(struct h2_stream *stream, bool ended, struct http_head *head);

/* Client: opens a stream. False when that is not possible now. A head with `upgrade` becomes an
 * extended CONNECT when the peer allows it, else a request without. `ended`: no body follows. */
bool h2_send_request(struct h2 *h2, struct h2_stream *stream, const struct http_head *head,
                     bool ended);
/* Server: informational, or final once. 101 becomes 200 of an extended CONNECT. */
void h2_send_response(struct h2_stream *stream, const struct http_head *head);

/* ---- bodies ---- */

void h2_send_data(struct h2_stream *stream, struct slice data);
/* As h2_send_data, but the bytes are not copied before h2_settle: until then they must stay. */
void h2_lend_data(struct h2_stream *stream, struct slice data);
/* The lenders want theirs back: what no output has taken is copied. */
void h2_settle(struct h2 *h2);
void h2_send_end(struct h2_stream *stream, const struct http_head *trailers);
/* RST_STREAM; what is queued is dropped. */
void h2_reset(struct h2_stream *stream, enum h2_code code);
/* Server: the response is complete and what still comes of the request is not wanted. */
void h2_stop_request(struct h2_stream *stream);
static inline size_t h2_stream_unsent(const struct h2_stream *stream) {
    return buffer_len(&stream->out) + stream->lent_bytes;
}
/* Data still comes as far as the window has been opened, and no further. */
void h2_pause(struct h2_stream *stream);
void h2_resume(struct h2_stream *stream);
/* Gives back what the stream owns; it must be closed. */
void h2_stream_fini(struct h2_stream *stream);
