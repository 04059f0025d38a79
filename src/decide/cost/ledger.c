#include "decide/cost/ledger.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

#define TICK_S (LEDGER_TICK_MS / 1000.0)
#define S_PER_HOUR 3600.0
#define SEEN_LEAST 0.5 /* of a tick, to be judged */
#define SEEN_WHOLE                                                                                 \
    0.9 /* what is left of the tick is not enough for a successor to judge it too                  \
         */

enum { HPA_TICKS = HPA_SYNC_MS / LEDGER_TICK_MS };

const char *const ledger_policy_names[LEDGER_POLICIES] = {
    [LEDGER_TIDEGATE] = "tidegate",       [LEDGER_REACTIVE] = "reactive", [LEDGER_HPA] = "hpa",
    [LEDGER_STATIC_PEAK] = "static_peak", [LEDGER_ORACLE] = "oracle",
};

/* ---- life ---- */

void ledger_set_policy(struct ledger *l, const struct autoscale_policy *policy) {
    l->policy = *policy;
    l->policy.reactive = true; /* for the account that decides by it */
    l->hpa.min = policy->instances_min;
    l->hpa.max = policy->instances_max;
}

bool ledger_init(struct ledger *l, const struct autoscale_policy *policy, struct error *err) {
    struct world_options options = {
        .tick_ms = LEDGER_TICK_MS,
        .startup_ms_max = LEDGER_STARTUP_MAX_MS,
        .patience_ms = LEDGER_PATIENCE_MS,
        .unit_rps = 1, /* each tick says anew */
    };
    memset(l, 0, sizeof *l);
    for (int i = 0; i < LEDGER_POLICIES; i++) {
        if (!world_init(&l->worlds[i], &options, 0, err)) {
            ledger_fini(l);
            return false;
        }
    }
    l->seen_ms = l->judged_ms = l->forming.start_ms = l->hour.start_ms = INT64_MIN;
    l->demand_rps = NAN;
    ledger_set_policy(l, policy);
    return true;
}

void ledger_fini(struct ledger *l) {
    for (int i = 0; i < LEDGER_POLICIES; i++) {
        world_fini(&l->worlds[i]);
    }
}

static int64_t hour_of(int64_t ms) {
    return ms - ms % MS_PER_HOUR;
}

void ledger_remember_peak(struct ledger *l, int64_t hour_ms, uint32_t instances) {
    size_t at = (size_t)(hour_ms / MS_PER_HOUR) % LEDGER_PEAK_HOURS;
    l->peaks[at] = instances;
    l->peaks_at[at] = hour_of(hour_ms);
}

void ledger_resume(struct ledger *l, const struct ledger_hour *hour) {
    l->hour = *hour;
}

/* ---- seconds become ticks ---- */

static uint32_t needed(const struct ledger *l, double demand_rps, double unit_rps) {
    double most = l->policy.instances_max, wanted = ceil(demand_rps / unit_rps - 1e-9);
    return (uint32_t)fmax(fmin(wanted, most), l->policy.instances_min);
}

static void close_tick(struct ledger *l) {
    struct ledger_tick *tick = &l->forming;
    if (tick->start_ms != INT64_MIN && tick->seconds >= SEEN_LEAST * TICK_S &&
        l->count < LEDGER_TICKS_MAX) {
        tick->needed = needed(l, tick->requests / tick->seconds, tick->unit_rps);
        l->waiting[(l->first + l->count++) % LEDGER_TICKS_MAX] = *tick;
        l->seen_ms = tick->start_ms;
    }
    *tick = (struct ledger_tick){ .start_ms = INT64_MIN };
}

void ledger_observe(struct ledger *l, const struct ledger_second *s) {
    bool known = s->seconds > 0 && s->offered_rps >= 0 && s->unit_rps > 0 && s->now_ms > 0;
    int64_t middle_ms = s->now_ms - (int64_t)(s->seconds * 500);
    int64_t start_ms = middle_ms - middle_ms % LEDGER_TICK_MS;
    if (!known) {
        return;
    }
    if (start_ms != l->forming.start_ms) {
        close_tick(l);
        /* A clock that was set back a little is waited for. */
        if (start_ms <= l->seen_ms && l->seen_ms - start_ms < MS_PER_HOUR) {
            return;
        }
        l->forming.start_ms = start_ms;
    }
    struct ledger_tick *tick = &l->forming;
    tick->seconds += (float)s->seconds;
    tick->requests += (float)(s->offered_rps * s->seconds);
    tick->refused += (float)(s->refused_rps * s->seconds);
    tick->paid_s += (float)(s->paid * s->seconds);
    tick->able_s += (float)(s->able * s->seconds);
    if (tick->heard < LEDGER_SECONDS_MAX) {
        tick->demand_rps[tick->heard++] = (float)s->offered_rps;
    }
    tick->unit_rps = (float)s->unit_rps;
    tick->startup_ms = (uint32_t)fmax(fmin(s->startup_ms, LEDGER_STARTUP_MAX_MS), 0);
}

