/* Pool: how many connections to each instance of a service are to be open before a wave that is
 * planned for, so that its first requests wait for no handshake. By Little's law a wave of so many
 * requests a second has rate × latency of them under way.
 * Not here: opening them (act/proxy/upstream.c). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define POOL_RISE_RATIO 1.3        /* less than that is no wave */
#define POOL_HEADROOM_RATIO 1.25   /* not all are equally busy */
#define POOL_CONNECTIONS_MOST 1024 /* to one instance */
#define POOL_CHANGE_RATIO 1.2      /* smaller changes are not worth a plan */
#define POOL_KEEP_MS 30000         /* after the last moment in which so many were wanted */

struct pool {
    uint32_t ahead; /* connections to each instance; 0: as requests come */
    double latency_ms;
    int64_t wanted_ms; /* when they were wanted last */
};

struct pool_input {
    int64_t now_ms;
    double now_rps;
    double peak_rps;   /* planned for, of the next moments; NaN: nothing is */
    double latency_ms; /* of the last second's answers; NaN: none */
    uint32_t serving;
};

/* True when it has changed. */
bool pool_decide(struct pool *pool, const struct pool_input *input);
