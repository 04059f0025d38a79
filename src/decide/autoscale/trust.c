#include "decide/autoscale/trust.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define PARTS 4 /* of a step: the net sees demand after the first of them */
#define STARTUP_TICKS_MAX 1024
#define PATIENCE_MS 2000
#define NOTABLE_RATIO 0.002 /* of all that it cost: less is no reason to change */

const double trust_levels[TRUST_LEVELS] = { 0.5, 0.7, 0.85, 0.95, 0.98, 0.99 };

bool trust_init(struct trust *t, int64_t step_ms, int64_t season_ms, struct error *err) {
    *t = (struct trust){ .step_ms = step_ms,
                         .season_ms = season_ms > step_ms ? season_ms : step_ms,
                         .demand_rps = NAN,
                         .chosen = TRUST_NONE };
    int64_t tick_ms = step_ms / PARTS > 0 ? step_ms / PARTS : 1;
    for (unsigned i = 0; i < TRUST_CANDIDATES; i++) {
        struct world_options world = {
            .tick_ms = tick_ms,
            .startup_ms_max = tick_ms * STARTUP_TICKS_MAX,
            .patience_ms = PATIENCE_MS,
            .unit_rps = 1,
        };
        autoscale_state_init(&t->candidates[i].state);
        if (!world_init(&t->candidates[i].world, &world, 0, err)) {
            trust_fini(t);
            return false;
        }
    }
    return true;
}

void trust_fini(struct trust *t) {
    for (unsigned i = 0; i < TRUST_CANDIDATES; i++) {
        world_fini(&t->candidates[i].world);
    }
}

/* The candidate of the critical ratio: the lowest level that is not below it. */
static unsigned critical(const struct trust_input *in) {
    double quantile = autoscale_quantile(in->policy, in->capacity_rps);
    unsigned level = 0;
    while (level < TRUST_LEVELS - 1 && trust_levels[level] < quantile - 1e-9) {
        level++;
    }
    return level;
}

static void follow(const struct trust_input *in, unsigned candidate, double *out) {
    for (size_t i = 0; i < in->steps; i++) {
        out[i] = candidate == TRUST_NONE ? (double)NAN : in->values[i * TRUST_LEVELS + candidate];
    }
}

/* A request that nobody served, in seconds of an instance. */
static double penalty_s(const struct trust_input *in) {
    const struct autoscale_policy *p = in->policy;
    if (p->price_per_hour > 0 && p->margin_per_request > 0) {
        return p->margin_per_request * 3600 / p->price_per_hour;
    }
    return 1 / (1 - AUTOSCALE_QUANTILE_DEFAULT) / in->capacity_rps;
}

static void decide(struct trust_candidate *c, const struct trust *t, const struct trust_input *in,
                   const double *path, double demand_rps, int64_t now_ms) {
    struct autoscale_policy policy = *in->policy;
    policy.stale_ms = policy.interval_ms = t->step_ms;
    policy.starting_max = 0;
    struct autoscale_input input = {
        .now_ms = now_ms,
        .demand_rps = demand_rps,
        .forecast_rps = path,
        .announced_rps = in->announced,
        .forecast_len = in->steps,
        .forecast_start_ms = in->start_ms,
        .forecast_step_ms = t->step_ms,
        .capacity_rps = in->capacity_rps,
        .lead_ms = in->lead_ms,
        .serving = c->world.serving,
        .starting = c->world.starting,
    };
    c->world.options.unit_rps = in->capacity_rps;
    c->world.options.startup_ms =
        (int64_t)fmin(in->lead_ms, (double)c->world.options.startup_ms_max);
    world_scale(&c->world, autoscale_decide(&policy, &input, &c->state).instances);
}

static double tick(struct trust_candidate *c, const struct trust_input *in, double demand_rps,
                   unsigned ticks) {
    double unserved = c->world.totals.unserved, hours = c->world.totals.instance_hours;
    for (; ticks > 0; ticks--) {
        world_tick(&c->world, demand_rps);
    }
    return (c->world.totals.instance_hours - hours) * 3600 +
           (c->world.totals.unserved - unserved) * penalty_s(in);
}

/* The step that ended: what was decided before it, the net in it, and what both cost. The path is
 * not needed for the net: it said what it says at the step's start. */
static void settle(struct trust *t, const struct trust_input *in, double demand_rps) {
    for (unsigned i = 0; i < TRUST_CANDIDATES; i++) {
        struct trust_candidate *c = &t->candidates[i];
        double cost = tick(c, in, demand_rps, 1);
        double none[1] = { NAN };
        struct trust_input net = *in;
        net.steps = 1;
        net.announced = NULL;
        decide(c, t, &net, none, demand_rps, in->start_ms - t->step_ms * (PARTS - 1) / PARTS);
        cost += tick(c, in, demand_rps, PARTS - 1);
        c->cost_s[t->block] += cost;
    }
    t->block_ms += t->step_ms;
    if (t->block_ms >= t->season_ms) {
        t->block = (t->block + 1) % TRUST_BLOCKS;
        t->block_ms = 0;
        for (unsigned i = 0; i < TRUST_CANDIDATES; i++) {
            t->candidates[i].cost_s[t->block] = 0;
        }
    }
}

/* What following it would have saved against following none, its best season left out. */
static double saved_s(const struct trust *t, unsigned candidate) {
    double sum = 0, best = 0;
    for (size_t i = 0; i < TRUST_BLOCKS; i++) {
        double saved = t->candidates[TRUST_NONE].cost_s[i] - t->candidates[candidate].cost_s[i];
        sum += saved;
        best = fmax(best, saved);
    }
    return sum - best;
}

static double total_s(const struct trust_candidate *c) {
    double sum = 0;
    for (size_t i = 0; i < TRUST_BLOCKS; i++) {
        sum += c->cost_s[i];
    }
    return sum;
}

static void choose(struct trust *t, const struct trust_input *in) {
    unsigned top = critical(in), best = TRUST_NONE;
    double notable_s = NOTABLE_RATIO * total_s(&t->candidates[TRUST_NONE]), most_s = 0;
    for (unsigned i = 0; i <= top; i++) {
        double saved = saved_s(t, i) + (i == t->chosen ? notable_s : 0);
        if (saved > most_s + notable_s) {
            best = i;
            most_s = saved;
        }
    }
    t->chosen = best;
}

void trust_step(struct trust *t, const struct trust_input *in, double demand_rps) {
    double path[TRUST_STEPS_MAX];
    assert(in->steps <= TRUST_STEPS_MAX && in->capacity_rps > 0);
    if (!isnan(demand_rps) && !isnan(t->demand_rps)) {
        settle(t, in, demand_rps);
    }
    for (unsigned i = 0; i < TRUST_CANDIDATES; i++) {
        follow(in, i, path);
        decide(&t->candidates[i], t, in, path, demand_rps, in->start_ms);
    }
    t->demand_rps = demand_rps;
    choose(t, in);
}

void trust_follow(const struct trust *t, const struct trust_input *in, double *out) {
    unsigned top = critical(in);
    follow(in, t->chosen == TRUST_NONE || t->chosen < top ? t->chosen : top, out);
}

double trust_quantile(const struct trust *t, const struct trust_input *in) {
    unsigned top = critical(in);
    return t->chosen == TRUST_NONE ? (double)NAN : trust_levels[t->chosen < top ? t->chosen : top];
}
