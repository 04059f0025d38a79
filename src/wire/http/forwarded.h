/* Who the visitor is, for the next hop: Forwarded (RFC 7239) and the X-Forwarded-* fields that came
 * before it. What an untrusted peer says about itself is not passed on. */
#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "wire/http/message.h"

struct forwarded_peer {
    struct slice address; /* without port: "192.0.2.1" or "2001:db8::1" */
    struct slice scheme;  /* that the visitor used: "http" or "https" */
    bool is_v6;
    bool trusted; /* what it says of those before it is believed */
    /* Of a trusted one: which of Forwarded and X-Forwarded-For it speaks. That one is appended to;
     * the other may be the visitor's own invention and is made anew from the visitor's address. */
    bool speaks_forwarded;
    struct slice visitor;
    bool visitor_is_v6;
};

/* Sets Forwarded, X-Forwarded-For, -Proto and -Host on a request that goes upstream; of a peer that
 * is not trusted X-Real-IP and all other X-Forwarded-* are removed. False when the arena or the
 * head is full. */
bool forwarded_set(struct http_head *head, const struct forwarded_peer *peer, struct arena *arena);
