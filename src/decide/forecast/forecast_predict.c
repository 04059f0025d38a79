/* Telling: what is expected of the slots to come, and how it came to that. */
#include "decide/forecast/forecast_internal.h"

#include <assert.h>

int64_t forecast_slot_ms(const struct forecast *f, int64_t slot) {
    return f->first_ms + slot * f->options.step_ms;
}

bool correction_init(const struct forecast *f, struct correction *c) {
    c->level = features_level(&f->members, &f->history, c->in.slot - c->in.ahead);
    if (isnan(c->in.base) || isnan(c->level)) {
        return false;
    }
    line_inputs(&c->in, c->level, c->inputs);
    return true;
}

double correct_by_line(const struct rung *r, const struct correction *c) {
    return r->line == NULL ? (double)NAN : line_correct(r->line, c->inputs, c->level, c->in.base);
}

double correct_by_trees(const struct forecast *f, const struct correction *c) {
    const struct trees *model = boost_model(&f->boost);
    uint8_t bytes[FEATURES];
    if (model == NULL) {
        return NAN;
    }
    features_fill(&c->in, c->level, bytes);
    return boost_correct(model, bytes, c->level, c->in.base);
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

static double point_forecast(const struct forecast *f, int64_t slot, uint32_t ahead,
                             const struct place *at, double learned) {
    struct profile_values profiles;
    double forecasts[MEMBERS_MAX];
    members_profiles(&f->members, &f->history, slot, ahead, &profiles);
    members_predict(&f->members, &profiles, origins_at(&f->origins, f->next_slot - 1),
                    members_fade(&f->members, ahead), forecasts);
    const struct rung *low_rung = &f->rungs[at->low], *high_rung = &f->rungs[at->high];
    double low = combination_forecast(&low_rung->combination, &f->members, forecasts);
    double high = combination_forecast(&high_rung->combination, &f->members, forecasts);
    double point = low + at->part * (high - low);
    if (isnan(point)) {
        return fmax(f->members.recent_fast, 0);
    }
    struct correction c = { .in = forecast_features(f, slot, ahead, &profiles, learned) };
    c.in.base = point * learned;
    if (!correction_init(f, &c)) {
        return point;
    }
    double trees = correct_by_trees(f, &c);
    low = blend_mix(&low_rung->line_blend, c.in.base, correct_by_line(low_rung, &c));
    high = blend_mix(&high_rung->line_blend, c.in.base, correct_by_line(high_rung, &c));
    point = low + at->part * (high - low);
    low = blend_mix(&low_rung->blend, point, trees);
    high = blend_mix(&high_rung->blend, point, trees);
    return (low + at->part * (high - low)) / learned;
}

bool forecast_predict(struct forecast *f, size_t steps, struct forecast_quantiles quantiles,
                      double *mean, double *values) {
    double errors[RUNGS_MAX][FORECAST_QUANTILES_MAX];
    assert(steps <= f->options.horizon_steps);
    assert(quantiles.len <= FORECAST_QUANTILES_MAX);
    if (isnan(f->members.recent_fast)) {
        return false;
    }
    size_t last_rung = place_on_ladder(f, (uint32_t)steps, 0).high;
    for (size_t i = 0; i <= last_rung; i++) {
        for (size_t q = 0; q < quantiles.len; q++) {
            errors[i][q] = spread_quantile(&f->rungs[i].spread, quantiles.levels[q]);
        }
    }
    struct place at = { 0 };
    for (size_t i = 0; i < steps; i++) {
        uint32_t ahead = (uint32_t)i + 1;
        int64_t slot = f->next_slot + (int64_t)i;
        struct known_slot e;
        known_look(&f->known, &f->effects, forecast_slot_ms(f, slot), f->options.lead_ms, &e);
        at = place_on_ladder(f, ahead, at.low);
        double point = point_forecast(f, slot, ahead, &at, e.learned);
        double scale = spread_scale_at(&f->scale, slot, point), floor = 0;
        for (size_t q = 0; q < quantiles.len; q++) {
            double error = errors[at.low][q] + at.part * (errors[at.high][q] - errors[at.low][q]);
            double value = (point + error * scale) * e.given * e.learned;
            floor = fmax(floor, f->fractions ? value : round(value));
            values[i * quantiles.len + q] = floor;
        }
        if (mean != NULL) {
            mean[i] = point * e.given * e.learned;
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

struct forecast_health forecast_health(const struct forecast *f) {
    const struct combination *c = &f->rungs[f->effect_rung].combination;
    return (struct forecast_health){
        .loss_ratio = combination_loss_ratio(c, &f->members),
        .coverage90_ratio = f->scored > 0 ? f->covered90 : (double)NAN,
        .scored = f->scored,
    };
}
