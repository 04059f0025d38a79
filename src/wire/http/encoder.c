#include <assert.h>
#include <stdlib.h>

#include "wire/http/encoder_internal.h"

static const struct encoder_ops *const ops_of[HTTP_CODINGS] = {
    [HTTP_CODING_GZIP] = &encoder_gzip,
    [HTTP_CODING_BROTLI] = &encoder_brotli,
    [HTTP_CODING_ZSTD] = &encoder_zstd,
};

/* ---- memory ---- */

union block_head {
    size_t bytes;
    max_align_t align;
};

/* The smallest free block that is large enough without wasting half of itself; else a new one. */
void *encoder_memory_take(void *self, size_t bytes) {
    struct encoder_memory *memory = self;
    union block_head *best = NULL;
    unsigned place = 0;
    for (unsigned i = 0; i < ENCODER_BLOCKS_MAX; i++) {
        union block_head *block = memory->blocks[i];
        if (block != NULL && block->bytes >= bytes && block->bytes / 2 <= bytes &&
            (best == NULL || block->bytes < best->bytes)) {
            best = block;
            place = i;
        }
    }
    if (best != NULL) {
        memory->blocks[place] = NULL;
        return best + 1;
    }
    best = malloc(sizeof *best + bytes);
    if (best == NULL) {
        return NULL;
    }
    best->bytes = bytes;
    memory->held_bytes += bytes;
    return best + 1;
}

void encoder_memory_return(void *self, void *block) {
    struct encoder_memory *memory = self;
    if (block == NULL) {
        return;
    }
    union block_head *head = (union block_head *)block - 1;
    for (unsigned i = 0; i < ENCODER_BLOCKS_MAX && memory->held_bytes <= ENCODER_KEPT_BYTES; i++) {
        if (memory->blocks[i] == NULL) {
            memory->blocks[i] = head;
            return;
        }
    }
    memory->held_bytes -= head->bytes;
    free(head);
}

void encoder_memory_fini(struct encoder_memory *memory) {
    for (unsigned i = 0; i < ENCODER_BLOCKS_MAX; i++) {
        free(memory->blocks[i]);
        memory->blocks[i] = NULL;
    }
    memory->held_bytes = 0;
}

/* ---- life ---- */

struct encoder *encoder_new(enum http_coding coding, int level) {
    assert(coding < HTTP_CODINGS && ops_of[coding] != NULL);
    struct encoder *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return NULL;
    }
    e->ops = ops_of[coding];
    e->coding = coding;
    e->level = level;
    if (!e->ops->open(e)) {
        encoder_free(e);
        return NULL;
    }
    return e;
}

void encoder_free(struct encoder *e) {
    if (e != NULL) {
        e->ops->close(e);
        encoder_memory_fini(&e->memory);
        free(e);
    }
}

enum http_coding encoder_coding(const struct encoder *e) {
    return e->coding;
}

int encoder_level(const struct encoder *e) {
    return e->level;
}

size_t encoder_bytes(const struct encoder *e) {
    return sizeof *e + e->memory.held_bytes;
}

bool encoder_begin(struct encoder *e, uint64_t size) {
    return e->ops->begin(e, size);
}

enum encoder_result encoder_run(struct encoder *e, enum encoder_action action, struct slice *input,
                                char *out, size_t out_bytes, size_t *written) {
    assert(out_bytes >= ENCODER_OUT_BYTES_MIN);
    *written = 0;
    return e->ops->run(e, action, input, out, out_bytes, written);
}
