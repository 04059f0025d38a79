#include "decide/forecast/known.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/median.h"
#include "decide/forecast/calendar_internal.h"

#define NEAR_EVENTS_MAX 64 /* looked at around one slot */
/* Events up to SHORT_MS have a course of their own, with a time before and after that they touch:
 * as long as themselves, at most AROUND_MS. Longer ones follow the time of the day. */
#define SHORT_MS (12 * MS_PER_HOUR)
#define AROUND_MS (2 * MS_PER_HOUR)
#define PHASES_AROUND 2 /* before, and as many after */

void known_init(struct known *k, int64_t step_ms) {
    *k = (struct known){
        .step_ms = step_ms,
        .near_ms = step_ms > MS_PER_DAY ? step_ms : MS_PER_DAY,
        .day_steps = (uint32_t)fmax((double)MS_PER_DAY / (double)step_ms, 1),
    };
}

static void add_active(struct effects_active *active, size_t effect, size_t time, double share) {
    if (active->len < EFFECTS_ACTIVE_MAX && share > 0) {
        active->index[active->len] = (uint8_t)effect;
        active->time[active->len] = (uint8_t)time;
        active->share[active->len++] = (uint8_t)(share * 255);
    }
}

/* Of `parts`, the one in which `at` lies; the ends take what is beyond. */
static size_t part_of(int64_t at_ms, int64_t start_ms, int64_t long_ms, size_t parts) {
    int64_t part = (at_ms - start_ms) * (int64_t)parts / (long_ms > 0 ? long_ms : 1);
    return at_ms < start_ms ? 0 : part >= (int64_t)parts ? parts - 1 : (size_t)part;
}

static size_t phase_of(const struct calendar_event *e, int64_t around_ms, int64_t at_ms) {
    if (at_ms < e->start_ms) {
        return part_of(at_ms, e->start_ms - around_ms, around_ms, PHASES_AROUND);
    }
    if (at_ms >= e->end_ms) {
        return EFFECTS_TIMES - PHASES_AROUND + part_of(at_ms, e->end_ms, around_ms, PHASES_AROUND);
    }
    return PHASES_AROUND +
           part_of(at_ms, e->start_ms, e->end_ms - e->start_ms, EFFECTS_TIMES - 2 * PHASES_AROUND);
}

static int64_t around_of(const struct known *k, const struct calendar_event *e) {
    int64_t long_ms = e->end_ms - e->start_ms;
    if (long_ms > SHORT_MS || long_ms < k->step_ms) {
        return 0;
    }
    return long_ms < AROUND_MS ? long_ms : AROUND_MS;
}

static void find_events(const struct known *k, int64_t from_ms, int64_t lead_ms, size_t time,
                        struct effects_active *active) {
    const struct calendar *c = k->calendar;
    int64_t to_ms = from_ms + k->step_ms;
    for (size_t i = calendar_first_touching(c, from_ms - AROUND_MS); i < c->len; i++) {
        const struct calendar_event *e = &c->events[i];
        if (e->start_ms - lead_ms - AROUND_MS >= to_ms) {
            break;
        }
        if (isnan(e->multiplier)) {
            int64_t around = around_of(k, e);
            struct calendar_event wide = *e;
            wide.start_ms -= around;
            wide.end_ms += around;
            add_active(active, e->kind_index,
                       around > 0 ? phase_of(e, around, from_ms + k->step_ms / 2) : time,
                       calendar_share(&wide, from_ms, to_ms, lead_ms));
        }
    }
}

