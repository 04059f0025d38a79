#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/bins.h"

#define LEN 600
#define LEAST 25

struct world {
    struct bins_features features;
    uint8_t bytes[LEN][FEATURES];
    bin alone[LEN];
};

static struct world *new_world(void) {
    struct world *w = calloc(1, sizeof *w);
    struct rand r;
    assert_non_null(w);
    rand_init(&r, 3);
    w->features = (struct bins_features){ .of = { 0, 5, 9 }, .len = 3 };
    for (size_t i = 0; i < LEN; i++) {
        for (size_t f = 0; f < FEATURES; f++) {
            w->bytes[i][f] = (uint8_t)rand_below(&r, 256);
        }
        float residual = w->bytes[i][5] > 99 ? 1 : -1; /* a bin ends at 99 */
        w->alone[i] = bins_alone(0.5F + (float)rand_below(&r, 100) / 50, residual);
    }
    return w;
}

static struct bins *new_bins(const struct world *w, size_t from, size_t to) {
    struct bins *h = malloc(sizeof *h);
    assert_non_null(h);
    bins_clear(h, w->features.len);
    for (size_t i = from; i < to; i++) {
        bins_add(h, &w->features, w->bytes[i], w->alone[i]);
    }
    return h;
}

static void what_is_left_is_what_the_others_add_up_to(void **state) {
    (void)state;
    struct world *w = new_world();
    struct bins *all = new_bins(w, 0, LEN), *some = new_bins(w, 0, 200),
                *others = new_bins(w, 200, LEN);
    bins_take_away(all, some, w->features.len);
    assert_memory_equal(all->of, others->of, w->features.len * sizeof all->of[0]);
    free(all);
    free(some);
    free(others);
    free(w);
}

static void the_split_that_tells_them_apart_is_found(void **state) {
    (void)state;
    struct world *w = new_world();
    struct bins *h = new_bins(w, 0, LEN);
    struct bins_split split;
    assert_true(bins_split(h, w->features.len, LEN, LEAST, &split));
    assert_int_equal(split.feature, 1);
    assert_int_equal(split.most, 99);
    free(h);
    free(w);
}

static void neither_side_is_too_small(void **state) {
    (void)state;
    struct world *w = new_world();
    struct bins *h = new_bins(w, 0, 2 * LEAST - 1);
    struct bins_split split;
    assert_false(bins_split(h, w->features.len, 2 * LEAST - 1, LEAST, &split));
    assert_false(bins_split(h, 0, LEN, LEAST, &split));
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
