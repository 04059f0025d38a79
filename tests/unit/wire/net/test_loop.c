#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "any_loop.h"

static void turn(struct loop *loop, int wait_ms) {
    struct error err = { 0 };
    assert_true(loop_turn(loop, wait_ms, &err));
}

/* ---- timers ---- */

static unsigned fired[64], fired_count;

struct numbered {
    struct timer timer;
    unsigned number;
};

static void note(struct timer *timer) {
    fired[fired_count++] = ((struct numbered *)timer)->number;
}

static void timers_fire_in_order(void **state) {
    static const uint64_t delays_ms[] = { 9, 1, 5, 3, 7 };
    static const unsigned order[] = { 1, 3, 2, 4, 0 };
    struct loop *loop = any_loop();
    struct numbered timers[5] = { 0 };
    (void)state;
    fired_count = 0;
    for (unsigned i = 0; i < 5; i++) {
        timers[i].number = i;
        timer_start(loop, &timers[i].timer, delays_ms[i] * 1000, note);
    }
    while (fired_count < 5) {
        turn(loop, -1);
    }
    assert_memory_equal(fired, order, sizeof order);
    loop_free(loop);
}

static void a_moved_timer_fires_once_at_its_last_time(void **state) {
    struct loop *loop = any_loop();
    struct numbered late = { .number = 1 }, early = { .number = 2 }, stopped = { .number = 3 };
    (void)state;
    fired_count = 0;
    timer_start(loop, &late.timer, 1000, note);
    timer_start(loop, &late.timer, 12000, note); /* later: lazily */
    timer_start(loop, &early.timer, 60000000, note);
    timer_start(loop, &early.timer, 5000, note); /* earlier: at once */
    timer_start(loop, &stopped.timer, 2000, note);
    timer_stop(loop, &stopped.timer);
    uint64_t started_us = loop_now_us(loop);
    while (fired_count < 2) {
        turn(loop, -1);
    }
    assert_int_equal(fired[0], 2);
    assert_int_equal(fired[1], 1);
    assert_true(loop_now_us(loop) - started_us >= 12000);
    turn(loop, 5);
    assert_int_equal(fired_count, 2);
    assert_false(timer_running(&late.timer) || timer_running(&stopped.timer));
    loop_free(loop);
}

/* ---- tasks ---- */

static struct loop *the_loop;
static unsigned runs;

static void run_again_once(struct task *task) {
    if (++runs == 1) {
        loop_defer(the_loop, task, run_again_once);
    }
}

static void deferred_tasks_run_once_a_turn(void **state) {
    struct task task = { 0 }, cancelled = { 0 };
    (void)state;
    the_loop = any_loop();
    runs = 0;
    loop_defer(the_loop, &task, run_again_once);
    loop_defer(the_loop, &task, run_again_once);
    loop_defer(the_loop, &cancelled, run_again_once);
    loop_cancel(the_loop, &cancelled);
    assert_int_equal(runs, 0); /* never inside the call */
    turn(the_loop, 1000);
    assert_int_equal(runs, 1);
    turn(the_loop, 1000); /* what it deferred itself does not wait */
    assert_int_equal(runs, 2);
    loop_free(the_loop);
}

/* ---- watches ---- */

struct pair {
    struct watch watch;
    struct pair *other;
    unsigned calls;
};

static void drop_other(struct watch *watch, unsigned events) {
    struct pair *p = (struct pair *)watch;
    assert_true(events & WATCH_READ);
    p->calls++;
    loop_unwatch(the_loop, &p->other->watch);
    memset(&p->other->watch, 0xee, sizeof p->other->watch); /* as if its memory were gone */
}

static void no_callback_after_unwatch(void **state) {
    struct pair a = { 0 }, b = { .other = &a };
    int a_fd = eventfd(1, EFD_NONBLOCK), b_fd = eventfd(1, EFD_NONBLOCK);
    struct error err = { 0 };
    (void)state;
    a.other = &b;
    the_loop = any_loop();
    assert_true(loop_watch(the_loop, &a.watch, a_fd, WATCH_READ, drop_other, &err));
    assert_true(loop_watch(the_loop, &b.watch, b_fd, WATCH_READ, drop_other, &err));
    turn(the_loop, 1000); /* both are ready in one turn: whoever is first removes the other */
    assert_int_equal(a.calls + b.calls, 1);
    loop_free(the_loop);
    close(a_fd);
    close(b_fd);
}

static void a_zeroed_watch_may_be_unwatched(void **state) {
    struct watch never = { 0 };
    (void)state;
    struct loop *loop = any_loop();
    loop_unwatch(loop, &never);
    assert_int_equal(never.fd, -1);
    loop_free(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(a_moved_timer_fires_once_at_its_last_time),
        cmocka_unit_test(deferred_tasks_run_once_a_turn),
        cmocka_unit_test(no_callback_after_unwatch),
        cmocka_unit_test(a_zeroed_watch_may_be_unwatched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
