#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST_BYTES 512

void buffer_init(struct buffer *b, size_t limit_bytes) {
    *b = (struct buffer){ .limit_bytes = limit_bytes };
}

void buffer_fini(struct buffer *b) {
    if (b == NULL) {
        return;
    }
    free(b->data);
    *b = (struct buffer){ .limit_bytes = b->limit_bytes };
}

size_t buffer_len(const struct buffer *b) {
    return b->end - b->start;
}

struct slice buffer_slice(const struct buffer *b) {
    return b->data == NULL ? (struct slice){ "", 0 } : slice_of(b->data + b->start, buffer_len(b));
}

static void move_to_front(struct buffer *b) {
    if (b->start > 0) {
        assert(b->data != NULL);
        memmove(b->data, b->data + b->start, buffer_len(b));
        b->end -= b->start;
        b->start = 0;
    }
}

static bool grow(struct buffer *b, size_t needed) {
    size_t capacity = b->capacity == 0 ? BUFFER_FIRST_BYTES : b->capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    if (capacity > b->limit_bytes) {
        capacity = b->limit_bytes;
    }
    char *data = realloc(b->data, capacity);
    if (data == NULL) {
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

char *buffer_reserve(struct buffer *b, size_t want) {
    if (b->data != NULL && b->capacity - b->end >= want) {
        return b->data + b->end;
    }
    if (want > b->limit_bytes || buffer_len(b) > b->limit_bytes - want) {
        return NULL;
    }
    move_to_front(b);
    if (b->capacity - b->end < want && !grow(b, b->end + want)) {
        return NULL;
    }
    return b->data + b->end;
}

size_t buffer_room(const struct buffer *b) {
    return b->capacity - b->end;
}

void buffer_commit(struct buffer *b, size_t len) {
    assert(len <= b->capacity - b->end);
    b->end += len;
}

bool buffer_append(struct buffer *b, struct slice s) {
    if (s.len == 0) {
        return true;
    }
    char *to = buffer_reserve(b, s.len);
    if (to == NULL) {
        return false;
    }
    memcpy(to, s.data, s.len);
    b->end += s.len;
    return true;
}

bool buffer_append_text(struct buffer *b, const char *text) {
    return buffer_append(b, slice_from(text));
}

bool buffer_append_byte(struct buffer *b, char byte) {
    return buffer_append(b, slice_of(&byte, 1));
}

bool buffer_append_uint(struct buffer *b, unsigned long long value) {
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return buffer_append(b, slice_of(digits + at, sizeof digits - at));
}

bool buffer_printf(struct buffer *b, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    /* One byte more than the text: vsnprintf insists on writing its NUL. */
    char *to = len < 0 ? NULL : buffer_reserve(b, (size_t)len + 1);
    if (to != NULL) {
        vsnprintf(to, (size_t)len + 1, format, again);
        b->end += (size_t)len;
    }
    va_end(again);
    return to != NULL;
}

void buffer_consume(struct buffer *b, size_t len) {
    assert(len <= buffer_len(b));
    b->start += len;
    if (b->start == b->end) {
        buffer_clear(b);
    }
}

void buffer_clear(struct buffer *b) {
    b->start = 0;
    b->end = 0;
}
