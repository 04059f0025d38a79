#include "decide/forecast/uplift.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "decide/forecast/spread.h"
#include "decide/forecast/uplift_shape.h"

#define ONSET_SHARE 0.3 /* of the expected excess, that tells a campaign from none */
#define ONSET_EXCESS_LEAST 0.15
#define ONSET_THRESHOLD 6.0   /* of the log likelihood ratio: one false alarm in e^6 samples */
#define ONSET_DISPERSION 0.05 /* variance of a count ÷ its mean grows by this with each request */
#define ONSET_UNSURE_S 10.0   /* how well the onset is known */
#define CORRELATION_S 10.0    /* seconds within it tell the same */
#define DRIFT_PER_S 4e-4      /* variance that log E gains each second: shapes are only models */
#define NOISE 0.08            /* of log E, in a sample */
#define EXCESS_LEAST 0.02     /* smaller ones count as this: logarithms need one */
#define EXCESS_MOST 1000.0
#define VARIANCE_LEAST 1e-4
#define AGE_LEAST_S 0.5
#define PEAK_SHARE 0.9        /* of the peak: there the rise has ended */
#define SETTLED_VARIANCE 0.01 /* of log E: from then on the campaign can be divided out */
#define AGE_UNIT_S 10.0
#define AGE_GROWTH 0.14 /* of the bins of age, one to the next */
#define QUANTILE_OF_TENTH 1.2816
#define RISE_MS_MAX 3600000.0
#define DELAY_SPREADS 2.0 /* that the send may be earlier than expected */
#define PARTS 4           /* of a step that are looked at */

void uplift_init(struct uplift *u) {
    *u = (struct uplift){ .last_ms = INT64_MIN };
}

/* ---- which events are campaigns, and which run is whose ---- */

/* What has no multiplier above 1 does not raise demand; holidays are learned as effects. */
static bool is_campaign(const struct calendar_event *e) {
    return !calendar_is_ordinary(e);
}

static uint64_t key_of(const struct calendar_event *e) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    const struct slice parts[] = { e->name, SLICE("\n"), e->kind };
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < parts[i].len; j++) {
            hash = (hash ^ (unsigned char)parts[i].data[j]) * 1099511628211u;
        }
    }
    return hash | 1;
}

/* UPLIFT_RUNS_MAX: none. */
static size_t find_run(const struct uplift *u, const struct calendar_event *e) {
    uint64_t key = key_of(e);
    size_t i = 0;
    for (; i < UPLIFT_RUNS_MAX; i++) {
        const struct uplift_run *r = &u->runs[i];
        if (r->key == key && e->start_ms < r->end_ms + UPLIFT_EARLY_MS &&
            e->end_ms > r->start_ms - UPLIFT_EARLY_MS) {
            break;
        }
    }
    return i;
}

static double said_of(const struct calendar_event *e) {
    return e->multiplier > 1 ? log(e->multiplier - 1) : (double)NAN;
}

static double duration_s(const struct calendar_event *e) {
    return (double)(e->end_ms - e->start_ms) / 1000;
}

static struct uplift_belief expect(const struct uplift *u, const struct calendar_event *e) {
    return uplift_kinds_expect(&u->kinds, e->kind, said_of(e), duration_s(e));
}

/* Nothing of it is seen yet. */
static void wait_for(struct uplift_run *r, struct uplift_belief belief) {
    r->phase = UPLIFT_WAITING;
    r->belief = belief;
    r->sought = exp(belief.size.mean) * ONSET_SHARE;
    r->cusum = 0;
    r->onset_ms = 0;
    r->seen_s = 0;
    memset(r->excess_sum, 0, sizeof r->excess_sum);
    memset(r->excess_weight, 0, sizeof r->excess_weight);
}

static void begin_run(struct uplift *u, const struct calendar_event *e) {
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        struct uplift_run *r = &u->runs[i];
        if (r->key == 0) {
            *r = (struct uplift_run){ .key = key_of(e),
                                      .start_ms = e->start_ms,
                                      .end_ms = e->end_ms,
                                      .said = said_of(e),
                                      .announced = true };
            wait_for(r, expect(u, e));
            slice_copy_text(slice_sub(e->kind, 0, sizeof r->kind - 1), r->kind, sizeof r->kind);
            return;
        }
    }
}

static void follow(struct uplift *u, struct uplift_run *r, const struct calendar_event *e) {
    r->announced = true;
    if (r->start_ms == e->start_ms && r->end_ms == e->end_ms) {
        return;
    }
    r->start_ms = e->start_ms;
    r->end_ms = e->end_ms;
    if (r->phase == UPLIFT_WAITING) {
        wait_for(r, expect(u, e));
    }
}

