/* When a volume will be full, and how large it should be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "decide/autoscale/storage.h"

#define GIB (1024.0 * 1024 * 1024)
#define START_MS 1699999200000LL

static const struct storage_policy policy = { .full_at_ratio = 0.9,
                                              .lead_ms = 3 * MS_PER_DAY,
                                              .horizon_ms = 30 * MS_PER_DAY };
static struct storage *s;

static int set_up(void **state) {
    (void)state;
    s = malloc(sizeof *s);
    storage_init(s);
    return s == NULL;
}

static int tear_down(void **state) {
    (void)state;
    free(s);
    return 0;
}

static void see(int64_t at_ms, double used_gib, double size_gib) {
    const struct storage_sample sample = { START_MS + at_ms, used_gib * GIB, size_gib * GIB, NAN };
    storage_observe(s, &sample);
}

static struct storage_outlook judge(void) {
    return storage_judge(s, &policy);
}

/* Days of growth with noise and a nightly backup that comes and goes. */
static void grow(int days, double from_gib, double gib_a_day, double noise_gib, uint64_t seed) {
    struct rand rand;
    rand_init(&rand, seed);
    for (int64_t t = 0; t < days * MS_PER_DAY; t += 5 * MS_PER_MINUTE) {
        bool backup = t % MS_PER_DAY / MS_PER_HOUR < 2;
        see(t,
            from_gib + gib_a_day * (double)t / MS_PER_DAY + noise_gib * rand_normal(&rand) +
                5 * backup,
            100);
    }
}

static void growth_of_days_is_seen_through_noise(void **state) {
    (void)state;
    unsigned covered = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        storage_init(s);
        grow(10, 40, 1, 0.3, seed);
        struct storage_outlook o = judge(); /* 50 of 100, full at 90: 40 days */
        double days = o.full_in_ms / MS_PER_DAY;
        if (!(days > 36 && days < 44)) {
            fail_msg("%g days", days);
        }
        covered += o.full_in_ms_low < 40.0 * MS_PER_DAY && o.full_in_ms_high > 40.0 * MS_PER_DAY;
        assert_true(o.full_in_ms_low > 30.0 * MS_PER_DAY && o.full_in_ms_high < 60.0 * MS_PER_DAY);
        assert_int_equal(o.state, STORAGE_FINE);
        assert_true(o.size_wanted == 100 * GIB);
    }
    if (covered < 3) { /* of 0.9 of certainty */
        fail_msg("%u of 5", covered);
    }
}

static void it_is_to_grow_a_lead_time_before(void **state) {
    (void)state;
    grow(10, 77, 1, 0.1, 1); /* 87: full in three days */
    struct storage_outlook o = judge();
    assert_int_equal(o.state, STORAGE_GROW);
    assert_true(o.changed && !judge().changed);
    /* 87 and 33 days of 1 GiB, at 90 %: 134 */
    if (!(o.size_wanted >= 133 * GIB && o.size_wanted <= 145 * GIB)) {
        fail_msg("%g GiB", o.size_wanted / GIB);
    }
    assert_false(o.limited);
    const struct storage_policy limited = { .full_at_ratio = 0.9,
                                            .lead_ms = 3 * MS_PER_DAY,
                                            .horizon_ms = 30 * MS_PER_DAY,
                                            .size_most = 110 * GIB };
    o = storage_judge(s, &limited);
    assert_true(o.size_wanted == 110 * GIB && o.limited);
    see(10 * MS_PER_DAY, 87, 140); /* it was made larger */
    o = judge();
    assert_int_equal(o.state, STORAGE_FINE);
    assert_true(o.changed && o.size_wanted == 140 * GIB);
}

static void a_log_that_explodes_is_seen_in_minutes(void **state) {
    (void)state;
    grow(10, 40, 0.1, 0.01, 1);
    int64_t begun_ms = 10 * MS_PER_DAY + 2 * MS_PER_HOUR, t = begun_ms - 2 * MS_PER_HOUR;
    for (; t < begun_ms; t += 15000) {
        see(t, 41, 100);
    }
    assert_int_equal(judge().state, STORAGE_FINE);
    while (judge().state == STORAGE_FINE && t < begun_ms + 2 * MS_PER_HOUR) {
        t += 15000;
        see(t, 41 + 6.0 * (double)(t - begun_ms) / MS_PER_HOUR, 100); /* 6 GiB an hour: 8 hours */
    }
    struct storage_outlook o = judge();
    assert_int_equal(o.state, STORAGE_GROW);
    if (!(t - begun_ms <= MS_PER_HOUR)) {
        fail_msg("after %lld s", (long long)(t - begun_ms) / 1000);
    }
    assert_true(o.full_in_ms > 6.0 * MS_PER_HOUR && o.full_in_ms < 12.0 * MS_PER_HOUR);
    assert_true(o.size_wanted >= 100 * GIB && o.size_wanted < 200 * GIB);
}

