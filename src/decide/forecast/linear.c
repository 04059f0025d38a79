#include "decide/forecast/linear.h"

#include <math.h>
#include <string.h>

#define LEVEL_SHARE 0.1     /* of the level: unit of an error where little is forecast */
#define SMALL 0.1F          /* size of features that are always there: the ridge holds them */
#define FEATURE_MOST 3.0F   /* in units */
#define ERROR_MOST 3.0F     /* in units */
#define CORRECTION_MOST 0.7 /* of the unit: beyond what was seen a line goes anywhere */
#define OUTLIER 1.5F        /* usual errors */
#define RIDGE 0.2           /* of the mean square of a feature … */
#define RIDGE_SAMPLES 20.0  /* … and as many samples that say: no correction */

void linear_init(struct linear *l, double memory, double enough) {
    memset(l, 0, sizeof *l);
    l->keep = (float)(1 - 1 / fmax(memory, 2));
    l->enough = (float)enough;
}

static float *fill_place(const struct linear_input *in, float *next) {
    const struct members *m = in->members;
    for (size_t s = 0; s < MEMBERS_SEASONS_MAX; s++) {
        double season = s < m->season_count ? m->season_steps[s] : 0;
        for (int harmonic = 1; harmonic <= 2; harmonic++) {
            double turn =
                season > 0 ? 2 * M_PI * harmonic * fmod((double)in->slot, season) / season : 0;
            *next++ = season > 0 ? SMALL * (float)sin(turn) : 0;
            *next++ = season > 0 ? SMALL * (float)cos(turn) : 0;
        }
    }
    return next;
}

static float distance(double value, const struct linear_input *in, double unit) {
    if (isnan(value)) {
        return 0;
    }
    return fminf(fmaxf((float)((value - in->base) / unit), -FEATURE_MOST), FEATURE_MOST);
}

void linear_fill(const struct linear_input *in, struct linear_features *out) {
    const struct members *m = in->members;
    float *next = out->of;
    memset(out->of, 0, sizeof out->of);
    out->unit = in->base + LEVEL_SHARE * in->level;
    out->level = in->level;
    *next++ = SMALL; /* a constant */
    next = fill_place(in, next);
    *next++ = distance(history_at(in->history, in->slot - in->ahead), in, out->unit);
    for (size_t s = 0; s < MEMBERS_SEASONS_MAX; s++) {
        int64_t season = s < m->season_count ? m->season_steps[s] : 1;
        int64_t lag = (in->ahead + season - 1) / season + 1;
        *next++ = s < m->season_count
                      ? distance(history_at(in->history, in->slot - lag * season), in, out->unit)
                      : 0;
    }
    for (size_t i = 0; i < m->count; i++) {
        *next++ = distance(in->forecasts[i], in, out->unit);
    }
}

static double predict(const struct linear *l, const struct linear_features *x) {
    float sum = 0;
    for (size_t i = 0; i < LINEAR_DIMS; i++) {
        sum += l->coefficient[i] * x->of[i];
    }
    return (double)sum;
}

void linear_observe(struct linear *l, const struct linear_features *x, double base, double value) {
    float target = (float)((value - base) / x->unit);
    target = fminf(fmaxf(target, -ERROR_MOST), ERROR_MOST);
    float error = fabsf(target - (float)predict(l, x));
    float weight = (float)fmin(x->unit / x->level, 20);
    l->usual_error = l->samples == 0 ? error : l->usual_error * l->keep + error * (1 - l->keep);
    if (error > OUTLIER * l->usual_error) {
        weight *= OUTLIER * l->usual_error / error;
    }
    l->samples = l->samples * l->keep + 1;
    float *product = l->product;
    for (size_t i = 0; i < LINEAR_DIMS; i++) {
        float wx = weight * x->of[i];
        for (size_t j = 0; j <= i; j++) {
            product[j] = product[j] * l->keep + wx * x->of[j];
        }
        product += i + 1;
        l->moment[i] = l->moment[i] * l->keep + wx * target;
    }
}

/* Cholesky, in place of a copy; rows of the triangle follow each other. */
static bool decompose(double *a) {
    double *row = a;
    for (size_t i = 0; i < LINEAR_DIMS; i++) {
        const double *other = a;
        for (size_t j = 0; j <= i; j++) {
            double sum = row[j];
            for (size_t k = 0; k < j; k++) {
                sum -= row[k] * other[k];
            }
            if (j == i) {
                if (!(sum > 0)) {
                    return false;
                }
                row[j] = sqrt(sum);
            } else {
                row[j] = sum / other[j];
            }
            other += j + 1;
        }
        row += i + 1;
    }
    return true;
}

static void substitute(const double *a, double *x) {
    const double *row = a;
    for (size_t i = 0; i < LINEAR_DIMS; i++) {
        for (size_t k = 0; k < i; k++) {
            x[i] -= row[k] * x[k];
        }
        x[i] /= row[i];
        row += i + 1;
    }
    for (size_t i = LINEAR_DIMS; i-- > 0;) {
        row = a + i * (i + 1) / 2;
        x[i] /= row[i];
        for (size_t k = 0; k < i; k++) {
            x[k] -= row[k] * x[i];
        }
    }
}

void linear_solve(struct linear *l) {
    double a[LINEAR_PRODUCTS], x[LINEAR_DIMS], trace = 0;
    if (l->samples < l->enough) {
        return;
    }
    for (size_t i = 0; i < LINEAR_PRODUCTS; i++) {
        a[i] = (double)l->product[i];
    }
    for (size_t i = 0; i < LINEAR_DIMS; i++) {
        trace += a[i * (i + 3) / 2];
    }
    double ridge = trace / LINEAR_DIMS * RIDGE * (1 + RIDGE_SAMPLES / (double)l->samples) + 1e-9;
    for (size_t i = 0; i < LINEAR_DIMS; i++) {
        a[i * (i + 3) / 2] += ridge;
        x[i] = (double)l->moment[i];
    }
    if (decompose(a)) {
        substitute(a, x);
        for (size_t i = 0; i < LINEAR_DIMS; i++) {
            l->coefficient[i] = (float)x[i];
        }
        l->solved = true;
    }
}

double linear_correct(const struct linear *l, const struct linear_features *x, double base) {
    if (!l->solved) {
        return NAN;
    }
    double correction = fmin(fmax(predict(l, x), -CORRECTION_MOST), CORRECTION_MOST);
    return fmax(base + correction * x->unit, 0);
}
