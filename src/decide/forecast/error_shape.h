/* Error shape: the distribution of a forecast's errors as fading weights in bins that widen with
 * the error (asinh), so that 800 bytes hold what would be thousands of errors. Kept by how
 * much is forecast: where little is, demand is skewed and often nothing at all, where much is, it
 * is even. A group that has seen little borrows from all of them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define ERROR_SHAPE_GROUPS 3 /* little, usual, much is forecast */
#define ERROR_SHAPE_BINS 64

struct error_shape {
    float weight[ERROR_SHAPE_GROUPS][ERROR_SHAPE_BINS];
    float newest; /* weight of the next error: it grows instead of all others fading */
    float growth; /* of `newest`, from error to error */
};

/* After `memory` errors one weighs a third (1/e) of the newest. */
void error_shape_init(struct error_shape *s, double memory);
void error_shape_add(struct error_shape *s, size_t group, double error);

struct error_mix { /* what one group believes: its own errors and some of all */
    double weight[ERROR_SHAPE_BINS];
    double total;
};

/* False before the first error. */
bool error_shape_mix(const struct error_shape *s, size_t group, struct error_mix *out);
double error_mix_quantile(const struct error_mix *m, double q);
