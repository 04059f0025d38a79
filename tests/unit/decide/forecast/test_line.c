#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decide/forecast/line.h"

/* Numbers in -1 to 1 that are the same each time. */
static float noise(uint32_t i) {
    uint32_t x = i * 0x9e3779b9U;
    x = (x ^ x >> 16) * 0x7feb352dU;
    x = (x ^ x >> 15) * 0x846ca68bU;
    return (float)((double)(x ^ x >> 16) / UINT32_MAX * 2 - 1);
}

static void fill_noise(float *inputs, uint32_t sample) {
    inputs[0] = 0.3F;
    for (uint32_t i = 1; i < LINE_INPUTS; i++) {
        inputs[i] = 0.3F * noise(sample * 64 + i);
    }
}

static void nothing_learned_corrects_nothing(void **state) {
    (void)state;
    struct line l;
    float inputs[LINE_INPUTS];
    line_init(&l, 1000);
    line_solve(&l);
    fill_noise(inputs, 1);
    assert_true(line_correct(&l, inputs, 100, 80) == 80);
}

static void what_is_always_missed_is_added(void **state) {
    (void)state;
    struct line l;
    float inputs[LINE_INPUTS];
    line_init(&l, 1000);
    for (uint32_t i = 0; i < 500; i++) {
        fill_noise(inputs, i);
        line_learn(&l, inputs, 100, 80, 100);
        line_solve(&l);
    }
    assert_true(fabs(line_correct(&l, inputs, 100, 80) - 100) < 2);
    /* … in proportion to the level. */
    assert_true(fabs(line_correct(&l, inputs, 1000, 800) - 1000) < 20);
}

/* What came is the base and half of what input 5 said beyond it, minus a fifth of input 7. */
static double came(const float *inputs, double level, double base) {
    return base + (base + 0.1 * level) * (0.5 * (double)inputs[5] - 0.2 * (double)inputs[7]);
}

static void learn_inputs(struct line *l, uint32_t odd_every, double odd_value) {
    float inputs[LINE_INPUTS];
    line_init(l, 2000);
    for (uint32_t i = 0; i < 2000; i++) {
        fill_noise(inputs, i);
        bool odd = odd_every > 0 && i % odd_every == 0;
        line_learn(l, inputs, 100, 100, odd ? odd_value : came(inputs, 100, 100));
        if (i % 20 == 0) {
            line_solve(l);
        }
    }
}

static double worst_error(const struct line *l) {
    double worst = 0;
    float inputs[LINE_INPUTS];
    for (uint32_t i = 5000; i < 5100; i++) {
        fill_noise(inputs, i);
        worst = fmax(worst, fabs(line_correct(l, inputs, 100, 100) - came(inputs, 100, 100)));
    }
    return worst;
}

static void the_right_inputs_are_found(void **state) {
    (void)state;
    struct line l;
    learn_inputs(&l, 0, 0);
    assert_true(worst_error(&l) < 2);
}

static void days_that_nobody_foresaw_count_little(void **state) {
    (void)state;
    struct line l;
    learn_inputs(&l, 10, 1500); /* squares would put the level 30 too high */
    assert_true(worst_error(&l) < 5);
}

static void the_same_input_twice_does_no_harm(void **state) {
    (void)state;
    struct line l;
    float inputs[LINE_INPUTS];
    line_init(&l, 1e6);
    for (uint32_t i = 0; i < 20000; i++) {
        fill_noise(inputs, i);
        for (size_t k = 8; k < LINE_INPUTS; k++) {
            inputs[k] = inputs[5];
        }
        line_learn(&l, inputs, 100, 100, came(inputs, 100, 100));
        if (i % 100 == 0) {
            line_solve(&l);
        }
    }
    line_solve(&l);
    for (size_t k = 0; k < LINE_INPUTS; k++) {
        assert_true(fabsf(l.coefficients[k]) < 1);
    }
    assert_true(fabs(line_correct(&l, inputs, 100, 100) - came(inputs, 100, 100)) < 2);
}

