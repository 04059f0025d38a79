#include "act/control/foresee.h"

#include <math.h>
#include <string.h>

#include "base/log.h"

/* What is asked of the forecast: the levels for people and trust_levels, ascending. */
#define ASKED 8
#define MEDIAN 1 /* of those for people */
#define BOUND 3  /* of trust_levels: 0.95 */
static const double asked_levels[ASKED] = { 0.1, 0.5, 0.7, 0.85, 0.9, 0.95, 0.98, 0.99 };
static const unsigned shown_at[FORESEE_LEVELS] = { 0, 1, 4 };
static const unsigned trust_at[TRUST_LEVELS] = { 1, 2, 3, 5, 6, 7 };

static size_t path_steps(const struct autoscale_policy *policy, double lead_ms, int64_t step_ms) {
    double rounds = policy->starting_max > 0 ? AUTOSCALE_ROUNDS_MAX : 1;
    int64_t once_ms = autoscale_horizon_ms(policy, lead_ms, step_ms) * AUTOSCALE_KEEP_RATIO;
    int64_t rounds_ms = autoscale_horizon_ms(policy, rounds * lead_ms, step_ms);
    int64_t horizon_ms = once_ms > rounds_ms ? once_ms : rounds_ms;
    if (horizon_ms < FORESEE_SHOW_MS) {
        horizon_ms = FORESEE_SHOW_MS;
    }
    int64_t steps = horizon_ms / step_ms + 2;
    return steps > FORESEE_STEPS_MAX ? FORESEE_STEPS_MAX : (size_t)steps;
}

size_t foresee_path_steps(const struct foresee_options *options, double lead_ms) {
    return path_steps(&options->policy, lead_ms, options->step_ms);
}

static void take_calendar(struct foresee *f, const struct calendar *calendar) {
    struct error err;
    f->calendar = calendar;
    calendar_fini(&f->ordinary);
    calendar_init(&f->ordinary);
    if (calendar != NULL && !calendar_copy(&f->ordinary, calendar, true, &err)) {
        log_warn("holidays_left_out", "error=\"%s\" action=forecast_without", err.text);
    }
    uplift_set_calendar(&f->uplift, calendar);
    f->path_due = true;
    if (f->forecast != NULL) {
        forecast_set_calendar(f->forecast, &f->ordinary);
    }
}

bool foresee_init(struct foresee *f, const struct foresee_options *options, struct error *err) {
    *f = (struct foresee){
        .policy = options->policy,
        .step_ms = options->step_ms,
        .phase_ms = options->phase_ms % options->step_ms,
        .steps_most = options->steps_most > 0 ? options->steps_most : FORESEE_STEPS_MAX,
        .calendar = options->calendar,
        .slot_ms = INT64_MIN,
        .demand_rps = NAN,
        .own_rps = NAN,
        .demand_at_ms = INT64_MIN,
        .quantile = NAN,
        .path_due = true,
        .ordinary_rps = NAN,
    };
    calendar_init(&f->ordinary);
    uplift_init(&f->uplift);
    autoscale_state_init(&f->state);
    capacity_init(&f->capacity, options->objective_ms, options->capacity_rps);
    versions_init(&f->versions);
    lead_time_init(&f->lead, options->lead_ms);
    struct forecast_options forecast = {
        .step_ms = options->step_ms,
        .season_count = options->season_count,
        .horizon_steps = f->steps_most,
    };
    memcpy(forecast.season_ms, options->season_ms, sizeof forecast.season_ms);
    if (options->policy.reactive) {
        return true; /* nobody would ask it */
    }
    int64_t season_ms = options->season_count > 0 ? options->season_ms[0] : options->step_ms;
    accuracy_init(&f->accuracy, options->step_ms, season_ms);
    f->forecast = trust_init(&f->trust, options->step_ms, season_ms, err)
                      ? forecast_new(&forecast, err)
                      : NULL;
    if (f->forecast == NULL) {
        return false;
    }
    take_calendar(f, options->calendar);
    return true;
}

void foresee_fini(struct foresee *f) {
    forecast_free(f->forecast);
    f->forecast = NULL;
    trust_fini(&f->trust);
    calendar_fini(&f->ordinary);
}

