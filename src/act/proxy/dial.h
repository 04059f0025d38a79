/* How the instances of a service are spoken to, before HTTP: a PROXY header, TLS. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "wire/net/socket.h"

struct client_info;
struct worker;

struct dial {
    uint64_t digest;           /* of what `client` was made from */
    struct tls_client *client; /* NULL: none could be made yet */
};

/* Takes over worker->plan. */
void dials_refresh(struct worker *worker);
void dials_fini(struct worker *worker);

/* Whether connections to the service can be made at all. */
bool dial_is_ready(const struct worker *worker, unsigned service);
/* Changes when connections that were made before must not be used again. */
uint64_t dial_digest(const struct worker *worker, unsigned service);
/* After socket_connect to an endpoint, for this visitor. False when memory is out. */
bool dial_begin(struct worker *worker, unsigned service, unsigned slot, struct socket *socket,
                const struct client_info *who);
/* How the handshake ended, for the vitals; not TLS: nothing. */
void dial_count(struct worker *worker, const struct socket *socket, bool connected);
