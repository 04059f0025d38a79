#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/history.h"

#define DAY 1440
#define LEN (40 * DAY)
#define KEEP (35 * DAY)
#define FINE (10 * DAY)
#define EXACT 61
#define LIKE_FLOAT 1e-6

static double value_of[LEN];
static bool aside_of[LEN];
static struct history h;

static void assert_near(double found, double wanted, double share) {
    if (!(fabs(found - wanted) <= share * fabs(wanted))) {
        fail_msg("expected %.9g within %.2g, found %.9g", wanted, share, found);
    }
}

/* A day that doubles, gaps, and nights without any demand on some days. */
static void fill(size_t len) {
    struct rand r;
    rand_init(&r, 5);
    assert_true(history_init(&h, &(struct history_span){ KEEP, FINE, EXACT, DAY }));
    for (size_t i = 0; i < len; i++) {
        double of_day = 1.5 - 0.5 * cos(2 * M_PI * (double)(i % DAY) / DAY);
        bool quiet = i / DAY % 5 == 2 && i % DAY < 200;
        value_of[i] = quiet ? 0 : 1000 * of_day * (1 + 0.02 * rand_normal(&r));
        value_of[i] = rand_below(&r, 50) == 0 ? NAN : value_of[i];
        aside_of[i] = false;
        history_append(&h, value_of[i]);
    }
}

static void set_aside(int64_t from, int64_t to, bool aside) {
    history_set_aside(&h, from, to, aside);
    for (int64_t i = from; i < to; i++) {
        aside_of[i] = aside;
    }
}

static double mean_of(int64_t from, int64_t to) {
    double sum = 0;
    int count = 0;
    for (int64_t i = from; i < to; i++) {
        if (!isnan(value_of[i]) && !aside_of[i]) {
            sum += value_of[i];
            count++;
        }
    }
    return count == 0 ? NAN : sum / count;
}

static void check_slot(int64_t slot, double share) {
    double found = history_recorded(&h, slot);
    assert_true(isnan(found) == isnan(value_of[slot]));
    if (!isnan(found)) {
        assert_near(found, value_of[slot], share);
        assert_true(history_is_aside(&h, slot) == aside_of[slot]);
        assert_true(isnan(history_at(&h, slot)) == aside_of[slot]);
    }
}

static void the_newest_come_back_as_they_were(void **state) {
    (void)state;
    fill(LEN);
    for (int64_t slot = LEN - EXACT; slot < LEN; slot++) {
        check_slot(slot, LIKE_FLOAT);
    }
    assert_true(isnan(history_at(&h, LEN)) && isnan(history_at(&h, -1)));
    history_fini(&h);
}

/* Each within half a percent, all of them far nearer, and none of them lost. */
static void single_slots_are_kept_for_some_seasons(void **state) {
    (void)state;
    double off = 0;
    int count = 0;
    fill(LEN);
    for (int64_t slot = LEN - FINE; slot < LEN; slot++) {
        check_slot(slot, 0.005);
        if (value_of[slot] > 0) {
            off += fabs(history_at(&h, slot) / value_of[slot] - 1);
            count++;
        }
    }
    assert_true(off / count < 0.001);
    history_fini(&h);
}

static void what_is_older_are_means_of_a_few_slots(void **state) {
    (void)state;
    fill(LEN);
    for (int64_t slot = LEN - KEEP; slot < LEN - FINE - 1000; slot++) {
        int64_t cell = slot - slot % 4;
        double wanted = mean_of(cell, cell + 4), found = history_at(&h, slot);
        assert_true(isnan(wanted) == isnan(found));
        if (!isnan(found)) {
            assert_near(found, wanted, 0.005);
        }
    }
    assert_true(isnan(history_at(&h, 0)));
    history_fini(&h);
}

static void means_of_any_stretch_agree_with_the_slots(void **state) {
    (void)state;
    struct rand r;
    fill(LEN);
    rand_init(&r, 9);
    set_aside(LEN - 700, LEN - 500, true);
    set_aside(LEN - 5, LEN - 2, true);
    for (int i = 0; i < 20000; i++) {
        int64_t from = LEN - FINE + (int64_t)rand_below(&r, FINE - 1);
        int64_t most = LEN - from < 2 * DAY || i % 3 == 0 ? LEN - from : 60;
        int64_t to = from + 1 + (int64_t)rand_below(&r, (uint64_t)most);
        double wanted = mean_of(from, to), found = history_mean(&h, from, to);
        assert_true(isnan(wanted) == isnan(found));
        if (!isnan(found)) {
            assert_near(found, wanted, 0.005);
        }
    }
    /* Over all three: a missing slot of a mean of four weighs a little. */
    assert_near(history_mean(&h, LEN - KEEP, LEN), mean_of(LEN - KEEP, LEN), 0.005);
    history_fini(&h);
}

