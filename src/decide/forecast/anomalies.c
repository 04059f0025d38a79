#include "decide/forecast/anomalies.h"

/* In units of what was expected, and of the usual error there. */
#define OUTAGE_RATIO 0.4
#define OUTAGE_ERRORS 4.0
#define OUTAGE_OVER_RATIO 0.7
#define OUTAGE_OVER_ERRORS 1.5
#define BURST_SEASON_LEAST 24 /* steps: a day that stands out may be anything */
#define BURST_RATIO 1.8
#define BURST_ERRORS 6.0
#define BURST_OVER_RATIO 1.3
#define BURST_OVER_ERRORS 2.0
#define USUAL_ERRORS 1.0  /* of all places: a quiet one may be quiet by chance */
#define OUTAGE_SHARE 0.25 /* of usual demand: what is hardly any is no outage and no crowd */
#define BURST_SHARE 0.5
#define CHANCE_ERRORS 5.0 /* standard deviations of a count */
#define JUMP_RATIO 1.4    /* from one slot to the next: crowds gather, bots start */
#define AGAIN_SHARE 0.5   /* of what was too much, the time before */
#define AGAIN_OUTAGES 2   /* seasons in a row: the cost of believing it is an outage of our own */

#define SHIFT_SEASON_LEAST 24 /* steps: with less, days are too different to tell */
#define SHIFT_MOST 50.0
#define SHIFT_SEASONS 2 /* in which it may be over again */
#define SHIFT_OVER_LOW 0.6
#define SHIFT_OVER_HIGH 1.7

#define LEVEL_SHARE 12 /* of a season, to know how much more there is lately */
#define LEVEL_MOST 20.0
#define LEVEL_SHRINK 0.05

#define RUN_LEAST 6
#define RUN_CHANCE 1e-6
#define RUN_MEMORY 2000.0
#define RUN_COMMON 0.02 /* before anything was seen, as if in … values */
#define RUN_SEEN 50.0
#define HOUR_LEAST 4 /* steps: fewer repeat by chance */

const char *anomaly_name(enum anomaly_reason reason) {
    static const char *const names[] = { "none", "outage", "burst", "stuck", "repeated" };
    return names[reason];
}

static int64_t least_one(int64_t steps) {
    return steps > 1 ? steps : 1;
}

void anomalies_init(struct anomalies *a, const uint32_t *season_steps, size_t season_count,
                    uint32_t reach_steps, uint32_t hour_steps) {
    *a = (struct anomalies){
        .same = { 1, 0, RUN_SEEN, RUN_COMMON },
        .hour = { hour_steps < HOUR_LEAST ? 0 : hour_steps, 0, RUN_SEEN, RUN_COMMON },
        .ratio_before = NAN,
    };
    for (size_t i = 0; i < season_count && i < ANOMALY_SEASONS; i++) {
        if (i == 0 || season_steps[i] / season_steps[0] <= ANOMALY_HISTORY) {
            a->season_steps[a->season_count++] = season_steps[i];
        }
    }
    if (a->season_count == 0) {
        return; /* without a season nothing is expected */
    }
    int64_t season = a->season_steps[0], quarter = season / 4;
    a->outage_steps = least_one(season / 2);
    a->burst_steps = season < BURST_SEASON_LEAST ? 0
                     : quarter < reach_steps     ? quarter
                                                 : reach_steps;
    a->level_keep = 1 - 1 / fmax((double)season / LEVEL_SHARE, 1.5);
    a->enough = a->season_steps[a->season_count - 1] + a->season_steps[0];
}

/* ---- how far off a value is ---- */

struct reference { /* what was expected: as it was said, and at the level of the last hours */
    double low, high;
};

static struct reference reference_of(const struct anomalies *a, double expected) {
    double shrink = LEVEL_SHRINK * expected / (1 - a->level_keep);
    double level = (a->actual + shrink) / (a->expected + shrink);
    double now = expected * fmin(fmax(level, 1 / LEVEL_MOST), LEVEL_MOST);
    return isnan(now) ? (struct reference){ expected, expected }
                      : (struct reference){ fmin(expected, now), fmax(expected, now) };
}

