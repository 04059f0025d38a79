#include "decide/forecast/combination.h"

#define WEIGHT_UNSCORED 1e-9F /* before anything is known: whatever member has a forecast */
#define LOSS_LEAST 1e-12F

void combination_init(struct combination *c, double memory_steps, double enough_steps) {
    *c = (struct combination){
        .keep = (float)(1 - 1 / fmax(memory_steps, 2)),
        .enough = (float)enough_steps,
        .naive = MEMBERS_MAX,
    };
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        c->weight[i] = WEIGHT_UNSCORED;
    }
}

/* Weighted mean of `forecasts` (NaN ones do not count); NaN when all are. Never negative. */
static double mix(const struct combination *c, const struct members *m, const double *forecasts) {
    double sum = 0, weights = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (!isnan(forecasts[i])) {
            sum += (double)c->weight[i] * forecasts[i];
            weights += (double)c->weight[i];
        }
    }
    return weights > 0 ? fmax(sum / weights, 0) : (double)NAN;
}

double combination_forecast(const struct combination *c, const struct members *m,
                            const double *forecasts) {
    if (c->naive < m->count && !isnan(forecasts[c->naive])) {
        return fmax(forecasts[c->naive], 0);
    }
    return mix(c, m, forecasts);
}

void combination_observe(struct combination *c, const struct members *m, const double *forecasts,
                         double factor, double value) {
    double mixed = mix(c, m, forecasts);
    if (!isnan(mixed)) {
        c->loss_mixed = c->loss_mixed * (double)c->keep + fabs(value - mixed * factor);
        c->scored_mixed = c->scored_mixed * (double)c->keep + 1;
    }
    for (size_t i = 0; i < m->count; i++) {
        float loss = (float)fabs(value - forecasts[i] * factor);
        if (!isnan(loss)) {
            c->loss[i] = c->loss[i] * c->keep + loss;
            c->scored[i] = c->scored[i] * c->keep + 1;
        }
    }
}

static float mean_loss(const struct combination *c, size_t member) {
    return c->scored[member] >= c->enough ? c->loss[member] / c->scored[member] : INFINITY;
}

/* The seasonal naive member with the lower loss; MEMBERS_MAX when neither is known. */
static size_t better_naive(const struct combination *c, const struct members *m) {
    size_t best = MEMBERS_MAX;
    for (size_t s = 0; s < m->season_count; s++) {
        size_t naive = members_naive(m, s);
        if (isfinite(mean_loss(c, naive)) &&
            (best == MEMBERS_MAX || mean_loss(c, naive) < mean_loss(c, best))) {
            best = naive;
        }
    }
    return best;
}

static float power_8(float x) {
    float x2 = x * x, x4 = x2 * x2;
    return x4 * x4;
}

void combination_reweigh(struct combination *c, const struct members *m) {
    float least = INFINITY;
    for (size_t i = 0; i < m->count; i++) {
        least = fminf(least, mean_loss(c, i));
    }
    for (size_t i = 0; i < m->count; i++) {
        float loss = mean_loss(c, i);
        float share = (least + LOSS_LEAST) / (loss + LOSS_LEAST);
        c->weight[i] = isfinite(loss) ? power_8(share) + WEIGHT_UNSCORED : WEIGHT_UNSCORED;
    }
    size_t naive = better_naive(c, m);
    bool lost = naive != MEMBERS_MAX && c->scored_mixed >= (double)c->enough &&
                c->loss_mixed / c->scored_mixed > (double)mean_loss(c, naive);
    c->naive = lost ? naive : MEMBERS_MAX;
}
