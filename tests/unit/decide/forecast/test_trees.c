#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/trees.h"

#define CAPACITY 2000

/* Half where the first byte is high and the second low, else nothing; the rest is noise. */
static float truth(const uint8_t *bytes) {
    return bytes[0] > 100 && bytes[1] <= 60 ? 0.5F : 0;
}

static void fill(struct examples *e, size_t count, bool outliers) {
    struct rand r;
    rand_init(&r, 7);
    examples_init(e, CAPACITY);
    for (size_t i = 0; i < count; i++) {
        struct example x = { .weight = 1, .hash = (uint32_t)rand_next(&r) };
        for (size_t f = 0; f < FEATURES; f++) {
            x.bytes[f] = (uint8_t)rand_below(&r, 256);
        }
        x.target = truth(x.bytes) + (outliers && i % 10 == 0 ? 20.0F : 0.0F);
        examples_add(e, &x, 0);
    }
}

/* The examples keep their scores. */
static struct trees *grow_scored(struct examples *e, size_t count) {
    struct trees *t = calloc(1, sizeof *t);
    struct trees_scratch *scratch = trees_scratch_new(CAPACITY);
    assert_true(examples_score(e));
    for (size_t i = 0; i < count; i++) {
        trees_grow(t, e, scratch);
    }
    free(scratch);
    return t;
}

static struct trees *grow(struct examples *e, size_t count) {
    struct trees *t = grow_scored(e, count);
    examples_scored(e);
    return t;
}

static double mean_error(const struct trees *t, const struct examples *e) {
    double sum = 0;
    for (size_t i = 0; i < e->len; i++) {
        struct example x = examples_get(e, i);
        sum += fabs(trees_predict(t, x.bytes) - (double)truth(x.bytes));
    }
    return sum / (double)e->len;
}

static void an_interaction_is_learned(void **state) {
    (void)state;
    struct examples e;
    fill(&e, 1500, false);
    struct trees none = { .len = 0 }, *t = grow(&e, TREES_MAX);
    assert_true(mean_error(t, &e) < 0.5 * mean_error(&none, &e));
    free(t);
    examples_fini(&e);
}

static void one_wild_value_in_ten_changes_little(void **state) {
    (void)state;
    struct examples e;
    fill(&e, 1500, true);
    struct trees none = { .len = 0 }, *t = grow(&e, TREES_MAX);
    assert_true(mean_error(t, &e) < 0.6 * mean_error(&none, &e));
    free(t);
    examples_fini(&e);
}

static void the_same_examples_make_the_same_trees(void **state) {
    (void)state;
    struct examples a, b;
    fill(&a, 800, true);
    fill(&b, 800, true);
    struct trees *one = grow(&a, 20), *other = grow(&b, 20);
    assert_memory_equal(one, other, sizeof *one);
    free(one);
    free(other);
    examples_fini(&a);
    examples_fini(&b);
}

static void few_examples_make_no_split(void **state) {
    (void)state;
    struct examples e;
    uint8_t low[FEATURES] = { 0 }, high[FEATURES];
    memset(high, 255, sizeof high);
    fill(&e, 20, false);
    struct trees *t = grow(&e, 10);
    assert_true(trees_predict(t, low) == trees_predict(t, high));
    free(t);
    examples_fini(&e);
}

/* When there is no room, every other one goes: what is kept spans the whole time. */
static void examples_span_all_that_was_offered(void **state) {
    (void)state;
    struct examples e;
    struct rand r;
    size_t halves[2] = { 0 };
    rand_init(&r, 3);
    examples_init(&e, CAPACITY);
    for (size_t i = 0; i < 20 * CAPACITY; i++) {
        struct example x = { .target = i < 10 * CAPACITY ? 0 : 1, .hash = (uint32_t)rand_next(&r) };
        examples_add(&e, &x, 0);
    }
    assert_true(e.len <= CAPACITY && e.len >= CAPACITY / 3);
    for (size_t i = 0; i < e.len; i++) {
        halves[e.aims[i].target > 0]++;
    }
    assert_true(halves[0] > e.len / 3 && halves[1] > e.len / 3);
    examples_fini(&e);
}

