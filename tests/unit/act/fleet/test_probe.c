/* One probe against a peer that is played here, byte by byte. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/fleet/probe.h"
#include "base/clock.h"

#define TIMEOUT_US 200000 /* where it is to run out */
#define PATIENCE_US 20000000
#define TURNS_MS 20000

struct fixture {
    struct loop *loop;
    struct probe probe;
    struct address address;
    int listener, peer;
    uint64_t timeout_us;
    unsigned done, released;
    bool well;
};
static struct fixture f;

static void ask(const struct probe_question *question) {
    probe_start(&f.probe, &f.address, question, NULL, f.timeout_us);
}

static void on_done(struct probe *probe, bool well) {
    (void)probe;
    f.done++;
    f.well = well;
}

static void on_released(struct probe *probe) {
    (void)probe;
    f.released++;
}

static int set_up(void **state) {
    struct error err;
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    (void)state;
    f = (struct fixture){ .listener = -1, .peer = -1, .timeout_us = PATIENCE_US };
    f.loop = loop_new(&err);
    f.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    f.address.len = sizeof any;
    if (f.loop == NULL || bind(f.listener, (struct sockaddr *)&any, sizeof any) < 0 ||
        listen(f.listener, 8) < 0) {
        return 1;
    }
    probe_init(&f.probe, f.loop, on_done);
    return getsockname(f.listener, (struct sockaddr *)&f.address.storage, &f.address.len);
}

static int tear_down(void **state) {
    struct error err;
    (void)state;
    f.probe.on_released = on_released;
    if (!probe_stop(&f.probe)) {
        while (f.released == 0 && loop_turn(f.loop, 10, &err)) {
            /* its socket closes */
        }
    }
    close(f.listener);
    if (f.peer >= 0) {
        close(f.peer);
    }
    loop_free(f.loop);
    return 0;
}

static void turn_until(const unsigned *counter) {
    struct error err;
    uint64_t start_us = clock_monotonic_us();
    while (*counter == 0 && clock_monotonic_us() - start_us < TURNS_MS * 1000) {
        assert_true(loop_turn(f.loop, 5, &err));
    }
    assert_int_equal(*counter, 1);
}

static void turn(int times) {
    struct error err;
    for (int i = 0; i < times; i++) {
        assert_true(loop_turn(f.loop, 5, &err));
    }
}

/* Starts it and takes its connection; its request is in `request`. */
static void start_question(const struct probe_question *question, char request[512]) {
    ask(question);
    assert_int_equal(f.done, 0); /* never inside the call */
    turn(3);
    f.peer = accept(f.listener, NULL, NULL);
    assert_true(f.peer >= 0);
    ssize_t len = question->path == NULL ? 0 : recv(f.peer, request, 511, 0);
    assert_true(len >= 0);
    request[len] = '\0';
}

static void start(const char *path, char request[512]) {
    start_question(&(struct probe_question){ .path = path }, request);
}

static void judges_answers(void **state) {
    static const struct {
        const char *answer, *note; /* NULL: it is well */
    } cases[] = {
        { "HTTP/1.1 200 OK\r\n\r\n", NULL },
        { "HTTP/1.0 204\r\n\r\n", NULL },
        { "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", NULL },
        { "HTTP/1.1 399 Odd\r\n\r\n", NULL },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", NULL },
        { "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\n\r\n", "it answered 503" },
        { "HTTP/1.1 404 Not Found\r\n\r\n", "it answered 404" },
        { "HTTP/1.1 500 Sorry\r\n\r\n", "it answered 500" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", NULL },
        { "HTTP/1.1 2xx OK\r\n\r\n", "its answer is not HTTP/1.1" },
        { "HTTP/1.1 999 No\r\n\r\n", "its answer is not HTTP/1.1" },
        { "HTTP/2.0 200 OK\r\n\r\n", "its answer is not HTTP/1.1" },
        { "HTTP/1.1  200 OK\r\n\r\n", "its answer is not HTTP/1.1" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
          "its answer is not HTTP/1.1" },
        { "SSH-2.0-OpenSSH_9.2p1\r\n", "it closed the connection without a whole answer" },
        { "HTTP/1.1 200 OK\r\n", "it closed the connection without a whole answer" },
        { "HTTP/1.1 20", "it closed the connection without a whole answer" },
        { "", "it closed the connection without a whole answer" },
    };
    char request[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = strlen(cases[i].answer);
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            start("/healthz?a=1", request);
            for (size_t at = 0; at < len; at += bytewise ? 1 : len) {
                (void)send(f.peer, cases[i].answer + at, bytewise ? 1 : len, MSG_NOSIGNAL);
                if (bytewise && f.done == 0) {
                    turn(1);
                }
            }
            shutdown(f.peer, SHUT_WR);
            turn_until(&f.done);
            const char *note = cases[i].note == NULL ? "" : cases[i].note;
            if (f.well != (cases[i].note == NULL) ||
                strncmp(f.probe.note, note, strlen(note)) != 0) {
                fail_msg("case %zu '%s': %d '%s'", i, cases[i].answer, f.well, f.probe.note);
            }
            assert_int_equal(tear_down(state), 0);
            assert_int_equal(set_up(state), 0);
        }
    }
}

