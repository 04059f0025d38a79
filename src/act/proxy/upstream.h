/* Connections to the services: opened on demand, kept for reuse, per worker and endpoint. HTTP/1
 * (upstream_h1.c): one request at a time, the connection used last first. HTTP/2 (upstream_h2.c):
 * many requests on few connections. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/proxy/exchange.h"

struct worker;
struct endpoint;

#define UPSTREAM_IDLE_MAX 128 /* kept for one endpoint */
/* What must not be sent twice takes only a connection that was used this lately: one that the
 * service is about to close would cost the visitor the request. */
#define UPSTREAM_FRESH_US 1000000

enum upstream_opening {
    UPSTREAM_READY,      /* an idle connection: send at once */
    UPSTREAM_CONNECTING, /* exchange_on_connected or exchange_on_upstream_failed will come */
    UPSTREAM_FAILED,     /* hopeless from the start */
};

/* Sets exchange->upstream unless it failed. `fresh`: no idle connection, please. */
enum upstream_opening upstream_open(struct worker *worker, uint16_t slot, struct exchange *exchange,
                                    bool fresh);

/* To a new endpoint, before its first request: as many as its peers use on the average, at most
 * UPSTREAM_AHEAD_MAX. None where a connection belongs to a visitor (PROXY header). */
#define UPSTREAM_AHEAD_MAX 8
void upstream_open_ahead(struct worker *worker, uint16_t slot);

/* Closes idle connections of an endpoint: those idle since before `idle_since_us`, UINT64_MAX:
 * all. */
void upstream_close_idle(struct worker *worker, struct endpoint *endpoint, uint64_t idle_since_us);

/* The worker ends: all, and those that carry something. */
void upstream_close_all(struct worker *worker);
void upstream_free_spares(struct worker *worker);
