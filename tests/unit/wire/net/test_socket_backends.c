/* What a backend might get wrong: order, lifetimes and bounds where it runs ahead of the socket. */
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

#include "probe.h"

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

static void an_end_or_a_reset_alone_waits_for_the_pause_to_end(void **state) {
    struct fixture *f = *state;
    static struct probe client;
    for (int reset = 0; reset <= 1; reset++) {
        int far = connect_tcp(f, &client);
        struct linger now = { .l_onoff = reset, .l_linger = 0 };
        socket_pause(&client.socket);
        setsockopt(far, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(far);
        turns(f, 2);
        assert_false(client.ended);
        assert_int_equal(client.failed_errno, 0);
        socket_resume(&client.socket);
        turns(f, 2);
        assert_int_equal(client.ended, !reset);
        assert_int_equal(client.failed_errno, reset ? ECONNRESET : 0);
        socket_close(&client.socket);
        turns(f, 1);
    }
}

/* A backend may serve what carries much in another way: nothing is lost on the way there. */
static void after_much_come_a_pause_a_little_and_the_end(void **state) {
    struct fixture *f = *state;
    static struct probe client;
    static char much[300000];
    int far = connect_tcp(f, &client), big = 1 << 20;
    setsockopt(far, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    for (size_t i = 0; i < sizeof much; i++) {
        much[i] = (char)(i * 11 >> 3);
    }
    for (size_t at = 0; at < sizeof much;) {
        ssize_t n = send(far, much + at, sizeof much - at, MSG_DONTWAIT);
        at += n > 0 ? (size_t)n : 0;
        turns(f, 1);
    }
    turns(f, 4);
    assert_int_equal(client.got_len, sizeof much);
    assert_memory_equal(client.got, much, sizeof much);
    socket_pause(&client.socket);
    assert_int_equal(write(far, "little", 6), 6);
    turns(f, 2);
    assert_int_equal(client.got_len, sizeof much);
    socket_resume(&client.socket);
    turns(f, 2);
    assert_int_equal(client.got_len, sizeof much + 6);
    assert_true(socket_is_quiet(&client.socket));
    assert_int_equal(write(far, "end", 3), 3);
    close(far);
    turns(f, 3);
    assert_int_equal(client.got_len, sizeof much + 9);
    assert_true(client.ended);
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

/* Several times as much as all receive buffers together, at once: a turn takes what they hold. */
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
    turns(f, 32);
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
    char chunk[4096];
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

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_reset_in_a_pause_is_told_later_and_as_a_failure),
        CASE(an_end_or_a_reset_alone_waits_for_the_pause_to_end),
        CASE(after_much_come_a_pause_a_little_and_the_end),
        CASE(an_idle_connection_that_ends_is_not_quiet),
        CASE(closed_memory_is_not_touched),
        CASE(a_descriptor_used_again_at_once_is_another_socket),
        CASE(many_that_talk_at_once_are_all_heard),
        CASE(a_pause_holds_the_peer_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