static void asks_with_get(void **state) {
    char request[512], wanted[512], host[ADDRESS_TEXT_BYTES];
    (void)state;
    start("/healthz?a=1", request);
    address_format(&f.address, host);
    snprintf(wanted, sizeof wanted,
             "GET /healthz?a=1 HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n"
             "user-agent: tidegate-probe\r\n\r\n",
             host);
    assert_string_equal(request, wanted);
}

static void is_content_with_a_connection(void **state) {
    char request[512];
    (void)state;
    start(NULL, request);
    turn_until(&f.done);
    assert_true(f.well);
}

static void gives_up_in_time(void **state) {
    char request[512];
    uint64_t start_us = clock_monotonic_us();
    (void)state;
    f.timeout_us = TIMEOUT_US;
    start("/", request);
    turn_until(&f.done);
    assert_false(f.well);
    assert_string_equal(f.probe.note, "it does not answer in time");
    assert_true(clock_monotonic_us() - start_us >= TIMEOUT_US - 10000);
}

/* A byte now and then is no answer either: the timeout is that of the whole probe. */
static void gives_up_on_one_that_dawdles(void **state) {
    char request[512];
    uint64_t start_us = clock_monotonic_us();
    (void)state;
    f.timeout_us = TIMEOUT_US;
    start("/", request);
    int sent = 0;
    for (; sent < 11 && f.done == 0; sent++) {
        (void)send(f.peer, &"HTTP/1.1 20"[sent], 1, MSG_NOSIGNAL);
        for (int turns = 0; turns < 20 && f.done == 0; turns++) {
            turn(1);
        }
    }
    turn_until(&f.done);
    assert_string_equal(f.probe.note, "it does not answer in time");
    assert_true(clock_monotonic_us() - start_us >= TIMEOUT_US - 10000);
    assert_true(sent < 11); /* a tenth of a second each: before there was no more to send */
}

static void tells_that_it_is_refused(void **state) {
    (void)state;
    close(f.listener);
    f.listener = -1;
    ask(&(struct probe_question){ .path = "/" });
    turn_until(&f.done);
    assert_false(f.well);
    assert_string_equal(f.probe.note, "Connection refused");
}

