/* Sessions: clients' connections. One protocol a file (session_h1.c); each gives requests to
 * exchanges and writes their responses. What comes before them (PROXY header, TLS handshake, which
 * protocol it is) is the entrance's (entrance.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "wire/net/socket.h"

struct client_info;
struct worker;

/* A protocol that sessions speak. Its object begins with its `struct socket`, is at least as large
 * as the entrance's, and gives its memory back with connection_free (entrance.h). */
struct session_protocol {
    struct slice alpn;
    size_t bytes; /* of its object */
    /* The socket is open, its handler the entrance's; `bytes` are there. Takes both over. */
    void (*begin)(struct worker *worker, struct socket *socket, const struct client_info *who);
};

extern const struct session_protocol session_h1_protocol, session_h2_protocol;

/* The worker drains (`link` of a client's sessions): closes the connection if it carries nothing,
 * else after the present answer. `now`: whatever it carries. */
void session_drain(struct list *link, bool now);

/* Closes the connection if it has carried nothing for so long: another one needs the place. With
 * `stalled_us` (UINT64_MAX: not) also if it has a part of a head for `idle_us`, or does not get on
 * for so long because of its client. */
bool session_give_way(struct list *link, uint64_t idle_us, uint64_t stalled_us);

/* The worker retires; called every second: closes the connection if it has carried nothing for so
 * long. */
void session_retire(struct list *link, uint64_t idle_us);
