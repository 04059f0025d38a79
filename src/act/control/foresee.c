#include "act/control/foresee.h"

#include <math.h>
#include <string.h>

#include "base/log.h"

enum { LEVEL_LOW, LEVEL_MEDIAN, LEVEL_HIGH, LEVEL_PROVISION };

static const double shown_levels[] = { 0.1, 0.5, 0.9 };

static void take_calendar(struct foresee *f, const struct calendar *calendar) {
    struct error err;
    f->calendar = calendar;
    calendar_fini(&f->ordinary);
    calendar_init(&f->ordinary);
    if (calendar != NULL && !calendar_copy(&f->ordinary, calendar, true, &err)) {
        log_warn("holidays_left_out", "error=\"%s\" action=forecast_without", err.text);
    }
    uplift_set_calendar(&f->uplift, calendar);
    if (f->forecast != NULL) {
        forecast_set_calendar(f->forecast, &f->ordinary);
    }
}

bool foresee_init(struct foresee *f, const struct foresee_options *options, struct error *err) {
    *f = (struct foresee){
        .policy = options->policy,
        .step_ms = options->step_ms,
        .calendar = options->calendar,
        .slot_ms = INT64_MIN,
        .demand_rps = NAN,
        .demand_at_ms = INT64_MIN,
        .quantile = AUTOSCALE_QUANTILE_DEFAULT,
        .ordinary_rps = NAN,
    };
    calendar_init(&f->ordinary);
    uplift_init(&f->uplift);
    autoscale_state_init(&f->state);
    capacity_init(&f->capacity, options->objective_ms, options->capacity_rps);
    lead_time_init(&f->lead, options->lead_ms);
    struct forecast_options forecast = {
        .step_ms = options->step_ms,
        .season_count = options->season_count,
        .horizon_steps = FORESEE_STEPS_MAX,
    };
    memcpy(forecast.season_ms, options->season_ms, sizeof forecast.season_ms);
    f->forecast = forecast_new(&forecast, err);
    if (f->forecast == NULL) {
        return false;
    }
    take_calendar(f, options->calendar);
    return true;
}

void foresee_fini(struct foresee *f) {
    forecast_free(f->forecast);
    f->forecast = NULL;
    calendar_fini(&f->ordinary);
}

void foresee_change(struct foresee *f, const struct autoscale_policy *policy,
                    const struct calendar *calendar) {
    f->policy = *policy;
    f->decision.campaign = NULL; /* it pointed into the old calendar */
    take_calendar(f, calendar);
}

static void learn_slot(struct foresee *f, int64_t slot_ms, double rps) {
    double ordinary = uplift_ordinary(&f->uplift, slot_ms, slot_ms + f->step_ms, rps);
    forecast_observe(f->forecast, slot_ms, ordinary);
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
    return now_ms - (now_ms % f->step_ms + f->step_ms) % f->step_ms;
}

/* Seconds are summed up into steps. A step of which less than half was seen is not recorded: what
 * was not measured is not zero. */
static void close_slot(struct foresee *f) {
    if (f->forecast != NULL && f->slot_ms != INT64_MIN &&
        f->slot_seconds * 1000 * 2 >= (double)f->step_ms) {
        learn_slot(f, f->slot_ms, f->slot_sum / f->slot_seconds);
    }
    f->slot_sum = 0;
    f->slot_seconds = 0;
}

void foresee_observe(struct foresee *f, int64_t now_ms, const struct service_second *second) {
    /* The second that ended now belongs to the step in which its middle lies. */
    int64_t slot_ms = slot_of(f, now_ms - (int64_t)(second->seconds * 500));
    if (slot_ms != f->slot_ms) {
        close_slot(f);
        f->slot_ms = slot_ms;
    }
    f->slot_sum += second->offered_rps * second->seconds;
    f->slot_seconds += second->seconds;
    struct uplift_sample sample = { .end_ms = now_ms,
                                    .seconds = second->seconds,
                                    .demand_rps = second->offered_rps,
                                    .ordinary_rps = f->ordinary_rps };
    uplift_observe(&f->uplift, &sample);
    f->demand_rps = second->offered_rps;
    f->demand_at_ms = now_ms;
}

void foresee_observe_instance(struct foresee *f, double load_rps, double latency_ms_p99,
                              double seconds) {
    struct capacity_sample sample = {
        .load_rps = load_rps,
        .latency_ms_p99 = latency_ms_p99,
        .utilisation_ratio = NAN,
        .seconds = seconds,
    };
    if (load_rps >= FORESEE_CAPACITY_LOAD_MIN * capacity_rps(&f->capacity)) {
        capacity_observe(&f->capacity, &sample);
    }
}

