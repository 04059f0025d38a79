/* Trees: gradient boosting of small regression trees on bytes, for the mean absolute error (leaves
 * are weighted medians). Grown one at a time, so that a forecaster that lives beside traffic spends
 * a fraction of a millisecond a sample. Deterministic.
 * After: Friedman, "Greedy Function Approximation", 2001; histograms as in LightGBM (NIPS 2017). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/forecast/features.h"

#define TREES_MAX 100
#define TREES_DEPTH 5
#define TREES_LEAVES (1 << TREES_DEPTH)

struct tree_split { /* to the left when the byte is <= most */
    uint8_t feature, most;
};

struct tree { /* complete; a node that was not split sends all to the left */
    struct tree_split
        split[TREES_LEAVES]; /* of node 1, the root, and so on: below n are 2n, 2n + 1 */
    float leaf[TREES_LEAVES];
};

struct trees {
    struct tree tree[TREES_MAX];
    uint32_t len;
};

/* Examples to learn from; every `keep_mask + 1`th that is offered is kept, and when there is no
 * room the mask grows: they always span the whole time. */
struct example {
    uint8_t bytes[FEATURES];
    float target, weight;
    uint32_t hash;
};

#define FEATURES_NO_COLUMN 255

struct example_aim {
    float target, weight;
    uint32_t hash;
};

/* Most features never differ (there is no campaign, no column known ahead): only those that ever
 * did have a column in the rows. Room is taken when there are examples for it. */
struct examples {
    uint8_t *rows; /* `width` bytes of each */
    struct example_aim *aims;
    float *scores; /* what the growing trees say; NULL: none are growing */
    size_t len, room, capacity;
    uint32_t keep_mask;
    uint8_t usual[FEATURES], column[FEATURES]; /* what a feature without a column always was */
    uint8_t feature[FEATURES];                 /* of a column */
    size_t width;
};

void examples_init(struct examples *e, size_t capacity);
void examples_fini(struct examples *e);
/* Whether an example of that hash is to be kept. */
bool examples_wanted(const struct examples *e, uint32_t hash);
/* `score`: of trees that are growing. Without memory there is one example less. */
void examples_add(struct examples *e, const struct example *example, float score);
struct example examples_get(const struct examples *e, size_t i);

/* Trees begin to grow, all scores are 0; false without memory. They have grown: no more scores. */
bool examples_score(struct examples *e);
void examples_scored(struct examples *e);

/* One tree more, of the examples; sets their scores. `scratch` is lent. */
struct trees_scratch;
struct trees_scratch *trees_scratch_new(size_t examples_capacity);
void trees_grow(struct trees *t, struct examples *e, struct trees_scratch *scratch);
double trees_predict(const struct trees *t, const uint8_t *bytes);

/* Several rows at once: the slots of a path see nearly the same and mostly go the same way, so that
 * one walk does for all. */
#define TREES_ROWS 8
struct trees_rows {
    uint8_t bytes[TREES_ROWS][FEATURES];
    uint8_t least[FEATURES], most[FEATURES]; /* among the rows */
    size_t len;                              /* begins with none: { .len = 0 } */
};
void trees_rows_add(struct trees_rows *rows, const uint8_t *bytes);
/* `out`: for each row what trees_predict() says of it. */
void trees_predict_rows(const struct trees *t, const struct trees_rows *rows, double *out);
