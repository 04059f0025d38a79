#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/autoscale/world.h"

static const struct world_options options = {
    .tick_ms = 1000, .startup_ms = 3000, .patience_ms = 2000, .unit_rps = 10
};

static void an_order_serves_after_its_start_up_and_is_paid_from_the_order(void **state) {
    (void)state;
    struct world w;
    assert_true(world_init(&w, &options, 1, NULL));
    world_scale(&w, 3);
    for (int i = 0; i < 3; i++) {
        world_tick(&w, 5);
        assert_int_equal(w.serving, 1);
        assert_int_equal(w.starting, 2);
    }
    world_tick(&w, 5);
    assert_int_equal(w.serving, 3);
    assert_int_equal(w.starting, 0);
    assert_true(fabs(w.totals.instance_hours - 12.0 / 3600) < 1e-12);
    assert_int_equal(w.totals.scale_actions, 1);
    assert_int_equal(w.totals.max_instances, 3);
    world_fini(&w);
}

static void what_was_ordered_last_is_stopped_first(void **state) {
    (void)state;
    struct world w;
    assert_true(world_init(&w, &options, 2, NULL));
    world_scale(&w, 5);
    world_tick(&w, 0);
    world_scale(&w, 6);
    world_tick(&w, 0);
    world_scale(&w, 4); /* the last one and one of the first three */
    world_tick(&w, 0);
    assert_int_equal(w.starting, 2);
    world_tick(&w, 0);
    assert_int_equal(w.serving, 4);
    world_scale(&w, 1);
    assert_int_equal(w.serving, 1);
    world_fini(&w);
}

static void the_backlog_is_bounded_by_patience(void **state) {
    (void)state;
    struct world w;
    assert_true(world_init(&w, &options, 1, NULL));
    world_tick(&w, 10); /* exactly what it carries */
    assert_true(w.totals.violation_minutes == 0);
    world_tick(&w, 25);
    assert_true(fabs(w.backlog - 15) < 1e-9);
    assert_true(w.totals.unserved == 0);
    world_tick(&w, 25); /* 30 would wait: 20 may */
    assert_true(fabs(w.totals.unserved - 10) < 1e-9);
    world_tick(&w, 0);
    world_tick(&w, 0);
    assert_true(w.backlog == 0);
    assert_true(fabs(w.totals.violation_minutes - 3.0 / 60) < 1e-9);
    assert_true(fabs(w.totals.requests - 60) < 1e-9);
    world_fini(&w);
}

static void nobody_serves_without_instances(void **state) {
    (void)state;
    struct world w;
    assert_true(world_init(&w, &options, 0, NULL));
    world_tick(&w, 7);
    assert_true(fabs(w.totals.unserved - 7) < 1e-9);
    world_fini(&w);
}

/* Requests are served, wait, or are counted as unserved: none is lost, none is made. */
static void requests_are_conserved(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct rand r;
        struct world w;
        double capacity = 0;
        rand_init(&r, seed);
        assert_true(world_init(&w, &options, rand_below(&r, 5), NULL));
        for (int i = 0; i < 500; i++) {
            uint32_t wanted = rand_below(&r, 9);
            world_scale(&w, wanted);
            assert_int_equal(w.serving + w.starting, wanted);
            world_tick(&w, 80 * rand_unit(&r));
            capacity += w.serving * 10.0;
            assert_true(w.backlog >= 0 && w.backlog <= w.serving * 20.0 + 1e-9);
        }
        double served = w.totals.requests - w.totals.unserved - w.backlog;
        assert_true(served >= -1e-6 && served <= capacity + 1e-6);
        world_fini(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_serves_after_its_start_up_and_is_paid_from_the_order),
        cmocka_unit_test(what_was_ordered_last_is_stopped_first),
        cmocka_unit_test(the_backlog_is_bounded_by_patience),
        cmocka_unit_test(nobody_serves_without_instances),
        cmocka_unit_test(requests_are_conserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
