#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "act/control/handover.h"

static int pair[2];

static int set_up(void **state) {
    (void)state;
    struct error err;
    return handover_pair(pair, &err) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static struct handover_offer example(unsigned listeners) {
    struct error err;
    struct handover_offer offer = { .lock_fd = open("/dev/null", O_RDWR),
                                    .plan_fd = -1,
                                    .front_fd = open("/dev/zero", O_RDONLY),
                                    .listen_count = listeners };
    for (unsigned i = 0; i < listeners; i++) {
        char text[32];
        snprintf(text, sizeof text, "127.0.0.1:%u", 1000 + i);
        assert_true(address_parse(slice_from(text), 0, &offer.listen[i], &err));
        offer.listen_fds[i] = open("/dev/null", O_RDONLY);
    }
    return offer;
}

static void messages_come_as_they_were_sent(void **state) {
    (void)state;
    struct handover_message m;
    assert_true(handover_receive(pair[1], &m));
    assert_int_equal(m.kind, HANDOVER_NONE);
    assert_true(handover_send(pair[0], HANDOVER_FAILED, 0, "no such port"));
    assert_true(handover_send(pair[0], HANDOVER_SUCCESSOR, 42, NULL));
    assert_true(handover_receive(pair[1], &m));
    assert_int_equal(m.kind, HANDOVER_FAILED);
    assert_string_equal(m.text, "no such port");
    assert_true(handover_receive(pair[1], &m));
    assert_int_equal(m.kind, HANDOVER_SUCCESSOR);
    assert_int_equal(m.pid, 42);
    char longer[2 * HANDOVER_TEXT_BYTES];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_true(handover_send(pair[0], HANDOVER_FAILED, 0, longer));
    assert_true(handover_receive(pair[1], &m));
    assert_int_equal(strlen(m.text), HANDOVER_TEXT_BYTES - 1);
}

static void the_end_and_what_is_not_ours_are_false(void **state) {
    (void)state;
    struct handover_message m;
    assert_int_equal(send(pair[0], "hello", 5, 0), 5);
    assert_false(handover_receive(pair[1], &m));
    struct handover_message other = { .magic = 1, .version = HANDOVER_VERSION };
    assert_int_equal(send(pair[0], &other, sizeof other, 0), sizeof other);
    assert_false(handover_receive(pair[1], &m));
    close(pair[0]);
    pair[0] = open("/dev/null", O_RDWR);
    assert_false(handover_receive(pair[1], &m));
    assert_false(handover_send(-1, HANDOVER_GO, 0, NULL));
}

static void an_offer_brings_its_descriptors(void **state) {
    (void)state;
    struct error err = { 0 };
    struct handover_offer given = example(HANDOVER_LISTENERS_MAX), got;
    assert_true(handover_send_offer(pair[0], &given, &err));
    if (!handover_receive_offer(pair[1], &got, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(got.listen_count, HANDOVER_LISTENERS_MAX);
    assert_int_equal(got.plan_fd, -1);
    char zero = 'x';
    assert_int_equal(read(got.front_fd, &zero, 1), 1); /* /dev/zero: the right one */
    assert_int_equal(zero, 0);
    for (unsigned i = 0; i < got.listen_count; i++) {
        assert_true(address_equal(&got.listen[i], &given.listen[i]));
        assert_true(fcntl(got.listen_fds[i], F_GETFD) & FD_CLOEXEC);
    }
    int last = got.listen_fds[got.listen_count - 1];
    handover_offer_close(&got);
    assert_int_equal(fcntl(last, F_GETFD), -1);
    handover_offer_close(&given);
}

static void an_offer_outlives_who_made_it(void **state) {
    (void)state;
    struct error err = { 0 };
    struct handover_offer given = example(1), got;
    assert_true(handover_send_offer(pair[0], &given, &err));
    handover_offer_close(&given);
    close(pair[0]);
    pair[0] = open("/dev/null", O_RDWR);
    assert_true(handover_receive_offer(pair[1], &got, &err));
    assert_int_equal(got.listen_count, 1);
    handover_offer_close(&got);
    struct handover_message m;
    assert_false(handover_receive(pair[1], &m));
}

static void another_version_is_refused(void **state) {
    (void)state;
    struct error err = { 0 };
    struct handover_offer got;
    struct handover_message m = { .magic = 0x74676875u,
                                  .version = HANDOVER_VERSION + 1,
                                  .kind = HANDOVER_OFFER };
    assert_int_equal(send(pair[0], &m, sizeof m, 0), sizeof m);
    assert_false(handover_receive_offer(pair[1], &got, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    close(pair[0]);
    pair[0] = open("/dev/null", O_RDWR);
    assert_false(handover_receive_offer(pair[1], &got, &err));
}

static void the_environment_names_the_descriptor_once(void **state) {
    (void)state;
    static const char *const bad[] = { "", "2", "-1", "3x", "99999999999", "1023" };
    char text[16];
    unsetenv(HANDOVER_ENVIRONMENT);
    assert_int_equal(handover_inherited(), -1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        setenv(HANDOVER_ENVIRONMENT, bad[i], 1);
        assert_int_equal(handover_inherited(), -1);
        assert_null(getenv(HANDOVER_ENVIRONMENT));
    }
    snprintf(text, sizeof text, "%d", pair[1]);
    setenv(HANDOVER_ENVIRONMENT, text, 1);
    assert_int_equal(handover_inherited(), pair[1]);
    assert_null(getenv(HANDOVER_ENVIRONMENT));
    assert_true(fcntl(pair[1], F_GETFD) & FD_CLOEXEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define ONE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        ONE(messages_come_as_they_were_sent), ONE(the_end_and_what_is_not_ours_are_false),
        ONE(an_offer_brings_its_descriptors), ONE(an_offer_outlives_who_made_it),
        ONE(another_version_is_refused),      ONE(the_environment_names_the_descriptor_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
