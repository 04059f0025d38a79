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
#include "wire/net/listener.h"

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

/* In on_data, so that what is lent stays: three large parts, and a small one from the stack. */
static struct {
    char bytes[3 * 16384];
    unsigned with_next;
} lender;

static size_t lend_on_data(struct socket *socket, struct slice data) {
    for (unsigned i = 0; i < 3; i++) {
        char head[4];
        memcpy(head, "head", sizeof head);
        struct slice parts[] = { slice_of(head, sizeof head),
                                 slice_of(lender.bytes + (size_t)i * 16384, 16384) };
        if (i < lender.with_next) {
            socket_send_with_next(socket, parts, 2);
        } else {
            socket_send(socket, parts, 2);
        }
        memset(head, 0, sizeof head);
    }
    return data.len;
}

static void lend_and_look(struct fixture *f, unsigned with_next) {
    const struct socket_handler *usual = f->probe->socket.handler;
    struct socket_handler handler = *usual;
    char back[3 * 16384 + 100];
    handler.on_data = lend_on_data;
    f->probe->socket.handler = &handler;
    lender.with_next = with_next;
    for (size_t i = 0; i < sizeof lender.bytes; i++) {
        lender.bytes[i] = (char)(i * 31 >> 3);
    }
    say(f, "now");
    turns(f, 2);
    assert_int_equal(read(f->peer, back, sizeof back), 3 * (16384 + 4));
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(back + i * 16388, "head", 4);
        assert_memory_equal(back + i * 16388 + 4, lender.bytes + i * 16384, 16384);
    }
    assert_int_equal(socket_pending(&f->probe->socket), 0);
    f->probe->socket.handler = usual; /* the socket lives longer than we do */
}

static void what_is_sent_with_the_next_goes_with_it(void **state) {
    lend_and_look(*state, 2);
}

static void what_has_no_next_goes_when_on_data_returns(void **state) {
    lend_and_look(*state, 3);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(untaken_bytes_come_again_joined),
        CASE(a_paused_socket_is_silent_until_resumed),
        CASE(the_end_comes_after_all_bytes),
        CASE(sends_are_gathered_into_one_write),
        CASE(what_is_sent_with_the_next_goes_with_it),
        CASE(what_has_no_next_goes_when_on_data_returns),
        CASE(pending_bytes_wait_and_drain),
        CASE(draining_within_the_turn_is_told_too),
        CASE(finish_ends_our_direction_after_the_bytes),
        CASE(last_words_are_read_before_a_failed_send),
        CASE(nothing_comes_after_close),
        CASE(large_input_is_read_in_shares),
        CASE(more_than_the_receive_buffer_untaken_is_a_failure),
        CASE(connects_and_talks),
        CASE(refused_and_late_connections_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
