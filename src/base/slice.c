#include "base/slice.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice slice_from(const char *text) {
    return (struct slice){ text, text == NULL ? 0 : strlen(text) };
}

struct slice slice_of(const void *data, size_t len) {
    return (struct slice){ data, len };
}

struct slice slice_skip(struct slice s, size_t count) {
    assert(count <= s.len);
    return count == 0 ? s : (struct slice){ s.data + count, s.len - count };
}

struct slice slice_sub(struct slice s, size_t start, size_t count) {
    if (start >= s.len) {
        return (struct slice){ 0 };
    }
    size_t left = s.len - start;
    return (struct slice){ s.data + start, count < left ? count : left };
}

bool slice_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool slice_equal_fold(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

int slice_compare(struct slice a, struct slice b) {
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0 || a.len == b.len) {
        return order;
    }
    return a.len < b.len ? -1 : 1;
}

bool slice_starts_with(struct slice s, struct slice prefix) {
    return s.len >= prefix.len && slice_equal(slice_sub(s, 0, prefix.len), prefix);
}

bool slice_ends_with(struct slice s, struct slice suffix) {
    return s.len >= suffix.len && slice_equal(slice_skip(s, s.len - suffix.len), suffix);
}

size_t slice_find(struct slice s, char byte) {
    const char *at = s.len == 0 ? NULL : memchr(s.data, byte, s.len);
    return at == NULL ? SLICE_NONE : (size_t)(at - s.data);
}

size_t slice_find_slice(struct slice s, struct slice needle) {
    if (needle.len == 0) {
        return 0;
    }
    const char *at = s.len < needle.len ? NULL : memmem(s.data, s.len, needle.data, needle.len);
    return at == NULL ? SLICE_NONE : (size_t)(at - s.data);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s) {
    while (s.len > 0 && is_blank(s.data[0])) {
        s = slice_skip(s, 1);
    }
    while (s.len > 0 && is_blank(s.data[s.len - 1])) {
        s.len--;
    }
    return s;
}

bool slice_cut(struct slice *rest, char separator, struct slice *head) {
    if (rest->data == NULL) {
        return false;
    }
    size_t at = slice_find(*rest, separator);
    if (at == SLICE_NONE) {
        *head = *rest;
        *rest = (struct slice){ 0 };
        return true;
    }
    *head = slice_sub(*rest, 0, at);
    *rest = slice_skip(*rest, at + 1);
    return true;
}

bool slice_copy_text(struct slice s, char *out, size_t out_bytes) {
    assert(out_bytes > 0);
    if (s.len >= out_bytes) {
        out[0] = '\0';
        return false;
    }
    if (s.len > 0) {
        memcpy(out, s.data, s.len);
    }
    out[s.len] = '\0';
    return true;
}

char *slice_put_uint(char *at, uint64_t value) {
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return slice_put(at, slice_of(digits + first, sizeof digits - first));
}
