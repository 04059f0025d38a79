/* Cleaning: keeps what was no demand (anomalies.h) out of what is learned. A burst that goes on is
 * followed like any demand: it has to be served. When it is over, its slots are set aside and
 * levels are what they were before. In an outage nothing is learned while it lasts: what is
 * forecast does not shrink because something is broken. When either stays, or demand has gone to
 * another level (shift.h), the history before it is brought to the new level: what it says of the
 * times of the day and week holds. */
#pragma once
#include "decide/forecast/anomalies.h"
#include "decide/forecast/origins.h"
#include "decide/forecast/shift.h"

struct cleaning {
    struct anomalies anomalies;
    struct shift shift;
    int64_t explained;         /* the last slot by a calendar: its effect would look like a level */
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
struct cleaning_memory { /* that is cleaned; the slot has not gone there yet */
    struct members *members;
    struct history *history;
    struct origins *origins;
};
struct cleaning_verdict cleaning_observe(struct cleaning *c, const struct anomaly_sample *s,
                                         const struct cleaning_memory *m);
