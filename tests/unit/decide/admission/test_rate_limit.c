#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rand.h"
#include "decide/admission/rate_limit.h"

#define SECOND 1000000000ull

static void a_burst_then_the_rate(void **state) {
    struct rate_limit limit = rate_limit_of(10, 20);
    uint64_t full_at = 0, now = 1000 * SECOND;
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(rate_limit_remaining(&limit, full_at, now), 20 - i);
        assert_int_equal(rate_limit_wait_ns(&limit, full_at, now), 0);
        assert_true(rate_limit_take(&limit, full_at, now, &full_at));
    }
    assert_int_equal(rate_limit_remaining(&limit, full_at, now), 0);
    assert_int_equal(rate_limit_wait_ns(&limit, full_at, now), SECOND / 10);
    assert_false(rate_limit_take(&limit, full_at, now, &full_at));
    assert_false(rate_limit_take(&limit, full_at, now + SECOND / 10 - 1, &full_at));
    assert_true(rate_limit_take(&limit, full_at, now + SECOND / 10, &full_at));
    assert_int_equal(full_at, now + 2 * SECOND + SECOND / 10);
}

static void slow_rates_and_large_bursts(void **state) {
    (void)state;
    static const struct {
        double rate_rps;
        uint32_t burst;
    } cases[] = { { 1.0 / 3600, 1 }, { 1e6, RATE_LIMIT_BURST_MAX }, { 1000.0 / 3600, 1000 } };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rate_limit limit = rate_limit_of(cases[i].rate_rps, cases[i].burst);
        uint64_t full_at = 0, passed = 0;
        while (rate_limit_take(&limit, full_at, 5 * SECOND, &full_at)) {
            passed++;
        }
        assert_int_equal(passed, cases[i].burst);
    }
}

/* The dumb twin: a bucket with a number of tokens in it. */
static void the_same_as_a_bucket_of_tokens(void **state) {
    struct rand rand;
    (void)state;
    rand_init(&rand, 33);
    for (unsigned round = 0; round < 200; round++) {
        uint32_t burst = 1 + rand_below(&rand, 50);
        struct rate_limit limit = rate_limit_of(1 + rand_below(&rand, 1000), burst);
        uint64_t full_at = 0, now = SECOND, then = now;
        uint64_t tokens_ns = limit.span_ns; /* each is an interval long: whole numbers */
        for (unsigned i = 0; i < 500; i++) {
            now += rand_below(&rand, (uint32_t)(2 * limit.interval_ns));
            tokens_ns += now - then;
            tokens_ns = tokens_ns < limit.span_ns ? tokens_ns : limit.span_ns;
            then = now;
            bool expected = tokens_ns >= limit.interval_ns;
            assert_int_equal(rate_limit_remaining(&limit, full_at, now),
                             tokens_ns / limit.interval_ns);
            assert_int_equal(rate_limit_take(&limit, full_at, now, &full_at), expected);
            tokens_ns -= expected ? limit.interval_ns : 0;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_then_the_rate),
        cmocka_unit_test(slow_rates_and_large_bursts),
        cmocka_unit_test(the_same_as_a_bucket_of_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
