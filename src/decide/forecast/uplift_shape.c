#include "decide/forecast/uplift_shape.h"

#include <math.h>

struct uplift_shape uplift_shape_at(const struct uplift_belief *b, double age_s) {
    double sd = sqrt(b->rise.variance), apart = log(age_s) - b->rise.mean, d = apart / sd;
    double density = exp(-d * d / 2) / sqrt(2 * M_PI), below = erfc(d / M_SQRT2) / 2;
    double first = apart * below - sd * density;
    double second = (apart * apart + sd * sd) * below - apart * sd * density;
    double lost = M_LN2 * fmax(age_s - exp(b->rise.mean), 0) / exp(b->half.mean);
    return (struct uplift_shape){ .mean = first - lost,
                                  .variance = fmax(second - first * first, 0),
                                  .rising = below,
                                  .lost = lost };
}