void ledger_end(struct ledger *l) {
    if (l->forming.seconds >= SEEN_WHOLE * TICK_S) {
        close_tick(l);
    }
    l->ending = true;
}

/* ---- the helms ---- */

static struct ledger_tick *tick_at(struct ledger *l, size_t index) {
    return &l->waiting[(l->first + index) % LEDGER_TICKS_MAX];
}

/* Most that is needed from the oldest tick until an instance that is ordered then serves, as far as
 * ticks follow each other. False: what comes has not been seen yet. */
static bool look_ahead(struct ledger *l, uint32_t *most) {
    const struct ledger_tick *head = tick_at(l, 0);
    size_t ticks = (head->startup_ms + LEDGER_TICK_MS - 1) / LEDGER_TICK_MS;
    *most = head->needed;
    for (size_t i = 1; i <= ticks; i++) {
        if (i == l->count) {
            return l->ending;
        }
        if (tick_at(l, i)->start_ms != head->start_ms + (int64_t)i * LEDGER_TICK_MS) {
            return true; /* nobody saw what came */
        }
        *most = tick_at(l, i)->needed > *most ? tick_at(l, i)->needed : *most;
    }
    return true;
}

static void restart_world(struct world *w, uint32_t serving) {
    memset(w->ready_at, 0, w->ring * sizeof *w->ready_at);
    w->serving = serving;
    w->starting = 0;
    w->backlog = 0;
}

/* As in backtest: every policy begins with what is needed before its first order can serve. */
static void begin(struct ledger *l, uint32_t instances) {
    for (int i = 0; i < LEDGER_POLICIES; i++) {
        restart_world(&l->worlds[i], instances + (i == LEDGER_REACTIVE ? l->policy.spares : 0));
    }
    autoscale_state_init(&l->reactive);
    hpa_init(&l->hpa, l->policy.instances_min, l->policy.instances_max);
    l->utilisation_sum = 0;
    l->ticks_synced = 0;
    l->demand_rps = NAN;
    l->before.heard = 0;
}

/* Spares are configured, not predicted: Tidegate without forecast has them too. It hears each
 * second of the tick before: the noise of a second's arrivals makes instances, and the controller
 * hears it as well. */
static uint32_t steer_reactive(struct ledger *l, const struct ledger_tick *tick) {
    const struct world *w = &l->worlds[LEDGER_REACTIVE];
    uint32_t spares = l->policy.spares, there = w->serving + w->starting;
    uint32_t warm = spares < w->serving ? spares : w->serving;
    struct autoscale_input input = {
        .waiting = w->backlog,
        .forecast_step_ms = LEDGER_TICK_MS,
        .quantile = NAN,
        .capacity_rps = tick->unit_rps,
        .lead_ms = tick->startup_ms,
        .serving = w->serving - warm,
        .starting = w->starting,
    };
    uint32_t running = there - warm, wanted = there;
    for (uint32_t i = 0; i < l->before.heard; i++) {
        input.now_ms = l->before.start_ms + (i + 1) * INT64_C(1000);
        input.demand_rps = l->before.demand_rps[i];
        struct autoscale_decision d = autoscale_decide(&l->policy, &input, &l->reactive);
        wanted = spares + (d.instances > running ? running + d.start_now : d.instances);
    }
    return wanted;
}

static uint32_t steer_hpa(struct ledger *l) {
    const struct world *w = &l->worlds[LEDGER_HPA];
    double capacity_rps = w->serving * w->options.unit_rps;
    if (capacity_rps > 0 && l->demand_rps > 0) {
        l->utilisation_sum += fmin(l->demand_rps / capacity_rps, 1);
    }
    if (++l->ticks_synced < HPA_TICKS) {
        return w->serving + w->starting;
    }
    double mean = l->utilisation_sum / HPA_TICKS;
    l->utilisation_sum = 0;
    l->ticks_synced = 0;
    return hpa_sync(&l->hpa, w->serving, w->starting, mean);
}

/* ---- accounts ---- */

static uint32_t highest_peak(const struct ledger *l) {
    uint32_t most = 0;
    for (size_t i = 0; i < LEDGER_PEAK_HOURS; i++) {
        int64_t age_ms = l->hour.start_ms - l->peaks_at[i];
        bool counts = age_ms >= 0 && age_ms < LEDGER_PEAK_HOURS * MS_PER_HOUR;
        most = counts && l->peaks[i] > most ? l->peaks[i] : most;
    }
    return most;
}

