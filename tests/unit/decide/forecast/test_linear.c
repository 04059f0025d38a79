#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/linear.h"

#define SEASON 24

/* Members without a history: only what they forecast counts. */
struct bench {
    struct members members;
    struct history history;
    struct linear line;
    double forecasts[MEMBERS_MAX];
    struct linear_features features;
};

static void set_up(struct bench *b) {
    static const uint32_t season = SEASON;
    members_init(&b->members, &season, 1);
    assert_true(history_init(&b->history, 100));
    linear_init(&b->line, 1000, 50);
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        b->forecasts[i] = 100;
    }
}

static double correct(struct bench *b, int64_t slot, double base) {
    linear_fill(&(struct linear_input){ .members = &b->members,
                                        .history = &b->history,
                                        .forecasts = b->forecasts,
                                        .base = base,
                                        .level = 100,
                                        .slot = slot,
                                        .ahead = 1 },
                &b->features);
    return linear_correct(&b->line, &b->features, base);
}

static void observe(struct bench *b, int64_t slot, double base, double value) {
    correct(b, slot, base);
    linear_observe(&b->line, &b->features, base, value);
    linear_solve(&b->line);
}

static void nothing_is_said_before_enough_is_seen(void **state) {
    (void)state;
    struct bench b;
    set_up(&b);
    for (int i = 0; i < 49; i++) {
        assert_true(isnan(correct(&b, i, 100)));
        observe(&b, i, 100, 120);
    }
    for (int i = 49; i < 60; i++) {
        observe(&b, i, 100, 120);
    }
    assert_true(correct(&b, 60, 100) > 100);
    history_fini(&b.history);
}

/* What no weights above zero can do: the truth lies where one member is not, beyond the mean. */
static void one_member_is_subtracted(void **state) {
    (void)state;
    struct bench b;
    struct rand r;
    double error = 0, error_of_mean = 0;
    rand_init(&r, 1);
    set_up(&b);
    for (int64_t i = 0; i < 3000; i++) {
        double off = 30 * rand_unit(&r) - 15;
        b.forecasts[3] = 100 + off;
        if (i >= 2000) {
            error += fabs(correct(&b, i, 100) - (100 - off));
            error_of_mean += fabs(off);
        }
        observe(&b, i, 100, 100 - off);
    }
    assert_true(error < 0.4 * error_of_mean);
    history_fini(&b.history);
}

static void where_nothing_is_missed_nothing_changes(void **state) {
    (void)state;
    struct bench b;
    struct rand r;
    rand_init(&r, 2);
    set_up(&b);
    for (int64_t i = 0; i < 2000; i++) {
        for (size_t m = 0; m < b.members.count; m++) {
            b.forecasts[m] = 100 + 20 * rand_normal(&r);
        }
        observe(&b, i, 100, 100 + 5 * rand_normal(&r));
        assert_true(i < 1000 || fabs(correct(&b, i + 1, 100) - 100) < 10);
    }
    history_fini(&b.history);
}

/* One value in fifty is a thousand times too large: bursts must not turn the line over. */
static void bursts_count_little(void **state) {
    (void)state;
    struct bench b;
    set_up(&b);
    for (int64_t i = 0; i < 3000; i++) {
        observe(&b, i, 100, i % 50 == 7 ? 1e5 : 110);
    }
    double said = correct(&b, 3000, 100);
    assert_true(said > 104 && said < 120);
    history_fini(&b.history);
}

/* Whatever comes, zero or huge or unknown, the answer is a number and not negative. */
static void any_input_gives_a_number(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bench b;
        struct rand r;
        rand_init(&r, seed);
        set_up(&b);
        for (int64_t i = 0; i < 300; i++) {
            for (size_t m = 0; m < b.members.count; m++) {
                double huge = exp(30 * rand_unit(&r) - 10);
                b.forecasts[m] = rand_below(&r, 5) == 0 ? (double)NAN : huge;
            }
            double base = rand_below(&r, 4) == 0 ? 0 : exp(20 * rand_unit(&r) - 5);
            double said = correct(&b, i, base);
            assert_true(isnan(said) ? !b.line.solved : said >= 0 && isfinite(said));
            observe(&b, i, base, rand_below(&r, 3) == 0 ? 0 : exp(30 * rand_unit(&r) - 10));
            history_append(&b.history, b.forecasts[0]);
        }
        history_fini(&b.history);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_before_enough_is_seen),
        cmocka_unit_test(one_member_is_subtracted),
        cmocka_unit_test(where_nothing_is_missed_nothing_changes),
        cmocka_unit_test(bursts_count_little),
        cmocka_unit_test(any_input_gives_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