static void a_correction_has_bounds(void **state) {
    (void)state;
    struct line l;
    float inputs[LINE_INPUTS];
    learn_inputs(&l, 0, 0);
    for (size_t i = 0; i < LINE_INPUTS; i++) {
        inputs[i] = 1e6F;
    }
    double most = line_correct(&l, inputs, 100, 100);
    assert_true(most >= 0 && most <= 210.001);
}

static void a_change_of_habits_is_learned_again(void **state) {
    (void)state;
    struct line l;
    float inputs[LINE_INPUTS];
    line_init(&l, 200);
    for (uint32_t i = 0; i < 2000; i++) {
        fill_noise(inputs, i);
        line_learn(&l, inputs, 100, 100, i < 1000 ? 130 : 80);
        line_solve(&l);
    }
    assert_true(fabs(line_correct(&l, inputs, 100, 100) - 80) < 2);
}

/* Days of 24 steps, of which the last has `last_level` times as much. */
struct week {
    struct history history;
    struct members members;
    struct origin origin;
    struct profile_values profiles;
};

static void week_init(struct week *w, int64_t days, double slope, double last_level) {
    uint32_t seasons[] = { 24, 168 };
    assert_true(history_init(&w->history, &(struct history_span){ .keep = 4096, .exact = 4096 }));
    members_init(&w->members, seasons, 2);
    for (int64_t slot = 0; slot < days * 24; slot++) {
        double value = 100 + slope * (double)(slot % 24);
        value *= slot >= (days - 1) * 24 ? last_level : 1;
        members_observe(&w->members, &w->history, slot, value, &w->origin);
        history_append(&w->history, value);
    }
}

static void inputs_of(struct week *w, int64_t slot, uint32_t ahead, double base, float *out) {
    struct features_input in = {
        .members = &w->members,
        .history = &w->history,
        .origin = &w->origin,
        .profiles = &w->profiles,
        .slot = slot,
        .ahead = ahead,
        .base = base,
        .learned = 1,
    };
    members_profiles(&w->members, &w->history, slot, ahead, &w->profiles);
    line_inputs(&in, features_level(&w->members, &w->history, slot - ahead), out);
}

static void inputs_are_ratios(void **state) {
    (void)state;
    struct week w = { 0 };
    float inputs[LINE_INPUTS];
    week_init(&w, 30, 50, 2);
    inputs_of(&w, 30 * 24 + 11, 12, 650, inputs);
    assert_true(inputs[0] > 0);
    assert_true(inputs[1] > 0.5F); /* the last hour is above the week's level */
    for (size_t i = 0; i < LINE_INPUTS; i++) {
        assert_true(fabsf(inputs[i]) <= 2);
    }
    history_fini(&w.history);
}

/* Constant and waves apart. */
static void steady_demand_is_no_news(void **state) {
    (void)state;
    struct week w = { 0 };
    float inputs[LINE_INPUTS];
    week_init(&w, 30, 0, 1);
    inputs_of(&w, 30 * 24 + 11, 12, 100, inputs);
    for (size_t i = 1; i < LINE_INPUTS - 6; i++) {
        assert_true(fabsf(inputs[i]) < 0.01F);
    }
    history_fini(&w.history);
}

static void nothing_known_is_zero(void **state) {
    (void)state;
    struct week w = { 0 };
    float inputs[LINE_INPUTS];
    week_init(&w, 2, 50, 1); /* a week ago there was nothing */
    inputs_of(&w, 2 * 24 + 11, 12, 650, inputs);
    for (size_t profile = 4; profile < 8; profile++) { /* of the week */
        assert_true(inputs[2 + profile] == 0);
    }
    history_fini(&w.history);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_learned_corrects_nothing),
        cmocka_unit_test(what_is_always_missed_is_added),
        cmocka_unit_test(the_right_inputs_are_found),
        cmocka_unit_test(days_that_nobody_foresaw_count_little),
        cmocka_unit_test(the_same_input_twice_does_no_harm),
        cmocka_unit_test(a_correction_has_bounds),
        cmocka_unit_test(a_change_of_habits_is_learned_again),
        cmocka_unit_test(inputs_are_ratios),
        cmocka_unit_test(steady_demand_is_no_news),
        cmocka_unit_test(nothing_known_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
