/* Receive memory of the io_uring backend: one ring of buffers for all sockets. An idle connection
 * holds none. Where the kernel can, a buffer is used up piece by piece, so that a thousand small
 * requests touch as few pages as one large one. */
#include <errno.h>
#include <stdlib.h>

#include "wire/net/loop_uring_internal.h"

#define GROUP 0
#define PAGE_BYTES 4096
#define PIECES_COUNT 8 /* buffers used up piece by piece: */
#define PIECES_BYTES 32768
#define WHOLE_COUNT 128 /* each for one receive: */
#define WHOLE_BYTES 16384
#define REGISTER_INCREMENTAL 2         /* IOU_PBUF_RING_INC, newer than our liburing */
#define COMPLETION_MORE_OF_BUFFER 0x10 /* IORING_CQE_F_BUF_MORE */

/* Whole pages of their own: the kernel holds on to them. */
static void *take_pages(size_t bytes) {
    return aligned_alloc(PAGE_BYTES, (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
}

static void give_back(struct uring_buffers *b, uint32_t index) {
    b->used_bytes[index] = 0;
    io_uring_buf_ring_add(b->ring, b->memory + (size_t)index * b->each_bytes, b->each_bytes,
                          (unsigned short)index, io_uring_buf_ring_mask(b->count), (int)b->given++);
}

static int register_ring(struct uring *u) {
    struct uring_buffers *b = &u->buffers;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)b->ring,
        .ring_entries = b->count,
        .bgid = GROUP,
        .pad = b->incremental ? REGISTER_INCREMENTAL : 0, /* named flags since 6.4 */
    };
    return io_uring_register_buf_ring(&u->ring, &reg, 0);
}

static int open_as(struct uring *u, bool incremental) {
    struct uring_buffers *b = &u->buffers;
    b->incremental = incremental;
    b->count = incremental ? PIECES_COUNT : WHOLE_COUNT;
    b->each_bytes = incremental ? PIECES_BYTES : WHOLE_BYTES;
    b->ring = take_pages(b->count * sizeof(struct io_uring_buf));
    b->memory = take_pages((size_t)b->count * b->each_bytes);
    if (b->ring == NULL || b->memory == NULL) {
        return -ENOMEM;
    }
    io_uring_buf_ring_init(b->ring);
    int result = register_ring(u);
    for (uint32_t i = 0; i < b->count && result == 0; i++) {
        give_back(b, i);
    }
    return result;
}

bool uring_buffers_open(struct uring *u, struct error *err) {
    int result = open_as(u, true);
    if (result == -EINVAL) {
        uring_buffers_close(u);
        result = open_as(u, false);
    }
    if (result < 0) {
        errno = -result;
        return error_system(err, "register receive buffers");
    }
    uring_buffers_give(u);
    return true;
}

void uring_buffers_close(struct uring *u) {
    struct uring_buffers *b = &u->buffers;
    free(b->ring);
    free(b->memory);
    *b = (struct uring_buffers){ 0 };
}

static uint32_t buffer_of(const struct io_uring_cqe *cqe) {
    return cqe->flags >> IORING_CQE_BUFFER_SHIFT;
}

struct slice uring_buffers_take(struct uring *u, const struct io_uring_cqe *cqe) {
    struct uring_buffers *b = &u->buffers;
    if (!(cqe->flags & IORING_CQE_F_BUFFER) || cqe->res <= 0) {
        return slice_of(NULL, 0);
    }
    uint32_t index = buffer_of(cqe) % b->count;
    char *at = b->memory + (size_t)index * b->each_bytes + b->used_bytes[index];
    b->used_bytes[index] += (uint32_t)cqe->res;
    return slice_of(at, (size_t)cqe->res);
}

void uring_buffers_return(struct uring *u, const struct io_uring_cqe *cqe) {
    bool more = u->buffers.incremental && (cqe->flags & COMPLETION_MORE_OF_BUFFER) != 0;
    if ((cqe->flags & IORING_CQE_F_BUFFER) && !more) {
        give_back(&u->buffers, buffer_of(cqe) % u->buffers.count);
    }
}

void uring_buffers_give(struct uring *u) {
    if (u->buffers.given > 0) {
        io_uring_buf_ring_advance(u->buffers.ring, (int)u->buffers.given);
        u->buffers.given = 0;
    }
}
