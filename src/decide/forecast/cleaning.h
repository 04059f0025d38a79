/* Cleaning: keeps what was no demand (anomalies.h) out of what is learned. A burst that goes on is
 * followed like any demand: it has to be served. When it is over, its slots are set aside and
 * levels are what they were before. In an outage nothing is learned while it lasts: what is
 * forecast does not shrink because something is broken. */
#pragma once
#include "decide/forecast/anomalies.h"
#include "decide/forecast/members.h"

struct cleaning {
    struct anomalies anomalies;
    struct members before;     /* what was known before the suspect slots */
    struct members before_run; /* … before values that are all equal */
};

/* Whether a value may be learned from. */
enum cleaning_use {
    CLEANING_LEARN,
    CLEANING_FOLLOW, /* for the moment: all of it may be taken back */
    CLEANING_LEAVE   /* it is set aside */
};
struct cleaning_verdict {
    enum cleaning_use use;
    bool begins; /* to be only followed: what is known now may be wanted again … */
    bool over;   /* … and this is the time */
};
/* Before the slot goes to `m` and `h`; sets aside and puts back what was said of those before. */
struct cleaning_verdict cleaning_observe(struct cleaning *c, const struct anomaly_sample *s,
                                         struct members *m, struct history *h);
