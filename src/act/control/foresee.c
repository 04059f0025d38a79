#include "act/control/foresee.h"

#include <math.h>
#include <string.h>

enum { LEVEL_LOW, LEVEL_MEDIAN, LEVEL_HIGH, LEVEL_PROVISION };

#define QUANTILE_NOTABLE 1e-3

static const double shown_levels[] = { 0.1, 0.5, 0.9 };

bool foresee_init(struct foresee *f, const struct foresee_options *options, struct error *err) {
    *f = (struct foresee){
        .policy = options->policy,
        .step_ms = options->step_ms,
        .calendar = options->calendar,
        .slot_ms = INT64_MIN,
        .demand_rps = NAN,
        .demand_at_ms = INT64_MIN,
        .quantile = AUTOSCALE_QUANTILE_DEFAULT,
        .path_due = true,
    };
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
    forecast_set_calendar(f->forecast, options->calendar);
    return true;
}

void foresee_fini(struct foresee *f) {
    forecast_free(f->forecast);
    f->forecast = NULL;
}

void foresee_change(struct foresee *f, const struct autoscale_policy *policy,
                    const struct calendar *calendar) {
    f->policy = *policy;
    f->calendar = calendar;
    f->decision.campaign = NULL; /* it pointed into the old calendar */
    f->path_due = true;
    if (f->forecast != NULL) {
        forecast_set_calendar(f->forecast, calendar);
    }
}

void foresee_remember(struct foresee *f, int64_t slot_ms, double rps) {
    if (f->forecast != NULL) {
        f->path_due |= forecast_observe(f->forecast, slot_ms, rps);
    }
}

static int64_t slot_of(const struct foresee *f, int64_t now_ms) {
    return now_ms - (now_ms % f->step_ms + f->step_ms) % f->step_ms;
}

/* Seconds are summed up into steps. A step of which less than half was seen is not recorded: what
 * was not measured is not zero. */
static void close_slot(struct foresee *f) {
    if (f->slot_ms != INT64_MIN && f->slot_seconds * 1000 * 2 >= (double)f->step_ms) {
        foresee_remember(f, f->slot_ms, f->slot_sum / f->slot_seconds);
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

static void look_ahead(struct foresee *f, double lead_ms) {
    double levels[FORESEE_LEVELS];
    unsigned column[FORESEE_LEVELS] = { 0 };
    size_t steps = path_length(f, lead_ms);
    if (f->forecast == NULL) {
        f->path_steps = 0;
        return;
    }
    /* Between two samples the forecast says the same: this is asked every second. */
    if (!f->path_due && steps == f->path_steps &&
        fabs(f->quantile - f->path_quantile) < QUANTILE_NOTABLE) {
        return;
    }
    f->path_steps = 0;
    f->path_due = false;
    f->path_quantile = f->quantile;
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
    if (!forecast_predict(f->forecast, steps, asked, f->mean, values)) {
        return;
    }
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
    look_ahead(f, lead_ms);
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