void foresee_change(struct foresee *f, const struct autoscale_policy *policy,
                    const struct calendar *calendar) {
    f->policy = *policy;
    f->decision.campaign = NULL; /* it pointed into the old calendar */
    take_calendar(f, calendar);
}

double foresee_capacity_rps(const struct foresee *f) {
    return versions_rps(&f->versions, &f->capacity, f->before_serves);
}

static size_t path_length(const struct foresee *f, double lead_ms) {
    size_t steps = path_steps(&f->policy, fmax(lead_ms, f->reach_ms), f->step_ms);
    return steps > f->steps_most ? f->steps_most : steps;
}

double foresee_lead_ms(const struct foresee *f) {
    return lead_time_bound_ms(&f->lead, FORESEE_LEAD_QUANTILE);
}

static struct trust_input trust_input_of(const struct foresee *f) {
    return (struct trust_input){
        .policy = &f->policy,
        .capacity_rps = foresee_capacity_rps(f),
        .lead_ms = foresee_lead_ms(f),
        .values = f->levels,
        .announced = f->announced,
        .steps = f->path_steps,
        .start_ms = f->path_start_ms,
    };
}

/* What campaigns that begin may ask for, on top of the ordinary demand that is likely. */
static void look_for_announced(struct foresee *f, int64_t now_ms, const struct uplift_path *path,
                               const double *values) {
    struct uplift_begin begin = {
        .quantile = autoscale_quantile(&f->policy, capacity_rps(&f->capacity)),
        .lead_ms = (int64_t)foresee_lead_ms(f),
    };
    uplift_announced(&f->uplift, now_ms, path, &begin, f->announced);
    for (size_t step = 0; step < path->steps; step++) {
        f->announced[step] *= values[step * path->level_count + shown_at[MEDIAN]];
    }
}

static void look_ahead(struct foresee *f, int64_t now_ms, size_t steps) {
    static double values[FORESEE_STEPS_MAX * ASKED];
    struct forecast_quantiles asked = { asked_levels, ASKED };
    f->path_steps = 0;
    f->path_due = false;
    if (f->forecast == NULL || !forecast_predict(f->forecast, steps, asked, f->mean, values)) {
        return;
    }
    struct uplift_path path = { .start_ms = forecast_next_ms(f->forecast),
                                .step_ms = f->step_ms,
                                .steps = steps,
                                .levels = asked_levels,
                                .level_count = ASKED };
    int64_t step_now = (now_ms - path.start_ms) / f->step_ms;
    bool covered = now_ms >= path.start_ms && step_now < (int64_t)steps;
    f->ordinary_rps = values[(covered ? (size_t)step_now : 0) * ASKED + shown_at[MEDIAN]];
    for (size_t step = 0; step < steps; step++) {
        f->usual[step] = values[step * ASKED + shown_at[MEDIAN]];
    }
    look_for_announced(f, now_ms, &path, values);
    uplift_apply(&f->uplift, now_ms, &path, f->mean, values);
    for (size_t step = 0; step < steps; step++) {
        for (unsigned level = 0; level < FORESEE_LEVELS; level++) {
            f->path[step * FORESEE_LEVELS + level] = values[step * ASKED + shown_at[level]];
        }
        for (unsigned level = 0; level < TRUST_LEVELS; level++) {
            f->levels[step * TRUST_LEVELS + level] = values[step * ASKED + trust_at[level]];
        }
    }
    f->path_steps = steps;
    f->path_start_ms = forecast_next_ms(f->forecast);
}

static void follow(struct foresee *f) {
    struct trust_input input = trust_input_of(f);
    trust_follow(&f->trust, &input, f->followed);
    f->quantile = trust_quantile(&f->trust, &input);
    for (size_t step = 0; step < f->path_steps; step++) {
        f->provision[step] = fmax(f->followed[step], f->announced[step]);
    }
}

size_t foresee_horizon_steps(const struct foresee *f) {
    return (size_t)(autoscale_horizon_ms(&f->policy, foresee_lead_ms(f), f->step_ms) / f->step_ms);
}

