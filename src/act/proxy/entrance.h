/* The entrance: everything between accept and the first byte that a session sees. A PROXY header
 * from a trusted peer, the TLS handshake, the choice of the protocol; then the connection becomes a
 * session in the same memory. Time for all of it: limits.client_head_timeout_ms. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "wire/net/address.h"

struct client;
struct worker;

/* A connection of worker->listeners[listener]. One whose client has as many as it may have, or for
 * which the worker has no room (crowd.h), is held for a second (tarpit.h), then served or refused;
 * what cannot be served is closed. */
void entrance_accept(struct worker *worker, unsigned listener, int fd, const struct address *peer);
/* For worker->tarpit: the second look. */
void entrance_held_over(void *worker, int fd, uint32_t listener);
/* The protocols that sessions speak, as ALPN writes them. */
struct slice entrance_alpn(void);
/* Closes the oldest that has not become a session for so long; false: there is none. */
bool entrance_give_way(struct worker *worker, uint64_t stalled_us);
/* Connections that are held or not sessions yet are closed. */
void entrance_drain(struct worker *worker);

/* The memory of a connection, whatever it became: counted in worker->clients and among its
 * client's from the accept on. Called when its socket is closed. */
void connection_free(struct worker *worker, void *memory, struct client *client);
void connection_free_spares(struct worker *worker);
