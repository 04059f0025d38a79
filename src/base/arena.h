/* Arena: memory of one lifetime (a request, a configuration), freed all at once, never past its
 * limit. Pointers stay valid until arena_reset or arena_fini. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used_bytes;          /* handed out since the last reset */
    size_t limit_bytes;
    bool starved; /* since the last reset memory was out, whatever the limit says */
};

void arena_init(struct arena *a, size_t limit_bytes); /* allocates nothing */
void arena_fini(struct arena *a);

/* Zeroed memory, aligned for any type; NULL past the limit or when memory is out. */
void *arena_alloc(struct arena *a, size_t bytes);
/* The same, not zeroed: for a text that is written at once. */
void *arena_room(struct arena *a, size_t bytes);
/* As arena_alloc for count items, safe against overflow. */
void *arena_array(struct arena *a, size_t count, size_t item_bytes);
/* A copy with a NUL after it; data is NULL on failure. */
struct slice arena_copy(struct arena *a, struct slice s);
const char *arena_text(struct arena *a, struct slice s);

/* Everything handed out is gone; keeps one chunk for the next use. */
void arena_reset(struct arena *a);
