#include "wire/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/parse.h"

static bool set_unix(struct slice path, struct address *out, struct error *err) {
    struct sockaddr_un *un = (struct sockaddr_un *)&out->storage;
    if (path.len == 0 || memchr(path.data, '\0', path.len) != NULL ||
        !slice_copy_text(path, un->sun_path, sizeof un->sun_path)) {
        return error_set(err, ERROR_INVALID, "a Unix socket's path has 1 to %zu bytes",
                         sizeof un->sun_path - 1);
    }
    un->sun_family = AF_UNIX;
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    return true;
}

static void set_v4(struct address *out, struct in_addr ip, uint16_t port) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->storage;
    *v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = ip, .sin_port = htons(port) };
    out->len = sizeof *v4;
}

static void set_v6(struct address *out, struct in6_addr ip, uint16_t port) {
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->storage;
    *v6 =
        (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = ip, .sin6_port = htons(port) };
    out->len = sizeof *v6;
}

/* Splits "host:port", "[host]:port", "host", "[host]". A bare IPv6 address keeps its colons. */
static bool split(struct slice text, struct slice *host, struct slice *port, struct error *err) {
    *port = (struct slice){ 0 };
    if (text.len > 0 && text.data[0] == '[') {
        size_t close = slice_find(text, ']');
        if (close == SLICE_NONE || (close + 1 < text.len && text.data[close + 1] != ':')) {
            return error_set(err, ERROR_INVALID, "'%.*s' is not an address: expected [IPv6]:port",
                             SLICE_ARG(text));
        }
        *host = slice_sub(text, 1, close - 1);
        *port = close + 1 < text.len ? slice_skip(text, close + 2) : (struct slice){ 0 };
        return true;
    }
    size_t colon = slice_find(text, ':');
    bool one_colon =
        colon != SLICE_NONE && slice_find(slice_skip(text, colon + 1), ':') == SLICE_NONE;
    *host = one_colon ? slice_sub(text, 0, colon) : text;
    *port = one_colon ? slice_skip(text, colon + 1) : *port;
    return true;
}

bool address_parse(struct slice text, uint16_t default_port, struct address *out,
                   struct error *err) {
    struct address parsed = { 0 };
    if (slice_starts_with(text, SLICE("unix:"))) {
        if (!set_unix(slice_skip(text, 5), &parsed, err)) {
            return false;
        }
        *out = parsed;
        return true;
    }
    struct slice host = { 0 }, port_text = { 0 };
    if (!split(text, &host, &port_text, err)) {
        return false;
    }
    uint64_t port = default_port;
    if (port_text.len > 0 ? !parse_uint(port_text, &port) || port == 0 || port > UINT16_MAX
                          : port == 0) {
        return error_set(err, ERROR_INVALID, "'%.*s' has no port between 1 and 65535",
                         SLICE_ARG(text));
    }
    char host_text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;
    bool fits = slice_copy_text(host, host_text, sizeof host_text);
    if (host.len == 0 || slice_equal(host, SLICE("*"))) {
        set_v6(&parsed, in6addr_any, (uint16_t)port);
    } else if (fits && inet_pton(AF_INET, host_text, &v4) == 1) {
        set_v4(&parsed, v4, (uint16_t)port);
    } else if (fits && inet_pton(AF_INET6, host_text, &v6) == 1) {
        set_v6(&parsed, v6, (uint16_t)port);
    } else {
        return error_set(err, ERROR_NOT_FOUND, "'%.*s' is not a numeric address", SLICE_ARG(host));
    }
    *out = parsed;
    return true;
}

void address_format(const struct address *address, char out[ADDRESS_TEXT_BYTES]) {
    char ip[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    switch (address->len == 0 ? AF_UNSPEC : address->storage.ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip);
        snprintf(out, ADDRESS_TEXT_BYTES, "%s:%u", ip, ntohs(v4->sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip);
        snprintf(out, ADDRESS_TEXT_BYTES, "[%s]:%u", ip, ntohs(v6->sin6_port));
        break;
    case AF_UNIX:
        snprintf(out, ADDRESS_TEXT_BYTES, "unix:%s", un->sun_path);
        break;
    default:
        snprintf(out, ADDRESS_TEXT_BYTES, "none");
    }
}

bool address_equal(const struct address *a, const struct address *b) {
    if (a->len == 0 || b->len == 0) {
        return a->len == b->len;
    }
    char a_text[ADDRESS_TEXT_BYTES], b_text[ADDRESS_TEXT_BYTES];
    address_format(a, a_text); /* not memcmp: padding and scope are nobody's address */
    address_format(b, b_text);
    return strcmp(a_text, b_text) == 0;
}

uint16_t address_port(const struct address *address) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
    switch (address->len == 0 ? AF_UNSPEC : address->storage.ss_family) {
    case AF_INET:
        return ntohs(v4->sin_port);
    case AF_INET6:
        return ntohs(v6->sin6_port);
    default:
        return 0;
    }
}

void address_set_port(struct address *address, uint16_t port) {
    if (address->len > 0 && address->storage.ss_family == AF_INET) {
        ((struct sockaddr_in *)&address->storage)->sin_port = htons(port);
    } else if (address->len > 0 && address->storage.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&address->storage)->sin6_port = htons(port);
    }
}

void address_ip(const struct address *address, uint8_t out[16]) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
    memset(out, 0, 16);
    if (address->len == 0) {
        return;
    }
    if (address->storage.ss_family == AF_INET) {
        out[10] = out[11] = 0xff;
        memcpy(out + 12, &v4->sin_addr, 4);
    } else if (address->storage.ss_family == AF_INET6) {
        memcpy(out, &v6->sin6_addr, 16);
    }
}

bool address_is_any(const struct address *address) {
    static const uint8_t v4_any[16] = { [10] = 0xff, [11] = 0xff };
    static const uint8_t v6_any[16] = { 0 };
    uint8_t ip[16];
    if (address->len == 0 || address->storage.ss_family == AF_UNIX) {
        return false;
    }
    address_ip(address, ip);
    return memcmp(ip, v4_any, 16) == 0 || memcmp(ip, v6_any, 16) == 0;
}
