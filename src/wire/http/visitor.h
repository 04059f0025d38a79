/* Who the visitor is behind trusted proxies: each of them has written at the right end of the field
 * from whom it got the request, so the first from the right that is no trusted proxy is the
 * visitor; what stands left of that is the visitor's own claim and nobody's word. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "wire/http/message.h"

#define VISITOR_HOPS_MAX 32 /* elements looked at, from the right */

struct visitor_trust {
    void *self;
    bool (*trusts)(void *self, const uint8_t ip[16]);
};

/* By X-Forwarded-For or Forwarded, that `field` names, of a request from a trusted peer. IPv4 as
 * ::ffff:a.b.c.d. Where a proxy does not say (no field, "unknown", nonsense) it is that proxy; when
 * all are trusted, the leftmost. False: nothing but the peer is known. */
bool visitor_find(const struct http_head *head, enum http_field_id field,
                  const struct visitor_trust *trust, uint8_t ip[16]);

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". */
bool visitor_parse_node(struct slice text, uint8_t ip[16]);
