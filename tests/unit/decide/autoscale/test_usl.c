#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/autoscale/usl.h"

#define POINTS 60

struct truth {
    double lambda, sigma, kappa;
};

static double latency_of(const struct truth *t, double n) {
    return 1000 / t->lambda * (1 + t->sigma * (n - 1) + t->kappa * n * (n - 1));
}

static double normal(struct rand *r) {
    return sqrt(-2 * log(1 - rand_unit(r))) * cos(2 * M_PI * rand_unit(r));
}

static size_t see(const struct truth *t, uint64_t seed, double noise, double most,
                  struct usl_point *points) {
    struct rand r;
    rand_init(&r, seed);
    for (size_t i = 0; i < POINTS; i++) {
        double n = exp(log(0.5) + (log(most) - log(0.5)) * rand_unit(&r));
        points[i] = (struct usl_point){ n, latency_of(t, n) * exp(noise * normal(&r)), 1 };
    }
    return POINTS;
}

static void parameters_are_recovered_from_noisy_points(void **state) {
    (void)state;
    static const struct truth truths[] = {
        { 100, 0.02, 0.0005 }, { 40, 0.1, 0.001 },  { 1000, 0.3, 0 },
        { 12, 0.7, 0.005 },    { 500, 0.05, 0.02 }, { 2, 0.01, 0.0001 },
    };
    for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++) {
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct usl_point points[POINTS];
            struct usl u;
            const struct truth *t = &truths[i];
            assert_true(usl_fit(points, see(t, seed, 0.1, 60, points), &u));
            bool good = fabs(usl_lambda_rps(&u) / t->lambda - 1) < 0.2 &&
                        fabs(usl_sigma(&u) - t->sigma) < 0.03 + 0.35 * t->sigma &&
                        fabs(usl_kappa(&u) - t->kappa) < 0.0015 + 0.35 * t->kappa;
            if (!good) {
                fail_msg("truth %g %g %g seed %d: %g %g %g", t->lambda, t->sigma, t->kappa,
                         (int)seed, usl_lambda_rps(&u), usl_sigma(&u), usl_kappa(&u));
            }
        }
    }
}

/* Of what was drawn, not of one case: the two bounds hold nine times in ten, each. */
static void bounds_hold_as_often_as_they_say_also_beyond_what_was_seen(void **state) {
    (void)state;
    unsigned cases = 0, low_held = 0, high_held = 0, wide = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct rand r;
        struct usl_point points[POINTS];
        struct usl u;
        rand_init(&r, seed);
        struct truth t = { exp(7 * rand_unit(&r)), rand_unit(&r), 0.05 * pow(rand_unit(&r), 4) };
        double seen = 1 + 10 * rand_unit(&r);
        assert_true(usl_fit(points, see(&t, seed + 1000, 0.15, seen, points), &u));
        double objective_ms = latency_of(&t, 2 * seen);
        double truth = 2 * seen * 1000 / objective_ms;
        struct usl_limit low = usl_limit(&u, &u, objective_ms, 1.3, 1e5);
        struct usl_limit high = usl_limit(&u, &u, objective_ms, -1.3, 1e5);
        double peak = 0; /* past it more in flight is less */
        for (int step = 1; step <= 100; step++) {
            double n = 2 * seen * step / 100;
            peak = fmax(peak, n * 1000 / latency_of(&t, n));
        }
        truth = fmax(truth, peak);
        low_held += low.throughput_rps <= truth * 1.001;
        high_held += high.throughput_rps >= truth * 0.999;
        wide += low.throughput_rps < truth / 2;
        cases++;
    }
    if (low_held < cases * 85 / 100 || high_held < cases * 85 / 100 || wide > cases / 10) {
        fail_msg("of %u: low %u, high %u, wide %u", cases, low_held, high_held, wide);
    }
}

static void bounds_are_in_order_and_nothing_is_ever_unknown(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct rand r;
        struct usl_point points[POINTS];
        struct usl u;
        rand_init(&r, seed);
        size_t count = 1 + (size_t)(rand_unit(&r) * (POINTS - 1));
        for (size_t i = 0; i < count; i++) {
            points[i] =
                (struct usl_point){ exp(24 * rand_unit(&r) - 12), exp(24 * rand_unit(&r) - 8),
                                    exp(10 * rand_unit(&r) - 5) };
        }
        assert_true(usl_fit(points, count, &u));
        double objective_ms = exp(12 * rand_unit(&r));
        double low = usl_limit(&u, &u, objective_ms, 1.3, 1e5).throughput_rps;
        double likely = usl_limit(&u, &u, objective_ms, 0, 1e5).throughput_rps;
        double high = usl_limit(&u, &u, objective_ms, -1.3, 1e5).throughput_rps;
        assert_true(isfinite(low) && isfinite(likely) && isfinite(high));
        if (!(low >= 0 && low <= likely * 1.0001 && likely <= high * 1.0001)) {
            fail_msg("seed %d: %g %g %g", (int)seed, low, likely, high);
        }
        for (unsigned k = 0; k < USL_TERMS; k++) {
            assert_true(u.term[k] >= 0 && isfinite(u.term[k]));
        }
        assert_true(usl_sigma(&u) >= 0 && usl_sigma(&u) <= 1.0001 && usl_kappa(&u) >= 0);
    }
}

static void one_in_six_gone_wild_moves_little(void **state) {
    (void)state;
    const struct truth t = { 100, 0.1, 0.001 };
    struct usl_point points[POINTS];
    struct usl u;
    see(&t, 7, 0.1, 40, points);
    for (size_t i = 0; i < POINTS; i += 6) {
        points[i].latency_ms *= 6;
    }
    assert_true(usl_fit(points, POINTS, &u));
    double truth = latency_of(&t, 30), fitted = usl_latency_ms(&u, 30, 0);
    if (fabs(fitted / truth - 1) > 0.25) {
        fail_msg("%g, in truth %g", fitted, truth);
    }
}

static void nonsense_is_no_point(void **state) {
    (void)state;
    struct usl u;
    const struct usl_point nonsense[] = { { 0, 1, 1 },   { 1, NAN, 1 }, { -1, 1, 1 },
                                          { 1, 1, 0 },   { 1, 0, 1 },   { INFINITY, 1, 1 },
                                          { 1, 1, NAN }, { NAN, 1, 1 } };
    assert_false(usl_fit(nonsense, sizeof nonsense / sizeof nonsense[0], &u));
    assert_false(usl_fit(NULL, 0, &u));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_recovered_from_noisy_points),
        cmocka_unit_test(bounds_hold_as_often_as_they_say_also_beyond_what_was_seen),
        cmocka_unit_test(bounds_are_in_order_and_nothing_is_ever_unknown),
        cmocka_unit_test(one_in_six_gone_wild_moves_little),
        cmocka_unit_test(nonsense_is_no_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
