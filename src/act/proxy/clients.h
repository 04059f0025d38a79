/* Clients of one worker: how much of it each of them holds, so that none takes what is for all. One
 * entry for each address (IPv4, or the /64 of IPv6, which is one customer's) that has connections
 * open; trusted proxies, Unix sockets and the plan's `unlimited` networks share one that has no
 * limit. New TLS connections are counted by rate as well, also of who closes each at once: a
 * handshake costs the visitor nothing and us a signature. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define CLIENTS_BUCKETS 4096
#define CLIENTS_RANKS 21         /* by their connections: 1, 2 to 3, 4 to 7, … */
#define CLIENTS_RATE_SLOTS 16384 /* two addresses may share one: the hash is keyed */

/* None of a client's connections could give way: they are not looked at for a while, each time in
 * vain twice as long as before, because such a look (0.2 ms at 256) is what everybody else waits
 * for. */
struct client_rest {
    uint64_t until_us;
    uint32_t last_us; /* 0: the look before found one */
};
#define CLIENT_REST_US 20000
#define CLIENT_REST_US_MAX 320000

struct client {
    struct client *next; /* in its bucket */
    struct list link;    /* in clients->all */
    struct list rank;    /* in clients->ranks; not of the unlimited one */
    struct list sessions;
    uint8_t key[16];
    uint32_t connections;          /* entrances included */
    uint32_t holds;                /* one for each connection, and those of clients_hold */
    uint32_t requests;             /* in flight */
    struct client_rest rest;       /* from looks for room for one more of its own */
    uint64_t crowd_busy_until_us;  /* by crowd.h: from looks for one of its equals' */
    struct client_rest heavy_rest; /* and for one of somebody's with fewer */
    uint32_t heavy_in_vain;        /* looked at since then */
};

struct clients {
    uint64_t seed;
    uint32_t connections; /* of all of them */
    struct list all;      /* the unlimited one first */
    struct client unlimited;
    struct list ranks[CLIENTS_RANKS];
    struct client *buckets[CLIENTS_BUCKETS];
    uint64_t handshake_due_us[CLIENTS_RATE_SLOTS];
};

void clients_init(struct clients *clients, uint64_t seed);
void clients_fini(struct clients *clients);

/* One more connection from there; `ip` as in client_info. Without memory it is the unlimited one's.
 */
struct client *clients_enter(struct clients *clients, const uint8_t ip[16]);
struct client *clients_enter_unlimited(struct clients *clients);
/* One less; its last one ends the entry. */
void clients_leave(struct clients *clients, struct client *client);
/* The entry stays until clients_release, whoever leaves meanwhile. */
void clients_hold(struct client *client);
void clients_release(struct clients *clients, struct client *client);

void client_rest(struct client_rest *rest, uint64_t now_us);

static inline bool client_is_limited(const struct clients *clients, const struct client *client) {
    return client != &clients->unlimited;
}
/* Of its connections, the logarithm to base 2. Only for one that has any. */
unsigned clients_rank(const struct client *client);
/* As many as one has at least who has the most; the unlimited one left out. */
uint32_t clients_most(const struct clients *clients);
/* Whether it has as many requests under way as one may have; 0: there is no limit. */
static inline bool client_is_full(const struct clients *clients, const struct client *client,
                                  uint32_t requests_most) {
    return requests_most > 0 && client->requests >= requests_most &&
           client_is_limited(clients, client);
}

/* Whether the address may begin another handshake: so many a second, and CLIENTS_BURST_S seconds of
 * them at once. The generic cell rate algorithm (ITU-T I.371, annex A), a word for each hash of an
 * address. */
#define CLIENTS_BURST_S 4
bool clients_may_handshake(struct clients *clients, const uint8_t ip[16], double per_second,
                           uint64_t now_us);
