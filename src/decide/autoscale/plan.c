#include <assert.h>
#include <math.h>

#include "decide/autoscale/autoscale.h"

#define QUEUE_DRAIN_S 10 /* what waits is to be gone after that */
#define ROUNDING 1e-9    /* 300 rps on instances of 100 are 3, not 4 */

void autoscale_policy_init(struct autoscale_policy *p) {
    *p = (struct autoscale_policy){
        .instances_min = 1,
        .instances_max = 10,
        .price_per_hour = NAN,
        .margin_per_request = NAN,
        .headroom_ratio = 0.1,
        .down_stabilisation_ms = 300000,
        .interval_ms = 1000,
        .stale_ms = 15000,
    };
}

void autoscale_state_init(struct autoscale_state *s) {
    *s = (struct autoscale_state){ 0 };
}

double autoscale_quantile(const struct autoscale_policy *p, double capacity_rps) {
    double price_per_second = p->price_per_hour / 3600;
    double earned_per_second = p->margin_per_request * capacity_rps;
    if (!(price_per_second > 0) || !(earned_per_second > 0)) {
        return AUTOSCALE_QUANTILE_DEFAULT;
    }
    double ratio = (earned_per_second - price_per_second) / earned_per_second;
    return fmin(fmax(ratio, AUTOSCALE_QUANTILE_MIN), AUTOSCALE_QUANTILE_MAX);
}

/* Unlike fmax these are no calls: a year of backtest decides some ten million times. */
static double larger_of(double a, double b) {
    return a > b ? a : b;
}

static double smaller_of(double a, double b) {
    return a < b ? a : b;
}

int64_t autoscale_horizon_ms(const struct autoscale_policy *p, double lead_ms, int64_t step_ms) {
    return (int64_t)larger_of(lead_ms, 0) + p->interval_ms + step_ms;
}

/* Rounded up, by hand: ceil is a call, too. */
static uint32_t instances_for(double rps, double capacity_rps) {
    double wanted = smaller_of(larger_of(rps / capacity_rps - ROUNDING, 0), (double)UINT32_MAX);
    int64_t whole = (int64_t)wanted; /* NaN has become 0 */
    return (uint32_t)(whole + ((double)whole < wanted));
}

struct peak {
    double rps; /* NaN: nothing is forecast in that time */
    int64_t at_ms;
    bool announced; /* by somebody; else it is extrapolated */
};

/* Equal peaks: the first one counts. NaN never does. */
static void take_higher(struct peak *peak, struct peak other) {
    if (other.rps > peak->rps) {
        *peak = other;
    }
}

static struct peak highest_ahead(const struct autoscale_input *in, int64_t horizon_ms) {
    const struct peak none = { NAN, 0, false };
    struct peak peak = { -INFINITY, 0, false };
    int64_t step_ms = in->forecast_step_ms, at_ms = in->forecast_start_ms;
    size_t len = in->forecast_rps != NULL ? in->forecast_len : 0;
    for (size_t i = 0; i < len && at_ms < in->now_ms + horizon_ms; i++, at_ms += step_ms) {
        if (at_ms + step_ms <= in->now_ms) {
            continue;
        }
        take_higher(&peak, (struct peak){ in->forecast_rps[i], at_ms, false });
        if (in->announced_rps != NULL) {
            take_higher(&peak, (struct peak){ in->announced_rps[i], at_ms, true });
        }
    }
    return peak.rps > -INFINITY ? peak : none;
}

/* What matters to an order of now: until it serves; and when only so many start at once, as far as
 * the rounds that a peak takes. */
static struct peak matters_now(const struct autoscale_policy *p, const struct autoscale_input *in,
                               uint32_t current) {
    struct peak peak =
        highest_ahead(in, autoscale_horizon_ms(p, in->lead_ms, in->forecast_step_ms));
    for (uint32_t rounds = 2; rounds <= AUTOSCALE_ROUNDS_MAX && p->starting_max > 0; rounds++) {
        double lead_ms = in->lead_ms * rounds;
        struct peak further =
            highest_ahead(in, autoscale_horizon_ms(p, lead_ms, in->forecast_step_ms));
        uint32_t needed = instances_for(further.rps, in->capacity_rps);
        uint32_t wanted = needed < p->instances_max ? needed : p->instances_max;
        uint32_t missing = wanted > current ? wanted - current : 0;
        if (missing > p->starting_max * (rounds - 1)) {
            peak = further;
        }
    }
    return peak;
}

