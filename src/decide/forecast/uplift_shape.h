/* The shape of an uplift: rise and decay, when neither is known exactly. Inside of uplift. */
#pragma once
#include "decide/forecast/uplift_kinds.h"

/* The logarithm of the share of the peak at an age. min(0, Y) of a normal Y is the censored normal
 * (Tobin 1958). */
struct uplift_shape {
    double mean;
    double variance; /* because of the rise */
    double rising;   /* probability that it still rises; −d mean ÷ d log rise */
    double lost;     /* by decay: log of the share */
};
struct uplift_shape uplift_shape_at(const struct uplift_belief *b, double age_s); /* > 0 */
