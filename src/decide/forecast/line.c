#include "decide/forecast/line.h"

#include <string.h>

#define UNIT_LEVEL_SHARE 0.1 /* of the level: unit of an error where little is forecast */
#define RESIDUAL_LEAST 0.05F /* a smaller residual counts as much as this one */
#define MISSED_MOST 3.0      /* a target beyond is no larger */
#define INPUT_MOST 2.0
#define CORRECTION_MOST 1.0 /* of the unit */
#define SHRINK 20.0         /* of the coefficients, in samples with inputs of 1 */
#define ROUNDING 1e-5       /* of the sums, relative: inputs may be the same */
#define CONSTANT 0.3F       /* size of the inputs that are always there, among deviations */

void line_init(struct line *l, double memory_steps) {
    *l = (struct line){ .keep = (float)(1 - 1 / fmax(memory_steps, 2)) };
}

static double unit_of(double level, double base) {
    return base + UNIT_LEVEL_SHARE * level;
}

static float bounded(double x) {
    return isnan(x) ? 0 : (float)fmin(fmax(x, -INPUT_MOST), INPUT_MOST);
}

/* A sine, near enough, out of two parabolas. */
static float wave(double turns) {
    double x = turns - floor(turns);
    return CONSTANT * (float)(x < 0.5 ? 16 * x * (0.5 - x) : -16 * (x - 0.5) * (1 - x));
}

static float *put_waves(float *out, int64_t slot, uint32_t season, int count) {
    double turns = (double)((uint64_t)slot % season) / season;
    for (int i = 1; i <= count; i++) {
        *out++ = wave(turns * i);
        *out++ = wave(turns * i + 0.25);
    }
    return out;
}

/* How far each profile, at the level of the last seasons, is from the base. */
static float *put_profiles(const struct features_input *in, double unit, float *out) {
    for (size_t p = 0; p < in->members->profile_count; p++) {
        double said = in->profiles->at[p] * (double)in->origin->level[p][2] * in->learned;
        *out++ = bounded((said - in->base) / unit);
    }
    return out;
}

/* Lately more than each season's last said? */
static float *put_levels(const struct features_input *in, double unit, float *out) {
    double share = in->base / unit;
    for (size_t s = 0; s < in->members->season_count; s++) {
        const float *level = in->origin->level[members_naive(in->members, s) / MEMBERS_LEVELS];
        for (size_t w = 0; w < MEMBERS_WINDOWS; w++) {
            *out++ = bounded(((double)level[w] - 1) * share);
        }
    }
    return out;
}

/* One season further back than the profiles begin. */
static float *put_lags(const struct features_input *in, double unit, float *out) {
    for (size_t s = 0; s < in->members->season_count; s++) {
        int64_t steps = in->members->season_steps[s];
        int64_t lag = (in->ahead + steps - 1) / steps + 1;
        double value = history_at(in->history, in->slot - lag * steps) * in->learned;
        *out++ = bounded((value - in->base) / unit);
    }
    return out;
}

void line_inputs(const struct features_input *in, double level, float *out) {
    const struct members *m = in->members;
    double unit = unit_of(level, in->base);
    memset(out, 0, LINE_INPUTS * sizeof *out);
    *out++ = CONSTANT;
    *out++ = bounded((double)in->origin->recent_fast / level - 1);
    out = put_profiles(in, unit, out);
    out = put_levels(in, unit, out);
    out = put_lags(in, unit, out);
    for (size_t s = 0; s < m->season_count; s++) {
        out = put_waves(out, in->slot, m->season_steps[s], s == 0 ? 2 : 1);
    }
}

static double dot(const float *a, const float *b) {
    float sum = 0;
    for (size_t i = 0; i < LINE_INPUTS; i++) {
        sum += a[i] * b[i];
    }
    return (double)sum;
}

double line_correct(const struct line *l, const float *inputs, double level, double base) {
    double missed = dot(l->coefficients, inputs);
    missed = fmin(fmax(missed, -CORRECTION_MOST), CORRECTION_MOST);
    return fmax(base + unit_of(level, base) * missed, 0);
}

void line_learn(struct line *l, const float *inputs, double level, double base, double value) {
    double unit = unit_of(level, base);
    float missed = (float)fmin(fmax((value - base) / unit, -MISSED_MOST), MISSED_MOST);
    float residual = missed - (float)dot(l->coefficients, inputs);
    float size = (float)fmin(unit / level, 10);
    float weight = size / (fabsf(residual) + RESIDUAL_LEAST);
    float *cell = l->products;
    for (size_t i = 0; i < LINE_INPUTS; i++) {
        float x = weight * inputs[i];
        l->targets[i] = l->targets[i] * l->keep + x * missed;
        for (size_t j = 0; j <= i; j++, cell++) {
            *cell = *cell * l->keep + x * inputs[j];
        }
    }
}

/* Row by row of the lower triangle. */
static size_t cell_of(size_t row, size_t column) {
    return row * (row + 1) / 2 + column;
}

/* Cholesky's root of the products, which the shrinkage makes positive definite. */
static void take_root(const struct line *l, double *root) {
    for (size_t i = 0; i < LINE_INPUTS; i++) {
        double *row = root + cell_of(i, 0);
        for (size_t j = 0; j <= i; j++) {
            const double *other = root + cell_of(j, 0);
            double sum = (double)l->products[cell_of(i, j)];
            sum += i == j ? SHRINK + ROUNDING * sum : 0;
            for (size_t k = 0; k < j; k++) {
                sum -= row[k] * other[k];
            }
            row[j] = i == j ? sqrt(fmax(sum, SHRINK / 2)) : sum / other[j];
        }
    }
}

void line_solve(struct line *l) {
    double root[LINE_CELLS], half[LINE_INPUTS] = { 0 };
    take_root(l, root);
    for (size_t i = 0; i < LINE_INPUTS; i++) {
        double sum = (double)l->targets[i];
        for (size_t k = 0; k < i; k++) {
            sum -= root[cell_of(i, k)] * half[k];
        }
        half[i] = sum / root[cell_of(i, i)];
    }
    for (size_t i = LINE_INPUTS; i-- > 0;) {
        double sum = half[i];
        for (size_t k = i + 1; k < LINE_INPUTS; k++) {
            sum -= root[cell_of(k, i)] * (double)l->coefficients[k];
        }
        l->coefficients[i] = (float)(sum / root[cell_of(i, i)]);
    }
}
