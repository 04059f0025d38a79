/* PROXY protocol, versions 1 and 2: what a balancer in front of us says, before the first byte of
 * the connection it passes on, of who has opened it. Bytes in, addresses out; no I/O.
 * After: haproxy.org/download/2.9/doc/proxy-protocol.txt. */
#pragma once
#include <stdint.h>

#include "base/slice.h"
#include "wire/net/address.h"

#define PROXY_PROTOCOL_V1_BYTES_MAX 107
#define PROXY_PROTOCOL_V2_BYTES_MAX 4096 /* with all its TLVs, which are skipped */
#define PROXY_PROTOCOL_WRITE_BYTES 108   /* of what we write */

struct proxy_header {
    bool known; /* false: LOCAL, UNKNOWN or a Unix socket: the connection's own addresses count */
    struct address source, destination;
};

enum proxy_result { PROXY_DONE, PROXY_MORE, PROXY_BAD };

/* PROXY_DONE: *header and *consumed (the bytes of the header) are set. PROXY_MORE: `data` is how
 * one begins. Anything else is PROXY_BAD, as soon as it can be told. */
enum proxy_result proxy_protocol_parse(struct slice data, struct proxy_header *header,
                                       size_t *consumed);

/* Writes a header of `version` 1 or 2; returns its length. Addresses that are not both IP say
 * "unknown". */
size_t proxy_protocol_write(unsigned version, const struct address *source,
                            const struct address *destination,
                            char out[PROXY_PROTOCOL_WRITE_BYTES]);
