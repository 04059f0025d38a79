/* Line: ridge regression of what the weighted mean of the members missed, at one horizon, on how
 * far single members, lags and levels are from it and on Fourier terms of the seasons (a dynamic
 * regression whose coefficients are learned for each horizon). Least absolute errors by reweighing:
 * a day that nobody could foresee counts little. Running sums: a sample costs INPUTS². */
#pragma once
#include "decide/forecast/features.h"

#define LINE_INPUTS 25
#define LINE_CELLS (LINE_INPUTS * (LINE_INPUTS + 1) / 2)

struct line {
    float products[LINE_CELLS]; /* weighted sums of inputs × inputs, lower triangle by rows */
    float targets[LINE_INPUTS]; /* … of inputs × what was missed */
    float coefficients[LINE_INPUTS];
    float keep; /* share of the sums that stays from sample to sample */
};

void line_init(struct line *l, double memory_steps);

/* Writes LINE_INPUTS numbers: what is known of `in->slot` at its origin. `in->base` is the mean of
 * the members, `level` features_level(): as with trees. */
void line_inputs(const struct features_input *in, double level, float *out);

/* `base` corrected, never negative. */
double line_correct(const struct line *l, const float *inputs, double level, double base);

/* `base` was said, `value` came. */
void line_learn(struct line *l, const float *inputs, double level, double base, double value);
/* Makes coefficients of the sums; not needed after every sample. */
void line_solve(struct line *l);
