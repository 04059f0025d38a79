#include "wire/http/url.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "wire/http/uri.h"

static bool take_scheme(struct slice *rest, bool *tls) {
    static const struct slice plain = { "http://", 7 }, secure = { "https://", 8 };
    *tls = slice_equal_fold(slice_sub(*rest, 0, secure.len), secure);
    if (!*tls && !slice_equal_fold(slice_sub(*rest, 0, plain.len), plain)) {
        return false;
    }
    *rest = slice_skip(*rest, *tls ? secure.len : plain.len);
    return true;
}

/* Host and port of what is an authority. */
static bool read_authority(struct url *u) {
    struct slice host = uri_host(u->authority), port = slice_skip(u->authority, host.len);
    uint64_t number = u->tls ? 443 : 80;
    if (port.len > 1 && (!parse_uint(slice_skip(port, 1), &number) || number > UINT16_MAX)) {
        return false;
    }
    u->port = (uint16_t)number;
    bool brackets = host.len > 2 && host.data[0] == '[';
    u->host = brackets ? slice_sub(host, 1, host.len - 2) : host;
    return number > 0;
}

/* Nothing that could end a line of a request, or that no URL may hold. */
static bool is_clean(struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c) != NULL) {
            return false;
        }
    }
    return true;
}

/* How many bytes stand before the first of `stops`. */
static size_t span_before(struct slice text, const char *stops) {
    size_t at = 0;
    while (at < text.len && strchr(stops, text.data[at]) == NULL) {
        at++;
    }
    return at;
}

bool url_parse(struct slice text, struct url *out) {
    struct slice rest = text;
    struct url u = { 0 };
    if (text.len >= URL_BYTES_MAX || !is_clean(text) || !take_scheme(&rest, &u.tls)) {
        return false;
    }
    u.authority = slice_sub(rest, 0, span_before(rest, "/?#"));
    u.origin = slice_of(text.data, (size_t)(rest.data - text.data) + u.authority.len);
    rest = slice_skip(rest, u.authority.len);
    rest = slice_sub(rest, 0, span_before(rest, "#"));
    u.path = slice_sub(rest, 0, span_before(rest, "?"));
    u.has_query = u.path.len < rest.len;
    u.query = slice_skip(rest, u.has_query ? u.path.len + 1 : rest.len);
    if (!uri_is_authority(u.authority) || !read_authority(&u)) {
        return false;
    }
    *out = u;
    return true;
}

/* "mailto:", "https:" …: what stands before a colon that no path begins with. */
static bool has_scheme(struct slice text) {
    size_t at = span_before(text, ":/?#");
    return at > 0 && at < text.len && text.data[at] == ':';
}

bool url_follow(const struct url *base, struct slice location, char *out, size_t out_bytes) {
    struct slice folder = base->path, query = base->query;
    int n;
    while (folder.len > 0 && folder.data[folder.len - 1] != '/') {
        folder.len--;
    }
    if (has_scheme(location)) {
        return slice_copy_text(location, out, out_bytes);
    }
    if (slice_starts_with(location, SLICE("//"))) {
        n = snprintf(out, out_bytes, "%s:%.*s", base->tls ? "https" : "http", SLICE_ARG(location));
    } else if (slice_starts_with(location, SLICE("/"))) {
        n = snprintf(out, out_bytes, "%.*s%.*s", SLICE_ARG(base->origin), SLICE_ARG(location));
    } else if (slice_starts_with(location, SLICE("?"))) {
        n = snprintf(out, out_bytes, "%.*s%.*s%.*s", SLICE_ARG(base->origin), SLICE_ARG(base->path),
                     SLICE_ARG(location));
    } else if (location.len == 0 || location.data[0] == '#') {
        n = snprintf(out, out_bytes, "%.*s%.*s%s%.*s", SLICE_ARG(base->origin),
                     SLICE_ARG(base->path), base->has_query ? "?" : "", SLICE_ARG(query));
    } else {
        n = snprintf(out, out_bytes, "%.*s%.*s%.*s", SLICE_ARG(base->origin),
                     SLICE_ARG(folder.len > 0 ? folder : SLICE("/")), SLICE_ARG(location));
    }
    return n >= 0 && (size_t)n < out_bytes;
}

bool url_same_origin(const struct url *a, const struct url *b) {
    return a->tls == b->tls && a->port == b->port && slice_equal_fold(a->host, b->host);
}
