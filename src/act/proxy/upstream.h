/* Connections to the services: opened on demand, kept for reuse, per worker and endpoint. HTTP/1
 * (upstream_h1.c): one request at a time, the connection used last first. HTTP/2 (upstream_h2.c):
 * many requests on few connections. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/proxy/exchange.h"

struct worker;
struct endpoint;

/* To one endpoint where the configuration does not say: twice what the whole service carries at
 * once, since all of it may go to one endpoint, and what is called off needs a moment to end. */
#define UPSTREAM_CONNECTIONS_RATIO 2
#define UPSTREAM_CONNECTIONS_LEAST 64
#define UPSTREAM_IDLE_MAX 128 /* kept for one endpoint */
/* What must not be sent twice takes only a connection that was used this lately: one that the
 * service is about to close would cost the visitor the request. */
#define UPSTREAM_FRESH_US 1000000

enum upstream_opening {
    UPSTREAM_READY,      /* an idle connection: send at once */
    UPSTREAM_CONNECTING, /* attempt_on_connected or attempt_on_failed will come */
    UPSTREAM_FULL,       /* the endpoint has as many connections as it may */
    UPSTREAM_FAILED,     /* hopeless from the start */
};

/* Sets attempt->upstream unless it failed. `fresh`: no idle connection, please. */
enum upstream_opening upstream_open(struct worker *worker, uint16_t slot, struct attempt *attempt,
                                    bool fresh);

/* To a new endpoint, before its first request: as many as its peers use on the average, at most
 * UPSTREAM_AHEAD_MAX. None where a connection belongs to a visitor (PROXY header). */
#define UPSTREAM_AHEAD_MAX 8
void upstream_open_ahead(struct worker *worker, uint16_t slot);

/* With each heartbeat: before a wave that the plan sees, some more to each endpoint until this
 * worker has its share. HTTP/2 needs none: one carries many requests. */
void upstream_follow_plan(struct worker *worker);

/* Closes idle connections of an endpoint: those idle since before `idle_since_us`, UINT64_MAX:
 * all. */
void upstream_close_idle(struct worker *worker, struct endpoint *endpoint, uint64_t idle_since_us);

/* The worker ends: all, and those that carry something. */
void upstream_close_all(struct worker *worker);
void upstream_free_spares(struct worker *worker);
