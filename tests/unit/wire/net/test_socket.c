#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "any_loop.h"
#include "wire/net/listener.h"
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

static int set_up(void **state) {
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

static int tear_down(void **state) {
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

static void turns(struct fixture *f, unsigned count) {
    turns_of(f->loop, count);
}

static void say(struct fixture *f, const char *text) {
    assert_int_equal(write(f->peer, text, strlen(text)), strlen(text));
}

static void untaken_bytes_come_again_joined(void **state) {
    struct fixture *f = *state;
    f->probe->take = 0;
    say(f, "GET ");
    turns(f, 2);
    assert_int_equal(f->probe->offers, 1); /* nothing new: not offered over and over */
    f->probe->take = SIZE_MAX;
    say(f, "/");
    turns(f, 1);
    assert_int_equal(f->probe->got_len, 5);
    assert_memory_equal(f->probe->got, "GET /", 5);
    assert_null(f->probe->socket.kept);
}

static void a_paused_socket_is_silent_until_resumed(void **state) {
    struct fixture *f = *state;
    f->probe->take = 3;
    f->probe->pause_after = true;
    say(f, "onetwo");
    turns(f, 1);
    say(f, "six");
    turns(f, 2);
    assert_int_equal(f->probe->got_len, 3);
    f->probe->take = SIZE_MAX;
    f->probe->pause_after = false;
    socket_resume(&f->probe->socket);
    assert_int_equal(f->probe->got_len, 3); /* not inside the call */
    turns(f, 2);
    assert_int_equal(f->probe->got_len, 9);
    assert_memory_equal(f->probe->got, "onetwosix", 9);
}

static void the_end_comes_after_all_bytes(void **state) {
    struct fixture *f = *state;
    f->probe->take = 2;
    f->probe->pause_after = true;
    say(f, "abcd");
    assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
    turns(f, 2);
    assert_false(f->probe->ended);
    f->probe->pause_after = false;
    socket_resume(&f->probe->socket);
    turns(f, 2);
    assert_int_equal(f->probe->got_len, 4);
    assert_true(f->probe->ended);
    assert_true(socket_send_slice(&f->probe->socket, SLICE("still"))); /* half-closed only */
    turns(f, 1);
    char back[8];
    assert_int_equal(read(f->peer, back, sizeof back), 5);
}

static void sends_are_gathered_into_one_write(void **state) {
    struct fixture *f = *state;
    struct slice parts[] = { SLICE("HTTP/1.1 "), SLICE("200 "), SLICE("OK") };
    char back[64];
    assert_true(socket_send(&f->probe->socket, parts, 3));
    assert_true(socket_send_slice(&f->probe->socket, SLICE("!")));
    assert_int_equal(read(f->peer, back, sizeof back), -1); /* nothing before the turn's end */
    assert_int_equal(socket_pending(&f->probe->socket), 16);
    turns(f, 1);
    assert_int_equal(read(f->peer, back, sizeof back), 16);
    assert_memory_equal(back, "HTTP/1.1 200 OK!", 16);
    assert_int_equal(socket_pending(&f->probe->socket), 0);
}

/* A reader that stops reading: bytes wait with us, in order, and on_drained says when they went. */
static void pending_bytes_wait_and_drain(void **state) {
    struct fixture *f = *state;
    enum { TOTAL = 3 << 20 };
    char *sent = malloc(TOTAL), *back = malloc(TOTAL);
    for (size_t i = 0; i < TOTAL; i++) {
        sent[i] = (char)(i * 31 >> 3);
    }
    for (size_t at = 0; at < TOTAL;) { /* small and large ones: both ways of sending */
        size_t len = at % 3 == 0 ? 100001 : 777;
        len = len > TOTAL - at ? TOTAL - at : len;
        assert_true(socket_send_slice(&f->probe->socket, slice_of(sent + at, len)));
        at += len;
    }
    turns(f, 1);
    assert_true(socket_pending(&f->probe->socket) > SOCKET_LOW_WATER_BYTES);
    assert_false(f->probe->drained);
    size_t len = 0;
    while (len < TOTAL) {
        ssize_t n = read(f->peer, back + len, TOTAL - len);
        len += n > 0 ? (size_t)n : 0;
        turns(f, 1);
    }
    assert_memory_equal(sent, back, TOTAL);
    assert_true(f->probe->drained);
    assert_int_equal(socket_pending(&f->probe->socket), 0);
    free(sent);
    free(back);
}

/* Between a send that found no room and the turn's end an event can make room for all of it: a
 * sender who stopped because of the high number must still hear of it. */
static void draining_within_the_turn_is_told_too(void **state) {
    struct fixture *f = *state;
    enum { MANY = 1 << 20 };
    char *bytes = calloc(1, MANY);
    while (socket_pending(&f->probe->socket) == 0) {
        socket_send_slice(&f->probe->socket, slice_of(bytes, 65536));
    }
    socket_send_slice(&f->probe->socket, slice_of(bytes, 50000));
    assert_true(socket_pending(&f->probe->socket) > SOCKET_LOW_WATER_BYTES);
    while (read(f->peer, bytes, MANY) > 0) {
    }
    turns(f, 1); /* EPOLLOUT and the flush in one turn */
    assert_int_equal(socket_pending(&f->probe->socket), 0);
    assert_true(f->probe->drained);
    free(bytes);
}

static void finish_ends_our_direction_after_the_bytes(void **state) {
    struct fixture *f = *state;
    char back[8];
    socket_send_slice(&f->probe->socket, SLICE("bye"));
    socket_finish(&f->probe->socket);
    turns(f, 1);
    assert_int_equal(read(f->peer, back, sizeof back), 3);
    assert_int_equal(read(f->peer, back, sizeof back), 0);
    say(f, "you too");
    turns(f, 1);
    assert_int_equal(f->probe->got_len, 7);
}

/* The peer said why and went: its words are read before the failure is told. */
static void last_words_are_read_before_a_failed_send(void **state) {
    struct fixture *f = *state;
    say(f, "413");
    close(f->peer);
    f->peer = dup(0);
    socket_send_slice(&f->probe->socket, SLICE("body"));
    turns(f, 3);
    assert_int_equal(f->probe->got_len, 3);
    assert_true(f->probe->failed_errno == EPIPE || f->probe->ended);
}

static void nothing_comes_after_close(void **state) {
    struct fixture *f = *state;
    say(f, "late");
    socket_close(&f->probe->socket);
    assert_false(f->probe->closed); /* not inside the call */
    turns(f, 1);
    assert_true(f->probe->closed);
    assert_int_equal(f->probe->offers, 0);
}

static void large_input_is_read_in_shares(void **state) {
    struct fixture *f = *state;
    char chunk[65536];
    size_t written = 0;
    memset(chunk, 'x', sizeof chunk);
    for (unsigned i = 0; i < 200 && written < 900000; i++) {
        ssize_t n = write(f->peer, chunk, sizeof chunk);
        written += n > 0 ? (size_t)n : 0;
        turns(f, 1);
    }
    turns(f, 3);
    assert_int_equal(f->probe->got_len, written);
}

static void more_than_the_receive_buffer_untaken_is_a_failure(void **state) {
    struct fixture *f = *state;
    char chunk[32768];
    memset(chunk, 'x', sizeof chunk);
    f->probe->take = 0;
    for (unsigned i = 0; i < 64 && f->probe->failed_errno == 0; i++) {
        ssize_t n = write(f->peer, chunk, sizeof chunk);
        (void)n;
        turns(f, 1);
    }
    assert_int_equal(f->probe->failed_errno, ENOBUFS);
}

/* ---- what a backend might get wrong ---- */

/* Connected over TCP: `client` is served by the loop, *far is the other end. */
static int connect_tcp(struct fixture *f, struct probe *client) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
    socklen_t len = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    getsockname(listening, (struct sockaddr *)&address, &len);
    memset(client, 0, sizeof *client);
    client->take = SIZE_MAX;
    assert_true(socket_connect(&client->socket, f->loop, (struct sockaddr *)&address, len, 0,
                               &probe_handler, NULL));
    int far = accept(listening, NULL, NULL);
    turns(f, 2);
    assert_true(client->connected);
    close(listening);
    return far;
}

static void a_reset_in_a_pause_is_told_later_and_as_a_failure(void **state) {
    struct fixture *f = *state;
    static struct probe client;
    int far = connect_tcp(f, &client);
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    socket_pause(&client.socket);
    assert_int_equal(write(far, "half", 4), 4);
    turns(f, 2);
    setsockopt(far, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(far);
    turns(f, 2);
    assert_int_equal(client.failed_errno, 0);
    assert_int_equal(client.offers, 0);
    assert_false(socket_is_quiet(&client.socket));
    socket_resume(&client.socket);
    turns(f, 2);
    assert_false(client.ended); /* what was cut must not look whole */
    assert_int_equal(client.failed_errno, ECONNRESET);
    socket_close(&client.socket);
    turns(f, 1);
}

static void an_idle_connection_that_ends_is_not_quiet(void **state) {
    struct fixture *f = *state;
    static struct probe client;
    int far = connect_tcp(f, &client);
    assert_true(socket_is_quiet(&client.socket));
    close(far);
    turns(f, 2);
    assert_false(socket_is_quiet(&client.socket));
    socket_close(&client.socket);
    turns(f, 1);
}

/* The memory is the owner's after on_closed, whatever the kernel had been asked for. */
static void closed_memory_is_not_touched(void **state) {
    struct fixture *f = *state;
    static struct probe clients[8];
    char *much = calloc(1, 1 << 20);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 8; i++) {
            int far = connect_tcp(f, &clients[i]);
            for (unsigned k = 0; k < 6; k++) {
                socket_send_slice(&clients[i].socket, slice_of(much, 1 << 20));
            }
            turns(f, i % 3);
            assert_int_equal(write(far, "late", 4), 4);
            if (i % 2 == 0) {
                socket_reset(&clients[i].socket);
            } else {
                socket_close(&clients[i].socket);
            }
            close(far);
            assert_true(loop_turn(f->loop, 0, NULL));
            assert_true(clients[i].closed);
            memset(&clients[i], 0xee, sizeof clients[i]);
        }
        turns(f, 2);
    }
    for (unsigned i = 0; i < 8; i++) {
        for (size_t at = 0; at < sizeof clients[i]; at++) {
            assert_int_equal(((unsigned char *)&clients[i])[at], 0xee);
        }
    }
    free(much);
}

