#include "act/proxy/cors.h"

static size_t scheme_len(struct slice text) {
    return slice_starts_with(text, SLICE("https://"))  ? 8
           : slice_starts_with(text, SLICE("http://")) ? 7
                                                       : 0;
}

static bool is_host_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':' ||
           c == '[' || c == ']' || c == '_';
}

bool cors_is_pattern(struct slice text) {
    if (slice_equal(text, SLICE("null"))) {
        return true;
    }
    size_t from = scheme_len(text);
    struct slice host = slice_skip(text, from);
    if (slice_starts_with(host, SLICE("*."))) {
        host = slice_skip(host, 2);
    }
    for (size_t i = 0; i < host.len; i++) {
        if (!is_host_byte(host.data[i])) {
            return false;
        }
    }
    return from > 0 && host.len > 0 && host.data[0] != '.' && host.data[0] != ':';
}

/* "a.b" before ".shop.example": labels only. */
static bool is_labels(struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '.' && c != '_') {
            return false;
        }
    }
    return text.len > 0 && text.data[0] != '.';
}

bool cors_origin_matches(struct slice pattern, struct slice origin) {
    size_t star = slice_find(pattern, '*');
    if (star == SLICE_NONE) {
        return slice_equal_fold(pattern, origin);
    }
    struct slice front = slice_sub(pattern, 0, star), tail = slice_skip(pattern, star + 1);
    if (origin.len <= front.len + tail.len ||
        !slice_equal_fold(slice_sub(origin, 0, front.len), front) ||
        !slice_equal_fold(slice_skip(origin, origin.len - tail.len), tail)) {
        return false;
    }
    return is_labels(slice_sub(origin, front.len, origin.len - front.len - tail.len));
}

bool cors_is_for_all(const struct cors *cors) {
    return slice_equal(cors->origins, SLICE("*"));
}

bool cors_allows(const struct cors *cors, struct slice origin) {
    struct slice rest = cors->origins, pattern;
    if (cors_is_for_all(cors)) {
        return true;
    }
    while (slice_cut(&rest, ' ', &pattern)) {
        if (cors_origin_matches(pattern, origin)) {
            return true;
        }
    }
    return false;
}
