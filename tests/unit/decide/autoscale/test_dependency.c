/* Who calls whom, from requests of traces that are followed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rand.h"
#include "decide/autoscale/dependency.h"

enum { FRONT, MIDDLE, BACK, OTHER };
#define AT(service) (UINT64_C(1) << (service))
#define ONE_HOST (AT(FRONT) | AT(MIDDLE) | AT(BACK) | AT(OTHER))
#define VISITOR 0
#define SETTLED_US 1000000000000

static struct dependencies *d;

static int set_up(void **state) {
    (void)state;
    d = calloc(1, sizeof *d);
    return d == NULL;
}

static int tear_down(void **state) {
    (void)state;
    free(d);
    return 0;
}

static void see(uint64_t trace, unsigned service, uint64_t owners, uint64_t begun_us,
                uint64_t ended_us) {
    struct dependency_request r = { .trace = trace,
                                    .begun_us = trace * 1000000 + begun_us,
                                    .ended_us = trace * 1000000 + ended_us,
                                    .owners = owners,
                                    .service = (uint16_t)service,
                                    .reached = true };
    dependencies_observe(d, &r);
}

/* As `see`, of a trace of which the id is ours; `peer`: from where. */
static void see_ours(uint64_t trace, unsigned service, uint64_t peer, uint64_t begun_us) {
    struct dependency_request r = { .trace = trace,
                                    .begun_us = trace * 1000000 + begun_us,
                                    .ended_us = trace * 1000000 + 1000,
                                    .peer = peer,
                                    .service = (uint16_t)service,
                                    .reached = true,
                                    .begun = begun_us == 0 };
    dependencies_observe(d, &r);
}

static double ratio(unsigned caller, unsigned called) {
    dependencies_settle(d, SETTLED_US);
    return dependencies_ratio(d, caller, called).likely;
}

static void each_trace_says_how_often(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 400; i++) { /* one page in two asks three times */
        see(i, FRONT, VISITOR, 0, 1000);
        for (uint64_t k = 0; i % 2 == 0 && k < 3; k++) {
            see(i, BACK, AT(FRONT), 100 + 100 * k, 190 + 100 * k);
        }
    }
    assert_true(ratio(FRONT, BACK) == 1.5);
    struct dependency_ratio r = dependencies_ratio(d, FRONT, BACK);
    assert_true(r.proven && r.by_trace && r.requests == 400);
    /* 1.64 standard errors of 400 draws of 0 or 3 */
    assert_true(fabs(r.high - 1.5 - 1.64 * 1.5 / 20) < 0.01 && r.low < 1.5);
    assert_true(isnan(ratio(BACK, FRONT)) && isnan(ratio(FRONT, OTHER)));
}

static void a_visitor_cannot_make_a_call(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 400; i++) {
        see(i, FRONT, VISITOR, 0, 1000);
        see(i, BACK, VISITOR, 100, 200);   /* the same trace id, from outside */
        see(i, BACK, AT(OTHER), 300, 400); /* from an instance that has nothing of this trace */
        see(i, MIDDLE, AT(FRONT), 100, 200);
    }
    assert_true(isnan(ratio(FRONT, BACK)));
    assert_true(ratio(FRONT, MIDDLE) == 1);
}

/* Whom we gave the trace knows it, behind whichever address it is; the visitor may have been told.
 */
static void a_trace_of_ours_says_it_from_anywhere(void **state) {
    (void)state;
    const uint64_t visitor = 1, gateway = 2;
    for (uint64_t i = 1; i <= 400; i++) {
        see_ours(i, FRONT, visitor, 0);
        see_ours(i, BACK, gateway, 100);
        see_ours(i, OTHER, visitor, 200);
    }
    for (uint64_t i = 401; i <= 800; i++) { /* the visitor's trace: the same from outside */
        see_ours(i, MIDDLE, visitor, 1);
        see_ours(i, BACK, gateway, 100);
    }
    assert_true(ratio(FRONT, BACK) == 1);
    assert_true(dependencies_ratio(d, FRONT, BACK).by_trace);
    assert_true(isnan(ratio(FRONT, OTHER)) && isnan(ratio(BACK, OTHER)));
    assert_true(isnan(ratio(MIDDLE, BACK)));
}