bool known_make_measure(struct known_regressor *r, struct error *err) {
    double *sorted = malloc((r->len + 1) * sizeof *sorted);
    size_t len = 0;
    if (sorted == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory to sort %zu values", r->len);
    }
    for (size_t i = 0; i < r->len; i++) {
        sorted[len] = r->values[i];
        len += !isnan(r->values[i]);
    }
    sort_ascending(sorted, len);
    r->measure = true;
    r->low = len > 0 ? sorted[len / 100] : 0;
    r->high = len > 0 ? sorted[len - 1 - len / 100] : 0;
    if (len > 0 && !(r->high > r->low)) { /* seldom anything but one value */
        r->low = sorted[0];
        r->high = sorted[len - 1];
    }
    free(sorted);
    return r->high > r->low || error_set(err, ERROR_INVALID, "expected values that differ");
}

double known_regressor_at(const struct known *k, size_t regressor, int64_t at_ms) {
    const struct known_regressor *r = &k->regressors[regressor];
    int64_t row = (at_ms - r->start_ms) / k->step_ms;
    bool there = at_ms >= r->start_ms && row < (int64_t)r->len && !isnan(r->values[row]);
    if (!r->measure) {
        return there ? r->values[row] : 0;
    }
    double part = there ? (r->values[row] - r->low) / (r->high - r->low) : (double)NAN;
    return KNOWN_MEASURE_SPAN * (part < 0 ? 0 : part > 1 ? 1 : part);
}

/* Small whole numbers are flags: each value has its own effect. */
static void find_flags(const struct known *k, int64_t from_ms, size_t time,
                       struct effects_active *active) {
    for (size_t i = 0; i < k->regressor_count; i++) {
        if (k->regressors[i].measure) {
            continue;
        }
        double found = known_regressor_at(k, i, from_ms);
        for (int value = 1; value <= KNOWN_REGRESSOR_VALUES; value++) {
            if (fabs(found - value) < 1e-9) {
                size_t first = CALENDAR_KINDS_MAX + i * KNOWN_REGRESSOR_VALUES;
                add_active(active, first + (size_t)value - 1, time, 1);
            }
        }
    }
}

void known_look(const struct known *k, const struct effects *effects, int64_t from_ms,
                int64_t lead_ms, struct known_slot *out) {
    int64_t to_ms = from_ms + k->step_ms;
    int64_t of_day_ms = (from_ms % MS_PER_DAY + MS_PER_DAY) % MS_PER_DAY;
    out->active.len = 0;
    size_t step = (size_t)(of_day_ms / k->step_ms) % k->day_steps;
    size_t time = step * EFFECTS_TIMES / k->day_steps;
    out->given = calendar_multiplier(k->calendar, from_ms, to_ms, lead_ms);
    if (k->calendar != NULL) {
        find_events(k, from_ms, lead_ms, time, &out->active);
    }
    find_flags(k, from_ms, time, &out->active);
    out->learned = effects_factor(effects, &out->active);
}

static double distance_of(const struct calendar_event *e, int64_t from_ms, int64_t to_ms) {
    if (e->start_ms >= to_ms) {
        return -log2(1 + (double)(e->start_ms - from_ms) / (double)MS_PER_HOUR);
    }
    return e->end_ms > from_ms ? 0 : log2(1 + (double)(to_ms - e->end_ms) / (double)MS_PER_HOUR);
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

double known_busy(const struct known *k, int64_t from_ms) {
    const struct calendar *c = k->calendar;
    int64_t from = from_ms - MS_PER_DAY / 2, to = from_ms + MS_PER_DAY / 2;
    double busy = 0;
    if (c == NULL || k->step_ms >= MS_PER_DAY) {
        return 0;
    }
    size_t first = calendar_first_touching(c, from);
    for (size_t i = first; i < c->len && i < first + NEAR_EVENTS_MAX; i++) {
        const struct calendar_event *e = &c->events[i];
        if (e->start_ms >= to) {
            break;
        }
        if (isnan(e->multiplier) && e->end_ms - e->start_ms <= SHORT_MS) {
            busy += calendar_share(e, from, to, 0);
        }
    }
    return busy;
}

double known_regressor_nearness(const struct known *k, size_t regressor, int64_t at_ms) {
    if (k->regressors[regressor].measure) {
        return NAN;
    }
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
