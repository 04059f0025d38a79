/* Life and learning: what each value that comes teaches. */
#include "base/clock.h"
#include "decide/forecast/forecast_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RUNG_RATIO 1.7      /* one to the next */
#define MEMORY_SEASONS 14   /* short seasons that losses are remembered */
#define PLEDGES_A_SEASON 50 /* at most: scoring what was said costs more than a sample */
#define LINE_SEASONS 100    /* … and what they teach the line */
#define LINE_SOLVES_A_SEASON 8
#define BLEND_SEASONS 42 /* … and how much the line and trees helped */
#define BLEND_SEASONS_ENOUGH 3
#define SPREAD_SEASONS 28 /* … and errors */
#define FINE_SEASONS 10   /* that are remembered slot by slot */
#define STEPS_WITHOUT_SEASON 100
#define SURPRISE_ERRORS 4.0      /* more than so many usual ones is no measure of what is usual */
#define FACTOR_UNINFORMATIVE 0.3 /* dividing by less makes noise out of few requests */

static uint32_t hour_steps(const struct forecast *f) {
    return (uint32_t)(MS_PER_HOUR / f->options.step_ms);
}

static bool short_lead(const struct forecast *f, uint32_t ahead) {
    return ahead <= f->season_steps / SHORT_LEADS_A_SEASON;
}

static void init_rung(struct forecast *f, size_t rung, uint32_t ahead) {
    struct rung *r = &f->rungs[rung];
    double season = f->season_steps;
    r->ahead = ahead;
    r->fade = members_fade(&f->members, ahead);
    combination_init(&r->combination, MEMORY_SEASONS * season, fmax(season / 4, 3));
    double pledges = season / f->pledge_steps; /* in a season */
    blend_init(&r->line_blend, BLEND_SEASONS * pledges, BLEND_SEASONS_ENOUGH * pledges);
    blend_init(&r->blend, BLEND_SEASONS * pledges, BLEND_SEASONS_ENOUGH * pledges);
    spread_init(&r->spread, SPREAD_SEASONS * pledges, (double)ahead / f->pledge_steps,
                short_lead(f, ahead));
    r->pledge_count = ahead / f->pledge_steps + 1;
    if (ahead <= f->season_steps) {
        f->effect_rung = rung;
    }
}

/* Short leads are not corrected, see correct_by_line(). */
static bool init_lines(struct forecast *f) {
    size_t first = 0;
    while (first < f->rung_count && short_lead(f, f->rungs[first].ahead)) {
        first++;
    }
    f->lines = calloc(f->rung_count - first + 1, sizeof *f->lines);
    for (size_t i = first; i < f->rung_count && f->lines != NULL; i++) {
        f->rungs[i].line = &f->lines[i - first];
        line_init(f->rungs[i].line, LINE_SEASONS * (double)f->season_steps / f->pledge_steps);
    }
    return f->lines != NULL;
}

static size_t ladder(uint32_t horizon_steps, uint32_t *aheads) {
    size_t count = 0;
    for (double ahead = 1; ahead < horizon_steps && count < RUNGS_MAX - 1;) {
        aheads[count++] = (uint32_t)ahead;
        ahead = fmax(ceil(ahead * RUNG_RATIO), ahead + 1);
    }
    aheads[count++] = horizon_steps;
    return count;
}

static bool build_ladder(struct forecast *f) {
    uint32_t aheads[RUNGS_MAX];
    size_t count = ladder(f->options.horizon_steps, aheads);
    f->rungs = calloc(count, sizeof *f->rungs);
    if (f->rungs == NULL) {
        return false;
    }
    f->rung_count = count;
    for (size_t i = 0; i < count; i++) {
        init_rung(f, i, aheads[i]);
    }
    return init_lines(f);
}

static bool allocate_pledges(struct forecast *f) {
    size_t count = 0;
    for (size_t i = 0; i < f->rung_count; i++) {
        count += f->rungs[i].pledge_count;
    }
    assert(count > 0);
    f->pledges = malloc(count * sizeof *f->pledges);
    if (f->pledges == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        f->pledges[i] = (struct pledge){ .said = NAN, .line = NAN };
    }
    struct pledge *next = f->pledges;
    for (size_t i = 0; i < f->rung_count; i++) {
        f->rungs[i].pledges = next;
        next += f->rungs[i].pledge_count;
    }
    return true;
}

