#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_CHUNK_BYTES 4096

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, capacity;
    alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, size_t limit_bytes) {
    *a = (struct arena){ .limit_bytes = limit_bytes };
}

static void free_chunks(struct arena_chunk *chunk) {
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_fini(struct arena *a) {
    if (a == NULL) {
        return;
    }
    free_chunks(a->chunks);
    *a = (struct arena){ .limit_bytes = a->limit_bytes };
}

static struct arena_chunk *chunk_new(size_t least_bytes) {
    size_t capacity = ARENA_CHUNK_BYTES - sizeof(struct arena_chunk);
    if (capacity < least_bytes) {
        capacity = least_bytes;
    }
    struct arena_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk != NULL) {
        *chunk = (struct arena_chunk){ .capacity = capacity };
    }
    return chunk;
}

void *arena_room(struct arena *a, size_t bytes) {
    size_t align = alignof(max_align_t);
    if (bytes > SIZE_MAX - align) {
        return NULL;
    }
    bytes = (bytes + align - 1) / align * align;
    if (bytes > a->limit_bytes - a->used_bytes) {
        return NULL;
    }
    if (a->chunks == NULL || a->chunks->capacity - a->chunks->used < bytes) {
        struct arena_chunk *chunk = chunk_new(bytes);
        if (chunk == NULL) {
            a->starved = true;
            return NULL;
        }
        chunk->next = a->chunks;
        a->chunks = chunk;
    }
    void *memory = a->chunks->data + a->chunks->used;
    a->chunks->used += bytes;
    a->used_bytes += bytes;
    return memory;
}

void *arena_alloc(struct arena *a, size_t bytes) {
    void *memory = arena_room(a, bytes);
    return memory == NULL ? NULL : memset(memory, 0, bytes);
}

void *arena_array(struct arena *a, size_t count, size_t item_bytes) {
    if (item_bytes > 0 && count > SIZE_MAX / item_bytes) {
        return NULL;
    }
    return arena_alloc(a, count * item_bytes);
}

struct slice arena_copy(struct arena *a, struct slice s) {
    char *copy = s.len == SIZE_MAX ? NULL : arena_room(a, s.len + 1);
    if (copy == NULL) {
        return (struct slice){ 0 };
    }
    *slice_put(copy, s) = '\0';
    return slice_of(copy, s.len);
}

const char *arena_text(struct arena *a, struct slice s) {
    return arena_copy(a, s).data;
}

void arena_reset(struct arena *a) {
    a->used_bytes = 0;
    a->starved = false;
    if (a->chunks == NULL) {
        return;
    }
    free_chunks(a->chunks->next);
    a->chunks->next = NULL;
    a->chunks->used = 0;
}
