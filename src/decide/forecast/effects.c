#include "decide/forecast/effects.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHRINK_EVENTS 0.5 /* events that are held to have had no effect */
#define SHRINK_TIMES 1.0  /* weight of the kind's factor in each time of day, in events */
#define FACTOR_MIN 0.01
#define FACTOR_MAX 50.0
#define RARE_RATIO 0.2 /* a kind active more often is ordinary life */
#define LOSS_KEEP 0.999

void effects_init(struct effects *e, uint32_t day_steps) {
    memset(e, 0, sizeof *e);
    e->day_steps = day_steps > 0 ? day_steps : 1;
}

void effects_fini(struct effects *e) {
    free(e->of);
    e->of = NULL;
    e->len = 0;
}

static struct effect kind_of(const struct effects *e, size_t index) {
    return index < e->len ? e->of[index] : (struct effect){ 0 };
}

/* To learn in; NULL without memory: then it stays unknown. */
static struct effect *learned_kind(struct effects *e, size_t index) {
    if (index >= e->len) {
        struct effect *of = realloc(e->of, (index + 1) * sizeof *of);
        if (of == NULL) {
            return NULL;
        }
        memset(of + e->len, 0, (index + 1 - e->len) * sizeof *of);
        e->of = of;
        e->len = index + 1;
    }
    return &e->of[index];
}

static double kind_factor(const struct effect *kind) {
    double actual = 0, expected = 0;
    for (size_t i = 0; i < EFFECTS_TIMES; i++) {
        actual += kind->actual[i];
        expected += kind->expected[i];
    }
    double shrink = expected / fmax(kind->events, 1) * SHRINK_EVENTS;
    return expected > 0 ? (actual + shrink) / (expected + shrink) : 1;
}

static double factor_of(const struct effect *kind, size_t t) {
    if (kind->judged == 0) {
        return 1;
    }
    double whole = kind_factor(kind);
    double total = 0;
    for (size_t i = 0; i < EFFECTS_TIMES; i++) {
        total += kind->expected[i];
    }
    double shrink = SHRINK_TIMES * total / EFFECTS_TIMES / fmax(kind->events, 1);
    double factor = shrink + kind->expected[t] > 0
                        ? (kind->actual[t] + shrink * whole) / (kind->expected[t] + shrink)
                        : whole;
    return fmin(fmax(factor, FACTOR_MIN), FACTOR_MAX);
}

/* Used from the first event on, until it has proven worse than ignoring it. */
static bool useful(const struct effect *kind) {
    return kind->judged > 0 && kind->loss_with <= kind->loss_without;
}

double effects_factor(const struct effects *e, const struct effects_active *active) {
    double best = 1, best_size = 0;
    for (size_t i = 0; i < active->len; i++) {
        size_t index = active->index[i];
        if (index >= e->len || !useful(&e->of[index])) {
            continue;
        }
        const struct effect *kind = &e->of[index];
        double factor = 1 + (factor_of(kind, active->time[i]) - 1) * active->share[i] / 255;
        double size = fabs(log(fmax(factor, FACTOR_MIN)));
        if (size > best_size) {
            best = factor;
            best_size = size;
        }
    }
    return best;
}

void effects_observe(struct effects *e, const struct effects_active *active, double expected,
                     double value) {
    e->slots++;
    for (size_t i = 0; i < active->len; i++) {
        struct effect *kind = learned_kind(e, active->index[i]);
        if (kind == NULL) {
            continue;
        }
        double share = active->share[i] / 255.0;
        kind->events += kind->slots == 0 || e->slots - kind->last_slot > 1;
        kind->last_slot = e->slots;
        kind->slots++;
        if (isnan(expected)) {
            continue; /* it was active; what it did nobody can say */
        }
        size_t t = active->time[i];
        if (kind->judged > 0) {
            double factor = 1 + (factor_of(kind, t) - 1) * share;
            kind->loss_with = kind->loss_with * LOSS_KEEP + fabs(value - expected * factor);
            kind->loss_without = kind->loss_without * LOSS_KEEP + fabs(value - expected);
        }
        kind->actual[t] += fmax(value - expected * (1 - share), 0);
        kind->expected[t] += expected * share;
        kind->judged++;
    }
}

bool effects_unknown(const struct effects *e, const struct effects_active *active) {
    for (size_t i = 0; i < active->len; i++) {
        struct effect kind = kind_of(e, active->index[i]);
        bool rare = kind.slots < RARE_RATIO * ((double)e->slots + 5.0 * e->day_steps);
        if (rare && kind.events <= 1) {
            return true;
        }
    }
    return false;
}
