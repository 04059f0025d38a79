#include "tool/sim/backtest.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "tool/sim/pilot.h"

bool backtest_policy_parse(struct backtest_policy *p, const char *text, struct error *err) {
    static const char *const names[] = {
        [BACKTEST_PREDICTIVE] = "predictive",
        [BACKTEST_REACTIVE] = "reactive",
        [BACKTEST_HPA] = "hpa",
        [BACKTEST_FIXED] = "fixed:",
        [BACKTEST_ORACLE] = "oracle",
    };
    *p = (struct backtest_policy){ 0 };
    for (int kind = 0; kind <= BACKTEST_ORACLE; kind++) {
        struct slice given = slice_from(text);
        uint64_t fixed = 0;
        bool matches = slice_equal(given, slice_from(names[kind]));
        if (kind == BACKTEST_FIXED) {
            matches = slice_starts_with(given, SLICE("fixed:")) &&
                      parse_uint(slice_skip(given, 6), &fixed) && fixed > 0 && fixed <= 1000000;
        }
        if (matches) {
            p->kind = (enum backtest_kind)kind;
            p->fixed = (uint32_t)fixed;
            snprintf(p->name, sizeof p->name, "%s", text);
            return true;
        }
    }
    return error_set(err, ERROR_INVALID,
                     "'%s': expected predictive, reactive, hpa, fixed:N or "
                     "oracle",
                     text);
}

int64_t backtest_tick_ms(const struct backtest_input *in) {
    int64_t parts = (in->step_ms + BACKTEST_TICK_MS - 1) / BACKTEST_TICK_MS;
    while (parts > 1 && (int64_t)in->len * parts > BACKTEST_TICKS_MAX) {
        parts = (parts + 1) / 2;
    }
    while (in->step_ms % parts != 0) {
        parts--;
    }
    return in->step_ms / parts;
}

double backtest_rps(const struct backtest_input *in, size_t slot) {
    return in->counts[slot] * 1000 / (double)in->step_ms;
}

uint32_t backtest_needed(const struct backtest_input *in, size_t slot) {
    double rps = backtest_rps(in, slot);
    double needed = isnan(rps) ? 0 : ceil(rps / in->unit_rps - 1e-9);
    uint32_t most = in->policy.instances_max;
    uint32_t wanted = needed >= most ? most : (uint32_t)needed;
    return wanted > in->policy.instances_min ? wanted : in->policy.instances_min;
}

static double ideal_hours(const struct backtest_input *in) {
    double hours = 0;
    for (size_t i = 0; i < in->len; i++) {
        double rps = backtest_rps(in, i);
        double needed = isnan(rps) ? 0 : ceil(rps / in->unit_rps - 1e-9);
        hours += fmax(needed, in->policy.instances_min) * (double)in->step_ms / MS_PER_HOUR;
    }
    return hours;
}

/* The world turns: at every tick the pilot says how many, then demand flows. */
static void turn(const struct backtest_input *in, struct pilot *pilot, struct world *world,
                 struct backtest_result *out) {
    size_t parts = (size_t)(in->step_ms / world->options.tick_ms);
    double demand_rps = NAN; /* of the tick before: all that a policy has seen */
    for (size_t slot = 0; slot < in->len; slot++) {
        double rps = backtest_rps(in, slot), served = 0, unserved = world->totals.unserved;
        for (size_t part = 0; part < parts; part++) {
            struct pilot_moment at = { slot, part,
                                       in->start_ms + (int64_t)slot * in->step_ms +
                                           (int64_t)part * world->options.tick_ms,
                                       demand_rps };
            world_scale(world, pilot_decide(pilot, world, &at, out));
            world_tick(world, isnan(rps) ? 0 : rps);
            served += world->serving;
            demand_rps = rps;
        }
        out->serving[slot] = (float)(served / (double)parts);
        out->unserved[slot] = (float)(world->totals.unserved - unserved);
    }
}

static float *nothing_said(size_t len) {
    float *values = malloc(len * sizeof *values);
    for (size_t i = 0; values != NULL && i < len; i++) {
        values[i] = NAN;
    }
    return values;
}

static bool allocate(const struct backtest_input *in, struct backtest_result *out,
                     struct error *err) {
    bool predictive = out->policy.kind == BACKTEST_PREDICTIVE;
    out->serving = calloc(in->len, sizeof *out->serving);
    out->unserved = calloc(in->len, sizeof *out->unserved);
    if (predictive) {
        out->forecast_low = nothing_said(in->len);
        out->forecast_high = nothing_said(in->len);
    }
    bool ok = out->serving != NULL && out->unserved != NULL &&
              (!predictive || (out->forecast_low != NULL && out->forecast_high != NULL));
    return ok || error_set(err, ERROR_LIMIT, "no memory for %zu intervals", in->len);
}

/* Every policy begins with what is needed before its first order can serve. */
static uint32_t first_instances(const struct backtest_input *in,
                                const struct backtest_policy *policy) {
    if (policy->kind == BACKTEST_FIXED) {
        return policy->fixed;
    }
    uint32_t most = 0;
    for (size_t i = 0; i < in->len && (int64_t)i * in->step_ms <= in->startup_ms; i++) {
        uint32_t needed = backtest_needed(in, i);
        most = needed > most ? needed : most;
    }
    return most;
}

static bool run(const struct backtest_input *in, struct backtest_result *out, struct error *err) {
    struct world_options options = {
        .tick_ms = backtest_tick_ms(in),
        .startup_ms = in->startup_ms,
        .patience_ms = in->patience_ms,
        .unit_rps = in->unit_rps,
    };
    struct world world;
    struct pilot pilot;
    bool ok = world_init(&world, &options, first_instances(in, &out->policy), err) &&
              pilot_init(&pilot, in, &out->policy, options.tick_ms, err);
    if (ok) {
        turn(in, &pilot, &world, out);
        pilot_fini(&pilot);
        out->totals = world.totals;
    }
    world_fini(&world);
    return ok;
}

bool backtest_run(const struct backtest_input *in, const struct backtest_policy *policy,
                  struct backtest_result *out, struct error *err) {
    assert(in->len > 0 && in->step_ms > 0 && in->unit_rps > 0);
    *out = (struct backtest_result){ .policy = *policy };
    if (!allocate(in, out, err) || !run(in, out, err)) {
        backtest_result_fini(out);
        return false;
    }
    double price =
        in->policy.price_per_hour > 0 ? in->policy.price_per_hour : BACKTEST_PRICE_DEFAULT;
    out->ideal_instance_hours = ideal_hours(in);
    out->cost = out->totals.instance_hours * price;
    out->unserved_share =
        out->totals.requests > 0 ? out->totals.unserved / out->totals.requests : 0;
    return true;
}

void backtest_result_fini(struct backtest_result *r) {
    if (r != NULL) {
        free(r->serving);
        free(r->unserved);
        free(r->forecast_low);
        free(r->forecast_high);
        r->serving = r->unserved = r->forecast_low = r->forecast_high = NULL;
    }
}
