/* URLs of pages that we ask for ourselves (RFC 3986, RFC 9110 4.2): http and https, no credentials
 * in them, and where a redirect leads. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define URL_BYTES_MAX 2048

/* All point into the text. */
struct url {
    bool tls;
    struct slice origin;    /* "https://host:port", as it was written */
    struct slice authority; /* host[:port] */
    struct slice host;      /* without the brackets of IPv6 */
    uint16_t port;
    struct slice path, query; /* empty: "/" is meant, or there is none; the query without its "?" */
    bool has_query;
};

/* False: another scheme, user or password in it, characters that have no place in it, too long. A
 * fragment is passed over. */
bool url_parse(struct slice text, struct url *out);

/* What a Location says on a page of `base`, absolute, in out[out_bytes]: to be parsed. False when
 * it does not fit. */
bool url_follow(const struct url *base, struct slice location, char *out, size_t out_bytes);
/* Whether both are asked of the same server in the same way. */
bool url_same_origin(const struct url *a, const struct url *b);
