/* What tests of sockets share: a socket that writes down what happens to it, and a loop with one.
 */
#pragma once
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "any_loop.h"
#include "wire/net/socket.h"

/* A socket that writes down what happens to it. */
struct probe {
    struct socket socket;
    char got[1 << 20];
    size_t got_len;
    size_t take; /* how much of each offer to consume; SIZE_MAX: all */
    bool pause_after, closed, ended, connected, drained;
    unsigned offers;
    int failed_errno;
};

static size_t probe_data(struct socket *socket, struct slice data) {
    struct probe *p = (struct probe *)socket;
    size_t taken = data.len < p->take ? data.len : p->take;
    assert_true(p->got_len + taken <= sizeof p->got);
    memcpy(p->got + p->got_len, data.data, taken);
    p->got_len += taken;
    p->offers++;
    if (p->pause_after) {
        socket_pause(socket);
    }
    return taken;
}
static void probe_end(struct socket *socket) {
    ((struct probe *)socket)->ended = true;
}
static void probe_drained(struct socket *socket) {
    ((struct probe *)socket)->drained = true;
}
static void probe_connected(struct socket *socket) {
    ((struct probe *)socket)->connected = true;
}
static void probe_failed(struct socket *socket, int system_errno) {
    ((struct probe *)socket)->failed_errno = system_errno;
}
static void probe_closed(struct socket *socket) {
    ((struct probe *)socket)->closed = true;
}

static const struct socket_handler probe_handler = {
    .on_data = probe_data,
    .on_end = probe_end,
    .on_drained = probe_drained,
    .on_connected = probe_connected,
    .on_failed = probe_failed,
    .on_closed = probe_closed,
};

struct fixture {
    struct loop *loop;
    struct probe *probe;
    int peer; /* the other end, blocking */
};

static inline int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    int ends[2];
    struct error err = { 0 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    f->loop = any_loop();
    f->probe = calloc(1, sizeof *f->probe);
    f->probe->take = SIZE_MAX;
    assert_non_null(f->loop);
    assert_true(socket_accept(&f->probe->socket, f->loop, ends[0], &probe_handler, &err));
    f->peer = ends[1];
    *state = f;
    return 0;
}

static inline int tear_down(void **state) {
    struct fixture *f = *state;
    socket_close(&f->probe->socket);
    loop_turn(f->loop, 0, NULL);
    assert_true(f->probe->closed);
    loop_free(f->loop);
    close(f->peer);
    free(f->probe);
    free(f);
    return 0;
}

static inline void turns(struct fixture *f, unsigned count) {
    turns_of(f->loop, count);
}

static inline void say(struct fixture *f, const char *text) {
    assert_int_equal(write(f->peer, text, strlen(text)), strlen(text));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