/* What is said now of the step that decides an order of now, to be judged when it has come. */
static void note_said(struct foresee *f) {
    size_t ahead = foresee_horizon_steps(f);
    if (ahead >= f->path_steps) {
        return;
    }
    const double *people = &f->path[ahead * FORESEE_LEVELS];
    struct accuracy_said said = {
        .start_ms = f->path_start_ms + (int64_t)ahead * f->step_ms,
        .low = (float)people[0],
        .median = (float)people[MEDIAN],
        .high = (float)people[2],
        .bound = (float)f->levels[ahead * TRUST_LEVELS + BOUND],
    };
    accuracy_said(&f->accuracy, &said);
}

static void learn_slot(struct foresee *f, int64_t slot_ms, double rps) {
    int64_t end_ms = slot_ms + f->step_ms;
    double ordinary = uplift_ordinary(&f->uplift, slot_ms, end_ms, rps);
    if (f->forecast == NULL || !forecast_observe(f->forecast, slot_ms, ordinary)) {
        return;
    }
    accuracy_came(&f->accuracy, slot_ms, rps);
    look_ahead(f, end_ms, path_length(f, foresee_lead_ms(f)));
    if (f->path_steps > 0) {
        note_said(f);
        struct trust_input input = trust_input_of(f);
        trust_step(&f->trust, &input, rps);
        follow(f);
    }
}

/* The past teaches what campaigns do, too: each step is one long sample. */
void foresee_remember(struct foresee *f, int64_t slot_ms, double rps) {
    static const double middle[] = { 0.5 };
    double ordinary;
    if (f->forecast == NULL) {
        return;
    }
    if (uplift_touches(&f->uplift, slot_ms, slot_ms + f->step_ms) &&
        forecast_predict(f->forecast, 1, (struct forecast_quantiles){ middle, 1 }, NULL,
                         &ordinary)) {
        struct uplift_sample sample = { .end_ms = slot_ms + f->step_ms,
                                        .seconds = (double)f->step_ms / 1000,
                                        .demand_rps = rps,
                                        .ordinary_rps = ordinary };
        uplift_observe(&f->uplift, &sample);
    }
    learn_slot(f, slot_ms, rps);
}

static int64_t slot_of(const struct foresee *f, int64_t now_ms) {
    int64_t since_ms = (now_ms - f->phase_ms) % f->step_ms;
    return now_ms - (since_ms + f->step_ms) % f->step_ms;
}

/* Seconds are summed up into steps. A step of which less than half was seen is not recorded: what
 * was not measured is not zero. */
static void close_slot(struct foresee *f) {
    if (f->slot_ms != INT64_MIN && f->slot_seconds * 1000 * 2 >= (double)f->step_ms) {
        learn_slot(f, f->slot_ms, fmax(f->slot_sum / f->slot_seconds, 0));
    }
    f->slot_sum = 0;
    f->slot_seconds = 0;
}

/* What a campaign of its own or of its callers has brought in this second. */
static double surplus_now(const struct foresee *f, int64_t now_ms, double own_rps) {
    double ordinary = uplift_ordinary(&f->uplift, now_ms - 1000, now_ms, own_rps);
    double own = own_rps - (isnan(ordinary) ? f->ordinary_rps : ordinary);
    return foresee_calls_surplus_rps(f) + (own > 0 ? own : 0);
}

/* Refused, or come to wait. */
static double unserved_now(const struct foresee *f, const struct service_second *second) {
    double more = (second->waiting - f->waiting) / second->seconds;
    return fmax(second->refused_rps, 0) + fmax(more, 0);
}

