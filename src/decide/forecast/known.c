#include "decide/forecast/known.h"

#include <math.h>

#include "decide/forecast/calendar_internal.h"

#define NEAR_EVENTS_MAX 64 /* looked at around one slot */

void known_init(struct known *k, int64_t step_ms) {
    *k = (struct known){
        .step_ms = step_ms,
        .near_ms = step_ms > MS_PER_DAY ? step_ms : MS_PER_DAY,
        .day_steps = (uint32_t)fmax((double)MS_PER_DAY / (double)step_ms, 1),
    };
}

static void add_active(struct effects_active *active, size_t effect, double share) {
    if (active->len < EFFECTS_ACTIVE_MAX && share > 0) {
        active->index[active->len] = (uint8_t)effect;
        active->share[active->len++] = (uint8_t)(share * 255);
    }
}

static void find_events(const struct calendar *c, int64_t from_ms, int64_t to_ms, int64_t lead_ms,
                        struct effects_active *active) {
    for (size_t i = calendar_first_touching(c, from_ms); i < c->len; i++) {
        const struct calendar_event *e = &c->events[i];
        if (e->start_ms - lead_ms >= to_ms) {
            break;
        }
        if (isnan(e->multiplier)) {
            add_active(active, e->kind_index, calendar_share(e, from_ms, to_ms, lead_ms));
        }
    }
}

double known_regressor_at(const struct known *k, size_t regressor, int64_t at_ms) {
    const struct known_regressor *r = &k->regressors[regressor];
    int64_t row = (at_ms - r->start_ms) / k->step_ms;
    bool there = at_ms >= r->start_ms && row < (int64_t)r->len && !isnan(r->values[row]);
    return there ? r->values[row] : 0;
}

/* Small whole numbers are flags: each value has its own effect. */
static void find_flags(const struct known *k, int64_t from_ms, struct effects_active *active) {
    for (size_t i = 0; i < k->regressor_count; i++) {
        double found = known_regressor_at(k, i, from_ms);
        for (int value = 1; value <= KNOWN_REGRESSOR_VALUES; value++) {
            if (fabs(found - value) < 1e-9) {
                size_t first = CALENDAR_KINDS_MAX + i * KNOWN_REGRESSOR_VALUES;
                add_active(active, first + (size_t)value - 1, 1);
            }
        }
    }
}

void known_look(const struct known *k, const struct effects *effects, int64_t from_ms,
                int64_t lead_ms, struct known_slot *out) {
    int64_t to_ms = from_ms + k->step_ms;
    int64_t of_day_ms = (from_ms % MS_PER_DAY + MS_PER_DAY) % MS_PER_DAY;
    out->active.len = 0;
    out->time = (uint32_t)(of_day_ms / k->step_ms) % k->day_steps;
    out->given = calendar_multiplier(k->calendar, from_ms, to_ms, lead_ms);
    if (k->calendar != NULL) {
        find_events(k->calendar, from_ms, to_ms, lead_ms, &out->active);
    }
    find_flags(k, from_ms, &out->active);
    out->learned = effects_factor(effects, &out->active, out->time);
}

static double distance_of(const struct calendar_event *e, int64_t from_ms, int64_t to_ms) {
    if (e->start_ms >= to_ms) {
        return -log2(1 + (double)(e->start_ms - from_ms) / 3.6e6);
    }
    return e->end_ms > from_ms ? 0 : log2(1 + (double)(to_ms - e->end_ms) / 3.6e6);
}

void known_nearness(const struct known *k, int64_t from_ms, double *out, size_t len) {
    const struct calendar *c = k->calendar;
    int64_t near = KNOWN_NEAR_DAYS * k->near_ms, to_ms = from_ms + k->step_ms;
    for (size_t i = 0; i < len; i++) {
        out[i] = NAN;
    }
    if (c == NULL) {
        return;
    }
    size_t first = calendar_first_touching(c, from_ms - near);
    for (size_t i = first; i < c->len && i < first + NEAR_EVENTS_MAX; i++) {
        const struct calendar_event *e = &c->events[i];
        if (e->start_ms > from_ms + near) {
            break;
        }
        size_t kind = e->kind_index;
        if (kind < len && isnan(e->multiplier) && e->end_ms > from_ms - near) {
            double distance = distance_of(e, from_ms, to_ms);
            if (!(fabs(out[kind]) <= fabs(distance))) {
                out[kind] = distance;
            }
        }
    }
}

double known_regressor_nearness(const struct known *k, size_t regressor, int64_t at_ms) {
    for (int day = 0; day <= KNOWN_NEAR_DAYS; day++) {
        if (known_regressor_at(k, regressor, at_ms - day * k->near_ms) != 0) {
            return day;
        }
        if (known_regressor_at(k, regressor, at_ms + day * k->near_ms) != 0) {
            return -day;
        }
    }
    return NAN;
}
