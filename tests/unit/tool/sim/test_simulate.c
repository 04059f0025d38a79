#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tool/sim/simulate.h"

#define HOURS_LEAST 168
#define WALL_MS_MAX 25000 /* a slow machine simulates fewer hours, it does not fail */

/* Shops that differ in what matters to the decision. */
static const struct {
    uint32_t min, max, starting;
    int64_t stabilisation_ms, step_ms, season_ms, startup_ms;
    double guess_rps, price, margin;
} shops[] = {
    { 2, 10, 4, 300000, 60000, 86400000, 30000, 80, 0.10, 0.002 },
    { 1, 60, 8, 120000, 10000, 3600000, 90000, 20, 0.10, 0.0001 },
    { 3, 40, 2, 600000, 60000, 86400000, 300000, NAN, NAN, NAN },
};

static struct simulate_options options_of(size_t shop, uint64_t seed) {
    struct simulate_options o = {
        .seed = seed, .days = 7, .unit_rps = 50, .startup_ms = shops[shop].startup_ms
    };
    autoscale_policy_init(&o.foresee.policy);
    o.foresee.policy.instances_min = shops[shop].min;
    o.foresee.policy.instances_max = shops[shop].max;
    o.foresee.policy.starting_max = shops[shop].starting;
    o.foresee.policy.down_stabilisation_ms = shops[shop].stabilisation_ms;
    o.foresee.policy.price_per_hour = shops[shop].price;
    o.foresee.policy.margin_per_request = shops[shop].margin;
    o.foresee.objective_ms = 250;
    o.foresee.capacity_rps = shops[shop].guess_rps;
    o.foresee.step_ms = shops[shop].step_ms;
    o.foresee.season_ms[0] = shops[shop].season_ms;
    o.foresee.season_ms[1] = 7 * shops[shop].season_ms;
    o.foresee.season_count = 2;
    return o;
}

static void show(const struct simulate_result *r) {
    const struct invariants *v = &r->invariants;
    for (uint64_t i = v->noted > INVARIANTS_LAST ? v->noted - INVARIANTS_LAST : 0; i < v->noted;
         i++) {
        const struct invariants_note *n = &v->last[i % INVARIANTS_LAST];
        fprintf(stderr, "# %lld s: %u serving, %u starting: %s\n", (long long)n->at_s, n->serving,
                n->starting, n->sentence);
    }
}

static void thousands_of_hours_and_nothing_breaks(void **state) {
    (void)state;
    uint64_t begun_us = clock_monotonic_us(), hours = 0, warm_seconds = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        for (size_t shop = 0; shop < sizeof shops / sizeof shops[0]; shop++) {
            struct simulate_options o = options_of(shop, seed);
            struct simulate_result r;
            struct error err = { 0 };
            if (hours >= HOURS_LEAST && warm_seconds > 0 &&
                (clock_monotonic_us() - begun_us) / 1000 > WALL_MS_MAX) {
                break;
            }
            if (!simulate_run(&o, &r, &err)) {
                fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
            }
            if (r.invariants.broken != NULL) {
                show(&r);
                fail_msg("shop %zu, seed %llu, second %lld: '%s' did not hold: %s", shop,
                         (unsigned long long)seed, (long long)r.broken_at_s, r.invariants.broken,
                         r.invariants.text);
            }
            /* It has seen what it is there for. */
            assert_true(r.changes > 20 && r.shrinks > 0 && r.blind_seconds > 0 && r.faults > 3);
            warm_seconds += r.warm_seconds;
            hours += r.decisions / 3600;
        }
    }
    fprintf(stderr, "# %llu hours, %llu s before first campaigns\n", (unsigned long long)hours,
            (unsigned long long)warm_seconds);
    assert_true(hours >= HOURS_LEAST && warm_seconds > 0);
}

static void the_same_seed_twice(void **state) {
    (void)state;
    struct simulate_result a = { 0 }, b = { 0 }, c = { 0 };
    struct simulate_options o = options_of(0, 5), next = options_of(0, 6);
    o.days = next.days = 2;
    assert_true(simulate_run(&o, &a, NULL) && simulate_run(&o, &b, NULL));
    assert_true(simulate_run(&next, &c, NULL));
    assert_memory_equal(&a.totals, &b.totals, sizeof a.totals);
    assert_true(a.changes == b.changes && a.totals.requests != c.totals.requests);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousands_of_hours_and_nothing_breaks),
        cmocka_unit_test(the_same_seed_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
