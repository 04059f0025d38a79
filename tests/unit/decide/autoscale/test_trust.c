#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/autoscale/trust.h"

#define MINUTE INT64_C(60000)
#define START INT64_C(1767225600000)
#define SEASON 60 /* minutes */
#define STEPS 12

static double values[STEPS * TRUST_LEVELS];

static struct autoscale_policy policy_of(double margin) {
    struct autoscale_policy p;
    autoscale_policy_init(&p);
    p.instances_max = 1000;
    p.price_per_hour = 0.1;
    p.margin_per_request = margin;
    return p;
}

static struct trust_input input_of(const struct autoscale_policy *p, int64_t minute) {
    return (struct trust_input){ .policy = p,
                                 .capacity_rps = 10,
                                 .lead_ms = 300000,
                                 .values = values,
                                 .steps = STEPS,
                                 .start_ms = START + (minute + 1) * MINUTE };
}

/* Every level of every step says `rps` times what its place adds. */
static void foretell(double rps, double spread) {
    for (size_t i = 0; i < STEPS * TRUST_LEVELS; i++) {
        values[i] = rps * (1 + spread * (double)(i % TRUST_LEVELS));
    }
}

static double live(struct trust *t, const struct autoscale_policy *p, double (*demand)(int64_t),
                   double (*forecast)(int64_t), double spread) {
    double quantile = NAN;
    assert_true(trust_init(t, MINUTE, SEASON * MINUTE, NULL));
    for (int64_t minute = 0; minute < 40 * SEASON; minute++) {
        struct trust_input in = input_of(p, minute);
        for (int64_t i = 0; i < STEPS; i++) {
            for (size_t level = 0; level < TRUST_LEVELS; level++) {
                values[(size_t)i * TRUST_LEVELS + level] =
                    forecast(minute + 1 + i) * (1 + spread * (double)level);
            }
        }
        trust_step(t, &in, demand(minute));
        quantile = trust_quantile(t, &in);
        if (minute < 2) { /* nothing is proven */
            assert_true(isnan(quantile));
        }
    }
    trust_fini(t);
    return quantile;
}

static double steps(int64_t minute) { /* up at once, once in every season */
    return minute % SEASON >= 30 && minute % SEASON < 50 ? 400 : 100;
}

static double never(int64_t minute) {
    (void)minute;
    return 100;
}

static void what_the_net_catches_is_not_bought_twice(void **state) {
    (void)state;
    struct trust t;
    struct autoscale_policy p = policy_of(0.002);
    assert_true(isnan(live(&t, &p, never, never, 0.3)));
}

static void steps_that_are_foreseen_pay(void **state) {
    (void)state;
    struct trust t;
    struct autoscale_policy p = policy_of(0.002);
    double exact = live(&t, &p, steps, steps, 0.1);
    assert_true(exact == 0.5); /* the median has them: more is only dearer */
}

static void steps_that_are_not_foreseen_do_not(void **state) {
    (void)state;
    struct trust t;
    struct autoscale_policy p = policy_of(0.002);
    assert_true(isnan(live(&t, &p, steps, never, 0)));
}

static double once(int64_t minute) { /* one crowd in all that time */
    return minute >= 20 * SEASON && minute < 20 * SEASON + 20 ? 400 : 100;
}

static double wide(int64_t minute) {
    (void)minute;
    return 250;
}

static void one_lucky_season_proves_nothing(void **state) {
    (void)state;
    struct trust t;
    struct autoscale_policy p = policy_of(0.02);
    assert_true(isnan(live(&t, &p, once, wide, 0)));
    assert_false(isnan(live(&t, &p, steps, wide, 0))); /* in every season it pays */
}

static void what_nobody_pays_for_is_not_done(void **state) {
    (void)state;
    struct trust t;
    struct autoscale_policy p = policy_of(0.002);
    p.price_per_hour = 1000; /* a request earns less than it costs to serve: the ratio is 0.5 */
    double quantile = live(&t, &p, steps, steps, 0.1);
    assert_true(isnan(quantile) || quantile == 0.5);
}

/* It is provisioned by whoever follows nothing, too, and moves nobody's trust. */
static void what_was_announced_needs_no_proof_and_gives_none(void **state) {
    (void)state;
    struct trust t;
    struct autoscale_policy p = policy_of(0.002);
    double out[STEPS], announced[STEPS], cold = 0; /* unserved while there was nothing yet */
    assert_true(trust_init(&t, MINUTE, SEASON * MINUTE, NULL));
    for (int64_t minute = 0; minute < 3 * SEASON; minute++) {
        struct trust_input in = input_of(&p, minute);
        in.announced = announced;
        foretell(100, 0);
        for (int64_t i = 0; i < STEPS; i++) {
            double rps = steps(minute + 1 + i);
            announced[i] = rps > 100 ? rps : (double)NAN;
        }
        trust_step(&t, &in, steps(minute));
        assert_true(isnan(trust_quantile(&t, &in)));
        trust_follow(&t, &in, out);
        assert_true(isnan(out[0]));
        uint32_t wanted = t.candidates[TRUST_NONE].state.instances;
        if (minute > 0 && steps(minute + 5) > 100) { /* a lead time ahead and while it lasts */
            assert_true(wanted >= 40);
        }
        cold = minute < 10 ? t.candidates[TRUST_NONE].world.totals.unserved : cold;
    }
    assert_true(t.candidates[TRUST_NONE].world.totals.unserved == cold);
    assert_true(t.candidates[0].world.totals.unserved == cold);
    trust_fini(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_net_catches_is_not_bought_twice),
        cmocka_unit_test(steps_that_are_foreseen_pay),
        cmocka_unit_test(steps_that_are_not_foreseen_do_not),
        cmocka_unit_test(one_lucky_season_proves_nothing),
        cmocka_unit_test(what_nobody_pays_for_is_not_done),
        cmocka_unit_test(what_was_announced_needs_no_proof_and_gives_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
