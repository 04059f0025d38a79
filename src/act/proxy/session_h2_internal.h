/* Inside of the HTTP/2 session: the connection (session_h2.c) and its streams
 * (session_h2_stream.c). */
#pragma once
#include "act/proxy/session_h2.h"
#include "wire/http/h2.h"

/* Queued for the client on all streams of a connection: from here on a stream that has more than
 * the low water mark waits until it has less. */
#define SESSION_H2_UNSENT_BYTES_MAX 262144
#define SESSION_H2_SPARES_MAX 16 /* streams kept on a connection while it is in use */

struct session_h2 {
    struct session *session;
    struct h2 *h2;
    struct task flush, flush_lent;
    struct session_stream *spares;
    uint32_t spare_count, requests;
    uint64_t idle_since_us; /* no stream is open since then */
    uint64_t head_since_us; /* a head has begun and is not complete; 0: none */
    uint64_t noticed_us;    /* GOAWAY was announced; 0: it was not */
    bool goaway_sent;
    bool broken;      /* what is to be sent goes out, then it ends */
    bool tunnel_ends; /* a client ended a tunnel before it was open: told in the next turn */
};

struct session_stream {
    struct h2_stream h2; /* first: events cast */
    struct stream stream;
    struct session_h2 *owner;
    uint64_t came_us, went_us; /* the last piece of the request, of the response */
    bool blocked;              /* exchange_on_client_drained is owed */
    bool tunnel_open;          /* 101 went out */
    bool end_owed;
    struct session_stream *next_spare;
};

extern const struct h2_handler session_h2_events;

/* What the streams have queued goes out at the end of this turn. */
void session_h2_schedule(struct session_h2 *c);
/* What they were lent goes out before its owner wants it back; false: it cannot be lent now. */
bool session_h2_schedule_lent(struct session_h2 *c);
uint64_t session_h2_now_us(const struct session_h2 *c);
/* A stream has ended; perhaps it was the last. */
void session_h2_stream_over(struct session_h2 *c);
/* Two steps: the notice now, the last stream's number when the client has heard of it. */
void session_h2_announce(struct session_h2 *c);
