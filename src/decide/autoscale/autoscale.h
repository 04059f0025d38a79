/* Autoscale: how many instances a service should have now.
 * Plan = max(what the forecast needs by the time a new instance could serve, what demand needs
 * now), up at once, down only when nothing within the stabilisation window wanted more.
 * Demand now is what arrives with its headroom and what waits, or where a steep rise will be.
 * Unknown or stale demand never shrinks the fleet. Every decision carries its reason.
 * What is extrapolated is followed as far as it is trusted (trust.h); what somebody announced is
 * provisioned by itself, from the first time on.
 * The quantile to provision is the newsvendor's critical ratio: an idle instance-second costs its
 * price c, a missing one loses the margin of the requests it would have carried, m x k; the
 * cheapest stock covers demand with probability (m k - c) / (m k). Pure: no clock, no I/O, the
 * state is the caller's. Live, `backtest` and `simulate` call the same. Not here: starting anything
 * (act/fleet/), which instance to stop, ejected ones (remediation). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/autoscale/ramp.h"
#include "decide/forecast/calendar.h"

#define AUTOSCALE_QUANTILE_DEFAULT 0.95 /* without margin or price */
#define AUTOSCALE_QUANTILE_MIN 0.5
#define AUTOSCALE_QUANTILE_MAX 0.99 /* past it a few hundred errors know nothing */
#define AUTOSCALE_WINDOW_BUCKETS 32 /* of the stabilisation window */
#define AUTOSCALE_KEEP_RATIO 2      /* what is needed again within twice the horizon is kept */
#define AUTOSCALE_ROUNDS_MAX 4      /* of starts that are looked ahead, one after the other */
#define AUTOSCALE_REASON_BYTES 256

struct autoscale_policy {
    uint32_t instances_min, instances_max, spares;
    double price_per_hour;     /* of one instance, money; <= 0 or NaN: unknown */
    double margin_per_request; /* money; <= 0 or NaN: unknown */
    double headroom_ratio;     /* capacity kept free above demand now, e.g. 0.1 */
    int64_t down_stabilisation_ms;
    int64_t interval_ms;   /* between two decisions: added to the lead time */
    int64_t stale_ms;      /* older demand is unknown demand */
    uint32_t starting_max; /* instances starting at once; 0: no limit */
    bool reactive;         /* ignore the forecast */
    bool budgeted;         /* instances_max is what the budget pays for */
};

/* The defaults of `instances:` and `scale:`; min 1, max 10. */
void autoscale_policy_init(struct autoscale_policy *p);

/* (m k - c) / (m k), clamped; AUTOSCALE_QUANTILE_DEFAULT when price or margin is unknown. */
double autoscale_quantile(const struct autoscale_policy *p, double capacity_rps);

/* How far ahead the plan looks: `lead_ms`, interval and a step of the forecast. Where only so many
 * start at once it also looks up to AUTOSCALE_ROUNDS_MAX lead times ahead, one for each round;
 * before it takes an instance away, AUTOSCALE_KEEP_RATIO times as far. */
int64_t autoscale_horizon_ms(const struct autoscale_policy *p, double lead_ms, int64_t step_ms);

struct autoscale_input {
    int64_t now_ms;    /* unix */
    double demand_rps; /* offered now, before admission; NaN: unknown */
    int64_t demand_age_ms;
    double waiting;             /* requests that wait for an instance now */
    const double *forecast_rps; /* of the provision quantile, step by step; NULL: the forecaster is
                                   silent, then nothing is taken away (unless policy.reactive) */
    size_t forecast_len;
    int64_t forecast_start_ms, forecast_step_ms;
    double quantile; /* which the forecast is, for the reason; NaN: it is not followed */
    const double *announced_rps;     /* as many steps: what campaigns that begin may ask for, of
                                        autoscale_quantile; NaN: none does. NULL: none at all */
    double capacity_rps;             /* of one instance at the objective, > 0 */
    double lead_ms;                  /* high quantile of the start-up time */
    uint32_t serving, starting;      /* now; spares and draining not counted */
    const struct calendar *calendar; /* to name the campaign; NULL: none */
};

enum autoscale_reason {
    AUTOSCALE_STEADY,   /* demand now */
    AUTOSCALE_DEMAND,   /* demand now needs more than there is */
    AUTOSCALE_FORECAST, /* demand ahead needs more */
    AUTOSCALE_CAMPAIGN, /* as FORECAST, an announced event drives it */
    AUTOSCALE_HOLDING,  /* fewer would do, but not for long enough yet */
    AUTOSCALE_SHRINK,   /* fewer do, for the whole window */
    AUTOSCALE_BLIND,    /* demand unknown or stale: nothing is taken away */
    AUTOSCALE_AT_MIN,
    AUTOSCALE_AT_MAX,    /* more were needed */
    AUTOSCALE_AT_BUDGET, /* more were needed, and are not paid for */
    AUTOSCALE_REASONS,
};

struct autoscale_decision {
    uint32_t instances; /* wanted, serving and starting together, without spares */
    uint32_t spares;
    uint32_t start_now; /* of the missing ones, how many may be started at once */
    enum autoscale_reason reason;
    uint32_t wanted_reactive, wanted_forecast; /* before min, max and the window */
    double demand_rps;                         /* as given */
    double forecast_rps;                       /* highest within the horizon; NaN: none */
    int64_t forecast_at_ms;                    /* when that is */
    double quantile;                           /* of forecast_rps */
    double capacity_rps, lead_ms;
    const struct calendar_event *campaign; /* that drove the number; NULL */
};

struct autoscale_state {
    int64_t bucket_start_ms[AUTOSCALE_WINDOW_BUCKETS]; /* of the window */
    uint32_t bucket_wanted[AUTOSCALE_WINDOW_BUCKETS];  /* most wanted in that bucket */
    bool bucket_used[AUTOSCALE_WINDOW_BUCKETS];
    struct ramp ramp;
    uint32_t instances; /* last decided */
    int64_t decided_ms; /* when; 0: never */
};

void autoscale_state_init(struct autoscale_state *s);

struct autoscale_decision autoscale_decide(const struct autoscale_policy *policy,
                                           const struct autoscale_input *input,
                                           struct autoscale_state *state);

const char *autoscale_reason_name(enum autoscale_reason reason); /* "campaign" */

/* One sentence for people: "6 instances: campaign 'Spring sale' at 14:05 is forecast at 540 rps
 * (q0.93); one instance carries 98 rps and takes 2.9 s to start". Times in UTC. */
void autoscale_explain(const struct autoscale_decision *d, char out[AUTOSCALE_REASON_BYTES]);
