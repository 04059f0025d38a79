#include "wire/net/network.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/parse.h"

#define V4_BITS_BEFORE 96

static bool parse_ip(struct slice text, uint8_t ip[16], bool *is_v4) {
    char copy[INET6_ADDRSTRLEN];
    if (!slice_copy_text(text, copy, sizeof copy)) {
        return false;
    }
    memset(ip, 0, 16);
    *is_v4 = inet_pton(AF_INET, copy, ip + 12) == 1;
    if (*is_v4) {
        ip[10] = ip[11] = 0xff;
        return true;
    }
    return inet_pton(AF_INET6, copy, ip) == 1;
}

/* Whether a bit was set beyond the first `bits`; they are cleared. */
static bool clear_host_bits(uint8_t ip[16], unsigned bits) {
    bool any = false;
    for (unsigned i = bits; i < 128; i++) {
        uint8_t bit = (uint8_t)(0x80u >> (i % 8));
        any |= (ip[i / 8] & bit) != 0;
        ip[i / 8] = (uint8_t)(ip[i / 8] & ~bit);
    }
    return any;
}

static bool refuse_host_bits(struct slice text, const struct network *n, bool is_v4,
                             struct error *err) {
    char meant[INET6_ADDRSTRLEN];
    inet_ntop(is_v4 ? AF_INET : AF_INET6, n->ip + (is_v4 ? 12 : 0), meant, sizeof meant);
    return error_set(err, ERROR_INVALID, "'%.*s' is not a network: did you mean %s/%u?",
                     SLICE_ARG(text), meant, n->bits - (is_v4 ? V4_BITS_BEFORE : 0u));
}

bool network_parse(struct slice text, struct network *out, struct error *err) {
    struct network n = { .bits = 128 };
    struct slice rest = text, ip = { 0 };
    uint64_t bits = 0;
    bool is_v4 = false, has_bits = slice_find(text, '/') != SLICE_NONE;
    slice_cut(&rest, '/', &ip);
    bool good = parse_ip(ip, n.ip, &is_v4) && (!has_bits || parse_uint(rest, &bits)) &&
                bits <= (is_v4 ? 32 : 128);
    if (!good) {
        return error_set(err, ERROR_INVALID,
                         "'%.*s' is not a network such as 192.0.2.0/24 or 2001:db8::/32",
                         SLICE_ARG(text));
    }
    n.bits = has_bits ? (uint8_t)(bits + (is_v4 ? V4_BITS_BEFORE : 0)) : 128;
    if (clear_host_bits(n.ip, n.bits)) {
        return refuse_host_bits(text, &n, is_v4, err);
    }
    *out = n;
    return true;
}

bool network_contains(const struct network *network, const uint8_t ip[16]) {
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(network->ip, ip, whole) != 0) {
        return false;
    }
    return rest == 0 || ((network->ip[whole] ^ ip[whole]) >> (8 - rest)) == 0;
}

void network_of(const uint8_t ip[16], unsigned v4_bits, unsigned v6_bits, uint8_t network[16]) {
    static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
    bool is_v4 = memcmp(ip, v4_prefix, sizeof v4_prefix) == 0;
    unsigned bits = is_v4 ? V4_BITS_BEFORE + v4_bits : v6_bits;
    unsigned whole = bits / 8, rest = bits % 8;
    memset(network, 0, 16);
    memcpy(network, ip, whole);
    if (rest > 0) {
        network[whole] = (uint8_t)(ip[whole] & 0xff00u >> rest);
    }
}
