/* History and members against a plain array that is searched the slow way. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/members.h"

#define LEN 3000

static double plain[LEN];

static double plain_mean(int64_t from, int64_t to, int64_t oldest, int64_t len) {
    double sum = 0;
    int count = 0;
    for (int64_t i = from < oldest ? oldest : from; i < to && i < len; i++) {
        if (!isnan(plain[i])) {
            sum += plain[i];
            count++;
        }
    }
    return count == 0 ? NAN : sum / count;
}

static void assert_same(double a, double b) {
    assert_true((isnan(a) && isnan(b)) || fabs(a - b) < 1e-3 * fmax(1, fabs(b)));
}

/* What is set aside in the history is missing in the plain array; `recorded` remembers it. */
static double recorded[LEN];

static void set_some_aside(struct history *h, struct rand *r, int64_t oldest, int64_t len) {
    int64_t from = len - (int64_t)rand_below(r, 300), to = from + (int64_t)rand_below(r, 80);
    bool aside = rand_below(r, 2) == 0;
    history_set_aside(h, from, to, aside);
    for (int64_t i = from < oldest ? oldest : from; i < to && i < len; i++) {
        plain[i] = aside ? (double)NAN : recorded[i];
    }
}

static void history_against_its_twin(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct rand r;
        struct history h;
        rand_init(&r, seed);
        size_t keep = 50 + rand_below(&r, 200);
        assert_true(history_init(&h, &(struct history_span){ .keep = keep }));
        for (int64_t i = 0; i < LEN; i++) {
            recorded[i] = plain[i] = rand_below(&r, 5) == 0 ? NAN : 1000 * rand_unit(&r);
            history_append(&h, plain[i]);
            int64_t oldest = (int64_t)h.base;
            if (rand_below(&r, 10) == 0) {
                set_some_aside(&h, &r, oldest, i + 1);
            }
            assert_true(i + 1 - oldest >= (i + 1 < (int64_t)keep ? i + 1 : (int64_t)keep));
            int64_t at = (int64_t)rand_below(&r, LEN + 100) - 50;
            bool there = at >= oldest && at <= i;
            assert_same(history_at(&h, at), there ? plain[at] : (double)NAN);
            assert_same(history_recorded(&h, at), there ? recorded[at] : (double)NAN);
            assert_int_equal(history_is_aside(&h, at),
                             there && isnan(plain[at]) && !isnan(recorded[at]));
            int64_t to = at + rand_below(&r, 400);
            assert_same(history_mean(&h, at, to), plain_mean(at, to, oldest, i + 1));
        }
        history_fini(&h);
    }
}

static const uint32_t day_and_week[] = { 24, 168 };

static void profiles_look_only_at_what_is_known(void **state) {
    (void)state;
    struct members m;
    struct history h;
    int64_t last = 2000; /* when past forecasts are scored the history goes on: it must not show */
    members_init(&m, (const uint32_t[]){ 96, 672 }, 2);
    assert_true(history_init(&h, &(struct history_span){ .keep = LEN }));
    for (int64_t i = 0; i < LEN; i++) {
        history_append(&h, i <= last ? (double)i : 1e12);
    }
    for (uint32_t ahead = 1; ahead < 800; ahead++) {
        struct profile_values p;
        members_profiles(&m, &h, last + ahead, ahead, &p);
        for (size_t i = 0; i < m.profile_count; i++) {
            double most = m.profiles[i].kind == PROFILE_CROSS ? 1e5 : (double)last; /* a ratio */
            if (p.at[i] > most) {
                fail_msg("profile %zu, %u ahead: %g", i, ahead, p.at[i]);
            }
        }
        int64_t lag = ((int64_t)ahead + 95) / 96;
        assert_same(p.at[0],
                    (double)(last + ahead - 96 * lag)); /* yesterday, or the newest known */
    }
    history_fini(&h);
}

static void a_single_odd_season_does_not_count(void **state) {
    (void)state;
    struct members m;
    struct history h;
    struct profile_values p;
    members_init(&m, day_and_week, 1);
    assert_true(history_init(&h, &(struct history_span){ .keep = LEN }));
    for (int64_t i = 0; i < 24 * 10; i++) {
        history_append(&h, i / 24 == 8 ? 9000 : 100);
    }
    members_profiles(&m, &h, 24 * 10, 1, &p);
    assert_true(p.at[1] == 100 && p.at[2] == 100); /* the middle of four, of eight */
    history_fini(&h);
}

/* Twice the demand since four days: the weekly profile alone says 1, the levels say 2. */
static void levels_follow_a_shift(void **state) {
    (void)state;
    struct members m;
    struct history h;
    struct origin origin;
    struct profile_values p;
    double said[MEMBERS_MAX];
    members_init(&m, day_and_week, 2);
    assert_true(history_init(&h, &(struct history_span){ .keep = LEN }));
    int64_t len = 168 * 6;
    for (int64_t i = 0; i < len; i++) {
        double value = (50 + (double)(i % 168)) * (i >= len - 96 ? 2 : 1);
        members_observe(&m, &h, i, value, &origin);
        history_append(&h, value);
    }
    for (uint32_t ahead = 1; ahead <= 24; ahead += 23) {
        members_profiles(&m, &h, len + ahead - 1, ahead, &p);
        members_predict(&m, &p, &origin, members_fade(&m, ahead), said);
        double before = 50 + (double)((len + ahead - 1) % 168);
        size_t week = members_naive(&m, 1);
        assert_same(said[week], before);
        for (size_t level = 1; level < MEMBERS_LEVELS; level++) {
            double shift = said[week + level] / before;
            if (shift < 1.75 || shift > 2.05) {
                fail_msg("level %zu, %u ahead: %g", level, ahead, shift);
            }
        }
    }
    assert_true(fabs(said[m.count - 2] - 2 * (50 + (double)((len - 1) % 168))) < 20);
    history_fini(&h);
}

static void cross_is_shape_times_weekday(void **state) {
    (void)state;
    struct members m;
    struct history h;
    struct profile_values p;
    members_init(&m, day_and_week, 2);
    assert_true(history_init(&h, &(struct history_span){ .keep = LEN }));
    int64_t len = 168 * 3; /* ends before a Monday */
    for (int64_t i = 0; i < len + 24; i++) {
        double value = (100 + 10 * (double)(i % 24)) * (i / 24 % 7 == 0 ? 3 : 1);
        if (i < len) {
            history_append(&h, value);
            continue;
        }
        members_profiles(&m, &h, i, (uint32_t)(i - len) + 1, &p);
        double cross = p.at[m.profile_count - 1];
        if (i - len >= 11 && i - len <= 12) { /* around noon the whole Monday is in the window */
            assert_true(fabs(cross - value) < 0.1 * value);
        }
    }
    history_fini(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_against_its_twin),
        cmocka_unit_test(profiles_look_only_at_what_is_known),
        cmocka_unit_test(a_single_odd_season_does_not_count),
        cmocka_unit_test(levels_follow_a_shift),
        cmocka_unit_test(cross_is_shape_times_weekday),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
