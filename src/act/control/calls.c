/* Which services call which (`calls:`): callers are decided before those they call, and look as far
 * ahead as those need to start. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "act/control/calls_config.h"
#include "act/control/controller_internal.h"

static size_t ratio_of(const struct service_config *caller, const char *called, double *ratio) {
    size_t found = 0;
    *ratio = 0;
    for (size_t i = 0; i < caller->call_count; i++) {
        double one;
        if (strcmp(caller->calls[i].name, called) == 0 &&
            calls_ratio(caller->calls[i].value, &one)) {
            *ratio += one;
            found++;
        }
    }
    return found;
}

/* What is configured wins over what was learned. */
static bool find_call(const struct controller *c, unsigned caller, unsigned called, double *ratio,
                      bool *learned) {
    if (!c->services[caller].used || !c->services[called].used) {
        return false;
    }
    *learned = ratio_of(c->services[caller].config, c->services[called].name, ratio) == 0;
    if (*learned) {
        *ratio = dependencies_ratio(&c->dependencies, caller, called).likely;
        return (c->calls_learned[caller] >> called & 1) && *ratio > 0;
    }
    return true;
}

static void link_callers(struct controller *c, unsigned called) {
    struct controlled *s = &c->services[called];
    size_t count = 0;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        double ratio;
        bool learned;
        if (find_call(c, i, called, &ratio, &learned)) {
            s->calls[count++] = (struct foresee_call){ &c->services[i].foresee, ratio, learned };
        }
    }
    s->foresee.calls = s->calls;
    s->foresee.call_count = count;
}

static bool callers_are_placed(const struct controller *c, unsigned called,
                               const bool placed[PLAN_SERVICES_MAX]) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        double ratio;
        bool learned;
        if (!placed[i] && find_call(c, i, called, &ratio, &learned)) {
            return false;
        }
    }
    return true;
}

uint64_t calls_configured(const struct controller *c, unsigned caller) {
    uint64_t called = 0;
    double ratio;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        bool both = c->services[caller].used && c->services[i].used;
        if (both && ratio_of(c->services[caller].config, c->services[i].name, &ratio) > 0) {
            called |= UINT64_C(1) << i;
        }
    }
    return called;
}

double calls_ratio_configured(const struct controller *c, unsigned caller, unsigned called) {
    double ratio;
    return ratio_of(c->services[caller].config, c->services[called].name, &ratio) > 0 ? ratio : NAN;
}

void calls_apply(struct controller *c) {
    bool placed[PLAN_SERVICES_MAX] = { false };
    unsigned before;
    c->order_count = 0;
    do { /* there are no cycles: the configuration was checked, what was learned is selected */
        before = c->order_count;
        for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
            if (c->services[i].used && !placed[i] && callers_are_placed(c, i, placed)) {
                placed[i] = true;
                c->order[c->order_count++] = (uint8_t)i;
            }
        }
    } while (c->order_count > before);
    for (unsigned i = 0; i < c->order_count; i++) {
        link_callers(c, c->order[i]);
    }
}

/* Those that are called last first: what they need is known when their callers' turn comes. */
void calls_second(struct controller *c) {
    for (unsigned i = 0; i < c->order_count; i++) {
        c->services[c->order[i]].foresee.reach_ms = 0;
    }
    for (unsigned i = c->order_count; i-- > 0;) {
        const struct foresee *f = &c->services[c->order[i]].foresee;
        double reach_ms = fmax(f->reach_ms, foresee_lead_ms(f));
        for (size_t k = 0; k < f->call_count; k++) {
            struct foresee *caller = f->calls[k].caller;
            caller->reach_ms = fmax(caller->reach_ms, reach_ms);
        }
    }
}

/* ---- the past ---- */

struct past {
    const struct store_sample_query *query;
    double *called_rps, ratio;
    size_t steps;
};

static bool add_sample(void *self, const struct store_sample *sample) {
    const struct past *past = self;
    int64_t step = (sample->time_ms - past->query->from_ms) / 1000 / past->query->step_s;
    if (step >= 0 && step < (int64_t)past->steps && isfinite(sample->offered_rps)) {
        past->called_rps[step] += past->ratio * sample->offered_rps;
    }
    return true;
}

double *calls_read_past(struct controller *c, const char *name,
                        const struct store_sample_query *query, size_t *steps) {
    struct past past = { .query = query };
    past.steps = (size_t)((query->to_ms - query->from_ms) / 1000 / query->step_s) + 1;
    for (size_t i = 0; i < c->shop.service_count; i++) {
        const struct service_config *caller = &c->shop.services[i];
        struct error err;
        if (ratio_of(caller, name, &past.ratio) == 0) {
            continue;
        }
        if (past.called_rps == NULL &&
            (past.called_rps = calloc(past.steps, sizeof *past.called_rps)) == NULL) {
            return NULL;
        }
        struct store_sample_query theirs = *query;
        theirs.service = slice_from(caller->name);
        (void)store_read_samples(c->store, &theirs, add_sample, &past, &err);
    }
    *steps = past.steps;
    return past.called_rps;
}
