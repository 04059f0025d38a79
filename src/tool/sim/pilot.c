#include "tool/sim/pilot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool predictive_init(struct pilot *p, struct error *err) {
    const struct backtest_input *in = p->in;
    struct forecast_options o = { .step_ms = in->step_ms };
    int64_t horizon_ms = autoscale_horizon_ms(&p->autoscale, (double)in->startup_ms, in->step_ms);
    p->lead_steps = (size_t)(horizon_ms / in->step_ms) + 1;
    p->path_steps = p->lead_steps * AUTOSCALE_KEEP_RATIO;
    o.horizon_steps = (uint32_t)p->path_steps;
    forecast_default_seasons(&o);
    if (in->season_count > 0) {
        memcpy(o.season_ms, in->season_ms, sizeof o.season_ms);
        o.season_count = in->season_count;
    }
    p->quantile = autoscale_quantile(&p->autoscale, in->unit_rps);
    p->forecast = forecast_new(&o, err);
    if (p->forecast == NULL) {
        return false;
    }
    if (in->calendar != NULL && !calendar_copy(&p->ordinary, in->calendar, true, err)) {
        return false;
    }
    forecast_set_calendar(p->forecast, &p->ordinary);
    uplift_set_calendar(&p->uplift, in->calendar);
    p->values = calloc(2 * p->path_steps, sizeof *p->values);
    p->lifted = calloc(2 * p->path_steps, sizeof *p->lifted);
    p->provision = calloc(p->path_steps, sizeof *p->provision);
    return (p->values != NULL && p->lifted != NULL && p->provision != NULL) ||
           error_set(err, ERROR_LIMIT, "no memory for %zu steps ahead", p->path_steps);
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
    *p = (struct pilot){ .in = in, .policy = *policy, .autoscale = in->policy, .tick_ms = tick_ms };
    autoscale_state_init(&p->state);
    calendar_init(&p->ordinary);
    uplift_init(&p->uplift);
    p->autoscale.reactive = policy->kind == BACKTEST_REACTIVE;
    p->autoscale.interval_ms = tick_ms;
    p->autoscale.stale_ms = 10 * tick_ms > in->policy.stale_ms ? 10 * tick_ms : in->policy.stale_ms;
    hpa_init(&p->hpa, in->policy.instances_min, in->policy.instances_max);
    p->sync_ticks = (size_t)((HPA_SYNC_MS + tick_ms - 1) / tick_ms);
    bool ok = true;
    if (policy->kind == BACKTEST_PREDICTIVE) {
        ok = predictive_init(p, err);
    } else if (policy->kind == BACKTEST_ORACLE) {
        ok = oracle_init(p, err);
    }
    if (!ok) {
        pilot_fini(p);
    }
    return ok;
}

void pilot_fini(struct pilot *p) {
    forecast_free(p->forecast);
    calendar_fini(&p->ordinary);
    free(p->values);
    free(p->lifted);
    free(p->provision);
    free(p->needed);
    *p = (struct pilot){ 0 };
}

/* The path as it is at this tick: campaigns go on within an interval. */
static void lift(struct pilot *p, size_t slot, int64_t now_ms) {
    const struct backtest_input *in = p->in;
    double levels[] = { 0.5, p->quantile };
    struct uplift_path path = { .start_ms = in->start_ms + (int64_t)slot * in->step_ms,
                                .step_ms = in->step_ms,
                                .steps = p->path_steps,
                                .levels = levels,
                                .level_count = 2 };
    memcpy(p->lifted, p->values, 2 * p->path_steps * sizeof *p->values);
    uplift_apply(&p->uplift, now_ms, &path, NULL, p->lifted);
    for (size_t i = 0; i < p->path_steps; i++) {
        p->provision[i] = p->lifted[2 * i + 1];
    }
}

void pilot_note_slot(struct pilot *p, size_t slot, struct backtest_result *out) {
    const struct backtest_input *in = p->in;
    if (p->forecast == NULL || slot == 0) {
        return;
    }
    int64_t now_ms = in->start_ms + (int64_t)slot * in->step_ms, at_ms = now_ms - in->step_ms;
    double value = uplift_ordinary(&p->uplift, at_ms, now_ms, backtest_rps(in, slot - 1));
    double levels[] = { 0.5, p->quantile };
    forecast_observe(p->forecast, at_ms, value);
    p->foresees = forecast_predict(p->forecast, p->path_steps,
                                   (struct forecast_quantiles){ levels, 2 }, NULL, p->values);
    if (!p->foresees) {
        return;
    }
    lift(p, slot, now_ms);
    size_t ahead = slot + p->lead_steps - 1;
    if (ahead < in->len) {
        out->forecast[ahead] = (float)p->lifted[2 * (p->lead_steps - 1)];
        out->provision[ahead] = (float)p->provision[p->lead_steps - 1];
    }
}

/* What came in the tick before corrects the campaign that goes on. */
static void hear(struct pilot *p, size_t slot, int64_t now_ms, double demand_rps) {
    int64_t path_ms = (int64_t)p->path_steps * p->in->step_ms;
    if (!p->foresees || !uplift_touches(&p->uplift, now_ms, now_ms + path_ms)) {
        return;
    }
    struct uplift_sample sample = { .end_ms = now_ms,
                                    .seconds = (double)p->tick_ms / 1000,
                                    .demand_rps = demand_rps,
                                    .ordinary_rps = p->values[0] };
    uplift_observe(&p->uplift, &sample);
    lift(p, slot, now_ms);
}

static uint32_t autoscale(struct pilot *p, const struct world *world, size_t slot, int64_t now_ms,
                          double demand_rps) {
    const struct backtest_input *in = p->in;
    struct autoscale_input input = {
        .now_ms = now_ms,
        .demand_rps = demand_rps,
        .forecast_rps = p->foresees ? p->provision : NULL,
        .forecast_len = p->path_steps,
        .forecast_start_ms = in->start_ms + (int64_t)slot * in->step_ms,
        .forecast_step_ms = in->step_ms,
        .quantile = p->quantile,
        .capacity_rps = in->unit_rps,
        .lead_ms = (double)in->startup_ms,
        .serving = world->serving,
        .starting = world->starting,
    };
    return autoscale_decide(&p->autoscale, &input, &p->state).instances;
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

uint32_t pilot_decide(struct pilot *p, const struct world *world, size_t slot, size_t part,
                      int64_t now_ms, double demand_rps) {
    switch (p->policy.kind) {
    case BACKTEST_PREDICTIVE:
        hear(p, slot, now_ms, demand_rps);
        return autoscale(p, world, slot, now_ms, demand_rps);
    case BACKTEST_REACTIVE:
        return autoscale(p, world, slot, now_ms, demand_rps);
    case BACKTEST_HPA:
        return sync_hpa(p, world, demand_rps);
    case BACKTEST_FIXED:
        return p->policy.fixed;
    case BACKTEST_ORACLE:
        return foreknown(p, slot, part);
    }
    return world->serving + world->starting;
}
