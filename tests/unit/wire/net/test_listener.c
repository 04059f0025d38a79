#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "any_loop.h"
#include "wire/net/listener.h"

static int accepted[256];
static unsigned accepted_count;

static void take(struct listener *listener, int fd, const struct address *peer) {
    (void)listener;
    (void)peer;
    accepted[accepted_count++] = fd;
}

static void drop_accepted(void) {
    while (accepted_count > 0) {
        close(accepted[--accepted_count]);
    }
}

/* Listens on a port of the kernel's choice and says which. */
static int open_local(struct address *bound) {
    struct address address;
    int fd;
    assert_true(address_parse(SLICE("127.0.0.1:1"), 0, &address, NULL));
    ((struct sockaddr_in *)&address.storage)->sin_port = 0;
    assert_true(listener_open(&address, &fd, NULL));
    *bound = (struct address){ .len = sizeof bound->storage };
    getsockname(fd, (struct sockaddr *)&bound->storage, &bound->len);
    return fd;
}

static int connect_to(const struct address *address) {
    int fd = socket(address->storage.ss_family, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address->storage, address->len), 0);
    return fd;
}

static void a_turn_accepts_a_bounded_batch(void **state) {
    struct loop *loop = any_loop();
    struct listener listener;
    struct address bound;
    int clients[LISTENER_BATCH + 5];
    int nodelay = 0;
    socklen_t len = sizeof nodelay;
    (void)state;
    int fd = open_local(&bound);
    assert_true(listener_start(&listener, loop, fd, NULL, take, NULL));
    for (unsigned i = 0; i < LISTENER_BATCH + 5; i++) {
        clients[i] = connect_to(&bound);
    }
    assert_true(loop_turn(loop, 1000, NULL));
    assert_int_equal(accepted_count, LISTENER_BATCH);
    assert_true(loop_turn(loop, 1000, NULL));
    assert_int_equal(accepted_count, LISTENER_BATCH + 5);
    getsockopt(accepted[0], IPPROTO_TCP, TCP_NODELAY, &nodelay, &len);
    assert_int_not_equal(nodelay, 0); /* inherited: no call for each connection */
    for (unsigned i = 0; i < LISTENER_BATCH + 5; i++) {
        close(clients[i]);
    }
    drop_accepted();
    listener_stop(&listener);
    loop_free(loop);
    close(fd);
}

static void out_of_descriptors_turns_away_and_recovers(void **state) {
    struct loop *loop = any_loop();
    struct listener listener;
    struct address bound;
    struct rlimit before, tight;
    char byte;
    (void)state;
    int fd = open_local(&bound);
    assert_true(listener_start(&listener, loop, fd, NULL, take, NULL));
    int first = connect_to(&bound), second = connect_to(&bound), third = connect_to(&bound);
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0); /* the lowest free descriptor */
    close(next);
    tight = (struct rlimit){ .rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    assert_true(loop_turn(loop, 1000, NULL));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(listener.turned_away, 1);
    assert_int_equal(accepted_count, 0);
    assert_int_equal(read(first, &byte, 1), 0); /* told at once, not left hanging */
    for (unsigned i = 0; i < 20 && accepted_count < 2; i++) {
        assert_true(loop_turn(loop, 50, NULL));
    }
    assert_int_equal(accepted_count, 2);
    drop_accepted();
    close(first);
    close(second);
    close(third);
    listener_stop(&listener);
    loop_free(loop);
    close(fd);
}

static unsigned retired_count;

static void count_retired(struct listener *listener) {
    assert_null(listener->loop);
    retired_count++;
}

/* It was this process that the kernel has woken for it: nobody else would come. */
static void one_that_retires_accepts_what_it_was_woken_for(void **state) {
    struct loop *loop = any_loop();
    struct listener listener;
    struct address bound;
    (void)state;
    retired_count = 0;
    int fd = open_local(&bound);
    assert_true(listener_start(&listener, loop, fd, NULL, take, NULL));
    assert_true(loop_turn(loop, 1, NULL)); /* it waits */
    int client = connect_to(&bound);
    listener_retire(&listener, count_retired);
    for (unsigned i = 0; i < 100 && retired_count == 0; i++) {
        assert_true(loop_turn(loop, 50, NULL));
    }
    assert_int_equal(accepted_count, 1);
    assert_int_equal(retired_count, 1);
    int late = connect_to(&bound);
    assert_true(loop_turn(loop, 20, NULL));
    assert_int_equal(accepted_count, 1);
    close(late);
    drop_accepted();
    close(client);
    listener_stop(&listener);
    loop_free(loop);
    close(fd);
}

static void a_stale_unix_path_is_replaced_and_a_live_one_is_not(void **state) {
    char path[] = "/tmp/tidegate-test-XXXXXX", text[64];
    struct address address;
    struct error err = { 0 };
    int fd, again;
    (void)state;
    assert_non_null(mkdtemp(path));
    snprintf(text, sizeof text, "unix:%s/s", path);
    assert_true(address_parse(slice_from(text), 0, &address, NULL));
    assert_true(listener_open(&address, &fd, &err));
    assert_false(listener_open(&address, &again, &err));
    assert_int_equal(err.kind, ERROR_SYSTEM);
    close(fd);
    assert_true(listener_open(&address, &again, &err));
    close(again);
    unlink(text + 5);
    rmdir(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_accepts_a_bounded_batch),
        cmocka_unit_test(out_of_descriptors_turns_away_and_recovers),
        cmocka_unit_test(one_that_retires_accepts_what_it_was_woken_for),
        cmocka_unit_test(a_stale_unix_path_is_replaced_and_a_live_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
