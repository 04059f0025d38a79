#include "decide/forecast/spread.h"

#include <math.h>
#include <string.h>

#include "base/interpolate.h"

#define SCALE_SEASONS 10.0      /* memory of the scale */
#define OWN_RATIO 0.5           /* share of a bucket in its scale, beside the times around it */
#define POOLED_RATIO 0.3        /* share of the overall scale added to every one */
#define POOLED_ALONE_RATIO 0.1  /* … to that of a bucket alone */
#define SCALE_LEAST_RATIO 0.002 /* below this share of the usual scale an error says nothing */
#define GROUP_LITTLE 0.3        /* of the mean level */
#define GROUP_USUAL 1.3
#define ERROR_MOST 50.0
#define ERRORS_ENOUGH 20
#define RATE 0.0005
#define RATE_AHEAD 12.0
#define LEVEL_MOST 0.998
#define MISSES_IN_A_ROW 4 /* of 1 in 20: once in 160,000 rows by chance */
#define OPENED_KEEP 0.95F
#define OPENED_LEAST 0.05F

/* The season in as many parts as it has steps, but at most `most`. */
static uint32_t parts_of(const struct spread_scale *s, uint32_t most) {
    uint32_t steps = s->season_steps > 0 ? s->season_steps : 1;
    return steps < most ? steps : most;
}

static double learn_of(const struct spread_scale *s, uint32_t most) {
    double visits = fmax(s->season_steps, 1) / parts_of(s, most); /* a season */
    return 1 / (SCALE_SEASONS * visits);
}

void spread_scale_init(struct spread_scale *s, uint32_t season_steps) {
    memset(s, 0, sizeof *s);
    s->season_steps = season_steps;
    s->learn_bucket = learn_of(s, SPREAD_BUCKETS);
    s->learn_time = learn_of(s, SPREAD_TIMES);
    s->learn_all = 1 / (SCALE_SEASONS * fmax(season_steps, 24));
}

struct place {
    uint32_t bucket;
    uint32_t from, to; /* times that it lies between */
    double part;       /* of `to` */
};

static struct place place_of(const struct spread_scale *s, int64_t slot) {
    uint32_t times = parts_of(s, SPREAD_TIMES), steps = s->season_steps;
    if (steps == 0) {
        return (struct place){ 0 };
    }
    uint64_t step = (uint64_t)slot % steps;
    uint32_t from = (uint32_t)(step * times / steps);
    return (struct place){
        .bucket = (uint32_t)(step * parts_of(s, SPREAD_BUCKETS) / steps),
        .from = from,
        .to = (from + 1) % times,
        .part = (double)(step * times % steps) / steps,
    };
}

static void note(double *average, double value, double learn) {
    *average += learn * (value - *average);
}

static void note_usual(struct spread_usual *u, double error, double level, double learn) {
    u->error += (float)(learn * (error - (double)u->error));
    u->level += (float)(learn * (level - (double)u->level));
}

void spread_scale_observe(struct spread_scale *s, int64_t slot, double forecast, double value) {
    struct place at = place_of(s, slot);
    double error = fabs(value - forecast);
    note_usual(&s->buckets[at.bucket], error, forecast, s->learn_bucket);
    note_usual(&s->times[at.from], error, forecast, s->learn_time * (1 - at.part));
    note_usual(&s->times[at.to], error, forecast, s->learn_time * at.part);
    note(&s->mean_error, error, s->learn_all);
    note(&s->mean_level, forecast, s->learn_all);
}

/* From the usual error and level, with a share of the overall means. */
static double scale_of(const struct spread_scale *s, double forecast, double error, double level,
                       double pooled) {
    error += pooled * s->mean_error;
    level += pooled * s->mean_level;
    return level > 0 ? forecast * error / level : forecast;
}

double spread_scale_at(const struct spread_scale *s, int64_t slot, double forecast) {
    struct place at = place_of(s, slot);
    const struct spread_usual *own = &s->buckets[at.bucket];
    const struct spread_usual *from = &s->times[at.from], *to = &s->times[at.to];
    double error = interpolate((double)from->error, (double)to->error, at.part);
    double level = interpolate((double)from->level, (double)to->level, at.part);
    return scale_of(s, forecast, interpolate(error, (double)own->error, OWN_RATIO),
                    interpolate(level, (double)own->level, OWN_RATIO), POOLED_RATIO);
}