void foresee_observe_start(struct foresee *f, double took_ms) {
    lead_time_observe(&f->lead, took_ms);
}

static size_t path_length(const struct foresee *f, double lead_ms) {
    int64_t horizon_ms = autoscale_horizon_ms(&f->policy, lead_ms, f->step_ms);
    if (horizon_ms < FORESEE_SHOW_MS) {
        horizon_ms = FORESEE_SHOW_MS;
    }
    int64_t steps = horizon_ms / f->step_ms + 2;
    return steps > FORESEE_STEPS_MAX ? FORESEE_STEPS_MAX : (size_t)steps;
}

static void look_ahead(struct foresee *f, int64_t now_ms, double lead_ms) {
    double levels[FORESEE_LEVELS];
    unsigned column[FORESEE_LEVELS] = { 0 };
    f->path_steps = 0;
    if (f->forecast == NULL) {
        return;
    }
    /* The levels are asked in ascending order; column[] says where each of ours went. */
    unsigned at = 0;
    bool placed = false;
    for (unsigned i = 0; i < 3; i++) {
        if (!placed && f->quantile < shown_levels[i]) {
            column[LEVEL_PROVISION] = at;
            levels[at++] = f->quantile;
            placed = true;
        }
        if (f->quantile == shown_levels[i]) {
            column[LEVEL_PROVISION] = at;
            placed = true;
        }
        column[i] = at;
        levels[at++] = shown_levels[i];
    }
    if (!placed) {
        column[LEVEL_PROVISION] = at;
        levels[at++] = f->quantile;
    }
    static double values[FORESEE_STEPS_MAX * FORESEE_LEVELS];
    struct forecast_quantiles asked = { levels, at };
    size_t steps = path_length(f, lead_ms);
    if (!forecast_predict(f->forecast, steps, asked, f->mean, values)) {
        return;
    }
    struct uplift_path path = { .start_ms = forecast_next_ms(f->forecast),
                                .step_ms = f->step_ms,
                                .steps = steps,
                                .levels = levels,
                                .level_count = at };
    int64_t step_now = (now_ms - path.start_ms) / f->step_ms;
    bool covered = now_ms >= path.start_ms && step_now < (int64_t)steps;
    f->ordinary_rps = values[(covered ? (size_t)step_now : 0) * at + column[LEVEL_MEDIAN]];
    uplift_apply(&f->uplift, now_ms, &path, f->mean, values);
    for (size_t step = 0; step < steps; step++) {
        for (unsigned level = 0; level < FORESEE_LEVELS; level++) {
            f->path[step * FORESEE_LEVELS + level] = values[step * at + column[level]];
        }
        f->provision[step] = values[step * at + column[LEVEL_PROVISION]];
    }
    f->path_steps = steps;
    f->path_start_ms = forecast_next_ms(f->forecast);
}

void foresee_decide(struct foresee *f, int64_t now_ms, uint32_t serving, uint32_t starting) {
    double lead_ms = lead_time_quantile_ms(&f->lead, FORESEE_LEAD_QUANTILE);
    double capacity = capacity_rps(&f->capacity);
    f->quantile = autoscale_quantile(&f->policy, capacity);
    look_ahead(f, now_ms, lead_ms);
    bool known = f->demand_at_ms != INT64_MIN;
    struct autoscale_input input = {
        .now_ms = now_ms,
        .demand_rps = f->demand_rps,
        .demand_age_ms = known ? now_ms - f->demand_at_ms : INT64_MAX,
        .forecast_rps = f->path_steps > 0 ? f->provision : NULL,
        .forecast_len = f->path_steps,
        .forecast_start_ms = f->path_start_ms,
        .forecast_step_ms = f->step_ms,
        .quantile = f->quantile,
        .capacity_rps = capacity,
        .lead_ms = lead_ms,
        .serving = serving,
        .starting = starting,
        .calendar = f->calendar,
    };
    f->decision = autoscale_decide(&f->policy, &input, &f->state);
    f->decided = true;
}

double foresee_at(const struct foresee *f, int64_t now_ms, unsigned level) {
    int64_t step = (now_ms - f->path_start_ms) / f->step_ms;
    if (f->path_steps == 0 || now_ms < f->path_start_ms || step >= (int64_t)f->path_steps) {
        return f->path_steps > 0 && now_ms < f->path_start_ms ? f->path[level] : NAN;
    }
    return f->path[(size_t)step * FORESEE_LEVELS + level];
}