static void tells_that_it_is_reset(void **state) {
    char request[512];
    struct linger at_once = { .l_onoff = 1 };
    (void)state;
    start("/", request);
    setsockopt(f.peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(f.peer);
    f.peer = -1;
    turn_until(&f.done);
    assert_false(f.well);
    assert_string_equal(f.probe.note, "Connection reset by peer");
}

static void tells_that_there_is_no_socket(void **state) {
    struct sockaddr_un *path = (struct sockaddr_un *)&f.address.storage;
    (void)state;
    memset(&f.address, 0, sizeof f.address);
    path->sun_family = AF_UNIX;
    strcpy(path->sun_path, "/tmp/tidegate-no-such-socket");
    f.address.len = sizeof *path;
    ask(&(struct probe_question){ .path = "/" });
    assert_int_equal(f.done, 1); /* at once: connect(2) itself has said it */
    assert_false(f.well);
    assert_non_null(strstr(f.probe.note, "No such file or directory"));
}

static void survives_a_flood(void **state) {
    static char flood[1 << 16];
    char request[512];
    (void)state;
    memset(flood, 'x', sizeof flood);
    start("/", request);
    (void)send(f.peer, flood, sizeof flood, MSG_NOSIGNAL | MSG_DONTWAIT);
    turn_until(&f.done);
    assert_int_equal(f.probe.result, PROBE_PROTOCOL);
    assert_non_null(strstr(f.probe.note, "its answer is not HTTP/1.1"));
}

static void is_one_at_a_time_and_again(void **state) {
    char request[512];
    (void)state;
    start("/", request);
    ask(&(struct probe_question){ .path = "/" }); /* ignored */
    (void)send(f.peer, "HTTP/1.1 500 \r\n\r\n", 17, MSG_NOSIGNAL);
    turn_until(&f.done);
    turn(5);
    assert_int_equal(f.done, 1);
    close(f.peer);
    f.done = 0;
    start("/", request);
    (void)send(f.peer, "HTTP/1.1 200 \r\n\r\n", 17, MSG_NOSIGNAL);
    turn_until(&f.done);
    assert_true(f.well);
    assert_string_equal(f.probe.note, ""); /* not that of last time */
}

static void is_silent_after_stop(void **state) {
    char request[512];
    (void)state;
    start("/", request);
    (void)send(f.peer, "HTTP/1.1 200 \r\n\r\n", 17, MSG_NOSIGNAL);
    f.probe.on_released = on_released;
    assert_false(probe_stop(&f.probe));
    turn_until(&f.released);
    assert_int_equal(f.done, 0);
    assert_true(probe_stop(&f.probe)); /* nothing to wait for any more */
}

static void refuses_a_path_that_is_too_long(void **state) {
    static char path[32768];
    (void)state;
    memset(path, '/', sizeof path - 1);
    ask(&(struct probe_question){ .path = path });
    assert_int_equal(f.done, 1);
    assert_string_equal(f.probe.note, "the question is too long, or memory is out");
}

static void asks_as_configured(void **state) {
    static const struct config_pair headers[] = { { "X-Probe", "1" }, { "Accept", "text/plain" } };
    const struct probe_question question = { .path = "/h",
                                             .host = "shop.example",
                                             .head_only = true,
                                             .headers = headers,
                                             .header_count = 2 };
    char request[512];
    (void)state;
    start_question(&question, request);
    assert_string_equal(request, "HEAD /h HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n"
                                 "user-agent: tidegate-probe\r\nX-Probe: 1\r\n"
                                 "Accept: text/plain\r\n\r\n");
    static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"; /* and no body */
    (void)send(f.peer, answer, sizeof answer - 1, MSG_NOSIGNAL);
    turn_until(&f.done);
    assert_true(f.well);
    assert_int_equal(f.probe.result, PROBE_WELL);
}

/* A reload may free the configuration while a probe is under way. */
static void holds_what_it_was_asked_with(void **state) {
    static const char *statuses[] = { "204" };
    const struct expect_config config = { .status = statuses, .status_len = 1 };
    struct probe_question question = { .path = "/h" };
    char request[512];
    (void)state;
    question.expectation = expectation_new(&config, NULL);
    assert_non_null(question.expectation);
    start_question(&question, request);
    expectation_free(question.expectation);
    (void)send(f.peer, "HTTP/1.1 200 \r\n\r\n", 17, MSG_NOSIGNAL);
    turn_until(&f.done);
    assert_string_equal(f.probe.note, "it answered 200, expected 204");
    assert_int_equal(f.probe.result, PROBE_STATUS);
}

static void knows_the_body(void **state) {
    static const struct {
        const char *body, *answer, *note; /* NULL: it is well */
    } cases[] = {
        { "ready", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nall ready", NULL },
        { "ready", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnot quite",
          "its body has not what is expected" },
        { "ready", "HTTP/1.1 200 OK\r\n\r\nso ready", NULL }, /* until the end */
        { "ready", "HTTP/1.1 200 OK\r\n\r\nso rea", "its body has not what is expected" },
        { "ready",
          "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n",
          NULL },
        { "ready", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
          "the chunks of its answer are broken" },
        { "ready", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nall re",
          "it closed the connection without a whole answer" },
        { "/\"up\": *true/", "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"up\": true}", NULL },
        { "/^up$/", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndown",
          "its body has not what is expected" },
        { "ready", "HTTP/1.1 503 No\r\ncontent-length: 5\r\n\r\nready", "it answered 503" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct expect_config config = { .body = cases[i].body };
        size_t len = strlen(cases[i].answer);
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            struct probe_question question = { .path = "/h" };
            char request[512];
            question.expectation = expectation_new(&config, NULL);
            assert_non_null(question.expectation);
            start_question(&question, request);
            for (size_t at = 0; at < len; at += bytewise ? 1 : len) {
                (void)send(f.peer, cases[i].answer + at, bytewise ? 1 : len, MSG_NOSIGNAL);
                if (bytewise && f.done == 0) {
                    turn(1);
                }
            }
            shutdown(f.peer, SHUT_WR);
            turn_until(&f.done);
            expectation_free(question.expectation);
            const char *note = cases[i].note == NULL ? "" : cases[i].note;
            if (f.well != (cases[i].note == NULL) || strcmp(f.probe.note, note) != 0) {
                fail_msg("case %zu: %d '%s'", i, f.well, f.probe.note);
            }
            assert_int_equal(tear_down(state), 0);
            assert_int_equal(set_up(state), 0);
        }
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(judges_answers),
        TEST(asks_with_get),
        TEST(is_content_with_a_connection),
        TEST(gives_up_in_time),
        TEST(gives_up_on_one_that_dawdles),
        TEST(tells_that_it_is_refused),
        TEST(tells_that_it_is_reset),
        TEST(tells_that_there_is_no_socket),
        TEST(survives_a_flood),
        TEST(is_one_at_a_time_and_again),
        TEST(is_silent_after_stop),
        TEST(refuses_a_path_that_is_too_long),
        TEST(asks_as_configured),
        TEST(holds_what_it_was_asked_with),
        TEST(knows_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
