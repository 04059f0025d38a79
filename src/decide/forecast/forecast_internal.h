/* Inside of the forecast: what learning (forecast.c) and telling (forecast_predict.c) share. */
#pragma once
#include "decide/forecast/blend.h"
#include "decide/forecast/boost.h"
#include "decide/forecast/cleaning.h"
#include "decide/forecast/combination.h"
#include "decide/forecast/forecast.h"
#include "decide/forecast/forecast_options.h"
#include "decide/forecast/line.h"
#include "decide/forecast/profile_cache.h"
#include "decide/forecast/spread.h"

#define RUNGS_MAX 24            /* of the ladder of horizons */
#define SHORT_LEADS_A_SEASON 24 /* an hour of a day */

/* What was forecast, kept until it can be judged: whatever was learned meanwhile, of weights, of
 * effects, of the trees, must not flatter it. With the calendar's effects, without given
 * multipliers. */
struct pledge {
    float mean, line, trees; /* of the members, and what a line and trees make of it; NaN: none */
    float lined, said;       /* the mean blended with the line's, and that with the trees' */
    float level;             /* what the line saw */
    float inputs[LINE_INPUTS];
};

/* One horizon of the ladder: who is trusted there, and how far off it was. */
struct rung {
    uint32_t ahead;
    struct member_fade fade;
    struct combination combination;
    struct line *line;              /* corrects the combination, as trees do; NULL at short leads */
    struct blend line_blend, blend; /* of the combination and the line; of both and trees */
    struct spread spread;
    struct pledge *pledges; /* ring of the last `pledge_count`, one every pledge_steps */
    uint32_t pledge_count;
};

struct forecast {
    struct forecast_options options;
    int64_t first_ms;  /* of slot 0 */
    int64_t next_slot; /* the first not yet seen */
    uint32_t season_steps;
    struct members members;
    struct history history; /* without what the calendar explains */
    struct origins origins; /* of the last horizon_steps + 1 */
    struct profile_cache profiles;
    struct rung *rungs;
    size_t rung_count, effect_rung; /* effects are judged against the forecast of this rung */
    uint32_t reweigh_steps, solve_steps, pledge_steps;
    struct pledge *pledges; /* of all rungs */
    struct line *lines;     /* likewise */
    struct spread_scale scale;
    struct effects effects;
    struct known known;
    struct boost boost;
    struct cleaning cleaning;
    struct combination *before_burst; /* of all rungs; NULL: there is none */
    bool fractions;                   /* some value was no whole number: not counts */
    size_t observed;
};

/* What a slot's forecast is corrected from: `in->base` is the members' mean, with the calendar's
 * effects. */
struct correction {
    struct features_input in;
    struct features_origin from; /* where `in` has its origin */
    float inputs[LINE_INPUTS];   /* of the line, 0 until it is asked */
    bool lined;
};

/* NaN at short leads: there the members follow the last minutes, and a band that is narrow because
 * yesterday was smooth meets a crowd with too little in hand. */
double correct_by_line(const struct rung *r, struct correction *c);
/* NaN without a model. */
double correct_by_trees(const struct forecast *f, const struct correction *c);
/* False where nothing can be said. */
bool correction_possible(const struct correction *c);
struct features_origin forecast_look_back(const struct forecast *f, int64_t origin_slot);
void forecast_profiles(struct forecast *f, int64_t slot, uint32_t ahead,
                       struct profile_values *out);
struct features_input forecast_features(const struct forecast *f, int64_t slot, uint32_t ahead,
                                        const struct profile_values *profiles, double learned);

int64_t forecast_slot_ms(const struct forecast *f, int64_t slot);