/* Rows that see nearly the same and rows that see nothing alike. */
static void several_rows_are_told_what_each_is_told(void **state) {
    (void)state;
    struct examples e;
    struct rand r;
    fill(&e, 1500, false);
    rand_init(&r, 5);
    struct trees *t = grow(&e, 40);
    for (size_t turn = 0; turn < 400; turn++) {
        struct trees_rows rows = { .len = 0 };
        uint8_t bytes[TREES_ROWS][FEATURES];
        double said[TREES_ROWS];
        size_t len = 1 + rand_below(&r, TREES_ROWS);
        for (size_t row = 0; row < len; row++) {
            memcpy(bytes[row], examples_get(&e, turn % 2 == 0 ? turn : turn + row).bytes, FEATURES);
            bytes[row][rand_below(&r, FEATURES)] = (uint8_t)rand_below(&r, 256);
            trees_rows_add(&rows, bytes[row]);
        }
        trees_predict_rows(t, &rows, said);
        for (size_t row = 0; row < len; row++) {
            assert_true(said[row] == trees_predict(t, bytes[row]));
        }
    }
    free(t);
    examples_fini(&e);
}

/* In and out of the bag. */
static void scores_are_what_the_trees_say(void **state) {
    (void)state;
    struct examples e;
    fill(&e, 1500, true);
    struct trees *t = grow_scored(&e, 20);
    for (size_t i = 0; i < e.len; i++) {
        assert_true((double)e.scores[i] == trees_predict(t, examples_get(&e, i).bytes));
    }
    free(t);
    examples_fini(&e);
}

/* Features that never differ take no room; one that differs for the first time was what it was. */
static void rows_hold_what_differs(void **state) {
    (void)state;
    struct examples e;
    examples_init(&e, CAPACITY);
    for (uint32_t i = 0; i < 1500; i++) {
        struct example x = { .target = (float)i, .weight = 2, .hash = i };
        memset(x.bytes, 7, sizeof x.bytes);
        x.bytes[3] = (uint8_t)i;
        x.bytes[FEATURES - 1] = i < 1000 ? 9 : (uint8_t)(i % 200);
        examples_add(&e, &x, 0);
    }
    assert_true(e.width <= 3);
    for (uint32_t i = 0; i < 1500; i++) {
        struct example x = examples_get(&e, i);
        assert_true(x.target == (float)i && x.weight == 2 && x.hash == i);
        assert_int_equal(x.bytes[3], (uint8_t)i);
        assert_int_equal(x.bytes[0], 7);
        assert_int_equal(x.bytes[20], 7);
        assert_int_equal(x.bytes[FEATURES - 1], i < 1000 ? 9 : i % 200);
    }
    examples_fini(&e);
}

/* What is learned from a column that came late is known by its feature. */
static void trees_know_features_not_columns(void **state) {
    (void)state;
    struct examples e;
    struct rand r;
    uint8_t low[FEATURES] = { 0 }, high[FEATURES] = { 0 };
    rand_init(&r, 11);
    examples_init(&e, CAPACITY);
    for (uint32_t i = 0; i < 1500; i++) {
        struct example x = { .weight = 1, .hash = (uint32_t)rand_next(&r) };
        x.bytes[60] = rand_below(&r, 2) == 0 ? 0 : 200;
        x.bytes[1] = (uint8_t)rand_below(&r, 256);
        x.target = x.bytes[60] > 100 ? 0.5F : 0;
        examples_add(&e, &x, 0);
    }
    struct trees *t = grow(&e, TREES_MAX);
    high[60] = 200;
    assert_true(trees_predict(t, high) - trees_predict(t, low) > 0.3);
    free(t);
    examples_fini(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interaction_is_learned),
        cmocka_unit_test(one_wild_value_in_ten_changes_little),
        cmocka_unit_test(the_same_examples_make_the_same_trees),
        cmocka_unit_test(few_examples_make_no_split),
        cmocka_unit_test(examples_span_all_that_was_offered),
        cmocka_unit_test(several_rows_are_told_what_each_is_told),
        cmocka_unit_test(scores_are_what_the_trees_say),
        cmocka_unit_test(rows_hold_what_differs),
        cmocka_unit_test(trees_know_features_not_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
