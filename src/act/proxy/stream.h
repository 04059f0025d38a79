/* The seam between the exchange, which knows no protocol, and the protocols, which know no routing:
 * one message each way on one connection. A client's stream (session_*.c) gives requests and takes
 * responses; a service's stream (upstream_*.c) takes requests and gives responses. What a stream
 * gives it calls out as exchange_on_* or attempt_on_* (exchange.h); what it takes comes by these
 * functions, none of which calls back before it returns. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct attempt;
struct exchange;
struct http_head;
struct socket;
struct stream;

#define STREAM_PENDING_BYTES_MAX 131072 /* unsent on one side: from here on the other pauses */

struct stream_ops {
    /* The head: hop-by-hop fields are stripped, head->framing says how the body is delimited where
     * the message comes from; how it is on this connection the stream decides. A client's stream
     * takes any number of 1xx heads before the final one; after 101 both directions are bytes. */
    void (*send_head)(struct stream *stream, const struct http_head *head);
    void (*send_data)(struct stream *stream, struct slice data);
    /* Of a client's stream: as send_data, of bytes that stay where they are until the on_data that
     * brought them has returned. NULL: send_data does not copy them either. */
    void (*lend_data)(struct stream *stream, struct slice data);
    /* Of a client's stream, after the head: the socket that takes the body just as it is, so that
     * the kernel may move it there; NULL (the function, too): by send_data only. */
    struct socket *(*outlet)(struct stream *stream);
    /* The message is complete; `trailers` may be NULL. In a tunnel: no more bytes this way. */
    void (*send_end)(struct stream *stream, const struct http_head *trailers);
    /* Given and not yet with the kernel. */
    size_t (*pending)(const struct stream *stream);
    /* Stop and go on giving data. */
    void (*pause)(struct stream *stream);
    void (*resume)(struct stream *stream);
    /* The last call: the exchange is over and the stream forgets it. `complete`: all that was to be
     * sent was sent and ended; otherwise what was begun must never look complete to the peer. */
    void (*release)(struct stream *stream, bool complete);
};

struct stream {
    const struct stream_ops *ops;
    union {                        /* NULL: between two exchanges, or released */
        struct exchange *exchange; /* of a client's stream */
        struct attempt *attempt;   /* of a service's stream */
    };
    /* Of a service: it can say that it has not begun (REASON_UPSTREAM_REFUSED), so that what must
     * not be sent twice is kept all the same until there is an answer. */
    bool may_refuse;
};