static bool demand_known(const struct autoscale_policy *p, const struct autoscale_input *in) {
    return in->demand_rps >= 0 && isfinite(in->demand_rps) && in->demand_age_ms <= p->stale_ms;
}

static int64_t bucket_ms(const struct autoscale_policy *p) {
    int64_t ms = p->down_stabilisation_ms / (AUTOSCALE_WINDOW_BUCKETS - 1);
    return ms > 0 ? ms : 1;
}

static void window_note(const struct autoscale_policy *p, struct autoscale_state *s, int64_t now_ms,
                        uint32_t wanted) {
    int64_t width_ms = bucket_ms(p), number = now_ms / width_ms, start_ms = number * width_ms;
    size_t i = (size_t)((uint64_t)number % AUTOSCALE_WINDOW_BUCKETS);
    if (!s->bucket_used[i] || s->bucket_start_ms[i] != start_ms) {
        s->bucket_used[i] = true;
        s->bucket_start_ms[i] = start_ms;
        s->bucket_wanted[i] = 0;
    }
    if (wanted > s->bucket_wanted[i]) {
        s->bucket_wanted[i] = wanted;
    }
}

/* … or the first that is found to be `enough`. */
static uint32_t window_most(const struct autoscale_policy *p, const struct autoscale_state *s,
                            int64_t now_ms, uint32_t enough) {
    uint32_t most = 0;
    int64_t after_ms = now_ms - p->down_stabilisation_ms - bucket_ms(p);
    for (size_t i = 0; i < AUTOSCALE_WINDOW_BUCKETS && most < enough; i++) {
        uint32_t wanted = s->bucket_start_ms[i] > after_ms ? s->bucket_wanted[i] : 0;
        most = wanted > most ? wanted : most;
    }
    return most;
}

/* After a start or a jump of the clock the window knows nothing: what runs now counts as wanted. */
static void window_resume(const struct autoscale_policy *p, const struct autoscale_input *in,
                          struct autoscale_state *s, uint32_t current) {
    int64_t passed_ms = in->now_ms - s->decided_ms;
    int64_t jump_ms = p->stale_ms > 10 * p->interval_ms ? p->stale_ms : 10 * p->interval_ms;
    if (s->decided_ms != 0 && passed_ms >= 0 && passed_ms <= jump_ms) {
        return;
    }
    for (size_t i = 0; i < AUTOSCALE_WINDOW_BUCKETS; i++) {
        s->bucket_used[i] = false;
        s->bucket_wanted[i] = 0;
    }
    window_note(p, s, in->now_ms, current);
}