double spread_scale_alone(const struct spread_scale *s, int64_t slot, double forecast) {
    const struct spread_usual *own = &s->buckets[place_of(s, slot).bucket];
    return scale_of(s, forecast, (double)own->error, (double)own->level, POOLED_ALONE_RATIO);
}

size_t spread_group(const struct spread_scale *s, double forecast) {
    double ratio = s->mean_level > 0 ? forecast / s->mean_level : 1;
    return ratio < GROUP_LITTLE ? 0 : ratio < GROUP_USUAL ? 1 : 2;
}

static const double watched[SPREAD_LEVELS] = { 0.1, 0.5, 0.9, 0.95 };

void spread_init(struct spread *s, double memory, double ahead, bool short_lead) {
    /* Errors of overlapping forecasts are one error seen often: what is far ahead adapts slower. */
    *s = (struct spread){ .short_lead = short_lead,
                          .rate = (float)(RATE * fmin(1, RATE_AHEAD / ahead)) };
    error_shape_init(&s->shape, memory);
}

/* Quantile of the normal distribution, good to 0.005 (Abramowitz and Stegun 26.2.23). */
double spread_normal_quantile(double q) {
    double t = sqrt(-2 * log(q < 0.5 ? q : 1 - q));
    double z = t - (2.30753 + 0.27061 * t) / (1 + 0.99229 * t + 0.04481 * t * t);
    return q < 0.5 ? -z : z;
}

size_t spread_middle(const double *levels, size_t len) {
    size_t nearest = 0;
    for (size_t i = 1; i < len; i++) {
        if (fabs(levels[i] - 0.5) < fabs(levels[nearest] - 0.5)) {
            nearest = i;
        }
    }
    return nearest;
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
    double level = interpolate(low_at, high_at, (q - low) / (high - low));
    return fmin(fmax(level, 1 - LEVEL_MOST), LEVEL_MOST);
}

void spread_quantiles(const struct spread *s, size_t group, const double *levels, size_t len,
                      double *out) {
    struct error_mix mix;
    bool any = error_shape_mix(&s->shape, group, &mix);
    double trust = any ? fmin((double)s->len / ERRORS_ENOUGH, 1) : 0;
    for (size_t i = 0; i < len; i++) {
        double q = levels[i], normal = 1.5 * spread_normal_quantile(q);
        double opened = q > 0.5 ? (double)s->over : q < 0.5 ? -(double)s->under : 0;
        double seen = any ? error_mix_quantile(&mix, adapted_level(s, q)) : 0;
        out[i] = trust * seen + (1 - trust) * normal + opened;
    }
}

/* `now`: the quantiles at the watched levels. */
static void adapt(struct spread *s, const struct spread_sample *sample, const double *now) {
    for (size_t i = 0; i < SPREAD_LEVELS; i++) {
        double said = sample->forecast + now[i] * sample->scale;
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

static void watch_level(struct spread *s, const struct spread_sample *sample, const double *now) {
    double error = (sample->value - sample->forecast) / sample->scale;
    double unit = sample->whole ? 0.5 / sample->scale : 0; /* what rounding covers */
    open_band(&s->over, &s->misses_over, error - now[SPREAD_LEVELS - 1] - unit);
    open_band(&s->under, &s->misses_under, now[0] - error - unit);
}

void spread_observe(struct spread *s, const struct spread_sample *sample) {
    if (!(sample->scale > SCALE_LEAST_RATIO * sample->scale_usual)) {
        return;
    }
    if (s->len >= ERRORS_ENOUGH) {
        double now[SPREAD_LEVELS];
        spread_quantiles(s, sample->group, watched, SPREAD_LEVELS, now);
        adapt(s, sample, now);
        if (s->short_lead) {
            watch_level(s, sample, now);
        }
    }
    double error = (sample->value - sample->forecast) / sample->scale;
    error_shape_add(&s->shape, sample->group, fmin(fmax(error, -ERROR_MOST), ERROR_MOST));
    s->len++;
}
