#include "tool/sim/simulate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 1000
#define PATIENCE_MS 2000
#define PEAK_OF_MAX 0.2         /* an ordinary day's peak, of what the maximum carries */
#define STARTUP_LOG_SPREAD 0.25 /* from order to order */
#define STARTUP_RATIO_MAX 12    /* of the usual, with all that can make it slow */
#define OBSERVE_INSTANCES_S 5   /* a sample of capacity; the controller takes one a second each */
#define SERVICE_RATIO 0.2       /* of the objective: a request alone */
#define CALM_S 300              /* with sight and without a surge, before a campaign is judged */
#define RECENT_S 60.0           /* of demand that counts as that of now */

struct simulation {
    const struct simulate_options *options;
    struct simulate_result *out;
    struct scenario scenario;
    struct foresee foresee;
    struct foresee_options foresee_options;
    struct forecast *put_aside; /* the forecaster, while it is dead */
    struct world world;
    struct rand rand;
    int64_t at_s, skew_ms; /* of the controller's clock */
    int64_t seen_s;        /* demand was observed last; -1: never */
    int64_t until_s[FAULT_KINDS];
    double amount[FAULT_KINDS];
    size_t next_fault;
    bool disturbed;
    int64_t restarted_ms; /* by the controller's clock: what ended before is not remembered */
    int64_t calm_since_s; /* it sees, and nothing but ordinary demand came */
    double recent_rps;    /* of that; NaN: none yet */
};

static int64_t now_ms(const struct simulation *s) {
    return SCENARIO_START_MS + s->at_s * 1000 + s->skew_ms;
}

static bool suffers(const struct simulation *s, enum scenario_fault_kind kind) {
    return s->at_s < s->until_s[kind];
}

/* ---- faults ---- */

/* What was learned of capacity and starts is in the notebook, as it is live; history is not. */
static bool restart(struct simulation *s, struct error *err) {
    struct capacity capacity = s->foresee.capacity;
    struct lead_time lead = s->foresee.lead;
    forecast_free(s->put_aside);
    s->put_aside = NULL;
    foresee_fini(&s->foresee);
    if (!foresee_init(&s->foresee, &s->foresee_options, err)) {
        return false;
    }
    s->foresee.capacity = capacity;
    s->foresee.lead = lead;
    s->disturbed = true;
    s->seen_s = -1;
    s->restarted_ms = now_ms(s);
    return true;
}

static bool strike(struct simulation *s, const struct scenario_fault *fault, struct error *err) {
    s->out->faults++;
    s->until_s[fault->kind] = fault->at_s + fault->for_s;
    s->amount[fault->kind] = fault->amount;
    switch (fault->kind) {
    case FAULT_CLOCK_JUMP:
        s->skew_ms += (int64_t)(fault->amount * 1000);
        s->disturbed = true;
        return true;
    case FAULT_RESTART:
        return restart(s, err);
    case FAULT_CRASH:
        world_lose(&s->world, (uint32_t)fault->amount);
        return true;
    default:
        return true;
    }
}

static void bury_or_revive_forecaster(struct simulation *s) {
    bool dead = suffers(s, FAULT_DEAD_FORECASTER);
    if (dead && s->foresee.forecast != NULL) {
        s->put_aside = s->foresee.forecast;
        s->foresee.forecast = NULL;
    } else if (!dead && s->put_aside != NULL) {
        s->foresee.forecast = s->put_aside;
        s->put_aside = NULL;
    }
}

static bool suffer(struct simulation *s, struct error *err) {
    const struct scenario *scenario = &s->scenario;
    while (s->next_fault < scenario->fault_count &&
           scenario->faults[s->next_fault].at_s <= s->at_s) {
        if (!strike(s, &scenario->faults[s->next_fault++], err)) {
            return false;
        }
    }
    bury_or_revive_forecaster(s);
    return true;
}

/* ---- one second ---- */

