/* A loop as TIDEGATE_IO says, so that the same tests run on every backend (meson.build). */
#pragma once
#include <stdlib.h>

#include "wire/net/loop.h"

static inline struct loop *any_loop(void) {
    enum loop_io io = LOOP_IO_EPOLL;
    struct error err = { 0 };
    const char *name = getenv("TIDEGATE_IO");
    if (name != NULL && !loop_io_parse(slice_from(name), &io)) {
        fail_msg("TIDEGATE_IO: '%s' is no backend", name);
    }
    struct loop *loop = loop_new_io(io, &err);
    if (loop == NULL && io == LOOP_IO_URING) {
        skip(); /* forbidden here: nothing to test */
    }
    if (loop == NULL) {
        fail_msg("%s", err.text);
    }
    return loop;
}

/* What is sent goes out in the turn it is asked for (epoll), or when the next one begins. */
static inline void turns_of(struct loop *loop, unsigned count) {
    for (unsigned i = 0; i < count + (loop_io(loop) == LOOP_IO_URING ? 2 : 0); i++) {
        assert_true(loop_turn(loop, 0, NULL));
    }
}