static void charge(struct ledger_account *account, const struct world *w) {
    uint32_t there = w->serving + w->starting;
    account->instance_hours += there * TICK_S / S_PER_HOUR;
    account->unserved += w->totals.unserved;
    account->instances_max = there > account->instances_max ? there : account->instances_max;
}

static void flow(struct ledger *l, enum ledger_policy policy, double demand_rps) {
    l->worlds[policy].totals = (struct world_totals){ 0 };
    world_tick(&l->worlds[policy], demand_rps);
}

/* Those that were really there, and what they would have carried in this world. */
static void account_tidegate(struct ledger *l, const struct ledger_tick *tick, double demand_rps) {
    struct ledger_account *account = &l->hour.accounts[LEDGER_TIDEGATE];
    double seconds = tick->seconds, paid = tick->paid_s / seconds;
    uint32_t whole = (uint32_t)lround(paid);
    l->worlds[LEDGER_TIDEGATE].serving = (uint32_t)lround(tick->able_s / seconds);
    flow(l, LEDGER_TIDEGATE, demand_rps);
    account->instance_hours += paid * TICK_S / S_PER_HOUR;
    account->unserved += l->worlds[LEDGER_TIDEGATE].totals.unserved;
    account->instances_max = whole > account->instances_max ? whole : account->instances_max;
}

/* Who sizes for the peak has as many all the hour, also before the peak came. */
static void account_static(struct ledger *l, double demand_rps) {
    struct ledger_account *account = &l->hour.accounts[LEDGER_STATIC_PEAK];
    account->instances_max = highest_peak(l);
    l->worlds[LEDGER_STATIC_PEAK].serving = account->instances_max;
    flow(l, LEDGER_STATIC_PEAK, demand_rps);
    account->unserved += l->worlds[LEDGER_STATIC_PEAK].totals.unserved;
    account->instance_hours = account->instances_max * l->hour.seconds / S_PER_HOUR;
}

static void judge(struct ledger *l, const struct ledger_tick *tick, uint32_t most) {
    double demand_rps = tick->requests / tick->seconds;
    for (int i = 0; i < LEDGER_POLICIES; i++) {
        l->worlds[i].options.unit_rps = tick->unit_rps;
        l->worlds[i].options.startup_ms = tick->startup_ms;
    }
    l->hour.seconds += TICK_S;
    l->hour.requests += demand_rps * TICK_S;
    l->hour.refused += tick->refused * TICK_S / tick->seconds;
    world_scale(&l->worlds[LEDGER_REACTIVE], steer_reactive(l, tick));
    world_scale(&l->worlds[LEDGER_HPA], steer_hpa(l));
    /* All that the oracle pays serve by the time they are needed: it ordered them a start-up ago.
     */
    l->worlds[LEDGER_ORACLE].serving = most;
    static const enum ledger_policy steered[] = { LEDGER_REACTIVE, LEDGER_HPA, LEDGER_ORACLE };
    for (size_t i = 0; i < sizeof steered / sizeof steered[0]; i++) {
        flow(l, steered[i], demand_rps);
        charge(&l->hour.accounts[steered[i]], &l->worlds[steered[i]]);
    }
    ledger_remember_peak(l, l->hour.start_ms, l->hour.accounts[LEDGER_ORACLE].instances_max);
    account_tidegate(l, tick, demand_rps);
    account_static(l, demand_rps);
    l->demand_rps = demand_rps;
    l->before = *tick;
}

enum ledger_step ledger_step(struct ledger *l, struct ledger_hour *done) {
    uint32_t most;
    if (l->count == 0 || !look_ahead(l, &most)) {
        return LEDGER_WAITS;
    }
    const struct ledger_tick tick = *tick_at(l, 0);
    if (hour_of(tick.start_ms) != l->hour.start_ms) {
        struct ledger_hour ended = l->hour;
        l->hour = (struct ledger_hour){ .start_ms = hour_of(tick.start_ms) };
        if (ended.seconds > 0) {
            *done = ended;
            return LEDGER_HOUR_ENDED;
        }
    }
    bool follows = l->judged_ms != INT64_MIN && tick.start_ms > l->judged_ms &&
                   tick.start_ms - l->judged_ms <= LEDGER_GAP_MS;
    if (!follows) {
        begin(l, most);
    }
    judge(l, &tick, most);
    l->judged_ms = tick.start_ms;
    l->first = (l->first + 1) % LEDGER_TICKS_MAX;
    l->count--;
    return LEDGER_JUDGED;
}
