/* Connections that are open before the wave. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "decide/autoscale/pool.h"

static uint32_t after(struct pool *pool, struct pool_input input) {
    (void)pool_decide(pool, &input);
    return pool->ahead;
}

static void littles_law_says_how_many(void **state) {
    (void)state;
    static const struct {
        const char *name;
        struct pool_input input;
        uint32_t ahead;
    } cases[] = {
        { "a wave", { 0, 100, 800, 50, 4 }, 13 }, /* 800 × 0.05 s × 1.25 / 4 */
        { "no rise", { 0, 100, 125, 50, 4 }, 0 },
        { "nothing planned", { 0, 100, NAN, 50, 4 }, 0 },
        { "nobody serves", { 0, 100, 800, 50, 0 }, 0 },
        { "nothing answered yet", { 0, 100, 800, NAN, 4 }, 0 },
        { "demand is not known", { 0, NAN, 800, 50, 4 }, 0 },
        { "the first visitor", { 0, 0, 10, 50, 4 }, 1 },
        { "a flood has a limit", { 0, 100, 1e12, 5000, 1 }, POOL_CONNECTIONS_MOST },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pool pool = { 0 };
        if (after(&pool, cases[i].input) != cases[i].ahead) {
            fail_msg("%s: %u", cases[i].name, pool.ahead);
        }
    }
}

static void small_changes_are_not_worth_a_plan(void **state) {
    (void)state;
    struct pool pool = { 0 };
    struct pool_input input = { 1000, 100, 800, 50, 4 };
    assert_true(pool_decide(&pool, &input));
    input.peak_rps = 850;
    assert_false(pool_decide(&pool, &input));
    input.peak_rps = 1600;
    assert_true(pool_decide(&pool, &input));
    assert_int_equal(pool.ahead, 25);
    input.peak_rps = 800;
    assert_true(pool_decide(&pool, &input));
    assert_int_equal(pool.ahead, 13);
}

static void they_stay_until_the_wave_is_there(void **state) {
    (void)state;
    struct pool pool = { 0 };
    assert_int_equal(after(&pool, (struct pool_input){ 1000, 100, 800, 50, 4 }), 13);
    assert_int_equal(after(&pool, (struct pool_input){ 30000, 800, 800, 50, 4 }), 13);
    assert_int_equal(after(&pool, (struct pool_input){ 31000, 800, 800, 50, 4 }), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(littles_law_says_how_many),
        cmocka_unit_test(small_changes_are_not_worth_a_plan),
        cmocka_unit_test(they_stay_until_the_wave_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
