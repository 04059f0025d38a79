/* Telling: what is expected of the slots to come, and how it came to that. */
#include "decide/forecast/forecast_internal.h"

#include <assert.h>
#include <string.h>

#include "base/interpolate.h"

int64_t forecast_slot_ms(const struct forecast *f, int64_t slot) {
    return f->first_ms + slot * f->options.step_ms;
}

struct features_origin forecast_look_back(const struct forecast *f, int64_t origin_slot) {
    struct features_origin from;
    features_look_back(&f->members, &f->history, origin_slot, origins_at(&f->origins, origin_slot),
                       &from);
    return from;
}

void forecast_profiles(struct forecast *f, int64_t slot, uint32_t ahead,
                       struct profile_values *out) {
    profile_cache_look(&f->profiles, &f->members, &f->history, slot, ahead, out);
}

bool correction_possible(const struct correction *c) {
    return !isnan(c->in.base) && !isnan(c->from.level);
}

double correct_by_line(const struct rung *r, struct correction *c) {
    if (r->line == NULL) {
        return NAN;
    }
    if (!c->lined) {
        line_inputs(&c->in, c->from.level, c->inputs);
        c->lined = true;
    }
    return line_correct(r->line, c->inputs, c->from.level, c->in.base);
}

double correct_by_trees(const struct forecast *f, const struct correction *c) {
    const struct trees *model = boost_model(&f->boost);
    uint8_t bytes[FEATURES];
    if (model == NULL) {
        return NAN;
    }
    features_fill(&c->in, &c->from, bytes);
    return boost_correct(trees_predict(model, bytes), c->from.level, c->in.base);
}

struct features_input forecast_features(const struct forecast *f, int64_t slot, uint32_t ahead,
                                        const struct profile_values *profiles, double learned) {
    return (struct features_input){
        .members = &f->members,
        .history = &f->history,
        .known = &f->known,
        .origin = origins_at(&f->origins, slot - ahead),
        .profiles = profiles,
        .slot = slot,
        .slot_ms = forecast_slot_ms(f, slot),
        .ahead = ahead,
        .learned = learned,
    };
}

size_t forecast_observed(const struct forecast *f) {
    return f->observed;
}

/* Between two rungs everything is interpolated along the logarithm of the horizon. */
struct place {
    size_t low, high;
    double part; /* of high */
};

static struct place place_on_ladder(const struct forecast *f, uint32_t ahead, size_t from) {
    size_t low = from;
    while (low + 1 < f->rung_count && f->rungs[low + 1].ahead <= ahead) {
        low++;
    }
    size_t high = low + 1 < f->rung_count ? low + 1 : low;
    double a = f->rungs[low].ahead, b = f->rungs[high].ahead;
    return (struct place){ low, high, high == low ? 0 : log(ahead / a) / log(b / a) };
}

/* One slot of the path on its way. */
struct point {
    uint32_t ahead;
    struct place at;
    struct known_slot known;
    double mean;                    /* of the members; NaN: they have nothing to say */
    struct profile_values profiles; /* borrowed by `correction` */
    struct correction correction;   /* where possible */
    double trees;                   /* what they make of the mean; NaN: nothing */
};

static void ask_members(struct forecast *f, const struct features_origin *from, struct point *p) {
    double forecasts[MEMBERS_MAX];
    int64_t slot = f->next_slot + p->ahead - 1;
    known_look(&f->known, &f->effects, forecast_slot_ms(f, slot), f->options.lead_ms, &p->known);
    forecast_profiles(f, slot, p->ahead, &p->profiles);
    members_predict(&f->members, &p->profiles, origins_at(&f->origins, f->next_slot - 1),
                    members_fade(&f->members, p->ahead), forecasts);
    const struct rung *low = &f->rungs[p->at.low], *high = &f->rungs[p->at.high];
    p->mean =
        interpolate(combination_forecast(&low->combination, &f->members, forecasts),
                    combination_forecast(&high->combination, &f->members, forecasts), p->at.part);
    p->correction = (struct correction){
        .in = forecast_features(f, slot, p->ahead, &p->profiles, p->known.learned),
        .from = *from,
    };
    p->correction.in.base = p->mean * p->known.learned;
}

static void ask_trees(const struct forecast *f, struct point *points, size_t len) {
    const struct trees *model = boost_model(&f->boost);
    struct trees_rows rows = { .len = 0 };
    double said[TREES_ROWS];
    uint8_t bytes[FEATURES];
    for (size_t i = 0; i < len; i++) {
        const struct correction *c = &points[i].correction;
        points[i].trees = NAN;
        if (model != NULL && correction_possible(c)) {
            features_fill(&c->in, &c->from, bytes);
            trees_rows_add(&rows, bytes);
        }
    }
    if (rows.len == 0) {
        return;
    }
    trees_predict_rows(model, &rows, said);
    for (size_t i = 0, row = 0; i < len; i++) {
        const struct correction *c = &points[i].correction;
        if (correction_possible(c)) {
            points[i].trees = boost_correct(said[row++], c->from.level, c->in.base);
        }
    }
}