/* Runs and events agree; what was cancelled goes, unless it has begun all the same. */
static void match(struct uplift *u, int64_t now_ms) {
    const struct calendar *c = u->calendar;
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        u->runs[i].announced = false;
    }
    for (size_t i = c == NULL ? 0 : calendar_first_touching(c, now_ms - UPLIFT_PATIENCE_MS);
         c != NULL && i < c->len && c->events[i].start_ms - UPLIFT_EARLY_MS <= now_ms; i++) {
        const struct calendar_event *e = &c->events[i];
        size_t run = find_run(u, e);
        if (!is_campaign(e)) {
            continue;
        }
        if (run < UPLIFT_RUNS_MAX) {
            follow(u, &u->runs[run], e);
        } else if (e->end_ms > now_ms) {
            begin_run(u, e);
        }
    }
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        if (u->runs[i].key != 0 && !u->runs[i].announced && u->runs[i].phase != UPLIFT_RUNNING) {
            u->runs[i] = (struct uplift_run){ 0 };
        }
    }
}

void uplift_set_calendar(struct uplift *u, const struct calendar *calendar) {
    u->calendar = calendar;
    if (u->last_ms != INT64_MIN) {
        match(u, u->last_ms);
    }
}

bool uplift_touches(const struct uplift *u, int64_t from_ms, int64_t to_ms) {
    const struct calendar *c = u->calendar;
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        if (u->runs[i].key != 0) {
            return true;
        }
    }
    for (size_t i = c == NULL ? 0 : calendar_first_touching(c, from_ms - UPLIFT_PATIENCE_MS);
         c != NULL && i < c->len && c->events[i].start_ms - UPLIFT_EARLY_MS < to_ms; i++) {
        if (is_campaign(&c->events[i])) {
            return true;
        }
    }
    return false;
}

/* ---- the factor ---- */

/* When it begins as far as is known, and how much earlier it may. */
struct onset {
    int64_t at_ms, slack_ms;
};

static int64_t patience_until(const struct uplift_run *r) {
    int64_t most = r->start_ms + UPLIFT_PATIENCE_MS;
    return most < r->end_ms ? most : r->end_ms;
}

/* False: nobody expects it any more. */
static bool onset_of(const struct uplift_run *r, int64_t now_ms, struct onset *out) {
    if (r->phase == UPLIFT_RUNNING) {
        *out = (struct onset){ r->onset_ms, 0 };
        return true;
    }
    const struct uplift_normal *delay = &r->belief.delay;
    int64_t expected = r->start_ms + (int64_t)(delay->mean * 1000);
    out->slack_ms = (int64_t)(DELAY_SPREADS * sqrt(delay->variance) * 1000);
    out->at_ms = expected > now_ms ? expected : now_ms; /* not seen yet: any moment now */
    return r->phase == UPLIFT_WAITING && now_ms < patience_until(r);
}

/* A send that is late ends late. */
static int64_t ends_ms(const struct uplift_run *r, const struct onset *onset) {
    int64_t late = onset->at_ms - r->start_ms;
    return r->end_ms + (late > 0 ? late : 0);
}

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
static bool is_beginning(const struct uplift_run *r, const struct onset *onset, int64_t from_ms,
                         int64_t to_ms, int64_t lead_ms) {
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
    return fmin(exp(size->mean + z * sqrt(size->variance)), EXCESS_MOST);
}

static void multiply(const struct uplift_run *r, int64_t now_ms, int64_t from_ms, int64_t to_ms,
                     struct factor *f) {
    struct onset onset;
    if (!onset_of(r, now_ms, &onset)) {
        return;
    }
    int64_t end_ms = ends_ms(r, &onset);
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
        sum += fmin(exp(excess_at(r, (double)(at_ms - onset.at_ms) / 1000).mean), EXCESS_MOST);
        for (size_t i = 0; i < f->z_count; i++) {
            most[i] = fmax(most[i], high.mean + f->z[i] * high.sd);
        }
    }
    bool begins = from_ms < end_ms && is_beginning(r, &onset, from_ms, to_ms, f->lead_ms);
    f->median *= 1 + sum / PARTS;
    for (size_t i = 0; i < f->z_count; i++) {
        f->high[i] *= 1 + fmin(exp(most[i]), EXCESS_MOST);
    }
    f->announced *= 1 + (begins ? peak_excess(r, f->z[0]) : sum / PARTS);
    f->begins |= begins;
}

