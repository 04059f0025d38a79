#include "wire/net/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define SIGNATURE SLICE("\r\n\r\n\0\r\nQUIT\n")
#define V2_HEAD_BYTES 16
#define V2_TCP4 0x11
#define V2_TCP6 0x21
#define V2_UNIX 0x31
#define V2_TCP4_BYTES 12
#define V2_TCP6_BYTES 36
#define V2_UNIX_BYTES 216

/* ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" ---- */

/* Decimal without sign or leading zero. */
static bool parse_port(struct slice text, uint16_t *port) {
    uint64_t number = 0;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.data[0] == '0') ||
        !parse_uint(text, &number) || number > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

static bool set_address(struct address *out, int family, struct slice text, uint16_t port) {
    char host[INET6_ADDRSTRLEN];
    *out = (struct address){ 0 };
    if (!slice_copy_text(text, host, sizeof host)) {
        return false;
    }
    if (family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&out->storage;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        out->len = sizeof *v4;
        return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->storage;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out->len = sizeof *v6;
    return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}

static enum proxy_result parse_line(struct slice line, struct proxy_header *header) {
    struct slice words[6] = { 0 };
    size_t count = 0, whole = line.len, words_len = 0;
    uint16_t ports[2];
    struct proxy_header parsed = { .known = true };
    while (count < 6 && slice_cut(&line, ' ', &words[count])) {
        words_len += words[count++].len;
    }
    if (count >= 2 && slice_equal(words[1], SLICE("UNKNOWN"))) {
        *header = (struct proxy_header){ 0 };
        return PROXY_DONE; /* what follows is to be ignored */
    }
    int family = slice_equal(words[1], SLICE("TCP4"))   ? AF_INET
                 : slice_equal(words[1], SLICE("TCP6")) ? AF_INET6
                                                        : -1;
    if (count != 6 || words_len + 5 != whole || family < 0 || !parse_port(words[4], &ports[0]) ||
        !parse_port(words[5], &ports[1]) ||
        !set_address(&parsed.source, family, words[2], ports[0]) ||
        !set_address(&parsed.destination, family, words[3], ports[1])) {
        return PROXY_BAD;
    }
    *header = parsed;
    return PROXY_DONE;
}

static enum proxy_result parse_v1(struct slice data, struct proxy_header *header,
                                  size_t *consumed) {
    struct slice seen = slice_sub(data, 0, PROXY_PROTOCOL_V1_BYTES_MAX);
    size_t end = slice_find(seen, '\n');
    if (end == SLICE_NONE) {
        return seen.len < PROXY_PROTOCOL_V1_BYTES_MAX ? PROXY_MORE : PROXY_BAD;
    }
    if (end == 0 || seen.data[end - 1] != '\r') {
        return PROXY_BAD;
    }
    enum proxy_result result = parse_line(slice_sub(seen, 0, end - 1), header);
    if (result == PROXY_DONE) {
        *consumed = end + 1;
    }
    return result;
}

/* ---- version 2: signature, version and command, family, length, addresses, TLVs ---- */

static void set_v2(struct address *out, int family, const char *ip, const char *port) {
    *out = (struct address){ 0 };
    if (family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&out->storage;
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, ip, 4);
        memcpy(&v4->sin_port, port, 2);
        out->len = sizeof *v4;
    } else {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->storage;
        v6->sin6_family = AF_INET6;
        memcpy(&v6->sin6_addr, ip, 16);
        memcpy(&v6->sin6_port, port, 2);
        out->len = sizeof *v6;
    }
}

static bool parse_v2_addresses(uint8_t family, struct slice body, struct proxy_header *header) {
    const char *at = body.data;
    switch (family) {
    case 0x00: /* not said */
        return true;
    case V2_TCP4:
        if (body.len < V2_TCP4_BYTES) {
            return false;
        }
        set_v2(&header->source, AF_INET, at, at + 8);
        set_v2(&header->destination, AF_INET, at + 4, at + 10);
        header->known = true;
        return true;
    case V2_TCP6:
        if (body.len < V2_TCP6_BYTES) {
            return false;
        }
        set_v2(&header->source, AF_INET6, at, at + 32);
        set_v2(&header->destination, AF_INET6, at + 16, at + 34);
        header->known = true;
        return true;
    case V2_UNIX:
        return body.len >= V2_UNIX_BYTES;
    default: /* datagrams do not come over a stream */
        return false;
    }
}