/* What a closed socket had asked for must not happen to the next one of the same number. */
static void a_descriptor_used_again_at_once_is_another_socket(void **state) {
    struct fixture *f = *state;
    static struct probe first, second;
    int a[2], b[2];
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    first.take = second.take = SIZE_MAX;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a), 0);
    assert_true(socket_accept(&first.socket, f->loop, a[0], &probe_handler, NULL));
    socket_send_slice(&first.socket, SLICE("for the first"));
    socket_close(&first.socket);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b), 0);
    assert_int_equal(a[0], b[0]);
    assert_true(socket_accept(&second.socket, f->loop, b[0], &probe_handler, NULL));
    assert_int_equal(write(b[1], "hello", 5), 5);
    turns(f, 2);
    assert_int_equal(second.got_len, 5);
    char back[16];
    assert_int_equal(read(b[1], back, sizeof back), -1);
    assert_int_equal(read(a[1], back, sizeof back), 0);
    socket_close(&second.socket);
    turns(f, 1);
    close(a[1]);
    close(b[1]);
}

/* More than all receive buffers together, at once. */
static void many_that_talk_at_once_are_all_heard(void **state) {
    struct fixture *f = *state;
    enum { MANY = 40, EACH = 100000 };
    struct probe *probes = calloc(MANY, sizeof *probes);
    char *bytes = malloc(EACH);
    int far[MANY], big = 1 << 20;
    for (unsigned i = 0; i < EACH; i++) {
        bytes[i] = (char)(i * 7 >> 2);
    }
    for (unsigned i = 0; i < MANY; i++) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
        probes[i].take = SIZE_MAX;
        assert_true(socket_accept(&probes[i].socket, f->loop, ends[0], &probe_handler, NULL));
        far[i] = ends[1];
        assert_int_equal(write(far[i], bytes, EACH), EACH);
    }
    turns(f, 4);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(probes[i].got_len, EACH);
        assert_memory_equal(probes[i].got, bytes, EACH);
        socket_close(&probes[i].socket);
        close(far[i]);
    }
    turns(f, 1);
    free(probes);
    free(bytes);
}

