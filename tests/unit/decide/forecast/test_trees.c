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
    assert_true(examples_init(e, CAPACITY));
    for (size_t i = 0; i < count; i++) {
        struct example x = { .weight = 1, .hash = (uint32_t)rand_next(&r) };
        for (size_t f = 0; f < FEATURES; f++) {
            x.bytes[f] = (uint8_t)rand_below(&r, 256);
        }
        x.target = truth(x.bytes) + (outliers && i % 10 == 0 ? 20.0F : 0.0F);
        examples_add(e, &x);
    }
}

static struct trees *grow(struct examples *e, size_t count) {
    struct trees *t = calloc(1, sizeof *t);
    struct trees_scratch *scratch = trees_scratch_new(CAPACITY);
    for (size_t i = 0; i < count; i++) {
        trees_grow(t, e, scratch);
    }
    free(scratch);
    return t;
}

static double mean_error(const struct trees *t, const struct examples *e) {
    double sum = 0;
    for (size_t i = 0; i < e->len; i++) {
        sum += fabs(trees_predict(t, e->of[i].bytes) - (double)truth(e->of[i].bytes));
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
    assert_true(examples_init(&e, CAPACITY));
    for (size_t i = 0; i < 20 * CAPACITY; i++) {
        struct example x = { .target = i < 10 * CAPACITY ? 0 : 1, .hash = (uint32_t)rand_next(&r) };
        examples_add(&e, &x);
    }
    assert_true(e.len <= CAPACITY && e.len >= CAPACITY / 3);
    for (size_t i = 0; i < e.len; i++) {
        halves[e.of[i].target > 0]++;
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
            memcpy(bytes[row], e.of[turn % 2 == 0 ? turn : turn + row].bytes, FEATURES);
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
    struct trees *t = grow(&e, 20);
    for (size_t i = 0; i < e.len; i++) {
        assert_true((double)e.of[i].score == trees_predict(t, e.of[i].bytes));
    }
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
