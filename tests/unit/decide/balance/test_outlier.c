/* Who is an outlier among its peers, in errors and in latency; the window that it is told by. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "decide/balance/outlier.h"

#define NOW UINT64_C(1000000000)
#define BUCKET_US (UINT64_C(1) << OUTLIER_BUCKET_US_LOG2)

/* An endpoint's second, as the workers write it. */
struct second {
    struct outlier_bucket buckets[OUTLIER_BUCKETS];
};

static void add(struct second *s, bool failed, uint64_t latency_us, uint64_t now_us) {
    struct outlier_bucket *b = &s->buckets[outlier_position(now_us)];
    *b = outlier_add(*b, failed, latency_us, now_us);
}

static struct outlier_window window_of(const struct second *s, uint64_t now_us) {
    struct outlier_window w = { 0 };
    for (unsigned i = 0; i < OUTLIER_BUCKETS; i++) {
        outlier_sum(&w, s->buckets[i], now_us);
    }
    return w;
}

static struct outlier_window window_with(uint32_t good, uint32_t failed, uint64_t latency_us) {
    struct second s = { 0 };
    for (uint32_t i = 0; i < good + failed; i++) {
        add(&s, i < failed, latency_us, NOW);
    }
    return window_of(&s, NOW);
}

static void a_window_is_the_last_second(void **state) {
    struct second s = { 0 };
    (void)state;
    for (unsigned i = 0; i < 80; i++) {
        add(&s, i % 10 == 0, 1000, NOW + i * BUCKET_US / 8); /* ten buckets */
    }
    struct outlier_window w = window_of(&s, NOW + 79 * BUCKET_US / 8);
    assert_in_range(w.answers, 57, 64); /* of which the first two are gone */
    assert_in_range(w.failures, 5, 7);
    assert_int_equal(window_of(&s, NOW + 100 * BUCKET_US).answers, 0);
}

static void the_mean_of_a_window_is_geometric(void **state) {
    struct second s = { 0 };
    (void)state;
    for (unsigned i = 0; i < 99; i++) {
        add(&s, false, 1000, NOW);
    }
    add(&s, false, 1000000, NOW); /* one page in a hundred takes a second */
    struct outlier_window w = window_of(&s, NOW);
    double us = outlier_latency_us(&w);
    assert_true(us > 900 && us < 1150);
    const struct outlier_window nothing = { 0 };
    assert_true(outlier_latency_us(&nothing) == 0);
}

static void a_full_bucket_stays_full(void **state) {
    struct outlier_bucket b = { 0 };
    (void)state;
    for (unsigned i = 0; i < (1u << 20) + 5; i++) {
        b = outlier_add(b, true, 1, NOW);
    }
    struct outlier_window w = { 0 };
    outlier_sum(&w, b, NOW);
    assert_int_equal(w.answers, (1u << 20) - 1);
    assert_int_equal(w.failures, (1u << 20) - 1);
}

static void finds_outliers(void **state) {
    static const struct {
        const char *name;
        uint32_t good, failed; /* of the one */
        uint64_t us;
        uint32_t peers, peers_good, peers_failed; /* each of so many peers */
        uint64_t peers_us;
        enum ejection_cause cause;
    } cases[] = {
        { "as all", 100, 1, 5000, 3, 100, 1, 5000, EJECTION_NO_CAUSE },
        { "half of its answers fail", 50, 50, 5000, 3, 100, 0, 5000, EJECTION_ERRORS },
        { "a tenth does, of its peers' none", 130, 20, 5000, 3, 100, 0, 5000, EJECTION_ERRORS },
        { "two of ten may be chance", 8, 2, 5000, 3, 100, 0, 5000, EJECTION_NO_CAUSE },
        { "its peers fail as much", 50, 50, 5000, 3, 50, 50, 5000, EJECTION_NO_CAUSE },
        { "a little more than its peers", 60, 40, 5000, 3, 70, 30, 5000, EJECTION_NO_CAUSE },
        { "no peers to compare with", 0, 100, 5000, 0, 0, 0, 0, EJECTION_NO_CAUSE },
        { "ten times as slow", 20, 0, 50000, 3, 200, 0, 5000, EJECTION_SLOW },
        { "of two there is no telling", 20, 0, 50000, 1, 200, 0, 5000, EJECTION_NO_CAUSE },
        { "twice as slow is slow, but no illness", 100, 0, 100000, 3, 100, 0, 50000,
          EJECTION_NO_CAUSE },
        { "times, but no milliseconds", 100, 0, 5000, 3, 100, 0, 500, EJECTION_NO_CAUSE },
        { "too few answers", 9, 0, 50000, 3, 200, 0, 5000, EJECTION_NO_CAUSE },
        { "faster than all others", 100, 0, 500, 3, 100, 0, 50000, EJECTION_NO_CAUSE },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outlier_window windows[4];
        double room[4];
        windows[0] = window_with(cases[i].good, cases[i].failed, cases[i].us);
        for (uint32_t k = 1; k <= cases[i].peers; k++) {
            windows[k] = window_with(cases[i].peers_good, cases[i].peers_failed, cases[i].peers_us);
        }
        struct outlier_peers peers = outlier_peers(windows, cases[i].peers + 1, room);
        struct outlier_verdict v = outlier_judge(&peers, &windows[0]);
        if (v.cause != cases[i].cause) {
            fail_msg("%s: %s", cases[i].name, ejection_cause_name(v.cause));
        }
        for (uint32_t k = 1; k <= cases[i].peers; k++) {
            assert_int_equal(outlier_judge(&peers, &windows[k]).cause, EJECTION_NO_CAUSE);
        }
    }
}

static void peers_that_differ_hide_who_is_a_little_slow(void **state) {
    static const uint64_t us[] = { 5000, 15000, 40000, 90000, 120000 };
    struct outlier_window windows[5];
    double room[5];
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        windows[i] = window_with(100, 0, us[i]);
    }
    struct outlier_peers peers = outlier_peers(windows, 5, room);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(outlier_judge(&peers, &windows[i]).cause, EJECTION_NO_CAUSE);
    }
}

static void peers_are_well_who_hardly_fail(void **state) {
    (void)state;
    struct outlier_window well = window_with(99, 1, 1000), ill = window_with(98, 2, 1000),
                          few = window_with(9, 0, 1000);
    assert_true(outlier_peers_are_well(&well));
    assert_false(outlier_peers_are_well(&ill));
    assert_false(outlier_peers_are_well(&few));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_is_the_last_second),
        cmocka_unit_test(the_mean_of_a_window_is_geometric),
        cmocka_unit_test(a_full_bucket_stays_full),
        cmocka_unit_test(finds_outliers),
        cmocka_unit_test(peers_that_differ_hide_who_is_a_little_slow),
        cmocka_unit_test(peers_are_well_who_hardly_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
