#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decide/autoscale/lead_time.h"

static void the_guess_holds_until_something_was_seen(void **state) {
    (void)state;
    struct lead_time l;
    lead_time_init(&l, NAN);
    assert_true(lead_time_quantile_ms(&l, 0.9) == LEAD_TIME_DEFAULT_MS);
    lead_time_init(&l, 2500);
    assert_true(lead_time_quantile_ms(&l, 0.9) == 2500);
    lead_time_observe(&l, NAN);
    lead_time_observe(&l, -1);
    assert_true(lead_time_quantile_ms(&l, 0.9) == 2500);
    lead_time_observe(&l, 3000);
    assert_true(lead_time_quantile_ms(&l, 0.9) == 3000);
}

static void quantiles_of_the_recent_ones(void **state) {
    (void)state;
    struct lead_time l;
    lead_time_init(&l, 0);
    for (int i = 10; i >= 0; i--) {
        lead_time_observe(&l, i * 100);
    }
    assert_true(lead_time_quantile_ms(&l, 0) == 0);
    assert_true(fabs(lead_time_quantile_ms(&l, 0.5) - 500) < 1e-9);
    assert_true(fabs(lead_time_quantile_ms(&l, 0.95) - 950) < 1e-9);
    assert_true(lead_time_quantile_ms(&l, 7) == 1000);
    for (int i = 0; i < LEAD_TIME_SAMPLES; i++) {
        lead_time_observe(&l, 1e12); /* absurd ones are cut, old ones are forgotten */
    }
    assert_true(lead_time_quantile_ms(&l, 0) == LEAD_TIME_MAX_MS);
}

static void few_start_ups_leave_room(void **state) {
    (void)state;
    struct lead_time l;
    lead_time_init(&l, 7000);
    assert_true(lead_time_bound_ms(&l, 0.9) == 7000); /* nothing seen: the guess */
    double last = 0;
    for (int i = 0; i < 12; i++) {
        lead_time_observe(&l, 1000);
        double bound = lead_time_bound_ms(&l, 0.9);
        assert_true(i == 0 ? bound > 1350 && bound < 1500 : bound <= last);
        last = bound;
    }
    assert_true(last == 1000);
    for (size_t i = 0; i < LEAD_TIME_SAMPLES; i++) {
        lead_time_observe(&l, 100.0 * (double)i);
    }
    assert_true(lead_time_bound_ms(&l, 0.9) == lead_time_quantile_ms(&l, 0.9));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guess_holds_until_something_was_seen),
        cmocka_unit_test(quantiles_of_the_recent_ones),
        cmocka_unit_test(few_start_ups_leave_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