/* What comes within two minutes says nothing of next week. */
static void nothing_is_said_beyond_what_was_seen(void **state) {
    (void)state;
    for (int64_t t = 0; t <= 2 * MS_PER_MINUTE; t += 15000) {
        see(t, 50 + (double)t / MS_PER_MINUTE * 0.1, 100); /* 40 GiB are left: 400 minutes */
    }
    struct storage_outlook o = judge();
    assert_true(isnan(o.full_in_ms));
    assert_true(o.growth > 0 && o.growth_low > 0);
    assert_int_equal(o.state, STORAGE_FINE);
}

static void what_does_not_grow_never_fills(void **state) {
    (void)state;
    struct rand rand;
    unsigned alarms = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        rand_init(&rand, seed);
        storage_init(s);
        for (int64_t t = 0; t < MS_PER_DAY; t += 15000) {
            see(t, 85 + 0.2 * rand_normal(&rand), 100);
            alarms += t > 2 * MS_PER_MINUTE && t % (2 * MS_PER_HOUR) == 0 &&
                      judge().state == STORAGE_GROW;
        }
    }
    if (alarms > 40 * 11 / 20) { /* of 440 looks, each of which is wrong with 0.05 */
        fail_msg("%u alarms", alarms);
    }
}

/* What wanders is no growth: nobody is to be called for it, be it near to full. */
static unsigned claims(double alike) {
    unsigned count = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rand rand;
        double level = 0;
        rand_init(&rand, seed);
        storage_init(s);
        for (int64_t t = 0; t < MS_PER_HOUR; t += 15000) {
            level = alike * level + sqrt(1 - alike * alike) * rand_normal(&rand);
            see(t, 89 + 0.2 * level, 100);
        }
        count += isfinite(judge().full_in_ms);
    }
    return count;
}

static void what_wanders_does_not_grow(void **state) {
    (void)state;
    unsigned noise = claims(0), slow = claims(0.8);
    if (noise > 32 || slow > 32) { /* of 200, on two scales, each of which is wrong with 0.05 */
        fail_msg("%u and %u", noise, slow);
    }
}

static void full_is_full(void **state) {
    (void)state;
    see(0, 90, 100);
    assert_int_equal(judge().state, STORAGE_FULL);
    see(10000, 89, 100);
    assert_int_equal(judge().state, STORAGE_FINE);
    const struct storage_sample files = { START_MS + 20000, 10 * GIB, 100 * GIB, 0.95 };
    storage_observe(s, &files);
    assert_int_equal(judge().state, STORAGE_FULL);
    const struct storage_sample nothing = { START_MS + 30000, 0, 0, NAN };
    storage_observe(s, &nothing);
    assert_int_equal(judge().state, STORAGE_UNKNOWN);
}

static void a_clock_that_jumps_back_is_borne(void **state) {
    (void)state;
    grow(2, 40, 1, 0.1, 1);
    see(-MS_PER_DAY, 42, 100);
    see(2 * MS_PER_DAY + MS_PER_HOUR, 42, 100);
    struct storage_outlook o = judge();
    assert_int_equal(o.state, STORAGE_FINE);
    assert_true(isfinite(o.growth));
}

static void the_past_is_kept(void **state) {
    (void)state;
    static struct storage again;
    struct storage_point point;
    grow(10, 40, 1, 0.3, 1);
    storage_init(&again);
    size_t count = 0;
    for (; storage_recall(s, count, &point); count++) {
        storage_remember(&again, point.time_ms, point.used_bytes);
        storage_remember(&again, point.time_ms, point.used_bytes); /* once only */
    }
    assert_int_equal(count, 240);
    assert_false(storage_recall(&again, count, &point));
    const struct storage_sample now = { START_MS + 10 * MS_PER_DAY, 50 * GIB, 100 * GIB, NAN };
    storage_observe(&again, &now);
    struct storage_outlook o = storage_judge(&again, &policy);
    double days = o.full_in_ms / MS_PER_DAY;
    assert_true(days > 36 && days < 44);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(growth_of_days_is_seen_through_noise),
        TEST(it_is_to_grow_a_lead_time_before),
        TEST(a_log_that_explodes_is_seen_in_minutes),
        TEST(nothing_is_said_beyond_what_was_seen),
        TEST(what_does_not_grow_never_fills),
        TEST(what_wanders_does_not_grow),
        TEST(full_is_full),
        TEST(a_clock_that_jumps_back_is_borne),
        TEST(the_past_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