/* Short seasons are looked up slot by slot (members.h); numbers that repeat are found within an
 * hour (anomalies.h). */
static bool allocate_history(struct forecast *f, size_t keep) {
    return history_init(
        &f->history, &(struct history_span){
                         .keep = keep,
                         .fine = FINE_SEASONS * (size_t)f->season_steps + f->options.horizon_steps,
                         .exact = (size_t)hour_steps(f) + 1,
                         .season_steps = f->season_steps,
                     });
}

static bool allocate(struct forecast *f, size_t keep, struct error *err) {
    if (!build_ladder(f) || !allocate_pledges(f) || !allocate_history(f, keep) ||
        !origins_init(&f->origins, f->options.horizon_steps + 1, f->season_steps)) {
        return error_set(err, ERROR_LIMIT, "no memory for %zu steps of history", keep);
    }
    return true;
}

static void init_cleaning(struct forecast *f, const uint32_t *steps, size_t seasons) {
    uint32_t reach = f->rungs[f->effect_rung].ahead;
    anomalies_init(&f->cleaning.anomalies, steps, seasons, reach, hour_steps(f));
    shift_init(&f->cleaning.shift, steps, seasons);
}

struct forecast *forecast_new(const struct forecast_options *options, struct error *err) {
    uint32_t steps[FORECAST_SEASONS_MAX];
    if (!forecast_options_valid(options, err)) {
        return NULL;
    }
    struct forecast *f = calloc(1, sizeof *f);
    if (f == NULL) {
        error_set(err, ERROR_LIMIT, "no memory");
        return NULL;
    }
    f->options = *options;
    size_t seasons = forecast_options_seasons(options, steps);
    size_t longest = seasons > 0 ? steps[seasons - 1] : STEPS_WITHOUT_SEASON;
    f->season_steps = seasons > 0 ? steps[0] : STEPS_WITHOUT_SEASON;
    known_init(&f->known, options->step_ms);
    f->pledge_steps = f->season_steps / PLEDGES_A_SEASON + 1;
    f->reweigh_steps = f->season_steps / 96 + 1;
    f->solve_steps = f->season_steps / LINE_SOLVES_A_SEASON + 1;
    members_init(&f->members, steps, seasons);
    profile_cache_init(&f->profiles, &f->members);
    spread_scale_init(&f->scale, f->season_steps);
    effects_init(&f->effects, f->known.day_steps);
    uint32_t horizon = options->horizon_steps;
    boost_init(&f->boost, horizon > f->season_steps ? horizon : f->season_steps);
    size_t keep = options->history_steps > 0 ? options->history_steps : 5 * longest;
    if (!allocate(f, keep > 64 ? keep : 64, err)) {
        forecast_free(f);
        return NULL;
    }
    init_cleaning(f, steps, seasons);
    return f;
}

void forecast_free(struct forecast *f) {
    if (f != NULL) {
        history_fini(&f->history);
        boost_fini(&f->boost);
        origins_fini(&f->origins);
        effects_fini(&f->effects);
        free(f->before_burst);
        free(f->rungs);
        free(f->lines);
        free(f->pledges);
        free(f);
    }
}

void forecast_set_calendar(struct forecast *f, const struct calendar *calendar) {
    f->known.calendar = calendar;
}

bool forecast_add_regressor(struct forecast *f, const double *values, size_t len, int64_t start_ms,
                            struct error *err) {
    if (f->known.regressor_count == FORECAST_REGRESSORS_MAX) {
        return error_set(err, ERROR_LIMIT, "expected at most %d columns known ahead",
                         FORECAST_REGRESSORS_MAX);
    }
    f->known.regressors[f->known.regressor_count++] =
        (struct known_regressor){ .values = values, .len = len, .start_ms = start_ms };
    return true;
}

_Static_assert(FORECAST_MEASURES_MAX == FEATURES_REGRESSORS, "trees see each of them");

