/* Linear: what the weighted mean of the members misses, as a ridge regression on how far each
 * member, the newest values and those a season before are from it, and on the time of the season.
 * The mean weighs members by how good they are alone; here one may be subtracted from another.
 * One for each horizon of the ladder, learned sample by sample from fading sums of products; errors
 * far above the usual count less (Huber, "Robust Estimation of a Location Parameter", 1964). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/forecast/history.h"
#include "decide/forecast/members.h"

#define LINEAR_EXTRA 12
#define LINEAR_DIMS (MEMBERS_MAX + LINEAR_EXTRA)
#define LINEAR_PRODUCTS (LINEAR_DIMS * (LINEAR_DIMS + 1) / 2)

struct linear {
    float product[LINEAR_PRODUCTS]; /* lower triangle, row by row: of features, weighted */
    float moment[LINEAR_DIMS];      /* of features and error */
    float coefficient[LINEAR_DIMS];
    float samples, usual_error, keep, enough;
    bool solved; /* coefficients are good for something */
};

struct linear_input {
    const struct members *members;
    const struct history *history; /* up to the origin */
    const double *forecasts;       /* of all members */
    double base, level;            /* their weighted mean; usual demand at the origin */
    int64_t slot;
    uint32_t ahead;
};

struct linear_features {
    float of[LINEAR_DIMS];
    double unit, level; /* of an error; usual demand */
};

void linear_init(struct linear *l, double memory, double enough); /* in samples */
void linear_fill(const struct linear_input *in, struct linear_features *out);
/* `base` was said, `value` came; both without the calendar's factor. */
void linear_observe(struct linear *l, const struct linear_features *x, double base, double value);
void linear_solve(struct linear *l);
/* NaN until there is enough to learn from; never negative. */
double linear_correct(const struct linear *l, const struct linear_features *x, double base);
