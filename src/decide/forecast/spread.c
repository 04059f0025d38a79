#include "decide/forecast/spread.h"

#include <math.h>
#include <string.h>

#define SCALE_SEASONS 10.0     /* memory of the scale */
#define SCALE_POOLED_RATIO 0.1 /* share of the overall scale in every bucket's */
#define SCALE_LEAST_RATIO 0.02 /* below this share of the usual scale an error says nothing */
#define ERROR_MOST 50.0
#define ERRORS_ENOUGH 20
#define RATE 0.001
#define RATE_AHEAD 12.0
#define LEVEL_MOST 0.998
#define MISSES_IN_A_ROW 4 /* of 1 in 20: once in 160,000 rows by chance */
#define OPENED_KEEP 0.97F
#define OPENED_LEAST 0.05F

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

static const double watched[SPREAD_LEVELS] = { 0.1, 0.5, 0.9, 0.95 };

void spread_init(struct spread *s, uint32_t span_steps, double ahead, bool short_lead) {
    /* Errors of overlapping forecasts are one error seen often: what is far ahead adapts slower. */
    *s = (struct spread){ .stride = span_steps / SPREAD_ERRORS + 1,
                          .short_lead = short_lead,
                          .rate = (float)(RATE * fmin(1, RATE_AHEAD / ahead)) };
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

/* Linear between the watched levels, 0 at 0 and 1; the sum stays ascending and inside (0, 1). */
static double adapted_level(const struct spread *s, double q) {
    double low = 0, low_at = 0, high = 1, high_at = 1;
    for (size_t i = 0; i < SPREAD_LEVELS; i++) {
        double at = watched[i] + (double)s->shift[i];
        if (watched[i] <= q) {
            low = watched[i];
            low_at = fmax(low_at, at);
        } else if (high == 1) {
            high = watched[i];
            high_at = at;
        }
    }
    low_at = fmin(low_at, LEVEL_MOST);
    high_at = fmax(high_at, low_at);
    double level = low_at + (q - low) / (high - low) * (high_at - low_at);
    return fmin(fmax(level, 1 - LEVEL_MOST), LEVEL_MOST);
}

double spread_quantile(const struct spread *s, double q) {
    double normal = 1.5 * spread_normal_quantile(q);
    if (s->len == 0) {
        return normal;
    }
    double trust = s->len >= ERRORS_ENOUGH ? 1 : (double)s->len / ERRORS_ENOUGH;
    double opened = q > 0.5 ? (double)s->over : q < 0.5 ? -(double)s->under : 0;
    return trust * empirical_quantile(s, adapted_level(s, q)) + (1 - trust) * normal + opened;
}

static void adapt(struct spread *s, const struct spread_sample *sample) {
    for (size_t i = 0; i < SPREAD_LEVELS; i++) {
        double said = sample->forecast + spread_quantile(s, watched[i]) * sample->scale;
        bool covered = sample->value <= (sample->whole ? round(said) : said);
        if (watched[i] == 0.5) {
            continue; /* the median is the point forecast: chasing its errors made them larger */
        }
        double shift = (double)s->shift[i] + (double)s->rate * (watched[i] - covered);
        double least = 1 - LEVEL_MOST - watched[i], most = LEVEL_MOST - watched[i];
        s->shift[i] = (float)fmin(fmax(shift, least), most);
    }
}

/* How far one side of the band has to open: `beyond` is how far the value lay outside. */
static void open_band(float *opened, uint32_t *misses, double beyond) {
    *misses = beyond > 0 ? *misses + 1 : 0;
    if (beyond <= 0) {
        *opened *= OPENED_KEEP;
    } else if (*misses >= MISSES_IN_A_ROW || *opened > OPENED_LEAST) {
        *opened = (float)fmin((double)*opened + beyond, ERROR_MOST);
    }
}

static void watch_level(struct spread *s, const struct spread_sample *sample) {
    double error = (sample->value - sample->forecast) / sample->scale;
    double unit = sample->whole ? 0.5 / sample->scale : 0; /* what rounding covers */
    double over = error - spread_quantile(s, watched[SPREAD_LEVELS - 1]) - unit;
    double under = spread_quantile(s, watched[0]) - error - unit;
    open_band(&s->over, &s->misses_over, over);
    open_band(&s->under, &s->misses_under, under);
}

static size_t first_not_below(const struct spread *s, float error) {
    size_t low = 0, high = s->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->sorted[middle] < error) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The sorted copy follows the ring: the oldest goes, the newest takes its place in order. */
static void keep_error(struct spread *s, float error) {
    if (s->len == SPREAD_ERRORS) {
        size_t oldest = first_not_below(s, s->errors[s->next]);
        s->len--;
        memmove(s->sorted + oldest, s->sorted + oldest + 1, (s->len - oldest) * sizeof(float));
    }
    size_t place = first_not_below(s, error);
    memmove(s->sorted + place + 1, s->sorted + place, (s->len - place) * sizeof(float));
    s->sorted[place] = error;
    s->errors[s->next] = error;
    s->next = (s->next + 1) % SPREAD_ERRORS;
    s->len++;
}

void spread_observe(struct spread *s, const struct spread_sample *sample) {
    if (!(sample->scale > SCALE_LEAST_RATIO * sample->scale_usual)) {
        return;
    }
    if (s->len >= ERRORS_ENOUGH) {
        adapt(s, sample);
        if (s->short_lead) {
            watch_level(s, sample);
        }
    }
    if (s->skipped++ % s->stride == 0) {
        double error = (sample->value - sample->forecast) / sample->scale;
        keep_error(s, (float)fmin(fmax(error, -ERROR_MOST), ERROR_MOST));
    }
}