static void what_is_set_aside_can_be_put_back(void **state) {
    (void)state;
    fill(LEN);
    int64_t from = LEN - 3 * DAY - 77, to = LEN - 3 * DAY + 55;
    set_aside(from, to, true);
    for (int64_t slot = from - 100; slot < to + 100; slot++) {
        check_slot(slot, 0.005);
    }
    assert_true(isnan(history_mean(&h, from, to)));
    assert_near(history_mean(&h, from - 500, to + 500), mean_of(from - 500, to + 500), 0.005);
    set_aside(from, to, false);
    assert_near(history_mean(&h, from, to), mean_of(from, to), 0.005);
    history_fini(&h);
}

/* Also after it has become older than what is kept slot by slot. */
static void what_is_set_aside_stays_so_when_it_is_old(void **state) {
    (void)state;
    fill(20 * DAY);
    set_aside(19 * DAY + 40, 19 * DAY + 80, true);
    for (int64_t i = 20 * DAY; i < 35 * DAY; i++) {
        history_append(&h, 1000);
    }
    assert_true(history_is_aside(&h, 19 * DAY + 60));
    assert_true(isnan(history_at(&h, 19 * DAY + 60)));
    assert_near(history_recorded(&h, 19 * DAY + 60), mean_of(19 * DAY, 19 * DAY + 40), 0.2);
    assert_false(history_is_aside(&h, 19 * DAY + 100));
    history_fini(&h);
}

static void a_new_level_is_brought_to_all_that_was_before(void **state) {
    (void)state;
    fill(LEN);
    int64_t before = LEN - 2 * DAY - 33;
    history_scale(&h, before, 1.5);
    for (int64_t i = 0; i < before; i++) {
        value_of[i] *= 1.5;
    }
    for (int64_t slot = LEN - FINE; slot < LEN; slot++) {
        check_slot(slot, 0.01);
    }
    int64_t from = LEN - 20 * DAY;
    assert_near(history_mean(&h, from, from + DAY), mean_of(from, from + DAY), 0.005);
    assert_near(history_mean(&h, before - 200, before + 200), mean_of(before - 200, before + 200),
                0.005);
    history_fini(&h);
}

/* One wild value does not take the digits of those beside it. */
static void a_burst_leaves_its_neighbours_legible(void **state) {
    (void)state;
    fill(5 * DAY);
    for (int i = 0; i < 1000; i++) {
        history_append(&h, i == 500 ? 1e6 : 10 + i % 3);
    }
    for (int64_t i = 400; i < 600; i++) {
        double wanted = i == 500 ? 1e6 : (double)(10 + i % 3);
        assert_near(history_at(&h, 5 * DAY + i), wanted, 0.025);
    }
    history_fini(&h);
}

static void a_short_history_is_all_floats(void **state) {
    (void)state;
    assert_true(history_init(&h, &(struct history_span){ 840, 240, 2, 24 }));
    for (int i = 0; i < 5000; i++) {
        history_append(&h, 1 + i * 0.001);
    }
    for (int i = 5000 - 840; i < 5000; i++) {
        assert_true(history_at(&h, i) == (double)(float)(1 + i * 0.001));
    }
    history_fini(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_come_back_as_they_were),
        cmocka_unit_test(single_slots_are_kept_for_some_seasons),
        cmocka_unit_test(what_is_older_are_means_of_a_few_slots),
        cmocka_unit_test(means_of_any_stretch_agree_with_the_slots),
        cmocka_unit_test(what_is_set_aside_can_be_put_back),
        cmocka_unit_test(what_is_set_aside_stays_so_when_it_is_old),
        cmocka_unit_test(a_new_level_is_brought_to_all_that_was_before),
        cmocka_unit_test(a_burst_leaves_its_neighbours_legible),
        cmocka_unit_test(a_short_history_is_all_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
