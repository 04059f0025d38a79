/* URIs (RFC 3986), as far as a proxy needs them: what is forwarded is never altered; routing looks
 * at the normalised path, so that "/a/../checkout" and "/%63heckout" cannot slip past a route. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* host[:port], not empty, without userinfo: reg-name, IPv4 or [IPv6] (RFC 3986 §3.2). */
bool uri_is_authority(struct slice text);

/* The host without its port; brackets of IPv6 stay. */
struct slice uri_host(struct slice authority);

/* Percent-decodes unreserved characters and removes dot segments (RFC 3986 §6.2.2) into
 * out[out_bytes]; double slashes stay. The result may be `path` itself when nothing was to do.
 * False when it does not fit, a "%" is not followed by two hexadecimal digits, or a decoded byte is
 * NUL. */
bool uri_normalise_path(struct slice path, char *out, size_t out_bytes, struct slice *normal);