static void turn_world(struct simulation *s, double rps) {
    double slow = suffers(s, FAULT_SLOW_INSTANCES) ? s->amount[FAULT_SLOW_INSTANCES] : 1;
    uint32_t before = s->world.serving;
    s->world.options.unit_rps = s->options->unit_rps * slow;
    world_tick(&s->world, rps);
    for (; before < s->world.serving; before++) {
        foresee_observe_start(&s->foresee, (double)s->world.options.startup_ms);
    }
}

/* Latency as of one server with a queue, in the middle of its second. */
static void observe_instances(struct simulation *s, double rps) {
    if (s->world.serving == 0 || s->at_s % OBSERVE_INSTANCES_S != 0) {
        return;
    }
    double load = fmin(rps / s->world.serving, s->world.options.unit_rps);
    double busy = fmin(rps / s->world.serving / s->world.options.unit_rps, 0.99);
    double alone_ms = s->foresee_options.objective_ms * SERVICE_RATIO;
    double waiting_ms = s->world.backlog / fmax(s->world.serving * s->world.options.unit_rps, 1e-9);
    foresee_observe_instance(&s->foresee, load, alone_ms / (1 - busy) + waiting_ms * 1000,
                             OBSERVE_INSTANCES_S);
}

static void observe(struct simulation *s, double rps) {
    if (suffers(s, FAULT_STALE_METRIC)) {
        return;
    }
    bool unknown = suffers(s, FAULT_UNKNOWN_METRIC);
    struct service_second second = { .seconds = 1, .offered_rps = unknown ? (double)NAN : rps };
    foresee_observe(&s->foresee, now_ms(s), &second);
    s->seen_s = s->at_s;
    if (!unknown) {
        observe_instances(s, rps);
    }
}

static void obey(struct simulation *s) {
    const struct autoscale_decision *d = &s->foresee.decision;
    uint32_t running = s->world.serving + s->world.starting;
    double slow = suffers(s, FAULT_SLOW_START) ? s->amount[FAULT_SLOW_START] : 1;
    double took =
        (double)s->options->startup_ms * slow * exp(STARTUP_LOG_SPREAD * rand_normal(&s->rand));
    s->world.options.startup_ms = (int64_t)fmin(took, (double)s->world.options.startup_ms_max);
    world_scale(&s->world, d->instances > running ? running + d->start_now : d->instances);
}

/* ---- what has to hold ---- */

static void note_calm(struct simulation *s, bool blind, double rps) {
    bool faulty = blind;
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        faulty |= suffers(s, (enum scenario_fault_kind)kind);
    }
    if (faulty || s->disturbed || !scenario_is_calm(&s->scenario, s->at_s)) {
        s->calm_since_s = s->at_s;
        s->recent_rps = NAN;
    }
    s->recent_rps = isnan(s->recent_rps) ? rps : s->recent_rps + (rps - s->recent_rps) / RECENT_S;
}

/* The first campaign since the controller began, shortly before it begins, in the midst of ordinary
 * demand. Of later ones it may have learned that the marketer exaggerates. */
static double announced_rps(const struct simulation *s) {
    const struct calendar *c = &s->scenario.calendar;
    int64_t now = now_ms(s), lead_ms = (int64_t)s->foresee.decision.lead_ms;
    double factor = NAN;
    for (size_t i = 0; i < c->len && c->events[i].start_ms <= now + lead_ms; i++) {
        const struct calendar_event *e = &c->events[i];
        if (e->end_ms > s->restarted_ms && e->start_ms <= now) {
            return NAN;
        }
        if (e->start_ms > now && e->multiplier > 1) {
            factor = fmax(e->multiplier, isnan(factor) ? 1 : factor);
        }
    }
    return s->at_s - s->calm_since_s >= CALM_S ? s->recent_rps * factor : (double)NAN;
}

