/* Foresee: what one service will be asked for and how many instances that takes. Ties the demand
 * that was sensed to the forecaster, the learned capacity and lead time, and the plan of replicas.
 * All of it is decided in decide/; this file only feeds it, second by second.
 * Not here: which instance to start or stop (scale.c), what is ill (heal.c). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/control/sense.h"
#include "base/error.h"
#include "decide/autoscale/autoscale.h"
#include "decide/autoscale/lead_time.h"
#include "decide/autoscale/trust.h"
#include "decide/autoscale/versions.h"
#include "decide/forecast/accuracy.h"
#include "decide/forecast/calendar.h"
#include "decide/forecast/forecast.h"
#include "decide/forecast/uplift.h"

#define FORESEE_STEPS_MAX 240  /* of the forecast path that is kept */
#define FORESEE_LEVELS 3       /* 0.1, 0.5 and 0.9: for people */
#define FORESEE_SHOW_MS 120000 /* the path goes at least so far, for people to see */
#define FORESEE_LEAD_QUANTILE 0.9

struct foresee_options {
    struct autoscale_policy policy;
    double objective_ms;
    double capacity_rps; /* configured guess; 0: unknown */
    double lead_ms;      /* guess before anything was started; 0: unknown */
    int64_t step_ms;     /* of the forecast */
    int64_t phase_ms;    /* when its steps begin, as a unix time; 0: with the epoch */
    uint32_t steps_most; /* of the path, <= FORESEE_STEPS_MAX; 0: that */
    int64_t season_ms[FORECAST_SEASONS_MAX];
    size_t season_count;
    const struct calendar *calendar; /* NULL: none; must outlive */
};

struct foresee;
struct foresee_call { /* of this service by another one */
    struct foresee *caller;
    double ratio; /* calls for each of its requests */
    /* Learned, not configured: our own history has these calls in it, so that only what its caller
     * expects beyond the ordinary is added. */
    bool learned;
};

/* The whole of what is expected: of its own, and of the services that call it. */
struct foresee_shown {
    size_t steps; /* 0: no forecast */
    int64_t start_ms;
    double mean[FORESEE_STEPS_MAX];
    double path[FORESEE_STEPS_MAX * FORESEE_LEVELS]; /* step by step */
    double provision[FORESEE_STEPS_MAX];             /* NaN: the forecast is not followed there */
    double surplus[FORESEE_STEPS_MAX]; /* of it, what campaigns bring beyond the ordinary */
};

struct foresee {
    struct autoscale_policy policy;
    struct autoscale_state state;
    struct autoscale_decision decision;
    bool decided;
    struct capacity capacity; /* of the configured version */
    struct versions versions;
    bool before_serves; /* instances of the version before are in rotation */
    struct lead_time lead;
    struct forecast *forecast; /* NULL: the forecaster is not there; decisions stay reactive */
    struct trust trust;        /* how far it is followed */
    int64_t step_ms, phase_ms;
    uint32_t steps_most;
    const struct calendar *calendar;
    struct calendar ordinary; /* what the forecast knows of it; campaigns are uplift's */
    struct uplift uplift;
    int64_t slot_ms; /* the step being summed up */
    double slot_sum, slot_seconds;
    double demand_rps;   /* of the last second; NaN: unknown */
    double own_rps;      /* of that, what its callers do not account for */
    double unserved_rps; /* of that, what did not get through, and so called nobody yet */
    double surplus_rps;  /* of that, what a campaign brought, or a caller's did */
    int64_t demand_at_ms;
    double waiting;                   /* requests in the queue, of the last second */
    double quantile;                  /* that is followed; NaN: none */
    bool path_due;                    /* something it depends on has changed */
    const struct foresee_call *calls; /* of it by others; must outlive */
    size_t call_count;
    double reach_ms;   /* of its callees' starts: its path goes so far for them */
    size_t path_steps; /* of its own demand, as the following; 0: no forecast */
    int64_t path_start_ms;
    double mean[FORESEE_STEPS_MAX];
    double path[FORESEE_STEPS_MAX * FORESEE_LEVELS]; /* step by step */
    double levels[FORESEE_STEPS_MAX * TRUST_LEVELS]; /* step by step, of trust_levels */
    double usual[FORESEE_STEPS_MAX];                 /* median without campaigns */
    double followed[FORESEE_STEPS_MAX];              /* NaN: the forecast is not followed there */
    double announced[FORESEE_STEPS_MAX];             /* of campaigns that begin; NaN: none does */
    double provision[FORESEE_STEPS_MAX];             /* the higher one of both; for people */
    struct foresee_shown shown;                      /* what decisions and people see */
    struct accuracy accuracy; /* of what was said one planning horizon before */
    double ordinary_rps;      /* median forecast of this step without campaigns; NaN: none */
};

/* How many steps of the forecast decisions look at; at least FORESEE_SHOW_MS of them, for people.
 */
size_t foresee_path_steps(const struct foresee_options *options, double lead_ms);

/* False when the forecaster cannot be made; f then works without it. */
bool foresee_init(struct foresee *f, const struct foresee_options *options, struct error *err);
void foresee_fini(struct foresee *f);

/* The policy or the calendar changed; what was learned stays. */
void foresee_change(struct foresee *f, const struct autoscale_policy *policy,
                    const struct calendar *calendar);

/* History from before this process: the rate of the slot that starts at slot_ms. In order. */
void foresee_remember(struct foresee *f, int64_t slot_ms, double rps);

/* One second of offered demand; its callers' comes first. */
void foresee_observe(struct foresee *f, int64_t now_ms, const struct service_second *second);

/* What one instance carried and how fast: `load_rps` to it over `seconds`. Only that is known. */
void foresee_observe_instance(struct foresee *f, double load_rps, double latency_ms_p99,
                              double seconds);
/* The same of an instance of that version, of which more is known. */
void foresee_observe_version(struct foresee *f, const char *version,
                             const struct capacity_sample *sample);
/* What one instance is counted on for, now. */
double foresee_capacity_rps(const struct foresee *f);
void foresee_observe_start(struct foresee *f, double took_ms);

double foresee_lead_ms(const struct foresee *f);

/* foresee_calls.c: what its callers ask for now, as far as configured; and all of it together into
 * f->shown. */
double foresee_called_rps(const struct foresee *f);
/* Of the learned calls: those that come when their callers have the instances that they lack, and
 * those that are here only for a campaign of their callers. */
double foresee_calls_held_rps(const struct foresee *f);
double foresee_calls_surplus_rps(const struct foresee *f);
void foresee_sum_calls(struct foresee *f);

/* Decides anew for `serving` and `starting` instances; the answer stays in f->decision. Its callers
 * come first. */
void foresee_decide(struct foresee *f, int64_t now_ms, uint32_t serving, uint32_t starting);

/* How far ahead an order of now has to look, in whole steps: what the accuracy is about. */
size_t foresee_horizon_steps(const struct foresee *f);

/* The forecast of the step that covers `now_ms`, of the level with that index; NaN: none. */
double foresee_at(const struct foresee *f, int64_t now_ms, unsigned level);
