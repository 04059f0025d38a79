/* Addresses of sockets: numeric IPv4, IPv6 and Unix paths; text in, text out. Names are not looked
 * up here (that may block): see resolve.h. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/slice.h"

/* "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535" and "unix:" with its 107-byte path. */
#define ADDRESS_TEXT_BYTES 128

struct address {
    struct sockaddr_storage storage;
    socklen_t len; /* 0: no address */
};

/* "127.0.0.1:80", "[::1]:80", ":80" and "*:80" (any, both families), "unix:/run/x.sock". A host
 * without a port takes `default_port` unless that is 0. Fails with ERROR_INVALID; a host that is
 * not numeric fails with ERROR_NOT_FOUND, so that the caller may go on to resolve it. */
bool address_parse(struct slice text, uint16_t default_port, struct address *out,
                   struct error *err);

/* "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock". */
void address_format(const struct address *address, char out[ADDRESS_TEXT_BYTES]);
bool address_equal(const struct address *a, const struct address *b);

/* 0 of a Unix socket. */
uint16_t address_port(const struct address *address);
/* Nothing happens to a Unix socket. */
void address_set_port(struct address *address, uint16_t port);
/* IPv4 as ::ffff:a.b.c.d, zeroes of a Unix socket. */
void address_ip(const struct address *address, uint8_t out[16]);
/* Whether it is "any": 0.0.0.0 or [::]. */
bool address_is_any(const struct address *address);
