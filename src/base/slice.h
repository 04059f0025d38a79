/* Slices: borrowed bytes with their length. Never NUL-terminated; passed by value; own nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *data;
    size_t len;
};

#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })
#define SLICE_ARG(s) (int)(s).len, (s).data /* for "%.*s" */
#define SLICE_NONE SIZE_MAX                 /* "not found" of the finders below */

struct slice slice_from(const char *text); /* NULL gives the empty slice */
struct slice slice_of(const void *data, size_t len);
struct slice slice_skip(struct slice s, size_t count);              /* count <= s.len */
struct slice slice_sub(struct slice s, size_t start, size_t count); /* clamped to what is there */

bool slice_equal(struct slice a, struct slice b);
bool slice_equal_fold(struct slice a, struct slice b); /* ASCII case-insensitive */
int slice_compare(struct slice a, struct slice b);     /* like memcmp, shorter first */
bool slice_starts_with(struct slice s, struct slice prefix);
bool slice_ends_with(struct slice s, struct slice suffix);

/* Index of the first `byte` or SLICE_NONE. */
size_t slice_find(struct slice s, char byte);
size_t slice_find_slice(struct slice s, struct slice needle);

/* Without leading and trailing spaces and tabs (OWS of RFC 9110 §5.6.3). */
struct slice slice_trim(struct slice s);

/* Takes the part before `separator` off the front of `rest` into `head`; without a separator the
 * whole rest. Returns false when nothing is left: `while (slice_cut(&rest, ',', &item))`. */
bool slice_cut(struct slice *rest, char separator, struct slice *head);

/* Two moves that may overlap, when `width`, which is at least half of the text, is a constant. */
static inline void slice_put_ends(char *at, struct slice s, size_t width) {
    memcpy(at, s.data, width);
    memcpy(at + s.len - width, s.data + s.len - width, width);
}
/* Writes the bytes, or the digits of a number (at most 20), without a NUL; where the next one goes.
 * The parts of a head are some twenty bytes long: to call memcpy costs more than to copy them. */
static inline char *slice_put(char *at, struct slice s) {
    if (s.len > 64) {
        memcpy(at, s.data, s.len);
    } else if (s.len >= 32) {
        slice_put_ends(at, s, 32);
    } else if (s.len >= 16) {
        slice_put_ends(at, s, 16);
    } else if (s.len >= 8) {
        slice_put_ends(at, s, 8);
    } else if (s.len >= 4) {
        slice_put_ends(at, s, 4);
    } else if (s.len >= 2) {
        slice_put_ends(at, s, 2);
    } else if (s.len == 1) {
        at[0] = s.data[0];
    }
    return at + s.len;
}
char *slice_put_uint(char *at, uint64_t value);

/* Copies with a NUL into out[out_bytes]; false when it does not fit (out is then empty). */
bool slice_copy_text(struct slice s, char *out, size_t out_bytes);