static uint32_t clamp_instances(const struct autoscale_policy *p, uint32_t wanted) {
    uint32_t least = wanted > p->instances_min ? wanted : p->instances_min;
    return least < p->instances_max ? least : p->instances_max;
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static enum autoscale_reason why(const struct autoscale_policy *p,
                                 const struct autoscale_decision *d, uint32_t current, bool blind) {
    uint32_t wanted = larger(d->wanted_reactive, d->wanted_forecast);
    bool ahead = d->wanted_forecast > d->wanted_reactive;
    if (wanted > p->instances_max) {
        return p->budgeted ? AUTOSCALE_AT_BUDGET : AUTOSCALE_AT_MAX;
    }
    if (blind && d->instances > wanted) {
        return AUTOSCALE_BLIND;
    }
    if (d->instances < current) {
        return AUTOSCALE_SHRINK;
    }
    if (wanted < p->instances_min && d->instances == p->instances_min) {
        return AUTOSCALE_AT_MIN;
    }
    if (wanted < d->instances) {
        return AUTOSCALE_HOLDING;
    }
    if (ahead) {
        return d->campaign != NULL ? AUTOSCALE_CAMPAIGN : AUTOSCALE_FORECAST;
    }
    return d->instances > current ? AUTOSCALE_DEMAND : AUTOSCALE_STEADY;
}

static uint32_t startable(const struct autoscale_policy *p, const struct autoscale_input *in,
                          uint32_t missing) {
    if (p->starting_max == 0) {
        return missing;
    }
    uint32_t room = in->starting < p->starting_max ? p->starting_max - in->starting : 0;
    return missing < room ? missing : room;
}

/* What would be right if nothing were held back: from demand now and from the forecast. */
static struct autoscale_decision wish(const struct autoscale_policy *policy,
                                      const struct autoscale_input *in, struct peak ahead,
                                      double net_rps) {
    struct autoscale_decision d = {
        .spares = policy->spares,
        .demand_rps = in->demand_rps,
        .forecast_rps = ahead.rps,
        .forecast_at_ms = ahead.at_ms,
        .quantile = ahead.announced ? autoscale_quantile(policy, in->capacity_rps) : in->quantile,
        .capacity_rps = in->capacity_rps,
        .lead_ms = in->lead_ms,
    };
    d.wanted_reactive = instances_for(net_rps, in->capacity_rps);
    if (!isnan(ahead.rps)) {
        d.wanted_forecast = instances_for(ahead.rps, in->capacity_rps);
    }
    if (d.wanted_forecast > d.wanted_reactive) {
        d.campaign =
            calendar_strongest(in->calendar, ahead.at_ms, ahead.at_ms + in->forecast_step_ms);
    }
    return d;
}

/* What arrives now with its headroom, or where a steep rise will be when help could serve. */
static double net_rps(const struct autoscale_policy *policy, const struct autoscale_input *in,
                      struct autoscale_state *state) {
    double lead_ms = larger_of(in->lead_ms, 0);
    ramp_observe(&state->ramp, in->now_ms, in->demand_rps, lead_ms);
    double ahead =
        ramp_ahead_rps(&state->ramp, in->demand_rps, lead_ms + (double)policy->interval_ms);
    double queued = smaller_of(larger_of(in->waiting, 0) / QUEUE_DRAIN_S, in->demand_rps);
    return larger_of(in->demand_rps * (1 + policy->headroom_ratio) + queued, ahead);
}

/* Up at once; down only as far as the window lets it; blind not at all. */
static uint32_t hold(const struct autoscale_policy *policy, const struct autoscale_state *state,
                     int64_t now_ms, uint32_t wanted, uint32_t before, bool blind) {
    if (wanted >= before) {
        return wanted;
    }
    if (blind) {
        return before;
    }
    uint32_t most = larger(window_most(policy, state, now_ms, before), wanted);
    return most > before ? before : most;
}

struct autoscale_decision autoscale_decide(const struct autoscale_policy *policy,
                                           const struct autoscale_input *in,
                                           struct autoscale_state *state) {
    assert(in->capacity_rps > 0);
    uint32_t current = in->serving + in->starting;
    bool foresees = !policy->reactive && in->forecast_rps != NULL;
    bool known = demand_known(policy, in), blind = !known || (!policy->reactive && !foresees);
    int64_t horizon_ms = autoscale_horizon_ms(policy, in->lead_ms, in->forecast_step_ms);
    struct peak ahead = { NAN, 0, false }, keep = ahead;
    if (foresees) {
        ahead = matters_now(policy, in, current);
        keep = highest_ahead(in, horizon_ms * AUTOSCALE_KEEP_RATIO);
    }
    struct autoscale_decision d = wish(policy, in, ahead, known ? net_rps(policy, in, state) : 0);
    uint32_t wanted = larger(d.wanted_reactive, d.wanted_forecast), kept = wanted;
    if (!isnan(keep.rps) && !(keep.rps <= ahead.rps)) { /* which is wanted anyway */
        kept = larger(wanted, instances_for(keep.rps, in->capacity_rps));
    }
    uint32_t before = larger(state->decided_ms != 0 ? state->instances : 0, current);
    window_resume(policy, in, state, current);
    window_note(policy, state, in->now_ms, blind ? larger(kept, current) : kept);
    d.instances = clamp_instances(policy, hold(policy, state, in->now_ms, wanted, before, blind));
    d.reason = why(policy, &d, current, blind);
    d.start_now = startable(policy, in, d.instances > current ? d.instances - current : 0);
    state->instances = d.instances;
    state->decided_ms = in->now_ms;
    return d;
}
