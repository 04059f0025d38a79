#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/histogram.h"

#define LEN 600
#define LEAST 25

struct world {
    struct histogram_features features;
    uint8_t bytes[LEN][FEATURES];
    bucket alone[LEN];
};

static struct world *new_world(void) {
    struct world *w = calloc(1, sizeof *w);
    struct rand r;
    assert_non_null(w);
    rand_init(&r, 3);
    w->features = (struct histogram_features){ .of = { 0, 5, 9 }, .len = 3 };
    for (size_t i = 0; i < LEN; i++) {
        for (size_t f = 0; f < FEATURES; f++) {
            w->bytes[i][f] = (uint8_t)rand_below(&r, 256);
        }
        float residual = w->bytes[i][5] > 99 ? 1 : -1; /* a bucket ends at 99 */
        w->alone[i] = histogram_alone(0.5F + (float)rand_below(&r, 100) / 50, residual);
    }
    return w;
}

static struct histogram *new_histogram(const struct world *w, size_t from, size_t to) {
    struct histogram *h = malloc(sizeof *h);
    assert_non_null(h);
    histogram_clear(h, w->features.len);
    for (size_t i = from; i < to; i++) {
        histogram_add(h, &w->features, w->bytes[i], w->alone[i]);
    }
    return h;
}

static void what_is_left_is_what_the_others_add_up_to(void **state) {
    (void)state;
    struct world *w = new_world();
    struct histogram *all = new_histogram(w, 0, LEN), *some = new_histogram(w, 0, 200),
                     *others = new_histogram(w, 200, LEN);
    histogram_take_away(all, some, w->features.len);
    assert_memory_equal(all->of, others->of, w->features.len * sizeof all->of[0]);
    free(all);
    free(some);
    free(others);
    free(w);
}

static void the_split_that_tells_them_apart_is_found(void **state) {
    (void)state;
    struct world *w = new_world();
    struct histogram *h = new_histogram(w, 0, LEN);
    struct histogram_split split;
    assert_true(histogram_split(h, w->features.len, LEN, LEAST, &split));
    assert_int_equal(split.feature, 1);
    assert_int_equal(split.most, 99);
    free(h);
    free(w);
}

static void neither_side_is_too_small(void **state) {
    (void)state;
    struct world *w = new_world();
    struct histogram *h = new_histogram(w, 0, 2 * LEAST - 1);
    struct histogram_split split;
    assert_false(histogram_split(h, w->features.len, 2 * LEAST - 1, LEAST, &split));
    assert_false(histogram_split(h, 0, LEN, LEAST, &split));
    free(h);
    free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_is_what_the_others_add_up_to),
        cmocka_unit_test(the_split_that_tells_them_apart_is_found),
        cmocka_unit_test(neither_side_is_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
