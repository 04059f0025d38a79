/* Networks in CIDR notation: IPv4 and IPv6 in one form, IPv4 as ::ffff:a.b.c.d (as address_ip
 * gives them). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct network {
    uint8_t ip[16]; /* bits beyond `bits` are 0 */
    uint8_t bits;   /* 0 to 128; of IPv4 96 more than written */
};

/* "192.0.2.0/24", "2001:db8::/32", "192.0.2.7" (a single address). Fails with ERROR_INVALID, also
 * when bits of the host are set: then it says which network was probably meant. */
bool network_parse(struct slice text, struct network *out, struct error *err);
/* The address without what is behind its network's bits, which are told for either family. */
void network_of(const uint8_t ip[16], unsigned v4_bits, unsigned v6_bits, uint8_t network[16]);
bool network_contains(const struct network *network, const uint8_t ip[16]);