/* A paused socket's peer is held back: what it can get rid of is bounded. */
static void a_pause_holds_the_peer_back(void **state) {
    struct fixture *f = *state;
    char chunk[65536];
    size_t written = 0;
    memset(chunk, 'x', sizeof chunk);
    socket_pause(&f->probe->socket);
    for (unsigned i = 0; i < 2000; i++) {
        ssize_t n = write(f->peer, chunk, sizeof chunk);
        written += n > 0 ? (size_t)n : 0;
        turns(f, 1);
    }
    assert_true(written < 2 << 20);
    assert_true(f->probe->socket.kept_len < 1 << 20);
    assert_int_equal(f->probe->offers, 0);
    socket_resume(&f->probe->socket);
    turns(f, 8);
    assert_int_equal(f->probe->got_len, written);
}

/* ---- connecting ---- */

static struct socket *accepted;
static struct probe server_side;

static void on_accept(struct listener *listener, int fd, const struct address *peer) {
    assert_true(peer->len > 0);
    assert_true(socket_accept(&server_side.socket, listener->loop, fd, &probe_handler, NULL));
    server_side.take = SIZE_MAX;
    accepted = &server_side.socket;
}

static void connects_and_talks(void **state) {
    struct fixture *f = *state;
    struct address any, bound = { .len = sizeof bound.storage };
    struct listener listener;
    static struct probe client;
    int fd;
    (void)state;
    memset(&client, 0, sizeof client);
    client.take = SIZE_MAX;
    assert_true(address_parse(SLICE("127.0.0.1:1"), 0, &any, NULL));
    memset((char *)&any.storage + 2, 0, 2); /* port 0: the kernel picks one */
    assert_true(listener_open(&any, &fd, NULL));
    getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len);
    assert_true(listener_start(&listener, f->loop, fd, NULL, on_accept, NULL));
    assert_true(socket_connect(&client.socket, f->loop, (struct sockaddr *)&bound.storage,
                               bound.len, 1000000, &probe_handler, NULL));
    assert_true(socket_send_slice(&client.socket, SLICE("early"))); /* before it is connected */
    for (unsigned i = 0; i < 100 && server_side.got_len < 5; i++) {
        assert_true(loop_turn(f->loop, 10, NULL));
    }
    assert_true(client.connected);
    assert_int_equal(server_side.got_len, 5);
    assert_true(socket_is_quiet(&client.socket));
    socket_reset(accepted);
    for (unsigned i = 0; i < 100 && client.failed_errno == 0; i++) {
        assert_true(loop_turn(f->loop, 10, NULL));
    }
    assert_int_equal(client.failed_errno, ECONNRESET);
    assert_false(socket_is_quiet(&client.socket));
    socket_close(&client.socket);
    listener_stop(&listener);
    turns(f, 1);
    close(fd);
}