static bool is_low(const struct anomaly_sample *s, double low, double ratio, double errors) {
    return s->value < ratio * low && low - s->value > errors * s->scale;
}

static bool is_high(const struct anomaly_sample *s, double high, double ratio, double errors) {
    return s->value > ratio * high && s->value - high > errors * s->scale;
}

/* Whether it was like that a season ago, give or take a slot. */
static bool burst_before(const struct history *h, const struct anomaly_sample *s, double high,
                         int64_t lag, int64_t *where) {
    double most = fmax(BURST_RATIO * high, high + AGAIN_SHARE * (s->value - high));
    for (int64_t at = s->slot - lag - 1; at <= s->slot - lag + 1; at++) {
        if (history_recorded(h, at) > most) {
            *where = at;
            return true;
        }
    }
    return false;
}

static bool outages_before(const struct history *h, const struct anomaly_sample *s, double low,
                           int64_t lag) {
    for (int64_t i = 1; i <= AGAIN_OUTAGES; i++) {
        if (!(history_recorded(h, s->slot - i * lag) < OUTAGE_RATIO * low)) {
            return false;
        }
    }
    return true;
}

/* ---- spans ---- */

static struct anomaly_span *span_at(struct anomalies *a, int64_t slot) {
    for (size_t i = 0; i < a->span_count; i++) {
        if (a->spans[i].from <= slot && slot < a->spans[i].to) {
            return &a->spans[i];
        }
    }
    return NULL;
}

static void remember(struct anomalies *a, struct anomaly_span span) {
    a->spans[a->span_next] = span;
    a->span_next = (a->span_next + 1) % ANOMALY_SPANS;
    a->span_count += a->span_count < ANOMALY_SPANS;
}

size_t anomalies_spans(const struct anomalies *a, struct anomaly_span *out, size_t most) {
    size_t len = 0;
    for (size_t i = 0; i < a->span_count; i++) {
        size_t at = (a->span_next + ANOMALY_SPANS - a->span_count + i) % ANOMALY_SPANS;
        if (a->spans[at].from < a->spans[at].to && len < most) {
            out[len++] = a->spans[at];
        }
    }
    bool goes_on = a->open.from < a->open.to && a->open.reason != ANOMALY_BURST;
    if (goes_on && len < most) { /* a burst is not left out before it is over */
        out[len++] = a->open;
    }
    return len;
}

/* It is a pattern: the time before was one, too. */
static void put_back(struct anomalies *a, const struct history *h, int64_t slot,
                     struct anomaly_verdict *v) {
    struct anomaly_span *span = span_at(a, slot);
    if (span != NULL) {
        v->stays = *span;
        span->to = span->from;
    } else if (history_is_aside(h, slot)) {
        v->stays = (struct anomaly_span){ slot, slot + 1, ANOMALY_NONE };
    }
}

static bool comes_again(struct anomalies *a, const struct history *h,
                        const struct anomaly_sample *s, const struct reference *r, bool high,
                        struct anomaly_verdict *v) {
    for (size_t i = 0; i < a->season_count; i++) {
        int64_t lag = a->season_steps[i], where = s->slot - lag;
        if (high ? burst_before(h, s, r->high, lag, &where) : outages_before(h, s, r->low, lag)) {
            put_back(a, h, where, v);
            return true;
        }
    }
    return false;
}

/* ---- new levels ---- */

static void say_shift(struct anomalies *a, int64_t from, double ratio, struct anomaly_verdict *v) {
    v->shift_from = from;
    v->shift_ratio = ratio;
    a->actual = a->expected = 0; /* from now on it is expected */
}