bool forecast_add_measure(struct forecast *f, const double *values, size_t len, int64_t start_ms,
                          struct error *err) {
    if (f->known.regressor_count >= FORECAST_MEASURES_MAX) {
        return error_set(err, ERROR_LIMIT, "expected at most %d", FORECAST_MEASURES_MAX);
    }
    return forecast_add_regressor(f, values, len, start_ms, err) &&
           known_make_measure(&f->known.regressors[f->known.regressor_count - 1], err);
}

/* Rungs take turns. */
static bool pledges_at(const struct forecast *f, size_t rung, int64_t origin_slot) {
    return (uint64_t)(origin_slot + (int64_t)rung) % f->pledge_steps == 0;
}

static struct pledge *pledge_of(const struct forecast *f, size_t rung, int64_t origin_slot) {
    const struct rung *r = &f->rungs[rung];
    uint64_t turn = (uint64_t)(origin_slot + (int64_t)rung) / f->pledge_steps;
    return &r->pledges[turn % r->pledge_count];
}

static void make_pledge(struct forecast *f, size_t rung, int64_t origin_slot) {
    struct rung *r = &f->rungs[rung];
    struct pledge *p = pledge_of(f, rung, origin_slot);
    struct profile_values profiles;
    struct known_slot known;
    double forecasts[MEMBERS_MAX];
    int64_t slot = origin_slot + r->ahead;
    forecast_profiles(f, slot, r->ahead, &profiles);
    members_predict(&f->members, &profiles, origins_at(&f->origins, origin_slot), r->fade,
                    forecasts);
    known_look(&f->known, &f->effects, forecast_slot_ms(f, slot), 0, &known);
    double mean = combination_forecast(&r->combination, &f->members, forecasts) * known.learned;
    struct correction c = { .in = forecast_features(f, slot, r->ahead, &profiles, known.learned),
                            .from = forecast_look_back(f, origin_slot) };
    c.in.base = mean;
    double line = NAN, lined = mean, trees = NAN;
    if (correction_possible(&c)) {
        line = correct_by_line(r, &c);
        lined = blend_mix(&r->line_blend, mean, line);
        trees = correct_by_trees(f, &c);
    }
    p->mean = (float)mean;
    p->line = (float)line;
    p->lined = (float)lined;
    p->trees = (float)trees;
    p->said = (float)blend_mix(&r->blend, lined, trees);
    p->level = (float)c.from.level;
    memcpy(p->inputs, c.inputs, sizeof p->inputs);
}

struct sample {
    int64_t slot;
    double value;
    struct known_slot known;
    double expected; /* without the calendar's factor, a season or less ago; NaN: nothing */
    double scale;    /* of its error */
    bool surprise;   /* perhaps no demand: no measure of what is usual */
    bool leave;      /* no demand, as far as is known: who foresaw it is no better for that */
};

/* Judges what was said of this slot `ahead` steps ago. */
static void judge_pledge(struct forecast *f, size_t rung, const struct sample *s) {
    struct rung *r = &f->rungs[rung];
    const struct pledge *p = pledge_of(f, rung, s->slot - r->ahead);
    double given = s->known.given, said = (double)p->said * given;
    if (isnan(said)) {
        return;
    }
    blend_observe(&r->line_blend, (double)p->mean * given, (double)p->line * given, s->value);
    blend_observe(&r->blend, (double)p->lined * given, (double)p->trees * given, s->value);
    if (!isnan(p->line)) {
        line_learn(r->line, p->inputs, (double)p->level, (double)p->mean, s->value / given);
    }
    double scale = spread_scale_at(&f->scale, s->slot, said);
    size_t group = spread_group(&f->scale, said);
    spread_observe(&r->spread, &(struct spread_sample){
                                   .forecast = said,
                                   .value = s->value,
                                   .scale = scale,
                                   .scale_usual = f->scale.mean_error,
                                   .group = group,
                                   .whole = !f->fractions,
                               });
}

static void learn_correction(struct forecast *f, const struct rung *r, const struct sample *s,
                             const struct profile_values *profiles, double said) {
    struct correction c = {
        .in = forecast_features(f, s->slot, r->ahead, profiles, s->known.learned),
        .from = forecast_look_back(f, s->slot - r->ahead),
    };
    uint8_t bytes[FEATURES];
    c.in.base = said * s->known.learned;
    if (correction_possible(&c)) {
        features_fill(&c.in, &c.from, bytes);
        boost_learn(&f->boost, s->slot, r->ahead, bytes, c.from.level, c.in.base,
                    s->value / s->known.given);
    }
}

