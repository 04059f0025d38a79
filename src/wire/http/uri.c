#include "wire/http/uri.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "base/parse.h"
#include "wire/http/block.h"

static bool is_alnum(char c) {
    char lower = (char)(c | 0x20);
    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z');
}

static bool is_unreserved(char c) {
    return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static bool is_port(struct slice text) {
    uint64_t port;
    return text.len == 0 || (text.len <= 5 && parse_uint(text, &port) && port <= UINT16_MAX);
}

static bool is_encoded(struct slice text) {
    uint64_t value;
    return text.len == 3 && parse_hex(slice_skip(text, 1), &value);
}

#define REG_NAME_ENCODED 2

/* unreserved, sub-delims, and the "%" of an encoded byte (RFC 3986 3.2.2). */
/* clang-format off */
static const unsigned char reg_name_class[256] = {
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
    ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1,
    ['!'] = 1, ['$'] = 1, ['&'] = 1, ['\''] = 1, ['('] = 1, [')'] = 1, ['*'] = 1, ['+'] = 1,
    [','] = 1, [';'] = 1, ['='] = 1, ['%'] = REG_NAME_ENCODED,
};
/* clang-format on */

static bool is_reg_name(struct slice text) {
    for (size_t i = block_name_len(text); i < text.len; i++) {
        unsigned char class = reg_name_class[(unsigned char)text.data[i]];
        if (class == 0 || (class == REG_NAME_ENCODED && !is_encoded(slice_sub(text, i, 3)))) {
            return false;
        }
    }
    return text.len > 0;
}

/* IPvFuture is not: nobody uses it. */
static bool is_ip_literal(struct slice text) {
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    return slice_find(text, '\0') == SLICE_NONE && slice_copy_text(text, copy, sizeof copy) &&
           inet_pton(AF_INET6, copy, &address) == 1;
}

bool uri_is_authority(struct slice text) {
    if (text.len > 0 && text.data[0] == '[') {
        size_t end = slice_find(text, ']');
        if (end == SLICE_NONE || !is_ip_literal(slice_sub(text, 1, end - 1))) {
            return false;
        }
        struct slice rest = slice_skip(text, end + 1);
        return rest.len == 0 || (rest.data[0] == ':' && is_port(slice_skip(rest, 1)));
    }
    size_t colon = slice_find(text, ':');
    if (colon == SLICE_NONE) {
        return is_reg_name(text);
    }
    return is_reg_name(slice_sub(text, 0, colon)) && is_port(slice_skip(text, colon + 1));
}

struct slice uri_host(struct slice authority) {
    size_t from = 0;
    if (authority.len > 0 && authority.data[0] == '[') {
        from = slice_find(authority, ']');
        from = from == SLICE_NONE ? 0 : from;
    }
    size_t colon = slice_find(slice_skip(authority, from), ':');
    return colon == SLICE_NONE ? authority : slice_sub(authority, 0, from + colon);
}

static bool needs_work(struct slice path) {
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] == '%' || (path.data[i] == '.' && i > 0 && path.data[i - 1] == '/')) {
            return true;
        }
    }
    return false;
}

static bool decode_unreserved(struct slice path, char *out, size_t out_bytes, size_t *len) {
    *len = 0;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.data[i];
        size_t taken = 1;
        if (c == '%') {
            uint64_t value;
            if (i + 2 >= path.len || !parse_hex(slice_sub(path, i + 1, 2), &value) || value == 0) {
                return false;
            }
            if (is_unreserved((char)value) && value < 0x80) {
                taken = 3;
                c = (char)value;
            }
        }
        if (*len == out_bytes) {
            return false;
        }
        out[(*len)++] = c;
        i += taken - 1;
    }
    return true;
}

/* RFC 3986 5.2.4, in place: out never grows. */
static size_t remove_dot_segments(char *path, size_t len) {
    size_t to = 0, from = 0;
    while (from < len) {
        size_t end = from + 1; /* a segment with its leading slash */
        while (end < len && path[end] != '/') {
            end++;
        }
        size_t segment = end - from;
        bool last = end == len;
        if (segment == 2 && path[from + 1] == '.') {
            segment = last ? 1 : 0;
        } else if (segment == 3 && path[from + 1] == '.' && path[from + 2] == '.') {
            while (to > 0 && path[--to] != '/') {
            }
            segment = last ? 1 : 0;
        }
        memmove(path + to, path + from, segment);
        to += segment;
        from = end;
    }
    return to;
}

bool uri_normalise_path(struct slice path, char *out, size_t out_bytes, struct slice *normal) {
    size_t len;
    *normal = path;
    if (path.len == 0 || path.data[0] != '/' || !needs_work(path)) {
        return true;
    }
    if (!decode_unreserved(path, out, out_bytes, &len)) {
        return false;
    }
    len = remove_dot_segments(out, len);
    if (len == 0) {
        out[len++] = '/';
    }
    *normal = slice_of(out, len);
    return true;
}