/* What stays is the new level. */
static void settle(struct anomalies *a, const struct anomaly_sample *s, struct anomaly_verdict *v) {
    double ratio = a->open_actual / a->open_expected;
    if (a->season_steps[0] >= SHIFT_SEASON_LEAST && ratio < SHIFT_MOST && ratio * SHIFT_MOST > 1) {
        say_shift(a, a->open.from, ratio, v);
        a->shift_ratio = ratio;
        a->shift_until = s->slot + (int64_t)SHIFT_SEASONS * a->season_steps[0];
    } else if (s->expected > 0) { /* what is expected does not know it yet */
        a->expected = s->expected / (1 - a->level_keep);
        a->actual = s->value / (1 - a->level_keep);
    }
}

/* It is as it was before the last new level. */
static bool shift_over(struct anomalies *a, const struct anomaly_sample *s,
                       struct anomaly_verdict *v) {
    if (!(a->shift_ratio > 0) || s->slot >= a->shift_until) {
        return false;
    }
    double before = s->expected / a->shift_ratio;
    if (s->value < SHIFT_OVER_LOW * before || s->value > SHIFT_OVER_HIGH * before) {
        return false;
    }
    say_shift(a, s->slot, 1 / a->shift_ratio, v);
    a->shift_ratio = 0;
    return true;
}

/* ---- outages and bursts ---- */

static enum anomaly_reason suspicion(struct anomalies *a, const struct history *h,
                                     const struct anomaly_sample *s, const struct reference *r,
                                     struct anomaly_verdict *v) {
    double usual = USUAL_ERRORS * s->scale_usual, demand = s->demand_usual;
    if (s->counts) {
        usual = fmax(usual, CHANCE_ERRORS * sqrt(1 + r->high));
    }
    bool low = is_low(s, r->low, OUTAGE_RATIO, OUTAGE_ERRORS) &&
               r->low - s->value > fmax(usual, OUTAGE_SHARE * demand);
    bool high = is_high(s, r->high, BURST_RATIO, BURST_ERRORS) &&
                s->value - r->high > fmax(usual, BURST_SHARE * demand);
    double jump = s->value / s->expected / a->ratio_before; /* NaN: not known, may be */
    high = high && !(jump < JUMP_RATIO) && a->burst_steps > 0;
    if ((!low && !high) || shift_over(a, s, v) || comes_again(a, h, s, r, high, v)) {
        return ANOMALY_NONE;
    }
    return low ? ANOMALY_OUTAGE : ANOMALY_BURST;
}

static bool goes_on(const struct anomalies *a, const struct anomaly_sample *s,
                    const struct reference *r) {
    return a->open.reason == ANOMALY_OUTAGE
               ? is_low(s, r->low, OUTAGE_OVER_RATIO, OUTAGE_OVER_ERRORS)
               : is_high(s, r->high, BURST_OVER_RATIO, BURST_OVER_ERRORS);
}

static void follow_level(struct anomalies *a, const struct anomaly_sample *s) {
    a->actual = a->actual * a->level_keep + s->value;
    a->expected = a->expected * a->level_keep + s->expected;
    a->judged += a->judged < a->enough;
}

static void continue_open(struct anomalies *a, const struct anomaly_sample *s,
                          const struct reference *r, struct anomaly_verdict *v) {
    int64_t most = a->open.reason == ANOMALY_OUTAGE ? a->outage_steps : a->burst_steps;
    if (!s->explained && !isnan(s->expected) && goes_on(a, s, r)) {
        a->open.to = s->slot + 1;
        a->open_actual += s->value;
        a->open_expected += s->expected;
        if (a->open.to - a->open.from <= most) {
            v->suspect = a->open.reason;
            return;
        }
        v->stays = a->open;
        v->stays.to = s->slot;
        settle(a, s, v);
    } else {
        v->left_out = a->open;
        remember(a, a->open);
    }
    a->open = (struct anomaly_span){ 0 };
}

