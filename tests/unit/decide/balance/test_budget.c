/* The budget: its share, its floor, its burst, and that many who take at once take no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rand.h"
#include "decide/balance/budget.h"

#define SECOND 1000000u
#define BEGIN (1000u * SECOND) /* it has run for a while */

static unsigned take_all(struct budget *b, bool hedge, uint64_t *spent) {
    unsigned taken = 0;
    while (taken < 100000 && budget_take(b, hedge, spent)) {
        taken++;
    }
    return taken;
}

static void a_quiet_service_has_its_burst_and_then_the_floor(void **state) {
    struct budget b = { .ratio = 0.1, .floor_rps = 10, .now_us = BEGIN };
    uint64_t spent = 0;
    (void)state;
    assert_int_equal(take_all(&b, false, &spent), BUDGET_BURST_LEAST);
    b.now_us += SECOND;
    assert_int_equal(take_all(&b, false, &spent), 10);
    b.now_us += 1000 * SECOND;
    assert_int_equal(take_all(&b, false, &spent), BUDGET_BURST_LEAST);
}

static void a_busy_one_a_tenth_more(void **state) {
    struct budget b = { .ratio = 0.1, .now_us = BEGIN, .requests = 100000 };
    uint64_t spent = 0;
    (void)state;
    take_all(&b, false, &spent);
    b.requests += 1000;
    assert_int_equal(take_all(&b, false, &spent), 100);
    b.requests += 9;
    assert_int_equal(take_all(&b, false, &spent), 0);
    b.requests += 1;
    assert_int_equal(take_all(&b, false, &spent), 1);
}

static void what_is_in_flight_may_be_sent_again_when_an_endpoint_dies(void **state) {
    struct budget b = { .ratio = 0.1, .now_us = BEGIN, .requests = 1000000, .in_flight = 2000 };
    uint64_t spent = 0;
    (void)state;
    assert_int_equal(take_all(&b, false, &spent), BUDGET_BURST_LEAST + 1000);
}

static void hedges_leave_some_for_retries(void **state) {
    struct budget b = { .ratio = 0.1, .floor_rps = 10, .now_us = BEGIN };
    uint64_t spent = 0;
    (void)state;
    unsigned hedges = take_all(&b, true, &spent), retries = take_all(&b, false, &spent);
    assert_int_equal(hedges + retries, BUDGET_BURST_LEAST);
    assert_int_equal(retries, (unsigned)(BUDGET_BURST_LEAST * BUDGET_HEDGES_LEAVE));
}

/* A smaller share than before makes what was spent more than was ever earned. */
static void a_new_configuration_counts_from_now_on(void **state) {
    struct budget b = { .ratio = 0.5, .now_us = BEGIN, .requests = 1000000 };
    uint64_t spent = 0;
    (void)state;
    take_all(&b, false, &spent);
    b.ratio = 0.01;
    b.requests += 100;
    take_all(&b, false, &spent);
    b.requests += 10000;
    unsigned taken = take_all(&b, false, &spent);
    assert_in_range(taken, 0, 201);
    b.requests += 1000;
    assert_in_range(take_all(&b, false, &spent), 10, BUDGET_BURST_LEAST);
    b.ratio = b.floor_rps = 0;
    assert_int_equal(take_all(&b, false, &spent), 0);
}

/* Random traffic, random wishes: never more than was earned and the burst at the beginning. */
static void never_more_than_earned(void **state) {
    struct rand r;
    (void)state;
    rand_init(&r, 7);
    for (int round = 0; round < 200; round++) {
        struct budget b = { .ratio = rand_unit(&r) * 0.5,
                            .floor_rps = rand_unit(&r) * 20,
                            .now_us = BEGIN,
                            .requests = rand_below(&r, 1000000) };
        struct budget first = b;
        uint64_t spent = 0;
        double taken = 0;
        for (int step = 0; step < 500; step++) {
            b.now_us += rand_below(&r, SECOND / 10);
            b.requests += rand_below(&r, 100);
            for (uint32_t wish = rand_below(&r, 40); wish > 0; wish--) {
                taken += budget_take(&b, rand_below(&r, 2) == 1, &spent);
            }
            double earned = (double)(b.requests - first.requests) * b.ratio +
                            (double)(b.now_us - first.now_us) / SECOND * b.floor_rps;
            assert_true(taken <= BUDGET_BURST_LEAST + earned + 1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_service_has_its_burst_and_then_the_floor),
        cmocka_unit_test(a_busy_one_a_tenth_more),
        cmocka_unit_test(what_is_in_flight_may_be_sent_again_when_an_endpoint_dies),
        cmocka_unit_test(hedges_leave_some_for_retries),
        cmocka_unit_test(a_new_configuration_counts_from_now_on),
        cmocka_unit_test(never_more_than_earned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
