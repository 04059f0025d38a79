#include "tool/sim/pilot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The controller's own loop, told what one instance carries and how long it takes to start. */
static bool foresee_begin(struct pilot *p, bool reactive, struct error *err) {
    const struct backtest_input *in = p->in;
    struct forecast_options seasons = { .step_ms = in->step_ms };
    struct foresee_options o = {
        .policy = in->policy,
        .objective_ms = 1, /* nothing is learned of latency here */
        .capacity_rps = in->unit_rps,
        .lead_ms = (double)in->startup_ms,
        .step_ms = in->step_ms,
        .phase_ms = in->start_ms,
        .calendar = in->calendar,
    };
    o.policy.reactive = reactive;
    o.policy.interval_ms = p->tick_ms;
    o.policy.stale_ms = 10 * p->tick_ms > o.policy.stale_ms ? 10 * p->tick_ms : o.policy.stale_ms;
    forecast_default_seasons(&seasons);
    bool given = in->season_count > 0;
    memcpy(o.season_ms, given ? in->season_ms : seasons.season_ms, sizeof o.season_ms);
    o.season_count = given ? in->season_count : seasons.season_count;
    o.steps_most = (uint32_t)foresee_path_steps(&o, o.lead_ms);
    p->foresee = calloc(1, sizeof *p->foresee);
    return p->foresee != NULL ? foresee_init(p->foresee, &o, err)
                              : error_set(err, ERROR_LIMIT, "no memory");
}

static bool oracle_init(struct pilot *p, struct error *err) {
    const struct backtest_input *in = p->in;
    p->needed = malloc(in->len * sizeof *p->needed);
    if (p->needed == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory for %zu intervals", in->len);
    }
    for (size_t i = 0; i < in->len; i++) {
        p->needed[i] = backtest_needed(in, i);
    }
    return true;
}

bool pilot_init(struct pilot *p, const struct backtest_input *in,
                const struct backtest_policy *policy, int64_t tick_ms, struct error *err) {
    *p = (struct pilot){ .in = in, .policy = *policy, .tick_ms = tick_ms };
    hpa_init(&p->hpa, in->policy.instances_min, in->policy.instances_max);
    p->sync_ticks = (size_t)((HPA_SYNC_MS + tick_ms - 1) / tick_ms);
    bool ok = true;
    if (policy->kind == BACKTEST_PREDICTIVE || policy->kind == BACKTEST_REACTIVE) {
        ok = foresee_begin(p, policy->kind == BACKTEST_REACTIVE, err);
        for (size_t i = 0; ok && i < in->history_len; i++) {
            int64_t at_ms = in->start_ms - (int64_t)(in->history_len - i) * in->step_ms;
            foresee_remember(p->foresee, at_ms, in->history[i] * 1000 / (double)in->step_ms);
        }
    } else if (policy->kind == BACKTEST_ORACLE) {
        ok = oracle_init(p, err);
    }
    if (!ok) {
        pilot_fini(p);
    }
    return ok;
}

void pilot_fini(struct pilot *p) {
    if (p->foresee != NULL) {
        foresee_fini(p->foresee);
        free(p->foresee);
    }
    free(p->needed);
    *p = (struct pilot){ 0 };
}

/* What was said of the furthest interval that matters to an order of now. */
static void note_said(const struct foresee *f, const struct backtest_input *in, size_t slot,
                      struct backtest_result *out) {
    int64_t horizon_ms = autoscale_horizon_ms(&f->policy, (double)in->startup_ms, in->step_ms);
    size_t ahead = (size_t)(horizon_ms / in->step_ms);
    if (ahead < f->path_steps && slot + ahead < in->len) {
        const double *said = &f->path[ahead * FORESEE_LEVELS];
        out->forecast_low[slot + ahead] = (float)said[0];
        out->forecast_high[slot + ahead] = (float)said[FORESEE_LEVELS - 1];
    }
}

static uint32_t autoscale(struct pilot *p, const struct world *world, int64_t now_ms,
                          double demand_rps) {
    struct foresee *f = p->foresee;
    if (!isnan(demand_rps)) {
        struct service_second tick = { .seconds = (double)p->tick_ms / 1000,
                                       .offered_rps = demand_rps,
                                       .waiting = (uint32_t)world->backlog };
        foresee_observe(f, now_ms, &tick);
    }
    foresee_decide(f, now_ms, world->serving, world->starting);
    uint32_t running = world->serving + world->starting;
    return f->decision.instances > running ? running + f->decision.start_now
                                           : f->decision.instances;
}

static uint32_t sync_hpa(struct pilot *p, const struct world *world, double demand_rps) {
    double capacity_rps = world->serving * p->in->unit_rps;
    p->utilisation_sum +=
        capacity_rps > 0 && demand_rps > 0 ? fmin(demand_rps / capacity_rps, 1) : 0;
    if (++p->ticks_seen % p->sync_ticks != 0) {
        return world->serving + world->starting;
    }
    double mean = p->utilisation_sum / (double)p->sync_ticks;
    p->utilisation_sum = 0;
    return hpa_sync(&p->hpa, world->serving, world->starting, mean);
}

/* What is needed at most from now until an instance ordered now serves. */
static uint32_t foreknown(const struct pilot *p, size_t slot, size_t part) {
    int64_t within_ms = (int64_t)part * p->tick_ms, step_ms = p->in->step_ms;
    int64_t ticks = (p->in->startup_ms + p->tick_ms - 1) / p->tick_ms;
    size_t last = slot + (size_t)((within_ms + ticks * p->tick_ms) / step_ms);
    uint32_t most = 0;
    for (size_t i = slot; i <= last && i < p->in->len; i++) {
        most = p->needed[i] > most ? p->needed[i] : most;
    }
    return most;
}

uint32_t pilot_decide(struct pilot *p, const struct world *world, const struct pilot_moment *at,
                      struct backtest_result *out) {
    uint32_t wanted;
    switch (p->policy.kind) {
    case BACKTEST_PREDICTIVE:
    case BACKTEST_REACTIVE:
        wanted = autoscale(p, world, at->now_ms, at->demand_rps);
        if (p->policy.kind == BACKTEST_PREDICTIVE && at->part == 0) {
            note_said(p->foresee, p->in, at->slot, out);
        }
        return wanted;
    case BACKTEST_HPA:
        return sync_hpa(p, world, at->demand_rps);
    case BACKTEST_FIXED:
        return p->policy.fixed;
    case BACKTEST_ORACLE:
        return foreknown(p, at->slot, at->part);
    }
    return world->serving + world->starting;
}
