#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/autoscale/ramp.h"

#define LEAD_MS 300000.0

static double ahead_of(double (*demand)(double second, struct rand *r), int seconds) {
    struct ramp r;
    struct rand rand;
    double now = 0;
    rand_init(&rand, 5);
    ramp_init(&r);
    for (int t = 0; t < seconds; t++) {
        now = demand(t, &rand);
        ramp_observe(&r, (int64_t)t * 1000, now, LEAD_MS);
    }
    return ramp_ahead_rps(&r, now, LEAD_MS) / now;
}

static double flat(double second, struct rand *r) {
    (void)second;
    return 100 + 10 * rand_normal(r);
}

static double falling(double second, struct rand *r) {
    return 1000 - second / 2 + rand_normal(r);
}

static double rising(double second, struct rand *r) {
    return 100 + second + rand_normal(r);
}

static double exploding(double second, struct rand *r) {
    (void)r;
    return exp(second / 30);
}

static void only_a_certain_rise_is_carried_on(void **state) {
    (void)state;
    assert_true(ahead_of(flat, 600) < 1.3); /* of noise in one second, hardly anything */
    assert_true(ahead_of(falling, 600) == 1);
    double rise = ahead_of(rising, 600); /* 700, and 300 more in five minutes */
    assert_true(rise > 1.35 && rise < 1.45);
    double most = ahead_of(exploding, 400);
    assert_true(most >= 1 && most <= 4);
    assert_true(ahead_of(rising, 60) == 1); /* too little was seen */
}

static void a_gap_or_a_jump_of_the_clock_begins_anew(void **state) {
    (void)state;
    static const int64_t jumps_ms[] = { 3600000, -3600000 };
    for (size_t i = 0; i < 2; i++) {
        struct ramp r;
        ramp_init(&r);
        for (int64_t t = 0; t < 600; t++) {
            ramp_observe(&r, t * 1000, 100 + (double)t, LEAD_MS);
        }
        assert_true(ramp_ahead_rps(&r, 700, LEAD_MS) > 900);
        ramp_observe(&r, 600000 + jumps_ms[i], 5000, LEAD_MS);
        assert_true(ramp_ahead_rps(&r, 5000, LEAD_MS) == 5000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_certain_rise_is_carried_on),
        cmocka_unit_test(a_gap_or_a_jump_of_the_clock_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