static void refused_and_late_connections_fail(void **state) {
    struct fixture *f = *state;
    struct address address;
    static struct probe refused, late;
    memset(&refused, 0, sizeof refused);
    memset(&late, 0, sizeof late);
    /* A port that is bound and does not listen refuses for sure. */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address_parse(SLICE("127.0.0.1:1"), 0, &address, NULL);
    memset((char *)&address.storage + 2, 0, 2);
    assert_int_equal(bind(fd, (struct sockaddr *)&address.storage, address.len), 0);
    getsockname(fd, (struct sockaddr *)&address.storage, &address.len);
    assert_true(socket_connect(&refused.socket, f->loop, (struct sockaddr *)&address.storage,
                               address.len, 1000000, &probe_handler, NULL));
    for (unsigned i = 0; i < 100 && refused.failed_errno == 0; i++) {
        assert_true(loop_turn(f->loop, 10, NULL));
    }
    assert_int_equal(refused.failed_errno, ECONNREFUSED);
    /* A full backlog: the handshake is not answered. */
    assert_int_equal(listen(fd, 0), 0);
    int fillers[4];
    for (unsigned i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fillers[i], (struct sockaddr *)&address.storage, address.len);
    }
    assert_true(socket_connect(&late.socket, f->loop, (struct sockaddr *)&address.storage,
                               address.len, 30000, &probe_handler, NULL));
    for (unsigned i = 0; i < 100 && late.failed_errno == 0; i++) {
        assert_true(loop_turn(f->loop, 10, NULL));
    }
    assert_int_equal(late.failed_errno, ETIMEDOUT);
    socket_close(&refused.socket);
    socket_close(&late.socket);
    turns(f, 1);
    for (unsigned i = 0; i < 4; i++) {
        close(fillers[i]);
    }
    close(fd);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(untaken_bytes_come_again_joined),
        CASE(a_paused_socket_is_silent_until_resumed),
        CASE(the_end_comes_after_all_bytes),
        CASE(sends_are_gathered_into_one_write),
        CASE(pending_bytes_wait_and_drain),
        CASE(draining_within_the_turn_is_told_too),
        CASE(finish_ends_our_direction_after_the_bytes),
        CASE(last_words_are_read_before_a_failed_send),
        CASE(nothing_comes_after_close),
        CASE(large_input_is_read_in_shares),
        CASE(more_than_the_receive_buffer_untaken_is_a_failure),
        CASE(a_reset_in_a_pause_is_told_later_and_as_a_failure),
        CASE(an_idle_connection_that_ends_is_not_quiet),
        CASE(closed_memory_is_not_touched),
        CASE(a_descriptor_used_again_at_once_is_another_socket),
        CASE(many_that_talk_at_once_are_all_heard),
        CASE(a_pause_holds_the_peer_back),
        CASE(connects_and_talks),
        CASE(refused_and_late_connections_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
