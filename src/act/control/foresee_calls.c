/* What other services will ask of this one. Its own forecast is of what it is asked for beyond the
 * calls that are configured (`calls:`); what the callers' plans expect, times the ratio, is added
 * at each step and each quantile, as if all came at once: a crowd does. So a campaign that is
 * announced for the front scales what stands behind it, also when Tidegate does not see those
 * calls. Calls that were learned are in our own history; of them only what the callers expect
 * beyond the ordinary is added. A wrong ratio can so only add instances, never take one. */
#include <math.h>
#include <string.h>

#include "act/control/foresee.h"

static double known_or(double value, double otherwise) {
    return isnan(value) ? otherwise : value;
}

double foresee_called_rps(const struct foresee *f) {
    double called = 0;
    for (size_t i = 0; i < f->call_count; i++) {
        const struct foresee_call *call = &f->calls[i];
        called += call->learned ? 0 : call->ratio * known_or(call->caller->demand_rps, 0);
    }
    return called;
}

double foresee_calls_held_rps(const struct foresee *f) {
    double held = 0;
    for (size_t i = 0; i < f->call_count; i++) {
        const struct foresee_call *call = &f->calls[i];
        held += call->learned ? call->ratio * call->caller->unserved_rps : 0;
    }
    return held;
}

double foresee_calls_surplus_rps(const struct foresee *f) {
    double surplus = 0;
    for (size_t i = 0; i < f->call_count; i++) {
        const struct foresee_call *call = &f->calls[i];
        surplus += call->learned ? call->ratio * call->caller->surplus_rps : 0;
    }
    return surplus;
}

/* The step of the caller's path at that time; SIZE_MAX: none. */
static size_t step_at(const struct foresee_shown *shown, int64_t step_ms, int64_t at_ms) {
    int64_t step = (at_ms - shown->start_ms) / step_ms;
    bool inside = at_ms >= shown->start_ms && step < (int64_t)shown->steps;
    return inside ? (size_t)step : SIZE_MAX;
}

struct sum { /* over what is forecast; what is not stays as it is now */
    double rps;
    bool forecast;
};

static void add(struct sum *sum, double ratio, double forecast_rps, double now_rps) {
    sum->forecast |= !isnan(forecast_rps);
    sum->rps += ratio * known_or(forecast_rps, known_or(now_rps, 0));
}

static double total(const struct sum *sum) {
    return sum->forecast ? sum->rps : NAN;
}

/* One step of the whole; `own`: its step of our own path, SIZE_MAX: none. */
static void sum_step(struct foresee *f, size_t step, size_t own) {
    int64_t at_ms = f->shown.start_ms + (int64_t)step * f->step_ms;
    struct sum mean = { 0 }, provision = { 0 }, path[FORESEE_LEVELS] = { 0 };
    bool has = own != SIZE_MAX;
    add(&mean, 1, has ? f->mean[own] : NAN, f->own_rps);
    add(&provision, 1, has ? f->provision[own] : NAN, f->own_rps);
    for (unsigned level = 0; level < FORESEE_LEVELS; level++) {
        add(&path[level], 1, has ? f->path[own * FORESEE_LEVELS + level] : NAN, f->own_rps);
    }
    for (size_t i = 0; i < f->call_count; i++) {
        const struct foresee *caller = f->calls[i].caller;
        const struct foresee_shown *theirs = &caller->shown;
        if (f->calls[i].learned) {
            continue;
        }
        size_t at = step_at(theirs, caller->step_ms, at_ms);
        double ratio = f->calls[i].ratio, now_rps = caller->demand_rps;
        bool covered = at != SIZE_MAX;
        add(&mean, ratio, covered ? theirs->mean[at] : NAN, now_rps);
        add(&provision, ratio, covered ? theirs->provision[at] : NAN, now_rps);
        for (unsigned level = 0; level < FORESEE_LEVELS; level++) {
            add(&path[level], ratio, covered ? theirs->path[at * FORESEE_LEVELS + level] : NAN,
                now_rps);
        }
    }
    f->shown.mean[step] = total(&mean);
    f->shown.provision[step] = total(&provision);
    for (unsigned level = 0; level < FORESEE_LEVELS; level++) {
        f->shown.path[step * FORESEE_LEVELS + level] = total(&path[level]);
    }
}

/* ---- calls that were learned ---- */

