/* Bytes that go from one socket to another without being shown (on_intake, on_moved). */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "probe.h"
#include "wire/net/loop_internal.h"

#define WARM_BYTES 40000 /* as much at once, and io_uring polls the socket from then on */
#define BODY_BYTES 3000000

struct mover {
    struct probe probe; /* first: handlers cast */
    struct socket *to;
    uint64_t left, moved;
    size_t read_most;
    bool quiet; /* when on_moved was called last */
};

static struct socket_intake mover_intake(struct socket *socket) {
    const struct mover *m = (const struct mover *)socket;
    return m->left > 0 ? (struct socket_intake){ .to = m->to, .bytes = m->left }
                       : (struct socket_intake){ .bytes = m->read_most };
}

static void wait_for_room(struct mover *m) {
    if (socket_pending(m->to) > LOOP_RECEIVE_BYTES) {
        socket_pause(&m->probe.socket);
    }
}

static size_t mover_data(struct socket *socket, struct slice data) {
    struct mover *m = (struct mover *)socket;
    size_t part = m->left < data.len ? (size_t)m->left : data.len;
    if (part == 0) {
        return probe_data(socket, data);
    }
    m->left -= part; /* as the exchange does it when they cannot be moved */
    socket_send_slice(m->to, slice_sub(data, 0, part));
    wait_for_room(m);
    return part;
}

static void mover_moved(struct socket *socket, size_t bytes) {
    struct mover *m = (struct mover *)socket;
    assert_true(bytes <= m->left);
    m->left -= bytes;
    m->moved += bytes;
    m->quiet = socket_is_quiet(socket);
    wait_for_room(m);
}

static const struct socket_handler mover_handler = {
    .on_data = mover_data,
    .on_intake = mover_intake,
    .on_moved = mover_moved,
    .on_end = probe_end,
    .on_failed = probe_failed,
    .on_closed = probe_closed,
};

struct pair {
    struct loop *loop;
    struct mover *from;
    struct probe *to;
    int source, sink; /* the other ends */
    char *body, *back;
    size_t said, heard;
};

static void open_socket(struct loop *loop, struct socket *socket, int *peer,
                        const struct socket_handler *handler) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_true(socket_accept(socket, loop, ends[0], handler, NULL));
    *peer = ends[1];
}

static int set_up_pair(void **state) {
    struct pair *p = calloc(1, sizeof *p);
    p->loop = any_loop();
    p->from = calloc(1, sizeof *p->from);
    p->to = calloc(1, sizeof *p->to);
    p->body = malloc(BODY_BYTES);
    p->back = malloc(BODY_BYTES);
    for (size_t i = 0; i < BODY_BYTES; i++) {
        p->body[i] = (char)(i * 31 >> 7);
    }
    open_socket(p->loop, &p->from->probe.socket, &p->source, &mover_handler);
    open_socket(p->loop, &p->to->socket, &p->sink, &probe_handler);
    p->from->probe.take = p->to->take = SIZE_MAX;
    p->from->to = &p->to->socket;
    *state = p;
    assert_int_equal(write(p->source, p->body, WARM_BYTES), WARM_BYTES);
    turns_of(p->loop, 2);
    assert_int_equal(p->from->probe.got_len, WARM_BYTES);
    p->from->probe.got_len = 0;
    p->from->probe.offers = 0;
    return 0;
}

static int tear_down_pair(void **state) {
    struct pair *p = *state;
    socket_close(&p->from->probe.socket);
    socket_close(&p->to->socket);
    turns_of(p->loop, 1);
    loop_free(p->loop);
    close(p->source);
    close(p->sink);
    free(p->from);
    free(p->to);
    free(p->body);
    free(p->back);
    free(p);
    return 0;
}

static void say_some(struct pair *p, size_t total) {
    ssize_t n = write(p->source, p->body + p->said, total - p->said);
    p->said += n > 0 ? (size_t)n : 0;
}

static void hear_some(struct pair *p) {
    ssize_t n = read(p->sink, p->back + p->heard, BODY_BYTES - p->heard);
    p->heard += n > 0 ? (size_t)n : 0;
}

