#include "wire/net/resolve.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

static bool known(const struct address *list, size_t count, const struct address *one) {
    for (size_t i = 0; i < count; i++) {
        if (address_equal(&list[i], one)) {
            return true;
        }
    }
    return false;
}

/* "name:port" or "name"; the port as decimal text. */
static bool split_name(struct slice text, uint16_t default_port, char host[NI_MAXHOST],
                       char port_text[8], struct error *err) {
    struct slice rest = text, name;
    uint64_t port = default_port;
    slice_cut(&rest, ':', &name);
    if ((rest.len > 0 && !parse_uint(rest, &port)) || port == 0 || port > UINT16_MAX) {
        return error_set(err, ERROR_INVALID, "'%.*s' has no port between 1 and 65535",
                         SLICE_ARG(text));
    }
    if (name.len == 0 || !slice_copy_text(name, host, NI_MAXHOST)) {
        return error_set(err, ERROR_INVALID, "'%.*s' is not a host name", SLICE_ARG(name));
    }
    snprintf(port_text, 8, "%u", (unsigned)port);
    return true;
}

bool resolve(struct slice text, uint16_t default_port, struct address out[RESOLVE_MAX],
             size_t *count, struct error *err) {
    struct error numeric = { 0 };
    if (address_parse(text, default_port, &out[0], &numeric)) {
        *count = 1;
        return true;
    }
    if (numeric.kind != ERROR_NOT_FOUND) {
        return error_set(err, numeric.kind, "%s", numeric.text);
    }
    char host[NI_MAXHOST], port[8];
    if (!split_name(text, default_port, host, port, err)) {
        return false;
    }
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *found = NULL;
    int status = getaddrinfo(host, port, &hints, &found);
    if (status != 0) {
        return error_set(err, ERROR_NOT_FOUND, "host '%s' is not found: %s", host,
                         gai_strerror(status));
    }
    size_t filled = 0;
    for (struct addrinfo *a = found; a != NULL && filled < RESOLVE_MAX; a = a->ai_next) {
        struct address one = { .len = a->ai_addrlen };
        memcpy(&one.storage, a->ai_addr, a->ai_addrlen);
        if (!known(out, filled, &one)) {
            out[filled++] = one;
        }
    }
    freeaddrinfo(found);
    *count = filled;
    return filled > 0 || error_set(err, ERROR_NOT_FOUND, "host '%s' has no address", host);
}
