/* Combination: how much each member is trusted at one horizon. Weight = (recent mean absolute loss)
 * to the power -8: close to choosing the best, but two that are equally good share. If the weighted
 * mean has recently lost against seasonal naive, the naive member speaks alone. */
#pragma once
#include "decide/forecast/members.h"

struct combination {
    float loss[MEMBERS_MAX], scored[MEMBERS_MAX]; /* fading sums: loss of each, and how many */
    float weight[MEMBERS_MAX];
    double loss_mixed, scored_mixed; /* of the weighted mean itself */
    float keep;                      /* share of the sums that stays from sample to sample */
    float enough;                    /* samples before a member is believed */
    size_t naive;                    /* the member to fall back to, MEMBERS_MAX: none needed */
};

void combination_init(struct combination *c, double memory_steps, double enough_steps);

/* What is to be said: the weighted mean of `forecasts` (NaN ones do not count), or the naive member
 * where that has been better; NaN when all are. Never negative. */
double combination_forecast(const struct combination *c, const struct members *m,
                            const double *forecasts);

/* Scores every member and the weighted mean; forecasts are multiplied by `factor` first. */
void combination_observe(struct combination *c, const struct members *m, const double *forecasts,
                         double factor, double value);

/* Makes weights out of the losses; not needed after every sample. */
void combination_reweigh(struct combination *c, const struct members *m);
