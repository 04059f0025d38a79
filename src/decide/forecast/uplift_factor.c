/* The factor that campaigns are on demand, and what forecasts become by it. */
#include <assert.h>
#include <math.h>

#include "decide/forecast/spread.h"
#include "decide/forecast/uplift_internal.h"
#include "decide/forecast/uplift_shape.h"

#define SETTLED_VARIANCE 0.01 /* of log E: from then on the campaign can be divided out */
#define RISE_MS_MAX 3600000.0
#define PARTS 4 /* of a step that are looked at */

struct factor {
    double median; /* mean over the span, of the median */
    size_t z_count;
    double z[UPLIFT_LEVELS_MAX];    /* as asked */
    double high[UPLIFT_LEVELS_MAX]; /* most within the span, so many standard deviations up */
    int64_t lead_ms;                /* as asked */
    double announced; /* as high of the first z, those that begin counted at their peak */
    bool begins;      /* one of them does */
};

/* The logarithm of an excess. */
struct excess {
    double mean, sd; /* mean -INFINITY: none */
};

static struct excess excess_at(const struct uplift_run *r, double age_s) {
    if (age_s <= 0) {
        return (struct excess){ -INFINITY, 0 };
    }
    const struct uplift_belief *b = &r->belief;
    struct uplift_shape shape = uplift_shape_at(b, age_s);
    double seen = r->seen_s > 0 ? uplift_shape_at(b, r->seen_s).lost : 0, decay = shape.lost - seen;
    double variance = b->size.variance - 2 * shape.rising * b->covariance + shape.variance +
                      decay * decay * b->half.variance; /* what is lost by now was seen */
    return (struct excess){ b->size.mean + shape.mean, sqrt(fmax(variance, 0)) };
}

/* From when on it may begin until it has risen and demand has said how large it is. */
static bool is_beginning(const struct uplift_run *r, const struct uplift_onset *onset,
                         int64_t from_ms, int64_t to_ms, int64_t lead_ms) {
    int64_t expected_ms = onset->at_ms < r->start_ms ? onset->at_ms : r->start_ms;
    int64_t early_ms = onset->at_ms - onset->slack_ms;
    int64_t first_ms = early_ms > expected_ms ? early_ms : expected_ms;
    double rise_ms = fmin(exp(r->belief.rise.mean) * 1000, RISE_MS_MAX);
    double settle_ms = fmax(rise_ms, UPLIFT_SETTLE_MS) + (double)lead_ms;
    return to_ms > first_ms && (double)(from_ms - onset->at_ms) < settle_ms;
}

/* The highest it may come to: in the first minutes nobody knows how far it has risen. */
static double peak_excess(const struct uplift_run *r, double z) {
    const struct uplift_normal *size = &r->belief.size;
    return fmin(exp(size->mean + z * sqrt(size->variance)), UPLIFT_EXCESS_MOST);
}

static void multiply(const struct uplift_run *r, int64_t now_ms, int64_t from_ms, int64_t to_ms,
                     struct factor *f) {
    struct uplift_onset onset;
    if (!uplift_onset_of(r, now_ms, &onset)) {
        return;
    }
    int64_t end_ms = uplift_ends_ms(r, &onset);
    double sum = 0, span_ms = (double)(to_ms - from_ms), most[UPLIFT_LEVELS_MAX];
    for (size_t i = 0; i < f->z_count; i++) {
        most[i] = -INFINITY;
    }
    for (int part = 0; part < PARTS; part++) {
        int64_t at_ms = from_ms + (int64_t)(span_ms * (part + 0.5) / PARTS);
        int64_t latest_ms = from_ms + (int64_t)(span_ms * (part + 1) / PARTS);
        if (at_ms >= end_ms) {
            break;
        }
        struct excess high =
            excess_at(r, (double)(latest_ms - onset.at_ms + onset.slack_ms) / 1000);
        sum +=
            fmin(exp(excess_at(r, (double)(at_ms - onset.at_ms) / 1000).mean), UPLIFT_EXCESS_MOST);
        for (size_t i = 0; i < f->z_count; i++) {
            most[i] = fmax(most[i], high.mean + f->z[i] * high.sd);
        }
    }
    bool begins = from_ms < end_ms && is_beginning(r, &onset, from_ms, to_ms, f->lead_ms);
    f->median *= 1 + sum / PARTS;
    for (size_t i = 0; i < f->z_count; i++) {
        f->high[i] *= 1 + fmin(exp(most[i]), UPLIFT_EXCESS_MOST);
    }
    f->announced *= 1 + (begins ? peak_excess(r, f->z[0]) : sum / PARTS);
    f->begins |= begins;
}

