#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record/telemetry/decision.h"

static void the_ring_keeps_the_newest(void **state) {
    (void)state;
    struct decision_ring r;
    struct decision d;
    assert_true(decision_ring_init(&r, 3));
    assert_null(decision_ring_at(&r, 0));
    for (int64_t id = 1; id <= 5; id++) {
        decision_init(&d, id * 1000);
        d.id = id;
        decision_ring_push(&r, &d);
    }
    assert_int_equal(r.len, 3);
    assert_int_equal(decision_ring_at(&r, 0)->id, 5);
    assert_int_equal(decision_ring_at(&r, 2)->id, 3);
    assert_null(decision_ring_at(&r, 3));
    assert_null(decision_ring_find(&r, 2));
    assert_int_equal(decision_ring_find(&r, 4)->time_ms, 4000);
    decision_ring_fini(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_ring_keeps_the_newest) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