static void look_at_size(struct anomalies *a, const struct history *h,
                         const struct anomaly_sample *s, struct anomaly_verdict *v) {
    struct reference r = reference_of(a, s->expected);
    if (a->open.from < a->open.to) {
        continue_open(a, s, &r, v);
    }
    if (v->suspect != ANOMALY_NONE || isnan(s->expected)) {
        return;
    }
    bool may = !s->explained && a->judged >= a->enough && v->stays.from == v->stays.to;
    enum anomaly_reason reason = may ? suspicion(a, h, s, &r, v) : ANOMALY_NONE;
    if (reason == ANOMALY_NONE) {
        if (!(v->shift_ratio > 0)) {
            follow_level(a, s);
        }
        return;
    }
    a->open = (struct anomaly_span){ s->slot, s->slot + 1, reason };
    a->open_actual = s->value;
    a->open_expected = s->expected;
    v->suspect = reason;
    v->begins = true;
}

/* ---- numbers that repeat ---- */

/* Whether the run has become too long for chance. */
static bool run_of(struct anomaly_run *run, const struct history *h,
                   const struct anomaly_sample *s) {
    double before = history_recorded(h, s->slot - run->lag);
    if (isnan(before) || run->lag == 0) {
        return false;
    }
    bool equal = (float)s->value == (float)before && s->value > 0;
    run->length = equal ? run->length + 1 : 0;
    if (pow(run->common, run->length) <= RUN_CHANCE) {
        return true; /* what is no chance says nothing about chance */
    }
    run->seen += run->seen < RUN_MEMORY;
    run->common += (equal - run->common) / run->seen;
    return false;
}

static bool hour_repeats(struct anomalies *a, const struct history *h,
                         const struct anomaly_sample *s) {
    bool certain = run_of(&a->hour, h, s);
    return certain && a->hour.length >= (double)a->hour.lag && a->same.length < RUN_LEAST;
}

static bool gauge_stuck(struct anomalies *a, const struct history *h,
                        const struct anomaly_sample *s) {
    bool certain = run_of(&a->same, h, s);
    if (a->same.length == 0) {
        a->run_low = a->run_high = s->expected;
    }
    a->run_low = fmin(a->run_low, s->expected);
    a->run_high = fmax(a->run_high, s->expected);
    bool moves = a->run_high - a->run_low > s->scale_usual;
    return certain && a->same.length >= RUN_LEAST && moves;
}

/* The first of them was measured. */
static void leave_run_out(struct anomalies *a, const struct anomaly_sample *s, double length,
                          enum anomaly_reason reason, struct anomaly_verdict *v) {
    struct anomaly_span span = { s->slot + 1 - (int64_t)length, s->slot + 1, reason };
    v->begins = false;
    v->suspect = reason;
    v->left_out = span;
    v->stays = (struct anomaly_span){ 0 };
    struct anomaly_span *known = span_at(a, s->slot - 1);
    if (known != NULL && known->reason == reason) {
        known->to = s->slot + 1;
    } else {
        remember(a, span);
    }
    a->open = (struct anomaly_span){ 0 };
}

struct anomaly_verdict anomalies_observe(struct anomalies *a, const struct history *h,
                                         const struct anomaly_sample *s) {
    struct anomaly_verdict v = { 0 };
    if (isnan(s->value) || a->season_count == 0) {
        v.suspect = a->open.reason;
        return v;
    }
    bool may = a->judged >= a->enough && !s->explained;
    bool stuck = gauge_stuck(a, h, s), repeats = hour_repeats(a, h, s);
    if (may && stuck && a->same.length <= (double)a->outage_steps) {
        leave_run_out(a, s, a->same.length, ANOMALY_STUCK, &v);
    } else if (may && repeats && a->hour.length <= (double)a->outage_steps) {
        leave_run_out(a, s, a->hour.length, ANOMALY_REPEATED, &v);
    } else {
        look_at_size(a, h, s, &v);
    }
    a->ratio_before = s->value / s->expected;
    return v;
}
