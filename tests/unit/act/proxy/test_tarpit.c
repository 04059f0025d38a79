#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/proxy/tarpit.h"
#include "base/clock.h"

#define DESCRIPTORS 1024

static int over[64];
static unsigned over_count;

static void is_over(void *owner, int fd, uint32_t listener) {
    assert_ptr_equal(owner, over);
    assert_int_equal(listener, 7);
    over[over_count++] = fd;
}

static struct tarpit *fresh(struct loop *loop, uint64_t descriptors) {
    struct tarpit *tarpit = calloc(1, sizeof *tarpit);
    assert_non_null(tarpit);
    over_count = 0;
    tarpit_init(tarpit, loop, descriptors, over, is_over);
    return tarpit;
}

static struct loop *new_loop(void) {
    struct loop *loop = loop_new_io(LOOP_IO_EPOLL, NULL);
    assert_non_null(loop);
    return loop;
}

/* Its other end is for the test. */
static int held_one(struct tarpit *tarpit, int *other) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_true(tarpit_hold(tarpit, pair[0], 7));
    *other = pair[1];
    return pair[0];
}

static void they_come_out_in_order_a_few_at_a_time(void **state) {
    enum { COUNT = 2 * TARPIT_BATCH + 3 };
    (void)state;
    struct loop *loop = new_loop();
    struct tarpit *tarpit = fresh(loop, DESCRIPTORS);
    int held[COUNT], others[COUNT];
    uint64_t begun_us = clock_monotonic_us();
    for (unsigned i = 0; i < COUNT; i++) {
        held[i] = held_one(tarpit, &others[i]);
    }
    while (over_count < COUNT) {
        unsigned before = over_count;
        assert_true(loop_turn(loop, 2000, NULL));
        assert_in_range(over_count - before, 0, TARPIT_BATCH);
        assert_true(over_count == 0 || clock_monotonic_us() - begun_us >= TARPIT_US);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(over[i], held[i]);
        close(over[i]);
        close(others[i]);
    }
    assert_false(timer_running(&tarpit->timer));
    free(tarpit);
    loop_free(loop);
}

static void it_takes_an_eighth_of_the_descriptors(void **state) {
    (void)state;
    struct loop *loop = new_loop();
    struct tarpit *tarpit = fresh(loop, 24);
    int others[3];
    for (unsigned i = 0; i < 3; i++) {
        held_one(tarpit, &others[i]);
    }
    assert_false(tarpit_hold(tarpit, others[0], 7));
    tarpit_empty(tarpit);
    held_one(tarpit, &others[0]); /* room again */
    tarpit_empty(tarpit);
    free(tarpit);
    tarpit = fresh(loop, UINT64_MAX); /* RLIM_INFINITY */
    assert_int_equal(tarpit->most, TARPIT_MAX);
    free(tarpit);
    loop_free(loop);
    for (unsigned i = 0; i < 3; i++) {
        close(others[i]);
    }
}

static void emptied_it_closes_all_and_tells_nobody(void **state) {
    (void)state;
    struct loop *loop = new_loop();
    struct tarpit *tarpit = fresh(loop, DESCRIPTORS);
    int others[2];
    char byte;
    for (unsigned i = 0; i < 2; i++) {
        held_one(tarpit, &others[i]);
    }
    tarpit_empty(tarpit);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(read(others[i], &byte, 1), 0);
        close(others[i]);
    }
    assert_int_equal(over_count, 0);
    assert_false(timer_running(&tarpit->timer));
    tarpit_empty(tarpit);
    free(tarpit);
    loop_free(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_come_out_in_order_a_few_at_a_time),
        cmocka_unit_test(it_takes_an_eighth_of_the_descriptors),
        cmocka_unit_test(emptied_it_closes_all_and_tells_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
