/* Inside of the HTTP/2 connections to services: the connection (upstream_h2.c) and its streams
 * (upstream_h2_stream.c). */
#pragma once
#include "act/proxy/upstream_protocols.h"
#include "act/proxy/worker_internal.h"
#include "wire/http/h2.h"
#include "wire/http/websocket.h"
#include "wire/net/socket.h"

#define UPSTREAM_H2_LAST_ID 0x70000000 /* whose numbers come near the end is replaced */

struct upstream_h2 {
    struct socket socket; /* first: handlers cast */
    struct worker *worker;
    struct h2 *h2;
    struct task flush;
    struct list all;     /* in worker->upstreams_h2 */
    struct list link;    /* in endpoint->h2, while it takes new requests */
    struct list waiting; /* streams that cannot be opened yet */
    struct upstream_stream *spares;
    uint32_t waiting_count, spare_count;
    uint16_t slot;
    uint32_t generation;
    bool connected, leaving, broken;
    const char *came_end; /* of what is being read */
    uint64_t idle_since_us;
    uint64_t dialled; /* dial_digest, when it was made */
};

struct upstream_stream {
    struct h2_stream h2; /* first: events cast */
    struct stream stream;
    struct upstream_h2 *owner;
    struct list waiting; /* in owner->waiting */
    bool blocked;        /* attempt_on_drained is owed */
    bool tunnel_open, has_accept;
    char accept[WEBSOCKET_ACCEPT_LEN]; /* what the client in HTTP/1 expects */
    struct upstream_stream *next_spare;
};

extern const struct stream_ops upstream_h2_stream_ops;
extern const struct h2_handler upstream_h2_events;

/* What the streams have queued goes out at the end of this turn; what is over is closed. */
void upstream_h2_schedule(struct upstream_h2 *u);
/* It takes no new requests. */
void upstream_h2_retire(struct upstream_h2 *u);
/* The stream is over: its memory is for the next one. */
void upstream_h2_recycle(struct upstream_stream *st);
/* Lets go of the exchange before it hears of it: it may go elsewhere at once. */
void upstream_h2_fail_stream(struct upstream_stream *st, enum record_reason reason);
