/* Memory of one nghttp2 session. When it runs out in the middle of something, nghttp2 1.52 leaves
 * items behind that two of its owners free (found by tests/system/test_faults.py). So a session to
 * which memory was once refused is over: nothing more is given to it, what it frees stays where it
 * is, nothing it still does can hurt, and h2_free gives all of it back without asking it. */
#include <stdlib.h>
#include <string.h>

#include "wire/http/h2_internal.h"

struct block {
    struct list link; /* of memory->blocks; what follows is aligned for any type */
    char data[] __attribute__((aligned(16)));
};

static struct block *block_of(void *data) {
    return (struct block *)((char *)data - offsetof(struct block, data));
}

/* Takes `block` in, which may be NULL. */
static void *taken(struct h2_memory *memory, struct block *block) {
    if (block == NULL) {
        memory->failed = true;
        return NULL;
    }
    list_init(&block->link);
    list_append(&memory->blocks, &block->link);
    return block->data;
}

static struct block *new_block(const struct h2_memory *memory, size_t bytes) {
    bool fits = bytes < SIZE_MAX - sizeof(struct block);
    return memory->failed || !fits ? NULL : malloc(sizeof(struct block) + bytes);
}

static void *take(size_t bytes, void *self) {
    return taken(self, new_block(self, bytes));
}

static void *take_zeroed(size_t count, size_t bytes, void *self) {
    size_t total;
    bool fits = !__builtin_mul_overflow(count, bytes, &total);
    void *data = taken(self, fits ? new_block(self, total) : NULL);
    return data == NULL ? NULL : memset(data, 0, total);
}

static void give_back(void *data, void *self) {
    const struct h2_memory *memory = self;
    if (data != NULL && !memory->failed) {
        list_remove(&block_of(data)->link);
        free(block_of(data));
    }
}

static void *resize(void *data, size_t bytes, void *self) {
    struct h2_memory *memory = self;
    if (data == NULL) {
        return take(bytes, self);
    }
    struct block *block = block_of(data), *moved = NULL;
    list_remove(&block->link);
    if (!memory->failed && bytes < SIZE_MAX - sizeof *block) {
        moved = realloc(block, sizeof *block + bytes);
    }
    if (moved == NULL) { /* the old one stays */
        memory->failed = true;
        list_append(&memory->blocks, &block->link);
        return NULL;
    }
    return taken(memory, moved);
}

void h2_memory_init(struct h2_memory *memory) {
    *memory = (struct h2_memory){ .functions = { memory, take, give_back, take_zeroed, resize } };
    list_init(&memory->blocks);
}

void h2_memory_fini(struct h2_memory *memory) {
    struct list *link;
    while ((link = list_first(&memory->blocks)) != NULL) {
        list_remove(link);
        free(LIST_ITEM(link, struct block, link));
    }
}