static enum proxy_result parse_v2(struct slice data, struct proxy_header *header,
                                  size_t *consumed) {
    if (data.len < V2_HEAD_BYTES) {
        return PROXY_MORE;
    }
    const uint8_t *head = (const uint8_t *)data.data;
    size_t len = (size_t)head[14] << 8 | head[15];
    uint8_t version = head[12] >> 4, command = head[12] & 15;
    struct proxy_header parsed = { 0 };
    if (version != 2 || command > 1 || V2_HEAD_BYTES + len > PROXY_PROTOCOL_V2_BYTES_MAX) {
        return PROXY_BAD;
    }
    if (data.len < V2_HEAD_BYTES + len) {
        return PROXY_MORE;
    }
    if (command == 1 &&
        !parse_v2_addresses(head[13], slice_sub(data, V2_HEAD_BYTES, len), &parsed)) {
        return PROXY_BAD;
    }
    *header = parsed;
    *consumed = V2_HEAD_BYTES + len;
    return PROXY_DONE;
}

/* Whether `data` is `start`, or how it begins. */
static bool begins(struct slice data, struct slice start) {
    size_t len = data.len < start.len ? data.len : start.len;
    return slice_equal(slice_sub(data, 0, len), slice_sub(start, 0, len));
}

enum proxy_result proxy_protocol_parse(struct slice data, struct proxy_header *header,
                                       size_t *consumed) {
    if (data.len == 0) {
        return PROXY_MORE;
    }
    if (begins(data, SIGNATURE)) {
        return data.len < SIGNATURE.len ? PROXY_MORE : parse_v2(data, header, consumed);
    }
    if (begins(data, SLICE("PROXY "))) {
        return parse_v1(data, header, consumed);
    }
    return PROXY_BAD;
}

/* ---- writing ---- */

/* The family in which both can be said; IPv4 stands in an IPv6 header as ::ffff:a.b.c.d. */
static int family_of(const struct address *a, const struct address *b) {
    int x = a->len == 0 ? AF_UNSPEC : a->storage.ss_family;
    int y = b->len == 0 ? AF_UNSPEC : b->storage.ss_family;
    bool ip = (x == AF_INET || x == AF_INET6) && (y == AF_INET || y == AF_INET6);
    static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
    uint8_t first[16], second[16];
    if (!ip) {
        return AF_UNSPEC;
    }
    address_ip(a, first);
    address_ip(b, second);
    bool both_v4 = memcmp(first, v4_prefix, 12) == 0 && memcmp(second, v4_prefix, 12) == 0;
    return both_v4 ? AF_INET : AF_INET6;
}

static size_t write_v1(int family, const struct address *source, const struct address *destination,
                       char *out) {
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    uint8_t first[16], second[16];
    if (family == AF_UNSPEC) {
        memcpy(out, "PROXY UNKNOWN\r\n", 15);
        return 15;
    }
    size_t skipped = family == AF_INET ? 12 : 0;
    address_ip(source, first);
    address_ip(destination, second);
    inet_ntop(family, first + skipped, from, sizeof from);
    inet_ntop(family, second + skipped, to, sizeof to);
    int len = snprintf(out, PROXY_PROTOCOL_WRITE_BYTES, "PROXY TCP%c %s %s %u %u\r\n",
                       family == AF_INET ? '4' : '6', from, to, address_port(source),
                       address_port(destination));
    return (size_t)len;
}

static size_t write_v2(int family, const struct address *source, const struct address *destination,
                       char *out) {
    uint8_t first[16], second[16];
    size_t ip_bytes = family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
    size_t len = ip_bytes == 0 ? 0 : 2 * ip_bytes + 4;
    memcpy(out, SIGNATURE.data, SIGNATURE.len);
    out[12] = ip_bytes == 0 ? 0x20 : 0x21;
    out[13] = (char)(family == AF_INET ? V2_TCP4 : family == AF_INET6 ? V2_TCP6 : 0);
    out[14] = 0;
    out[15] = (char)len;
    if (ip_bytes == 0) {
        return V2_HEAD_BYTES;
    }
    char *at = out + V2_HEAD_BYTES;
    uint16_t ports[2] = { htons(address_port(source)), htons(address_port(destination)) };
    address_ip(source, first);
    address_ip(destination, second);
    memcpy(at, first + 16 - ip_bytes, ip_bytes);
    memcpy(at + ip_bytes, second + 16 - ip_bytes, ip_bytes);
    memcpy(at + 2 * ip_bytes, ports, sizeof ports);
    return V2_HEAD_BYTES + len;
}

size_t proxy_protocol_write(unsigned version, const struct address *source,
                            const struct address *destination,
                            char out[PROXY_PROTOCOL_WRITE_BYTES]) {
    int family = family_of(source, destination);
    return version == 1 ? write_v1(family, source, destination, out)
                        : write_v2(family, source, destination, out);
}
