#include "decide/forecast/error_shape.h"

#include <math.h>
#include <string.h>

#define FINE 0.1         /* errors below are told apart linearly, above by ratio */
#define HALF_WIDTH 6.908 /* asinh(50 / FINE) */
#define NEWEST_MOST 1e4F
#define BORROWED 200.0 /* errors of all groups that a group takes in */

void error_shape_init(struct error_shape *s, double memory) {
    memset(s, 0, sizeof *s);
    s->newest = 1;
    s->growth = (float)(1 / (1 - 1 / fmax(memory, 2)));
}

static size_t bin_of(double error) {
    double place = (asinh(error / FINE) / HALF_WIDTH + 1) / 2 * ERROR_SHAPE_BINS;
    return (size_t)fmin(fmax(place, 0), ERROR_SHAPE_BINS - 1);
}

/* `place` in bins, 0 to ERROR_SHAPE_BINS. */
static double error_at(double place) {
    return FINE * sinh((place / ERROR_SHAPE_BINS * 2 - 1) * HALF_WIDTH);
}

static void rescale(struct error_shape *s) {
    for (size_t g = 0; g < ERROR_SHAPE_GROUPS; g++) {
        for (size_t b = 0; b < ERROR_SHAPE_BINS; b++) {
            s->weight[g][b] /= s->newest;
        }
    }
    s->newest = 1;
}

void error_shape_add(struct error_shape *s, size_t group, double error) {
    s->newest *= s->growth;
    if (s->newest > NEWEST_MOST) {
        rescale(s);
    }
    s->weight[group][bin_of(error)] += s->newest;
}

bool error_shape_mix(const struct error_shape *s, size_t group, struct error_mix *out) {
    const float *own = s->weight[group];
    double all = 0, of_group = 0;
    for (size_t b = 0; b < ERROR_SHAPE_BINS; b++) {
        double of_all = 0;
        for (size_t g = 0; g < ERROR_SHAPE_GROUPS; g++) {
            of_all += (double)s->weight[g][b];
        }
        out->weight[b] = of_all;
        all += of_all;
        of_group += (double)own[b];
    }
    if (!(all > 0)) {
        return false;
    }
    double one = 1 / (double)s->newest, share = fmin(BORROWED / (all * one), 1);
    out->total = (of_group + share * all) * one;
    for (size_t b = 0; b < ERROR_SHAPE_BINS; b++) {
        out->weight[b] = ((double)own[b] + share * out->weight[b]) * one;
    }
    return true;
}

/* Split conformal: the error to come is one of total + 1. */
double error_mix_quantile(const struct error_mix *m, double q) {
    double wanted = fmax(q * (m->total + 1) - 0.5, 0), sum = 0, place = 0;
    for (size_t b = 0; b < ERROR_SHAPE_BINS; b++) {
        double weight = m->weight[b];
        if (weight > 0 && sum + weight >= wanted) {
            return error_at((double)b + fmin(fmax((wanted - sum) / weight, 0), 1));
        }
        sum += weight;
        place = weight > 0 ? (double)b + 1 : place;
    }
    return error_at(place);
}