/* One id, again and again: it weighs nothing. */
static void a_trace_without_end_is_not_counted(void **state) {
    (void)state;
    for (uint64_t i = 0; i < DEPENDENCY_TRACE_MOST + 1; i++) {
        see(7, FRONT, VISITOR, i * 10, 100000);
    }
    for (uint64_t i = 100; i < 200; i++) {
        see(i, FRONT, VISITOR, 0, 1000);
        see(i, BACK, AT(FRONT), 1, 2);
    }
    assert_true(ratio(FRONT, BACK) == 1);
    assert_true(dependencies_ratio(d, FRONT, BACK).requests == 100);
}

static void calls_nest_on_one_host(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 100; i++) {
        see(i, FRONT, ONE_HOST, 0, 1000);
        see(i, MIDDLE, ONE_HOST, 100, 900);
        see(i, BACK, ONE_HOST, 200, 300);
        see(i, BACK, ONE_HOST, 400, 500);
    }
    assert_true(ratio(FRONT, MIDDLE) == 1);
    assert_true(ratio(MIDDLE, BACK) == 2);
    assert_true(isnan(ratio(FRONT, BACK)));
}

static void one_after_the_other_has_one_caller(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 100; i++) {
        see(i, FRONT, ONE_HOST, 0, 1000);
        see(i, MIDDLE, ONE_HOST, 100, 200);
        see(i, BACK, ONE_HOST, 300, 400);
        see(i, OTHER, ONE_HOST, 2000, 3000); /* the next click of the same visit */
    }
    assert_true(ratio(FRONT, MIDDLE) == 1 && ratio(FRONT, BACK) == 1);
    assert_true(isnan(ratio(MIDDLE, BACK)));
    for (unsigned i = FRONT; i < OTHER; i++) {
        assert_true(isnan(ratio(i, OTHER)));
    }
}

/* Two calls at a time: the one that is slower sees the other begin, at times. */
static void calls_side_by_side_have_one_caller(void **state) {
    (void)state;
    struct rand rand;
    rand_init(&rand, 3);
    for (uint64_t i = 1; i <= 1000; i++) {
        uint64_t first = rand_below(&rand, 100), second = rand_below(&rand, 100);
        see(i, FRONT, ONE_HOST, 0, 1000);
        see(i, MIDDLE, ONE_HOST, 10 + first, 12 + first + rand_below(&rand, 100));
        see(i, BACK, ONE_HOST, 10 + second, 12 + second + rand_below(&rand, 100));
    }
    assert_true(ratio(FRONT, MIDDLE) > 0.97 && ratio(FRONT, BACK) > 0.97);
    assert_false(dependencies_ratio(d, MIDDLE, BACK).likely > 0.05);
    uint64_t configured[DEPENDENCY_SERVICES_MAX] = { 0 }, used[DEPENDENCY_SERVICES_MAX] = { 0 };
    dependencies_select(d, configured, used);
    assert_true(used[FRONT] == (AT(MIDDLE) | AT(BACK)));
}

static void without_traces_the_address_says_it(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 300; i++) {
        see(3 * i, FRONT, VISITOR, 0, 1000);
        see(3 * i + 1, BACK, AT(FRONT), 100, 200); /* a trace of its own */
        see(3 * i + 2, BACK, ONE_HOST, 100, 200);  /* anybody's */
    }
    assert_true(ratio(FRONT, BACK) == 1);
    struct dependency_ratio r = dependencies_ratio(d, FRONT, BACK);
    assert_true(r.proven && !r.by_trace);
}

static void little_is_not_proven(void **state) {
    (void)state;
    for (uint64_t i = 1; i < DEPENDENCY_REQUESTS_LEAST; i++) {
        see(i, FRONT, VISITOR, 0, 1000);
        see(i, BACK, AT(FRONT), 100, 200);
    }
    assert_true(ratio(FRONT, BACK) == 1);
    assert_false(dependencies_ratio(d, FRONT, BACK).proven);
    see(1000, FRONT, VISITOR, 0, 1000);
    see(1000, BACK, AT(FRONT), 100, 200);
    assert_true(ratio(FRONT, BACK) == 1);
    assert_true(dependencies_ratio(d, FRONT, BACK).proven);
    for (uint64_t i = 2000; i < 20000; i++) { /* 50 calls in 18,000 requests: not worth a plan */
        see(i, FRONT, VISITOR, 0, 1000);
        if (i % 1000 == 0) {
            dependencies_settle(d, SETTLED_US);
        }
    }
    assert_true(ratio(FRONT, BACK) < 0.01);
    assert_false(dependencies_ratio(d, FRONT, BACK).proven);
}

