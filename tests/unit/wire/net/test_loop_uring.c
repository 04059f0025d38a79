/* What goes through the ring passes no seccomp filter: the ring itself refuses what is not its. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire/net/loop_uring_internal.h"

static struct uring *open_or_skip(void) {
    struct error err;
    struct uring *u = loop_backend_uring.open(&err);
    if (u == NULL) {
        skip(); /* this machine has none */
    }
    return u;
}

static int result_of(struct uring *u) {
    struct io_uring_cqe *cqe;
    struct __kernel_timespec patience = { .tv_sec = 5 };
    int waited = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &patience, NULL);
    assert_true(waited >= 0);
    int result = cqe->res;
    io_uring_cqe_seen(&u->ring, cqe);
    return result;
}

static void only_what_a_worker_asks_for(void **state) {
    struct uring *u = open_or_skip();
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    io_uring_prep_openat(io_uring_get_sqe(&u->ring), AT_FDCWD, "/etc/hostname", O_RDONLY, 0);
    assert_int_equal(result_of(u), -EACCES);
    io_uring_prep_socket(io_uring_get_sqe(&u->ring), AF_INET, SOCK_STREAM, 0, 0);
    assert_int_equal(result_of(u), -EACCES);
    io_uring_prep_unlinkat(io_uring_get_sqe(&u->ring), AT_FDCWD, "/tmp/no-such-file", 0);
    assert_int_equal(result_of(u), -EACCES);
    struct io_uring_sqe *linked = io_uring_get_sqe(&u->ring);
    io_uring_prep_send(linked, pair[0], "x", 1, 0);
    linked->flags |= IOSQE_ASYNC;
    assert_int_equal(result_of(u), -EACCES);
    io_uring_prep_send(io_uring_get_sqe(&u->ring), pair[0], "x", 1, 0);
    assert_int_equal(result_of(u), 1);
    close(pair[0]);
    close(pair[1]);
    loop_backend_uring.close(u);
}

static void the_restriction_stays(void **state) {
    struct uring *u = open_or_skip();
    struct io_uring_restriction all = { .opcode = IORING_RESTRICTION_SQE_OP,
                                        .sqe_op = IORING_OP_OPENAT };
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)state;
    assert_true(
        io_uring_register((unsigned)u->ring.ring_fd, IORING_REGISTER_RESTRICTIONS, &all, 1) < 0);
    assert_int_equal(
        io_uring_register((unsigned)u->ring.ring_fd, IORING_REGISTER_FILES, &null_fd, 1), -EACCES);
    close(null_fd);
    loop_backend_uring.close(u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_a_worker_asks_for),
        cmocka_unit_test(the_restriction_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
