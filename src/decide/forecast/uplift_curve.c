/* The curve of a campaign as it was seen: the mean excess at each age, in bins that grow with it;
 * and what it teaches when the campaign is over. */
#include <math.h>

#include "decide/forecast/uplift_internal.h"

#define PEAK_SHARE 0.9 /* of the peak: there the rise has ended */
#define AGE_UNIT_S 10.0
#define AGE_GROWTH 0.14 /* of the bins of age, one to the next */

static size_t bin_of(double age_s) {
    double bin = log1p(fmax(age_s, 0) / AGE_UNIT_S) / AGE_GROWTH;
    return bin < UPLIFT_AGE_BINS ? (size_t)bin : UPLIFT_AGE_BINS - 1;
}

void uplift_curve_add(struct uplift_run *r, double age_s, double excess, double seconds) {
    size_t bin = bin_of(age_s);
    r->excess_sum[bin] += excess * seconds;
    r->excess_weight[bin] += seconds;
}

static double age_of_bin(double bin) {
    return AGE_UNIT_S * expm1(bin * AGE_GROWTH);
}

static double bin_excess(const struct uplift_run *r, size_t bin) {
    return r->excess_weight[bin] > 0 ? r->excess_sum[bin] / r->excess_weight[bin] : (double)NAN;
}

static size_t highest_bin(const struct uplift_run *r) {
    size_t best = UPLIFT_AGE_BINS;
    for (size_t i = 0; i < UPLIFT_AGE_BINS; i++) {
        double excess = bin_excess(r, i);
        if (!isnan(excess) && (best == UPLIFT_AGE_BINS || excess > bin_excess(r, best))) {
            best = i;
        }
    }
    return best;
}

/* Where the curve first comes to that share of its peak, or after the peak falls to it; NaN: never.
 */
static double age_at_share(const struct uplift_run *r, size_t peak, double share, bool falling) {
    double bound = share * bin_excess(r, peak);
    for (size_t i = falling ? peak : 0; i < UPLIFT_AGE_BINS; i++) {
        double excess = bin_excess(r, i);
        if (!isnan(excess) && (falling ? excess <= bound : excess >= bound)) {
            return age_of_bin((double)i + 0.5);
        }
    }
    return NAN;
}

bool uplift_curve_outcome(const struct uplift_run *r, struct uplift_outcome *out) {
    size_t peak = highest_bin(r);
    if (peak == UPLIFT_AGE_BINS || !(bin_excess(r, peak) > UPLIFT_EXCESS_LEAST)) {
        return false;
    }
    double size = log(bin_excess(r, peak)), length_s = (double)(r->end_ms - r->start_ms) / 1000;
    double rise_s = age_at_share(r, peak, PEAK_SHARE, false) / PEAK_SHARE;
    double half_s = age_at_share(r, peak, 0.5, true) - rise_s;
    *out = (struct uplift_outcome){
        .of = {
            [UPLIFT_SIZE] = size,
            [UPLIFT_BIAS] = size - r->said,
            [UPLIFT_RISE] = log(fmax(rise_s, 1)),
            [UPLIFT_HALF] = log(half_s > 0 ? half_s : 10 * length_s),
            [UPLIFT_DELAY] = (double)(r->onset_ms - r->start_ms) / 1000,
        },
    };
    return true;
}
