#include "decide/anomaly/peers.h"

#include <math.h>

#include "base/median.h"

/* 0.6745 is the 0.75 quantile of the normal distribution: the MAD becomes comparable to sigma. */
#define MAD_TO_SIGMA 0.6745

struct peers_verdict peers_compare(const double *values, size_t len, size_t index,
                                   struct peers_tolerance tolerance, double *room) {
    struct peers_verdict verdict = { false, NAN, NAN };
    size_t others = 0;
    for (size_t i = 0; i < len; i++) {
        if (i != index && !isnan(values[i])) {
            room[others++] = values[i];
        }
    }
    if (others < PEERS_LEAST || isnan(values[index])) {
        return verdict;
    }
    verdict.median = median(room, others);
    for (size_t i = 0; i < others; i++) {
        room[i] = fabs(room[i] - verdict.median);
    }
    double deviation = median(room, others), above = values[index] - verdict.median;
    verdict.score = deviation > 0 ? MAD_TO_SIGMA * above / deviation : above > 0 ? INFINITY : 0;
    verdict.outlier = verdict.score > PEERS_SCORE_LIMIT && above > tolerance.distance &&
                      values[index] > tolerance.ratio * verdict.median;
    return verdict;
}
