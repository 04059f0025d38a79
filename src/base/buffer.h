/* Growable bytes with a limit: appended at the end, consumed from the front.
 * Never grows past `limit_bytes`; an append that would is refused whole. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct buffer {
    char *data;
    size_t start, end, capacity; /* what is unread is data[start, end) */
    size_t limit_bytes;
};

void buffer_init(struct buffer *b, size_t limit_bytes); /* allocates nothing */
void buffer_fini(struct buffer *b);                     /* gives the memory back; b stays usable */

size_t buffer_len(const struct buffer *b);
struct slice buffer_slice(const struct buffer *b); /* valid until the next append or fini */

/* False when the limit or memory does not allow it; the buffer is then unchanged. */
bool buffer_append(struct buffer *b, struct slice s);
bool buffer_append_text(struct buffer *b, const char *text);
bool buffer_append_byte(struct buffer *b, char byte);
bool buffer_append_uint(struct buffer *b, unsigned long long value);
bool buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for at least `want` bytes at the end: write there, then buffer_commit what was written.
 * NULL when the limit or memory does not allow it. */
char *buffer_reserve(struct buffer *b, size_t want);
size_t buffer_room(const struct buffer *b); /* bytes after the end, already allocated */
void buffer_commit(struct buffer *b, size_t len);

void buffer_consume(struct buffer *b, size_t len); /* len <= buffer_len */
void buffer_clear(struct buffer *b);               /* keeps the memory */