/* A run that is not begun yet, of an event further ahead. */
static struct uplift_run imagine(const struct uplift *u, const struct calendar_event *e) {
    return (struct uplift_run){
        .key = 1, .start_ms = e->start_ms, .end_ms = e->end_ms, .belief = expect(u, e)
    };
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
        if (is_campaign(e) && e->start_ms > now_ms && find_run(u, e) == UPLIFT_RUNS_MAX) {
            struct uplift_run imagined = imagine(u, e);
            multiply(&imagined, now_ms, from_ms, to_ms, &f);
        }
    }
    return f;
}

static size_t median_column(const struct uplift_path *path) {
    size_t best = 0;
    for (size_t i = 1; i < path->level_count; i++) {
        if (fabs(path->levels[i] - 0.5) < fabs(path->levels[best] - 0.5)) {
            best = i;
        }
    }
    return best;
}

/* Two independent log-normal errors: their squares add up. */
static double widen(double median, double value, double factor_median, double factor) {
    double own = log(fmax(value, 1e-9) / fmax(median, 1e-9)), other = log(factor / factor_median);
    return factor_median * median * exp(copysign(sqrt(own * own + other * other), own + other));
}

void uplift_apply(const struct uplift *u, int64_t now_ms, const struct uplift_path *path,
                  double *mean, double *values) {
    size_t middle = median_column(path);
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

/* ---- learning ---- */

static size_t bin_of(double age_s) {
    double bin = log1p(fmax(age_s, 0) / AGE_UNIT_S) / AGE_GROWTH;
    return bin < UPLIFT_AGE_BINS ? (size_t)bin : UPLIFT_AGE_BINS - 1;
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

static void learn(struct uplift *u, const struct uplift_run *r) {
    size_t peak = highest_bin(r);
    if (peak == UPLIFT_AGE_BINS || !(bin_excess(r, peak) > EXCESS_LEAST)) {
        return;
    }
    double size = log(bin_excess(r, peak)), length_s = (double)(r->end_ms - r->start_ms) / 1000;
    double rise_s = age_at_share(r, peak, PEAK_SHARE, false) / PEAK_SHARE;
    double half_s = age_at_share(r, peak, 0.5, true) - rise_s;
    struct uplift_outcome seen = { .of = {
                                       [UPLIFT_SIZE] = size,
                                       [UPLIFT_BIAS] = size - r->said,
                                       [UPLIFT_RISE] = log(fmax(rise_s, 1)),
                                       [UPLIFT_HALF] = log(half_s > 0 ? half_s : 10 * length_s),
                                       [UPLIFT_DELAY] = (double)(r->onset_ms - r->start_ms) / 1000,
                                   } };
    uplift_kinds_learn(&u->kinds, slice_from(r->kind), &seen);
}

/* ---- what a sample says ---- */

/* The logarithm of the likelihood ratio: that it goes on, against that it does not. */
static double evidence(const struct uplift_run *r, const struct uplift_sample *s, double ordinary) {
    double expected = ordinary * s->seconds, seen = s->demand_rps * s->seconds;
    double ratio = 1 + fmax(fmin(r->sought, 2), ONSET_EXCESS_LEAST);
    return (seen * log(ratio) - expected * (ratio - 1)) / (1 + ONSET_DISPERSION * expected);
}

/* What looked like the onset and is not borne out was chance: the send is still to come. */
static void doubt_onset(const struct uplift *u, struct uplift_run *r, const struct uplift_sample *s,
                        double ordinary) {
    r->cusum += evidence(r, s, ordinary);
    if (r->cusum <= 0) {
        double length_s = (double)(r->end_ms - r->start_ms) / 1000;
        wait_for(r, uplift_kinds_expect(&u->kinds, slice_from(r->kind), r->said, length_s));
    }
}

static void look_for_onset(struct uplift_run *r, const struct uplift_sample *s, double ordinary) {
    if (r->cusum <= 0) {
        r->cusum = 0;
        r->cusum_ms = s->end_ms - (int64_t)(s->seconds * 1000);
    }
    r->cusum = fmax(r->cusum + evidence(r, s, ordinary), 0);
    if (r->cusum > ONSET_THRESHOLD) {
        r->phase = UPLIFT_RUNNING;
        r->onset_ms = r->cusum_ms;
    }
}

/* Extended Kalman filter on log E and log rise: demand that goes on rising says that the rise is
 * long, demand that stays says that the peak is there. */
static void filter(struct uplift_belief *b, double age_s, double seconds, double excess,
                   double variance) {
    struct uplift_shape shape = uplift_shape_at(b, age_s);
    double onset = ONSET_UNSURE_S / age_s; /* of the logarithm of the age */
    double linear = shape.rising * shape.rising * b->rise.variance;
    double noise = fmax(shape.variance - linear, 0) +
                   (onset * onset + NOISE * NOISE + variance / (excess * excess)) *
                       fmax(CORRELATION_S / seconds, 1);
    b->size.variance += DRIFT_PER_S * seconds;
    double size = b->size.variance - shape.rising * b->covariance;
    double rise = b->covariance - shape.rising * b->rise.variance;
    double whole = fmax(size - shape.rising * rise, 0) + noise;
    double surprise = log(excess) - shape.mean - b->size.mean;
    b->size.mean += size / whole * surprise;
    b->rise.mean += rise / whole * surprise;
    b->size.variance = fmax(b->size.variance - size * size / whole, VARIANCE_LEAST);
    b->rise.variance = fmax(b->rise.variance - rise * rise / whole, VARIANCE_LEAST);
    b->covariance -= size * rise / whole;
}

static void correct(struct uplift_run *r, const struct uplift_sample *s, double ordinary) {
    double age_s = (double)(s->end_ms - r->onset_ms) / 1000 - s->seconds / 2;
    double expected = ordinary * s->seconds, seen = s->demand_rps * s->seconds;
    double excess = fmin(seen / expected - 1, EXCESS_MOST);
    size_t bin = bin_of(age_s);
    r->excess_sum[bin] += excess * s->seconds;
    r->excess_weight[bin] += s->seconds;
    filter(&r->belief, fmax(age_s, AGE_LEAST_S), s->seconds, fmax(excess, EXCESS_LEAST),
           fmax(seen, 1) / (expected * expected));
    r->seen_s = fmax(age_s, AGE_LEAST_S);
}

/* What the other campaigns of this moment make of the ordinary demand. */
static double of_others(const struct uplift *u, const struct uplift_run *mine,
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

static void observe_run(struct uplift *u, struct uplift_run *r, const struct uplift_sample *s) {
    double ordinary = s->ordinary_rps * of_others(u, r, s);
    if (r->phase == UPLIFT_WAITING && ordinary > 0) {
        look_for_onset(r, s, ordinary);
    } else if (r->phase == UPLIFT_RUNNING && ordinary > 0 && s->end_ms < patience_until(r)) {
        doubt_onset(u, r, s, ordinary);
    }
    struct onset onset = { r->start_ms, 0 };
    (void)onset_of(r, s->end_ms, &onset);
    if (r->phase == UPLIFT_RUNNING && s->end_ms > ends_ms(r, &onset)) {
        learn(u, r);
        r->phase = UPLIFT_OVER;
    } else if (r->phase == UPLIFT_RUNNING && ordinary > 0) {
        correct(r, s, ordinary);
    }
    int64_t last_ms = r->end_ms + UPLIFT_PATIENCE_MS;
    if ((r->phase == UPLIFT_WAITING && s->end_ms > r->end_ms) ||
        (r->phase == UPLIFT_OVER && s->end_ms > last_ms)) {
        *r = (struct uplift_run){ 0 };
    }
}

void uplift_observe(struct uplift *u, const struct uplift_sample *s) {
    if (s->end_ms <= u->last_ms || !(s->seconds > 0)) {
        return;
    }
    u->last_ms = s->end_ms;
    match(u, s->end_ms);
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        if (u->runs[i].key != 0 && !isnan(s->demand_rps)) {
            observe_run(u, &u->runs[i], s);
        }
    }
}

struct uplift_opinion uplift_think(const struct uplift *u, const struct calendar_event *event) {
    size_t run = find_run(u, event);
    struct uplift_run imagined = imagine(u, event);
    const struct uplift_run *r = run < UPLIFT_RUNS_MAX ? &u->runs[run] : &imagined;
    const struct uplift_normal *size = &r->belief.size;
    double apart = QUANTILE_OF_TENTH * sqrt(size->variance);
    bool lasts = r->belief.half.variance == 0;
    return (struct uplift_opinion){
        .peak = 1 + exp(size->mean),
        .peak_low = 1 + exp(size->mean - apart),
        .peak_high = 1 + exp(size->mean + apart),
        .rise_ms = 1000 * exp(r->belief.rise.mean),
        .half_ms = lasts ? (double)INFINITY : 1000 * exp(r->belief.half.mean),
        .learned_from = uplift_kinds_count(&u->kinds, event->kind),
        .phase = r->phase,
        .onset_ms = r->onset_ms,
    };
}
