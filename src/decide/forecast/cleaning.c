#include "decide/forecast/cleaning.h"

/* What was frozen is caught up on. */
static void learn_again(struct members *m, const struct history *h, struct anomaly_span span) {
    struct origin unused;
    for (int64_t slot = span.from; slot < span.to; slot++) {
        members_observe(m, h, slot, history_recorded(h, slot), &unused);
    }
}

/* A run of equal values begins with the first. */
static void watch_runs(struct cleaning *c, const struct anomaly_sample *s,
                       const struct members *m, const struct history *h) {
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
                                         struct members *m, struct history *h) {
    if (isnan(s->value)) {
        return (struct cleaning_verdict){ .use = CLEANING_LEARN }; /* there is nothing */
    }
    struct anomaly_verdict v = anomalies_observe(&c->anomalies, h, s);
    watch_runs(c, s, m, h);
    if (v.stays.from < v.stays.to) {
        history_set_aside(h, v.stays.from, v.stays.to, false);
        if (v.stays.reason == ANOMALY_OUTAGE && v.stays.to == s->slot) {
            learn_again(m, h, v.stays);
        }
    }
    if (v.left_out.from < v.left_out.to) {
        restore_levels(c, v.left_out.reason, m);
        history_set_aside(h, v.left_out.from, v.left_out.to, true);
    }
    if (v.begins) {
        c->before = *m;
    }
    return (struct cleaning_verdict){
        .use = use_of(v.suspect),
        .begins = v.begins && v.suspect == ANOMALY_BURST,
        .over = v.left_out.from < v.left_out.to && v.left_out.reason == ANOMALY_BURST,
    };
}