/* Scores one rung's members with a value that they forecast `ahead` steps ago. */
static void score_rung(struct forecast *f, size_t rung, const struct profile_values *profiles,
                       const double *forecasts, const struct sample *s) {
    struct rung *r = &f->rungs[rung];
    double factor = s->known.given * s->known.learned;
    double said = combination_forecast(&r->combination, &f->members, forecasts);
    bool learn = !s->leave && !history_is_aside(&f->history, s->slot - r->ahead);
    if (learn) {
        combination_observe(&r->combination, &f->members, forecasts, factor, s->value);
    }
    if (pledges_at(f, rung, s->slot - r->ahead)) {
        judge_pledge(f, rung, s); /* errors are errors, whatever they come from */
    }
    if (learn && boost_wants(&f->boost, s->slot, r->ahead)) {
        learn_correction(f, r, s, profiles, said);
    }
    if (rung == f->effect_rung && !isnan(said)) {
        double expected = said * factor, most = SURPRISE_ERRORS * s->scale * factor;
        double value =
            s->surprise ? fmin(fmax(s->value, expected - most), expected + most) : s->value;
        spread_scale_observe(&f->scale, s->slot, expected, value);
    }
}

static void score(struct forecast *f, const struct sample *s, bool learn_only_effects) {
    struct profile_values profiles;
    double forecasts[MEMBERS_MAX];
    uint32_t computed_for = 0;
    for (size_t i = 0; i < f->rung_count; i++) {
        struct rung *r = &f->rungs[i];
        if (s->slot < (int64_t)r->ahead) {
            break;
        }
        if (computed_for == 0 || !members_profiles_equal(&f->members, r->ahead, computed_for)) {
            forecast_profiles(f, s->slot, r->ahead, &profiles);
            computed_for = r->ahead;
        }
        members_predict(&f->members, &profiles, origins_at(&f->origins, s->slot - r->ahead),
                        r->fade, forecasts);
        if (!learn_only_effects) {
            score_rung(f, i, &profiles, forecasts, s);
        }
    }
    effects_observe(&f->effects, &s->known.active, s->expected * s->known.given, s->value);
}

static void expect(struct forecast *f, struct sample *s) {
    const struct rung *r = &f->rungs[f->effect_rung];
    struct profile_values profiles;
    double forecasts[MEMBERS_MAX];
    s->expected = NAN;
    if (s->slot >= (int64_t)r->ahead) {
        forecast_profiles(f, s->slot, r->ahead, &profiles);
        members_predict(&f->members, &profiles, origins_at(&f->origins, s->slot - r->ahead),
                        r->fade, forecasts);
        s->expected = combination_forecast(&r->combination, &f->members, forecasts);
    }
    s->scale = spread_scale_alone(&f->scale, s->slot, s->expected);
}

/* What was learned while a burst was followed is taken back when it is over. */
static void guard_weights(struct forecast *f, const struct cleaning_verdict *v) {
    assert(f->rung_count > 0);
    for (size_t i = 0; i < f->rung_count && v->over && f->before_burst != NULL; i++) {
        f->rungs[i].combination = f->before_burst[i];
    }
    if (v->over || v->begins) {
        free(f->before_burst);
        f->before_burst = v->begins ? malloc(f->rung_count * sizeof *f->before_burst) : NULL;
    }
    for (size_t i = 0; i < f->rung_count && v->begins && f->before_burst != NULL; i++) {
        f->before_burst[i] = f->rungs[i].combination;
    }
}

/* By the calendar, of that day or of the one before or after: those have effects, too. */
static bool explained(const struct forecast *f, const struct sample *s) {
    if (s->known.active.len > 0 || fabs(s->known.given - 1) > 1e-9) {
        return true;
    }
    bool may = f->known.calendar != NULL || f->known.regressor_count > 0;
    for (int64_t side = -1; side <= 1 && may; side += 2) {
        struct known_slot near;
        known_look(&f->known, &f->effects, forecast_slot_ms(f, s->slot) + side * f->known.near_ms,
                   0, &near);
        if (near.active.len > 0) {
            return true;
        }
    }
    return false;
}