struct learned { /* of the callers' paths at one step, times the ratios */
    double mean, provision, path[FORESEE_LEVELS], surplus;
};

static struct learned learned_at(const struct foresee *f, int64_t at_ms) {
    struct learned all = { 0 };
    for (size_t i = 0; i < f->call_count; i++) {
        const struct foresee_call *call = &f->calls[i];
        const struct foresee_shown *theirs = &call->caller->shown;
        size_t at = step_at(theirs, call->caller->step_ms, at_ms);
        if (!call->learned || at == SIZE_MAX) {
            continue;
        }
        all.surplus += call->ratio * theirs->surplus[at];
        all.mean += call->ratio * known_or(theirs->mean[at], 0);
        all.provision += call->ratio * known_or(theirs->provision[at], 0);
        for (unsigned level = 0; level < FORESEE_LEVELS; level++) {
            all.path[level] += call->ratio * known_or(theirs->path[at * FORESEE_LEVELS + level], 0);
        }
    }
    return all;
}

/* Where nothing is forecast of our own, the callers' is better than nothing. */
static double raised(double value, double surplus, double callers) {
    return isnan(value) ? (callers > 0 ? callers : NAN) : value + surplus;
}

/* Where the forecast is not followed, what is here now is what the surplus comes on top of. */
static double raised_provision(double value, double surplus, double callers, double now_rps) {
    if (isnan(value) && surplus > 0) {
        value = known_or(now_rps, 0);
    }
    return isnan(value) ? raised(value, 0, callers) : value + surplus;
}

static double surplus_of_own(const struct foresee *f, size_t own) {
    double expected = f->path[own * FORESEE_LEVELS + 1];
    return fmax(fmax(expected, known_or(f->announced[own], 0)) - f->usual[own], 0);
}

static void add_learned(struct foresee *f, size_t step, bool has_own) {
    struct foresee_shown *shown = &f->shown;
    int64_t at_ms = shown->start_ms + (int64_t)step * f->step_ms;
    struct learned all = learned_at(f, at_ms);
    double now_rps = fmax(known_or(f->demand_rps, 0) - foresee_calls_surplus_rps(f), 0);
    shown->surplus[step] = all.surplus + (has_own ? known_or(surplus_of_own(f, step), 0) : 0);
    shown->mean[step] = raised(shown->mean[step], all.surplus, all.mean);
    shown->provision[step] =
        raised_provision(shown->provision[step], all.surplus, all.provision, now_rps);
    for (unsigned level = 0; level < FORESEE_LEVELS; level++) {
        double *value = &shown->path[step * FORESEE_LEVELS + level];
        *value = raised(*value, all.surplus, all.path[level]);
    }
}

/* ---- all of it ---- */

/* The caller whose path goes on longest, for one without a forecast of its own. */
static const struct foresee_shown *longest(const struct foresee *f) {
    const struct foresee_shown *found = NULL;
    for (size_t i = 0; i < f->call_count; i++) {
        const struct foresee_shown *theirs = &f->calls[i].caller->shown;
        found = found == NULL || theirs->steps > found->steps ? theirs : found;
    }
    return found;
}

static void show_own(struct foresee *f) {
    f->shown.steps = f->path_steps;
    f->shown.start_ms = f->path_start_ms;
    memcpy(f->shown.mean, f->mean, f->path_steps * sizeof f->mean[0]);
    memcpy(f->shown.path, f->path, f->path_steps * FORESEE_LEVELS * sizeof f->path[0]);
    memcpy(f->shown.provision, f->provision, f->path_steps * sizeof f->provision[0]);
}

void foresee_sum_calls(struct foresee *f) {
    if (f->call_count == 0 || f->policy.reactive) {
        show_own(f);
        for (size_t step = 0; step < f->shown.steps; step++) {
            f->shown.surplus[step] = known_or(surplus_of_own(f, step), 0);
        }
        return;
    }
    const struct foresee_shown *theirs = longest(f);
    bool has_own = f->path_steps > 0;
    f->shown.steps = has_own ? f->path_steps : theirs->steps;
    f->shown.start_ms = has_own ? f->path_start_ms : theirs->start_ms;
    for (size_t step = 0; step < f->shown.steps; step++) {
        sum_step(f, step, has_own ? step : SIZE_MAX);
        add_learned(f, step, has_own);
    }
}