void foresee_observe(struct foresee *f, int64_t now_ms, const struct service_second *second) {
    /* The second that ended now belongs to the step in which its middle lies. */
    int64_t slot_ms = slot_of(f, now_ms - (int64_t)(second->seconds * 500));
    if (slot_ms != f->slot_ms) {
        close_slot(f);
        f->slot_ms = slot_ms;
    }
    double called_rps = foresee_called_rps(f), own_rps = second->offered_rps - called_rps;
    double guests_rps = foresee_calls_surplus_rps(f); /* they go when the campaign is over */
    f->slot_sum += (own_rps - guests_rps) *
                   second->seconds; /* below 0 at times: calls that come a moment later */
    f->slot_seconds += second->seconds;
    struct uplift_sample sample = { .end_ms = now_ms,
                                    .seconds = second->seconds,
                                    .demand_rps = fmax(own_rps - guests_rps, 0),
                                    .ordinary_rps = f->ordinary_rps };
    uplift_observe(&f->uplift, &sample);
    f->surplus_rps = surplus_now(f, now_ms, own_rps - guests_rps);
    if (now_ms - f->slot_ms >= f->step_ms) {
        close_slot(f);
        f->slot_ms = INT64_MIN;
    }
    f->own_rps = isnan(own_rps) ? own_rps : fmax(own_rps, 0);
    f->demand_rps = /* the callers' crowd is here before its calls are */
        isnan(second->offered_rps) ? second->offered_rps : fmax(second->offered_rps, called_rps);
    double held_rps = foresee_calls_held_rps(f);
    f->demand_rps += held_rps;
    f->unserved_rps = unserved_now(f, second) + held_rps;
    f->waiting = second->waiting;
    f->demand_at_ms = now_ms;
}

void foresee_observe_instance(struct foresee *f, double load_rps, double latency_ms_p99,
                              double seconds) {
    struct capacity_sample sample = {
        .load_rps = load_rps,
        .latency_ms = NAN,
        .latency_ms_p99 = latency_ms_p99,
        .in_flight = NAN,
        .utilisation_ratio = NAN,
        .seconds = seconds,
    };
    capacity_observe(&f->capacity, &sample);
}

void foresee_observe_version(struct foresee *f, const char *version,
                             const struct capacity_sample *sample) {
    struct capacity *capacity = versions_find(&f->versions, &f->capacity, version);
    if (capacity != NULL) { /* of one version more than two nothing is kept */
        capacity_observe(capacity, sample);
    }
}

void foresee_observe_start(struct foresee *f, double took_ms) {
    lead_time_observe(&f->lead, took_ms);
}

/* Between two samples the forecast says the same, unless it is to reach further or a campaign is
 * near, which every second corrects. */
static void refresh(struct foresee *f, int64_t now_ms) {
    size_t steps = path_length(f, foresee_lead_ms(f));
    int64_t ahead_ms = (int64_t)steps * f->step_ms;
    f->path_due |= uplift_touches(&f->uplift, now_ms, now_ms + ahead_ms);
    if (f->forecast == NULL) {
        f->path_steps = 0;
        f->quantile = NAN;
    } else if (f->path_due || steps > f->path_steps) {
        look_ahead(f, now_ms, steps);
        follow(f);
    }
}

void foresee_decide(struct foresee *f, int64_t now_ms, uint32_t serving, uint32_t starting) {
    capacity_conclude(&f->capacity);
    capacity_conclude(&f->versions.before);
    refresh(f, now_ms);
    foresee_sum_calls(f);
    bool known = f->demand_at_ms != INT64_MIN;
    struct autoscale_input input = {
        .now_ms = now_ms,
        .demand_rps = f->demand_rps,
        .demand_age_ms = known ? now_ms - f->demand_at_ms : INT64_MAX,
        .forecast_rps = f->shown.steps == 0 ? NULL
                        : f->call_count > 0 ? f->shown.provision
                                            : f->followed,
        .announced_rps = f->call_count > 0 ? NULL : f->announced,
        .forecast_len = f->shown.steps,
        .forecast_start_ms = f->shown.start_ms,
        .forecast_step_ms = f->step_ms,
        .quantile = f->quantile,
        .capacity_rps = foresee_capacity_rps(f),
        .lead_ms = foresee_lead_ms(f),
        .waiting = f->waiting,
        .serving = serving,
        .starting = starting,
        .calendar = f->calendar,
    };
    f->decision = autoscale_decide(&f->policy, &input, &f->state);
    f->decided = true;
}

double foresee_at(const struct foresee *f, int64_t now_ms, unsigned level) {
    const struct foresee_shown *shown = &f->shown;
    int64_t step = (now_ms - shown->start_ms) / f->step_ms;
    if (shown->steps == 0 || now_ms < shown->start_ms || step >= (int64_t)shown->steps) {
        return shown->steps > 0 && now_ms < shown->start_ms ? shown->path[level] : NAN;
    }
    return shown->path[(size_t)step * FORESEE_LEVELS + level];
}
