/* Inside of the HTTP/1 session: the connection (session_h1.c) and what it writes
 * (session_h1_response.c). States are drawn in session_h1.c. */
#pragma once
#include "act/proxy/exchange.h"
#include "act/proxy/worker_internal.h"
#include "wire/net/socket.h"

#define LINGER_IDLE_US 2000000 /* since the last byte that came */
#define LINGER_MAX_US 30000000

enum session_state { SESSION_HEAD, SESSION_BODY, SESSION_BUSY, SESSION_TUNNEL, SESSION_LINGER };

struct session {
    struct socket socket; /* first: handlers cast */
    struct stream stream;
    struct worker *worker;
    union {
        struct list link; /* in who.client->sessions */
        struct session *next_spare;
    };
    struct client_info who;
    uint8_t state; /* enum session_state */
    uint8_t version;
    uint8_t out_framing; /* enum http_framing of the response on this connection */
    bool keep_alive, response_begun;
    bool head_begun; /* a part of the next head has come */
    uint32_t requests;
    uint64_t since_us; /* of this state: of the head's first byte, of the last byte of a body, … */
    uint64_t linger_since_us;
    size_t pending_seen;
    struct h1_scan scan;
    struct h1_body body;
    struct session_h2 *h2; /* NULL while it speaks HTTP/1: see session_h2.h */
};

extern const struct stream_ops session_h1_stream_ops;
extern const struct socket_handler session_h1_handler;

/* Our direction ends when all is sent; what still comes is thrown away. */
void session_h1_linger(struct session *s);
/* A state has begun, or a head in it: from now on runs what it may last. The timer may have been
 * set for much later by the state before, so that it is set anew. BUSY and TUNNEL need none. */
void session_h1_await(struct session *s);
uint64_t session_now_us(const struct session *s);
