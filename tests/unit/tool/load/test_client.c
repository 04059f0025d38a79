#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tool/load/client.h"

#define TURNS 50 /* of at most a millisecond: more than anything here needs */

struct fixture {
    struct loop *loop;
    struct client *client;
    struct address address;
    int listener;
};

/* A call that writes down how it ends. */
struct probe {
    struct call call;
    struct buffer body;
    uint16_t status;
    bool done;
    enum call_end end;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(f->listener, 16), 0);
    f->address.len = sizeof f->address.storage;
    getsockname(f->listener, (struct sockaddr *)&f->address.storage, &f->address.len);
    f->loop = loop_new(NULL);
    f->client = client_new(f->loop, &f->address, 2);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    client_free(f->client);
    loop_free(f->loop);
    close(f->listener);
    free(f);
    return 0;
}

static void turns(struct fixture *f) {
    for (int i = 0; i < TURNS; i++) {
        assert_true(loop_turn(f->loop, 1, NULL));
    }
}

static void probe_head(struct call *call, const struct http_head *head) {
    ((struct probe *)call)->status = head->status;
}
static void probe_body(struct call *call, struct slice piece) {
    assert_true(buffer_append(&((struct probe *)call)->body, piece));
}
static void probe_done(struct call *call, enum call_end end) {
    struct probe *p = (struct probe *)call;
    assert_false(p->done);
    p->done = true;
    p->end = end;
}

static void ask_within(struct fixture *f, struct probe *p, enum http_method method,
                       uint64_t patience_us) {
    *p = (struct probe){ .call = { .method = method,
                                   .deadline_us = loop_now_us(f->loop) + patience_us,
                                   .on_head = probe_head,
                                   .on_body = probe_body,
                                   .on_done = probe_done } };
    buffer_init(&p->body, 65536);
    buffer_init(&p->call.request, 65536);
    buffer_printf(&p->call.request, "%s / HTTP/1.1\r\nhost: x\r\n\r\n", http_method_name(method));
    client_send(f->client, &p->call);
    assert_false(p->done); /* nothing comes from inside */
}

static void ask(struct fixture *f, struct probe *p, enum http_method method) {
    ask_within(f, p, method, 10000000);
}

static void check(struct probe *p, enum call_end end, const char *body) {
    assert_true(p->done);
    assert_string_equal(call_end_name(p->end), call_end_name(end));
    assert_true(slice_equal(buffer_slice(&p->body), slice_from(body)));
    buffer_fini(&p->body);
    call_fini(&p->call);
}

/* The server's side: accepts if there is somebody, -1 if not. */
static int meet(struct fixture *f) {
    turns(f);
    return accept4(f->listener, NULL, NULL, SOCK_NONBLOCK);
}

static void hear(struct fixture *f, int fd) {
    char text[1024];
    turns(f);
    assert_true(read(fd, text, sizeof text) > 0);
}

static void say(struct fixture *f, int fd, const char *text) {
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    turns(f);
}

#define OK_HI "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"

