/* Inside of the encoders: one file a coding, one line each in encoder.c. */
#pragma once
#include "wire/http/encoder.h"

#define ENCODER_BLOCKS_MAX 16 /* kept for the next body; libraries here ask for at most ten */

/* Memory that a library gave back and will ask for again: brotli cannot be reset, so each body
 * makes a new state out of the old one's blocks. Beyond ENCODER_KEPT_BYTES it goes back to malloc.
 */
struct encoder_memory {
    void *blocks[ENCODER_BLOCKS_MAX]; /* free ones, each behind its size */
    size_t held_bytes;                /* in use and free */
};

void *encoder_memory_take(void *memory, size_t bytes);
void encoder_memory_return(void *memory, void *block);
void encoder_memory_fini(struct encoder_memory *memory);

struct encoder_ops {
    bool (*open)(struct encoder *e);
    void (*close)(struct encoder *e);
    bool (*begin)(struct encoder *e, uint64_t size);
    enum encoder_result (*run)(struct encoder *e, enum encoder_action action, struct slice *input,
                               char *out, size_t out_bytes, size_t *written);
};

struct encoder {
    const struct encoder_ops *ops;
    enum http_coding coding;
    int level;
    void *state; /* the library's */
    struct encoder_memory memory;
};

extern const struct encoder_ops encoder_gzip, encoder_brotli, encoder_zstd;
