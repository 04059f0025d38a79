#include "decide/forecast/cleaning.h"

#include <string.h>

/* As if it had been followed from the beginning. */
static void learn_again(const struct cleaning_memory *m, int64_t from, int64_t to) {
    for (int64_t slot = from; slot < to; slot++) {
        struct origin origin;
        members_observe(m->members, m->history, slot, history_at(m->history, slot), &origin);
        origins_put(m->origins, slot, &origin);
    }
}

/* Nothing is more or less than it was: what was is as what is. */
static void level_out(struct members *m) {
    memset(m->actual, 0, sizeof m->actual);
    memset(m->expected, 0, sizeof m->expected);
}

static void shift_level(const struct shift_found *found, int64_t slot,
                        const struct cleaning_memory *m) {
    history_scale(m->history, found->from, found->ratio);
    level_out(m->members);
    learn_again(m, found->from, slot);
}

/* Of a level that is too near for an outage or a burst. */
static void look_for_shift(struct cleaning *c, const struct anomaly_verdict *v,
                           const struct anomaly_sample *s, const struct cleaning_memory *m) {
    struct shift_found found = { v->shift_from, v->shift_ratio };
    c->explained = s->explained ? s->slot : c->explained;
    bool apart = s->slot - c->explained > shift_reach_steps(&c->shift);
    bool quiet = apart && v->suspect == ANOMALY_NONE && v->left_out.from == v->left_out.to;
    if (found.ratio > 0) {
        shift_level(&found, s->slot, m);
    } else if (quiet && shift_find(&c->shift, m->history, s->slot, &found)) {
        shift_level(&found, s->slot, m);
        c->anomalies.actual = c->anomalies.expected = 0;
    }
}

static void put_back(const struct anomaly_verdict *v, int64_t slot,
                     const struct cleaning_memory *m) {
    history_set_aside(m->history, v->stays.from, v->stays.to, false);
    bool frozen = v->stays.to == slot && v->stays.reason == ANOMALY_OUTAGE;
    if (frozen && !(v->shift_ratio > 0)) {
        learn_again(m, v->stays.from, slot);
    }
}

/* A run of equal values begins with the first. */
static void watch_runs(struct cleaning *c, const struct anomaly_sample *s, const struct members *m,
                       const struct history *h) {
    bool equal = (float)s->value == (float)history_recorded(h, s->slot - 1);
    if (!equal) {
        c->before_run = *m;
    }
}

/* Those of an hour that repeats are good: it is the level of an hour ago. */
static void restore_levels(const struct cleaning *c, enum anomaly_reason reason,
                           struct members *m) {
    if (reason == ANOMALY_STUCK) {
        *m = c->before_run;
    } else if (reason != ANOMALY_REPEATED) {
        *m = c->before;
    }
}

static enum cleaning_use use_of(enum anomaly_reason suspect) {
    return suspect == ANOMALY_NONE    ? CLEANING_LEARN
           : suspect == ANOMALY_BURST ? CLEANING_FOLLOW
                                      : CLEANING_LEAVE;
}

struct cleaning_verdict cleaning_observe(struct cleaning *c, const struct anomaly_sample *s,
                                         const struct cleaning_memory *m) {
    if (isnan(s->value)) {
        return (struct cleaning_verdict){ .use = CLEANING_LEARN }; /* there is nothing */
    }
    struct anomaly_verdict v = anomalies_observe(&c->anomalies, m->history, s);
    watch_runs(c, s, m->members, m->history);
    if (v.stays.from < v.stays.to) {
        put_back(&v, s->slot, m);
    }
    look_for_shift(c, &v, s, m);
    if (v.left_out.from < v.left_out.to) {
        restore_levels(c, v.left_out.reason, m->members);
        history_set_aside(m->history, v.left_out.from, v.left_out.to, true);
    }
    if (v.begins) {
        c->before = *m->members;
    }
    return (struct cleaning_verdict){
        .use = use_of(v.suspect),
        .begins = v.begins && v.suspect == ANOMALY_BURST,
        .over = v.left_out.from < v.left_out.to && v.left_out.reason == ANOMALY_BURST,
    };
}