static void moved_bytes_follow_what_was_sent_before(void **state) {
    struct pair *p = *state;
    p->from->left = 50000;
    socket_send_slice(&p->to->socket, SLICE("head"));
    say_some(p, 50000);
    assert_int_equal(write(p->source, "next", 4), 4);
    turns_of(p->loop, 3);
    hear_some(p);
    assert_int_equal(p->from->moved, 50000);
    assert_int_equal(p->heard, 50004);
    assert_memory_equal(p->back, "head", 4);
    assert_memory_equal(p->back + 4, p->body, 50000);
    assert_int_equal(p->from->probe.got_len, 4); /* what is not the body's is shown */
    assert_memory_equal(p->from->probe.got, "next", 4);
}

/* Nothing behind the last byte: a connection that is kept must be known to be quiet. */
static void after_the_last_byte_the_socket_is_quiet(void **state) {
    struct pair *p = *state;
    p->from->left = 50000;
    say_some(p, 50000);
    turns_of(p->loop, 1);
    assert_int_equal(p->from->moved, 50000);
    assert_true(p->from->quiet);
}

static void a_slow_reader_is_waited_for(void **state) {
    struct pair *p = *state;
    size_t most = 0;
    p->from->left = BODY_BYTES;
    for (unsigned i = 0; i < 200; i++) { /* until nobody can go on */
        say_some(p, BODY_BYTES);
        turns_of(p->loop, 1);
        most = socket_pending(&p->to->socket) > most ? socket_pending(&p->to->socket) : most;
    }
    assert_true(p->said < BODY_BYTES);
    assert_in_range(most, 1, 2 * LOOP_RECEIVE_BYTES);
    for (unsigned i = 0; i < 5000 && p->heard < BODY_BYTES; i++) {
        say_some(p, BODY_BYTES);
        hear_some(p);
        if (p->to->drained) {
            p->to->drained = false;
            socket_resume(&p->from->probe.socket);
        }
        turns_of(p->loop, 1);
    }
    assert_int_equal(p->heard, BODY_BYTES);
    assert_memory_equal(p->back, p->body, BODY_BYTES);
    assert_int_equal(p->from->left, 0);
    assert_true(p->from->moved > BODY_BYTES / 2);
}

static void a_reader_who_left_is_told_as_for_any_send(void **state) {
    struct pair *p = *state;
    signal(SIGPIPE, SIG_IGN);
    p->from->left = 60000;
    close(p->sink);
    p->sink = -1;
    say_some(p, 50000);
    turns_of(p->loop, 2);
    assert_int_equal(p->to->failed_errno, EPIPE);
    /* Nothing of it is left where the next ones pass. */
    struct probe *other = calloc(1, sizeof *other);
    other->take = SIZE_MAX;
    open_socket(p->loop, &other->socket, &p->sink, &probe_handler);
    p->from->to = &other->socket;
    p->from->left = 30000;
    p->said = 1000;
    say_some(p, 31000);
    turns_of(p->loop, 2);
    hear_some(p);
    assert_int_equal(p->heard, 30000);
    assert_memory_equal(p->back, p->body + 1000, 30000);
    socket_close(&other->socket);
    turns_of(p->loop, 1);
    free(other);
}

static void the_end_in_the_middle_is_told(void **state) {
    struct pair *p = *state;
    p->from->left = 60000;
    say_some(p, 20000);
    assert_int_equal(shutdown(p->source, SHUT_WR), 0);
    turns_of(p->loop, 2);
    hear_some(p);
    assert_int_equal(p->heard, 20000);
    assert_true(p->from->probe.ended);
}

static void no_more_is_read_than_was_wished_for(void **state) {
    struct pair *p = *state;
    p->from->read_most = 100;
    say_some(p, 250);
    turns_of(p->loop, 1);
    assert_int_equal(p->from->probe.got_len, 250);
    assert_memory_equal(p->from->probe.got, p->body, 250);
    assert_int_equal(p->from->probe.offers, 3);
}

#define PAIR_CASE(f) cmocka_unit_test_setup_teardown(f, set_up_pair, tear_down_pair)

int main(void) {
    const struct CMUnitTest tests[] = {
        PAIR_CASE(moved_bytes_follow_what_was_sent_before),
        PAIR_CASE(after_the_last_byte_the_socket_is_quiet),
        PAIR_CASE(a_slow_reader_is_waited_for),
        PAIR_CASE(a_reader_who_left_is_told_as_for_any_send),
        PAIR_CASE(the_end_in_the_middle_is_told),
        PAIR_CASE(no_more_is_read_than_was_wished_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