static void a_trace_is_counted_when_it_is_quiet(void **state) {
    (void)state;
    see(0, BACK, AT(FRONT), 1000, 2000); /* its caller is not over yet */
    dependencies_settle(d, 1000000);
    see(0, FRONT, VISITOR, 0, 2500000);
    assert_true(isnan(dependencies_ratio(d, FRONT, BACK).likely));
    dependencies_settle(d, 2500000 + 4999999);
    assert_true(isnan(dependencies_ratio(d, FRONT, BACK).likely));
    dependencies_settle(d, 2500000 + 5000000);
    assert_true(dependencies_ratio(d, FRONT, BACK).likely == 1);
    see(0, FRONT, VISITOR, 0, 2500000);
    dependencies_lost(d); /* whatever waits may be a part only */
    dependencies_settle(d, SETTLED_US);
    assert_true(dependencies_ratio(d, FRONT, BACK).requests == 1);
}

static void the_last_requests_count_and_memory_is_bounded(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 200000; i++) {
        see(i, FRONT, VISITOR, 0, 1000);
        if (i > 100000) { /* a new version calls */
            see(i, BACK, AT(FRONT), 100, 200);
        }
        if (i % 5000 == 0) {
            dependencies_settle(d, SETTLED_US);
        }
    }
    assert_true(ratio(FRONT, BACK) > 0.98);
    for (uint64_t i = 0; i < 3 * DEPENDENCY_PENDING_MAX; i++) { /* nobody settles */
        see(i, FRONT, VISITOR, 0, 1000);
        assert_true(d->pending_count <= DEPENDENCY_PENDING_MAX);
    }
    dependencies_forget(d, BACK);
    assert_true(isnan(dependencies_ratio(d, FRONT, BACK).likely));
}

static void call(uint64_t *trace, unsigned caller, unsigned called, unsigned times) {
    for (unsigned i = 0; i < times; i++) {
        see(++*trace, caller, VISITOR, 0, 1000);
        see(*trace, called, AT(caller), 100, 200);
    }
    dependencies_settle(d, SETTLED_US);
}

static void a_cycle_is_cut_where_least_is_called(void **state) {
    (void)state;
    uint64_t configured[DEPENDENCY_SERVICES_MAX] = { 0 }, used[DEPENDENCY_SERVICES_MAX] = { 0 };
    uint64_t trace = 0;
    call(&trace, FRONT, MIDDLE, 300);
    call(&trace, MIDDLE, BACK, 200);
    call(&trace, BACK, FRONT, 100);
    dependencies_select(d, configured, used);
    assert_true(used[FRONT] == AT(MIDDLE) && used[MIDDLE] == AT(BACK) && used[BACK] == 0);
    call(&trace, BACK, FRONT, 1000); /* what is planned by stays */
    dependencies_select(d, configured, used);
    assert_true(used[FRONT] == AT(MIDDLE) && used[MIDDLE] == AT(BACK) && used[BACK] == 0);
    configured[BACK] = AT(FRONT); /* and gives way to what a person says */
    dependencies_select(d, configured, used);
    assert_true(used[BACK] == 0 && (used[FRONT] == 0) != (used[MIDDLE] == 0));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_trace_says_how_often),
        TEST(a_visitor_cannot_make_a_call),
        TEST(a_trace_of_ours_says_it_from_anywhere),
        TEST(a_trace_without_end_is_not_counted),
        TEST(calls_nest_on_one_host),
        TEST(one_after_the_other_has_one_caller),
        TEST(calls_side_by_side_have_one_caller),
        TEST(without_traces_the_address_says_it),
        TEST(little_is_not_proven),
        TEST(a_trace_is_counted_when_it_is_quiet),
        TEST(the_last_requests_count_and_memory_is_bounded),
        TEST(a_cycle_is_cut_where_least_is_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