/* What of it may be learned. `ordinary`: without the calendar's part. */
static enum cleaning_use clean(struct forecast *f, const struct sample *s, double ordinary) {
    struct anomaly_sample sample = {
        .slot = s->slot,
        .value = ordinary,
        .expected = s->expected,
        .scale = s->scale,
        .scale_usual = f->scale.mean_error,
        .demand_usual = f->scale.mean_level,
        .counts = !f->fractions,
        .explained = explained(f, s),
    };
    struct cleaning_memory memory = { &f->members, &f->history, &f->origins };
    struct cleaning_verdict v = cleaning_observe(&f->cleaning, &sample, &memory);
    guard_weights(f, &v);
    return v.use;
}

static void take(struct forecast *f, int64_t slot, double ordinary, enum cleaning_use use) {
    double followed = use == CLEANING_LEAVE ? (double)NAN : ordinary;
    struct profile_values profiles = { 0 };
    struct origin origin;
    if (!isnan(followed)) {
        forecast_profiles(f, slot, 1, &profiles);
    }
    members_follow(&f->members, &profiles, followed, &origin);
    origins_put(&f->origins, slot, &origin);
    history_append(&f->history, ordinary);
    if (use == CLEANING_LEAVE) {
        history_set_aside(&f->history, slot, slot + 1, true);
    }
}

static void observe_one(struct forecast *f, int64_t slot, double value) {
    double ordinary = NAN; /* what is left when the calendar's part is taken out */
    enum cleaning_use use = CLEANING_LEARN;
    if (!isnan(value)) {
        struct sample s = { .slot = slot, .value = value };
        known_look(&f->known, &f->effects, forecast_slot_ms(f, slot), 0, &s.known);
        double factor = s.known.given * s.known.learned;
        bool unknown = effects_unknown(&f->effects, &s.known.active);
        if (!unknown && factor >= FACTOR_UNINFORMATIVE) {
            ordinary = value / factor;
        }
        expect(f, &s);
        use = clean(f, &s, ordinary);
        s.surprise = use != CLEANING_LEARN;
        s.leave = use == CLEANING_LEAVE;
        score(f, &s, unknown);
        f->observed++;
        f->fractions |= value != floor(value);
    }
    take(f, slot, ordinary, use);
    f->boost.active = forecast_slot_ms(f, slot) >= f->options.trees_from_ms;
    boost_grow(&f->boost, slot);
    if (slot % f->reweigh_steps == 0) {
        for (size_t i = 0; i < f->rung_count; i++) {
            combination_reweigh(&f->rungs[i].combination, &f->members);
        }
    }
    for (size_t i = 0; i < f->rung_count; i++) {
        bool solve = (uint64_t)(slot + (int64_t)i) % f->solve_steps == 0;
        if (solve && f->rungs[i].line != NULL) {
            line_solve(f->rungs[i].line);
        }
        if (pledges_at(f, i, slot)) {
            make_pledge(f, i, slot);
        }
    }
}

bool forecast_observe(struct forecast *f, int64_t at_ms, double value) {
    if (value < 0 || isinf(value)) {
        value = NAN; /* not a demand that anybody can have had */
    }
    if (f->next_slot == 0) {
        f->first_ms = at_ms;
    }
    int64_t slot = (at_ms - f->first_ms) / f->options.step_ms;
    if (at_ms < f->first_ms || slot < f->next_slot) {
        return false;
    }
    /* A clock that jumps far ahead: the gap is cut at the length of the history, whose every value
     * would be gone anyway. The seasons' phase moves with the clock. */
    int64_t gap_max = (int64_t)f->history.keep;
    if (slot - f->next_slot > gap_max) {
        f->first_ms += (slot - f->next_slot - gap_max) * f->options.step_ms;
        slot = f->next_slot + gap_max;
    }
    for (; f->next_slot < slot; f->next_slot++) {
        observe_one(f, f->next_slot, NAN);
    }
    observe_one(f, slot, value);
    f->next_slot = slot + 1;
    return true;
}

int64_t forecast_next_ms(const struct forecast *f) {
    return f->next_slot == 0 ? 0 : forecast_slot_ms(f, f->next_slot);
}