static void a_connection_is_used_again(void **state) {
    struct fixture *f = *state;
    struct probe one, two;
    ask(f, &one, HTTP_GET);
    int fd = meet(f);
    hear(f, fd);
    say(f, fd, OK_HI);
    check(&one, CALL_ANSWERED, "hi");
    ask(f, &two, HTTP_POST);
    assert_int_equal(meet(f), -1);
    hear(f, fd);
    say(f, fd,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n");
    assert_false(two.done);
    say(f, fd, "0\r\n\r\n");
    assert_int_equal(two.status, 503);
    check(&two, CALL_ANSWERED, "abc");
    assert_int_equal(client_stats(f->client)->opened, 1);
    close(fd);
}

static void who_finds_no_connection_waits(void **state) {
    struct fixture *f = *state;
    struct probe p[3];
    for (int i = 0; i < 3; i++) {
        ask(f, &p[i], HTTP_GET);
    }
    int first = meet(f), second = meet(f);
    assert_true(first >= 0 && second >= 0);
    assert_int_equal(meet(f), -1);
    say(f, second, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx");
    check(&p[1], CALL_ANSWERED, "x");
    int third = meet(f); /* that one could not be used again */
    assert_true(third >= 0);
    say(f, third, OK_HI);
    check(&p[2], CALL_ANSWERED, "hi");
    say(f, first, OK_HI);
    check(&p[0], CALL_ANSWERED, "hi");
    assert_int_equal(client_stats(f->client)->open_max, 2);
    close(first);
    close(second);
    close(third);
}

/* One answered call, and the connection it leaves behind. */
static int used_connection(struct fixture *f) {
    struct probe p;
    ask(f, &p, HTTP_GET);
    int fd = meet(f);
    hear(f, fd);
    say(f, fd, OK_HI);
    check(&p, CALL_ANSWERED, "hi");
    return fd;
}

static void a_get_on_a_closing_connection_is_sent_again(void **state) {
    struct fixture *f = *state;
    struct probe p;
    int fd = used_connection(f);
    ask(f, &p, HTTP_GET);
    hear(f, fd);
    close(fd);
    fd = meet(f);
    assert_true(fd >= 0);
    assert_false(p.done);
    say(f, fd, OK_HI);
    check(&p, CALL_ANSWERED, "hi");
    assert_int_equal(client_stats(f->client)->reconnects, 1);
    close(fd);
}

static void a_post_that_may_have_been_read_is_not(void **state) {
    struct fixture *f = *state;
    struct probe p;
    int fd = used_connection(f);
    ask(f, &p, HTTP_POST);
    hear(f, fd);
    close(fd);
    assert_int_equal(meet(f), -1);
    check(&p, CALL_CLOSED, "");
    assert_int_equal(client_stats(f->client)->reconnects, 0);
}

static void a_post_that_was_not_sent_is(void **state) {
    struct fixture *f = *state;
    struct probe p;
    int fd = used_connection(f);
    struct linger now = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd); /* the loop has had no turn to hear of it */
    ask(f, &p, HTTP_POST);
    fd = meet(f);
    assert_true(fd >= 0);
    say(f, fd, OK_HI);
    check(&p, CALL_ANSWERED, "hi");
    assert_int_equal(client_stats(f->client)->reconnects, 1);
    close(fd);
}

static void a_new_connection_that_closes_is_a_failure(void **state) {
    struct fixture *f = *state;
    struct probe p;
    ask(f, &p, HTTP_GET);
    int fd = meet(f);
    hear(f, fd);
    close(fd);
    assert_int_equal(meet(f), -1);
    check(&p, CALL_CLOSED, "");
}

static void broken_answers(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *answer;
        enum call_end end;
        const char *body;
    } cases[] = {
        { "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", CALL_CUT, "hi" },
        { "HTTP/1.1 200 OK\r\ncontent-le", CALL_CUT, "" },
        { "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", CALL_CUT, "hi" },
        { "HTTP/1.1 200 OK\r\n\r\nhi", CALL_ANSWERED, "hi" }, /* until the end */
        { "rubbish\r\n\r\n", CALL_BAD_ANSWER, "" },
        { "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
          CALL_BAD_ANSWER, "" },
        { "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", CALL_BAD_ANSWER, "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe p;
        ask(f, &p, HTTP_GET);
        int fd = meet(f);
        hear(f, fd);
        say(f, fd, cases[i].answer);
        close(fd);
        turns(f);
        check(&p, cases[i].end, cases[i].body);
    }
}

static void patience_ends(void **state) {
    struct fixture *f = *state;
    struct probe p[3];
    for (int i = 0; i < 3; i++) { /* the third waits in the queue */
        ask_within(f, &p[i], HTTP_GET, 20000);
    }
    int first = meet(f), second = meet(f);
    turns(f);
    for (int i = 0; i < 3; i++) {
        check(&p[i], CALL_TIMEOUT, "");
    }
    assert_int_equal(client_stats(f->client)->open, 0);
    close(first);
    close(second);
}

static void patience_ends_in_the_queue_too(void **state) {
    struct fixture *f = *state;
    struct probe p[3];
    for (int i = 0; i < 3; i++) {
        ask_within(f, &p[i], HTTP_GET, i == 2 ? 20000 : 10000000);
    }
    int first = meet(f), second = meet(f);
    check(&p[2], CALL_TIMEOUT, "");
    assert_false(p[0].done || p[1].done);
    say(f, first, OK_HI);
    say(f, second, OK_HI);
    check(&p[0], CALL_ANSWERED, "hi");
    check(&p[1], CALL_ANSWERED, "hi");
    close(first);
    close(second);
}

static void nobody_listens(void **state) {
    struct fixture *f = *state;
    struct probe p;
    close(f->listener);
    f->listener = -1;
    ask(f, &p, HTTP_GET);
    turns(f);
    check(&p, CALL_CONNECT_REFUSED, "");
}

static void stopping_ends_every_call(void **state) {
    struct fixture *f = *state;
    struct probe p[3];
    for (int i = 0; i < 3; i++) {
        ask(f, &p[i], HTTP_GET);
    }
    int fd = meet(f);
    client_stop(f->client);
    turns(f);
    for (int i = 0; i < 3; i++) {
        check(&p[i], CALL_INTERRUPTED, "");
    }
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_used_again),
        TEST(who_finds_no_connection_waits),
        TEST(a_get_on_a_closing_connection_is_sent_again),
        TEST(a_post_that_may_have_been_read_is_not),
        TEST(a_post_that_was_not_sent_is),
        TEST(a_new_connection_that_closes_is_a_failure),
        TEST(broken_answers),
        TEST(patience_ends),
        TEST(patience_ends_in_the_queue_too),
        TEST(nobody_listens),
        TEST(stopping_ends_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
