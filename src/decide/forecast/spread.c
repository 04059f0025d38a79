#include "decide/forecast/spread.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCALE_SEASONS 10.0     /* memory of the scale */
#define SCALE_POOLED_RATIO 0.1 /* share of the overall scale in every bucket's */
#define SCALE_LEAST_RATIO 0.02 /* below this share of the usual scale an error says nothing */
#define ERROR_MOST 50.0
#define ERRORS_ENOUGH 20

void spread_scale_init(struct spread_scale *s, uint32_t season_steps) {
    memset(s, 0, sizeof *s);
    s->season_steps = season_steps;
    double visits = season_steps > SPREAD_BUCKETS ? (double)season_steps / SPREAD_BUCKETS : 1;
    s->keep_bucket = 1 - 1 / (SCALE_SEASONS * visits);
    s->keep_all = 1 - 1 / (SCALE_SEASONS * fmax(season_steps, 24));
}

static size_t bucket_of(const struct spread_scale *s, int64_t slot) {
    if (s->season_steps == 0) {
        return 0;
    }
    uint64_t place = (uint64_t)slot % s->season_steps;
    return s->season_steps <= SPREAD_BUCKETS ? place : place * SPREAD_BUCKETS / s->season_steps;
}

static void note(double *average, double value, double keep) {
    *average = *average * keep + value * (1 - keep);
}

void spread_scale_observe(struct spread_scale *s, int64_t slot, double forecast, double value) {
    size_t b = bucket_of(s, slot);
    note(&s->error[b], fabs(value - forecast), s->keep_bucket);
    note(&s->level[b], forecast, s->keep_bucket);
    note(&s->mean_error, fabs(value - forecast), s->keep_all);
    note(&s->mean_level, forecast, s->keep_all);
}

double spread_scale_at(const struct spread_scale *s, int64_t slot, double forecast) {
    size_t b = bucket_of(s, slot);
    double error = s->error[b] + SCALE_POOLED_RATIO * s->mean_error;
    double level = s->level[b] + SCALE_POOLED_RATIO * s->mean_level;
    return level > 0 ? forecast * error / level : forecast;
}

void spread_init(struct spread *s, uint32_t span_steps) {
    *s = (struct spread){ .stride = span_steps / SPREAD_ERRORS + 1, .sorted_len = SIZE_MAX };
}

void spread_observe(struct spread *s, double error, double scale, double scale_usual) {
    if (!(scale > SCALE_LEAST_RATIO * scale_usual) || s->skipped++ % s->stride != 0) {
        return;
    }
    s->errors[s->next] = (float)fmin(fmax(error / scale, -ERROR_MOST), ERROR_MOST);
    s->next = (s->next + 1) % SPREAD_ERRORS;
    s->len += s->len < SPREAD_ERRORS;
    s->sorted_len = SIZE_MAX;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Quantile of the normal distribution, good to 0.005 (Abramowitz and Stegun 26.2.23). */
double spread_normal_quantile(double q) {
    double t = sqrt(-2 * log(q < 0.5 ? q : 1 - q));
    double z = t - (2.30753 + 0.27061 * t) / (1 + 0.99229 * t + 0.04481 * t * t);
    return q < 0.5 ? -z : z;
}

static double empirical_quantile(const struct spread *s, double q) {
    double rank = q * (double)(s->len + 1) - 1; /* one more: the error to come */
    if (rank <= 0) {
        return (double)s->sorted[0];
    }
    if (rank >= (double)(s->len - 1)) {
        return (double)s->sorted[s->len - 1];
    }
    size_t low = (size_t)rank;
    double part = rank - (double)low;
    return (double)s->sorted[low] * (1 - part) + (double)s->sorted[low + 1] * part;
}

double spread_quantile(struct spread *s, double q) {
    double normal = 1.5 * spread_normal_quantile(q);
    if (s->len == 0) {
        return normal;
    }
    if (s->sorted_len != s->len) {
        memcpy(s->sorted, s->errors, s->len * sizeof *s->sorted);
        qsort(s->sorted, s->len, sizeof *s->sorted, by_size);
        s->sorted_len = s->len;
    }
    double trust = s->len >= ERRORS_ENOUGH ? 1 : (double)s->len / ERRORS_ENOUGH;
    return trust * empirical_quantile(s, q) + (1 - trust) * normal;
}