/* The line's word and the trees' blended in. */
static double blended(const struct forecast *f, struct point *p) {
    struct correction *c = &p->correction;
    if (isnan(p->mean)) {
        return fmax(f->members.recent_fast, 0);
    }
    if (!correction_possible(c)) {
        return p->mean;
    }
    const struct rung *low = &f->rungs[p->at.low], *high = &f->rungs[p->at.high];
    double lined =
        interpolate(blend_mix(&low->line_blend, c->in.base, correct_by_line(low, c)),
                    blend_mix(&high->line_blend, c->in.base, correct_by_line(high, c)), p->at.part);
    return interpolate(blend_mix(&low->blend, lined, p->trees),
                       blend_mix(&high->blend, lined, p->trees), p->at.part) /
           p->known.learned;
}

/* As many slots as trees look at at once, from `first` on. */
static void begin_points(struct forecast *f, const struct features_origin *from, size_t first,
                         size_t len, struct point *points) {
    size_t low = 0;
    for (size_t i = 0; i < len; i++) {
        points[i].ahead = (uint32_t)(first + i) + 1;
        points[i].at = place_on_ladder(f, points[i].ahead, low);
        low = points[i].at.low;
        ask_members(f, from, &points[i]);
    }
    ask_trees(f, points, len);
}

/* The quantiles of errors, as far as they were needed. */
struct errors {
    double at[RUNGS_MAX][ERROR_SHAPE_GROUPS][FORECAST_QUANTILES_MAX];
    bool known[RUNGS_MAX][ERROR_SHAPE_GROUPS];
};

static const double *errors_of(struct errors *e, const struct forecast *f, size_t rung,
                               size_t group, const struct forecast_quantiles *q) {
    double *at = e->at[rung][group];
    if (!e->known[rung][group]) {
        spread_quantiles(&f->rungs[rung].spread, group, q->levels, q->len, at);
        e->known[rung][group] = true;
    }
    return at;
}

bool forecast_predict(struct forecast *f, size_t steps, struct forecast_quantiles quantiles,
                      double *mean, double *values) {
    struct errors errors;
    struct point points[TREES_ROWS];
    assert(steps <= f->options.horizon_steps);
    assert(quantiles.len <= FORECAST_QUANTILES_MAX);
    if (isnan(f->members.recent_fast)) {
        return false;
    }
    memset(errors.known, 0, sizeof errors.known);
    struct features_origin from = forecast_look_back(f, f->next_slot - 1);
    for (size_t i = 0; i < steps; i++) {
        if (i % TREES_ROWS == 0) {
            begin_points(f, &from, i, steps - i < TREES_ROWS ? steps - i : TREES_ROWS, points);
        }
        struct point *p = &points[i % TREES_ROWS];
        const struct known_slot *e = &p->known;
        struct place at = p->at;
        int64_t slot = f->next_slot + (int64_t)i;
        double point = blended(f, p);
        double scale = spread_scale_at(&f->scale, slot, point), floor = 0;
        size_t group = spread_group(&f->scale, point);
        const double *low = errors_of(&errors, f, at.low, group, &quantiles);
        const double *high = errors_of(&errors, f, at.high, group, &quantiles);
        for (size_t q = 0; q < quantiles.len; q++) {
            double error = interpolate(low[q], high[q], at.part);
            double value = (point + error * scale) * e->given * e->learned;
            floor = fmax(floor, f->fractions ? value : round(value));
            values[i * quantiles.len + q] = floor;
        }
        if (mean != NULL) {
            mean[i] = point * e->given * e->learned;
        }
    }
    return true;
}

const char *forecast_knows(const struct forecast *f) {
    const struct members *m = &f->members;
    if (f->observed == 0) {
        return "nothing";
    }
    if (m->season_count == 0 || f->observed < m->season_steps[0]) {
        return "level";
    }
    return f->observed < m->season_steps[m->season_count - 1] ? "season" : "seasons";
}

size_t forecast_left_out(const struct forecast *f, struct forecast_left_out *out, size_t most) {
    struct anomaly_span spans[FORECAST_LEFT_OUT_MAX];
    size_t len = anomalies_spans(&f->cleaning.anomalies, spans, FORECAST_LEFT_OUT_MAX);
    size_t first = len > most ? len - most : 0;
    for (size_t i = first; i < len; i++) {
        out[i - first] = (struct forecast_left_out){ forecast_slot_ms(f, spans[i].from),
                                                     forecast_slot_ms(f, spans[i].to),
                                                     anomaly_name(spans[i].reason) };
    }
    return len - first;
}