/* Of the quantiles `levels`. */
static struct factor no_factor(const double *levels, size_t level_count, int64_t lead_ms) {
    struct factor f = { .median = 1, .z_count = level_count, .lead_ms = lead_ms, .announced = 1 };
    assert(level_count <= UPLIFT_LEVELS_MAX);
    for (size_t i = 0; i < level_count; i++) {
        f.z[i] = spread_normal_quantile(levels[i]);
        f.high[i] = 1;
    }
    return f;
}

/* Of all campaigns, from `f` as it is without any. */
static struct factor factor_of(const struct uplift *u, int64_t now_ms, int64_t from_ms,
                               int64_t to_ms, struct factor f) {
    const struct calendar *c = u->calendar;
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        if (u->runs[i].key != 0) {
            multiply(&u->runs[i], now_ms, from_ms, to_ms, &f);
        }
    }
    for (size_t i = c == NULL ? 0 : calendar_first_touching(c, from_ms - UPLIFT_PATIENCE_MS);
         c != NULL && i < c->len && c->events[i].start_ms - UPLIFT_EARLY_MS < to_ms; i++) {
        const struct calendar_event *e = &c->events[i];
        if (uplift_is_campaign(e) && e->start_ms > now_ms &&
            uplift_find_run(u, e) == UPLIFT_RUNS_MAX) {
            struct uplift_run imagined = uplift_imagine(u, e);
            multiply(&imagined, now_ms, from_ms, to_ms, &f);
        }
    }
    return f;
}

/* Two independent log-normal errors: their squares add up. */
static double widen(double median, double value, double factor_median, double factor) {
    double own = log(fmax(value, 1e-9) / fmax(median, 1e-9)), other = log(factor / factor_median);
    return factor_median * median * exp(copysign(sqrt(own * own + other * other), own + other));
}

void uplift_apply(const struct uplift *u, int64_t now_ms, const struct uplift_path *path,
                  double *mean, double *values) {
    size_t middle = spread_middle(path->levels, path->level_count);
    if (!uplift_touches(u, path->start_ms, path->start_ms + (int64_t)path->steps * path->step_ms)) {
        return;
    }
    const struct factor without = no_factor(path->levels, path->level_count, 0);
    for (size_t step = 0; step < path->steps; step++) {
        int64_t from_ms = path->start_ms + (int64_t)step * path->step_ms;
        double *row = &values[step * path->level_count], median = row[middle], floor = 0;
        struct factor f = factor_of(u, now_ms, from_ms, from_ms + path->step_ms, without);
        if (mean != NULL) {
            mean[step] *= f.median;
        }
        for (size_t i = 0; i < path->level_count; i++) {
            double factor = f.median;
            if (i != middle) {
                factor = f.z[i] > 0 ? fmax(f.high[i], f.median) : fmin(f.high[i], f.median);
            }
            floor = fmax(floor, widen(median, row[i], f.median, factor));
            row[i] = floor;
        }
    }
}

void uplift_announced(const struct uplift *u, int64_t now_ms, const struct uplift_path *path,
                      const struct uplift_begin *begin, double *out) {
    int64_t end_ms = path->start_ms + (int64_t)path->steps * path->step_ms;
    bool touches = uplift_touches(u, path->start_ms, end_ms);
    const struct factor without = no_factor(&begin->quantile, 1, begin->lead_ms);
    for (size_t step = 0; step < path->steps; step++) {
        int64_t from_ms = path->start_ms + (int64_t)step * path->step_ms;
        struct factor f = without;
        if (touches) {
            f = factor_of(u, now_ms, from_ms, from_ms + path->step_ms, without);
        }
        out[step] = f.begins ? f.announced : (double)NAN;
    }
}

double uplift_ordinary(const struct uplift *u, int64_t from_ms, int64_t to_ms, double value) {
    double factor = 1;
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        const struct uplift_run *r = &u->runs[i];
        if (r->key == 0 || r->phase != UPLIFT_RUNNING || r->onset_ms >= to_ms) {
            continue;
        }
        if (to_ms - r->onset_ms < UPLIFT_UNLEARNED_MS ||
            r->belief.size.variance > SETTLED_VARIANCE) {
            return NAN;
        }
        struct factor f = no_factor(NULL, 0, 0);
        multiply(r, to_ms, from_ms, to_ms, &f);
        factor *= f.median;
    }
    return value / factor;
}

double uplift_of_others(const struct uplift *u, const struct uplift_run *mine,
                        const struct uplift_sample *s) {
    struct factor f = no_factor(NULL, 0, 0);
    int64_t from_ms = s->end_ms - (int64_t)(s->seconds * 1000);
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        const struct uplift_run *r = &u->runs[i];
        if (r != mine && r->key != 0 && r->phase == UPLIFT_RUNNING) {
            multiply(r, s->end_ms, from_ms, s->end_ms, &f);
        }
    }
    return f.median;
}