static bool check(struct simulation *s, double rps) {
    struct simulate_result *out = s->out;
    bool old = s->seen_s < 0 || (s->at_s - s->seen_s) * 1000 > s->foresee.policy.stale_ms;
    bool unknown = old || isnan(s->foresee.demand_rps);
    /* Demand as the controller had it last: while the metric is stale that is not today's. */
    struct invariants_moment moment = {
        .at_s = s->at_s,
        .demand_rps = unknown                          ? (double)NAN
                      : suffers(s, FAULT_STALE_METRIC) ? s->foresee.demand_rps
                                                       : rps,
        .blind =
            unknown || s->foresee.forecast == NULL || forecast_observed(s->foresee.forecast) == 0,
        .disturbed = s->disturbed,
        .serving = s->world.serving,
        .starting = s->world.starting,
        .decision = s->foresee.decision,
    };
    note_calm(s, moment.blind, rps);
    moment.announced_rps = announced_rps(s);
    s->disturbed = false;
    out->warm_seconds += !isnan(moment.announced_rps);
    out->decisions++;
    out->blind_seconds += moment.blind;
    out->changes += moment.decision.instances != out->invariants.instances;
    out->shrinks += moment.decision.instances < moment.serving + moment.starting;
    out->broken_at_s = s->at_s;
    return invariants_check(&out->invariants, &moment);
}

/* False when it broke; an invariant that does not hold is in s->out. */
static bool live_day(struct simulation *s, const float rps[SCENARIO_DAY_S], struct error *err) {
    for (size_t i = 0; i < SCENARIO_DAY_S && s->out->invariants.broken == NULL; i++, s->at_s++) {
        if (!suffer(s, err)) {
            return false;
        }
        turn_world(s, (double)rps[i]);
        observe(s, (double)rps[i]);
        foresee_decide(&s->foresee, now_ms(s), s->world.serving, s->world.starting);
        if (check(s, (double)rps[i])) {
            obey(s);
        }
    }
    return true;
}

static bool live(struct simulation *s, struct error *err) {
    float *rps = malloc(SCENARIO_DAY_S * sizeof *rps);
    if (rps == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory for a day");
    }
    bool ok = true;
    for (uint32_t day = 0; ok && day < s->options->days && s->out->invariants.broken == NULL;
         day++) {
        scenario_day(&s->scenario, day, rps);
        ok = live_day(s, rps, err);
    }
    free(rps);
    return ok;
}

static bool begin(struct simulation *s, struct error *err) {
    const struct simulate_options *o = s->options;
    const struct autoscale_policy *policy = &o->foresee.policy;
    struct world_options world = {
        .tick_ms = TICK_MS,
        .startup_ms = o->startup_ms,
        .startup_ms_max = o->startup_ms * STARTUP_RATIO_MAX,
        .patience_ms = PATIENCE_MS,
        .unit_rps = o->unit_rps,
    };
    double peak_rps = PEAK_OF_MAX * policy->instances_max * o->unit_rps;
    if (!scenario_init(&s->scenario, o->seed, o->days, peak_rps, o->faults_path, err)) {
        return false;
    }
    s->foresee_options = o->foresee;
    s->foresee_options.calendar = &s->scenario.calendar;
    s->out->campaigns = s->scenario.calendar.len;
    s->out->surges = s->scenario.surge_count;
    rand_init(&s->rand, o->seed + 1);
    invariants_init(&s->out->invariants, policy);
    return foresee_init(&s->foresee, &s->foresee_options, err) &&
           world_init(&s->world, &world, policy->instances_min, err);
}

bool simulate_run(const struct simulate_options *options, struct simulate_result *out,
                  struct error *err) {
    struct simulation *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory");
    }
    *out = (struct simulate_result){ 0 };
    s->options = options;
    s->out = out;
    s->seen_s = -1;
    s->restarted_ms = SCENARIO_START_MS;
    s->recent_rps = NAN;
    bool ok = begin(s, err) && live(s, err);
    out->totals = s->world.totals;
    forecast_free(s->put_aside);
    foresee_fini(&s->foresee);
    world_fini(&s->world);
    scenario_fini(&s->scenario);
    free(s);
    return ok;
}
