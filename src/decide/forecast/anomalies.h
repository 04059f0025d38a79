/* Anomalies: what in a history was no demand, told from what was expected of each slot a good part
 * of a season before. Outage: demand falls to a fraction of what is usual there, and comes
 * back within half a season. Burst: it jumps far above, and is over within a quarter; a crowd that
 * gathers is none. A gauge that
 * is stuck: the same number again and again where numbers never repeat. An hour that repeats the
 * one before, number by number. What stays longer is a new level, and what comes again at the same
 * place of a season is a pattern: both are demand. A level may be over again soon: then it was
 * none. What a calendar explains is never suspect. Pure. Not here: what is done about it
 * (cleaning.h), smaller changes (members.h follow them). */
#pragma once
#include "decide/forecast/history.h"

#define ANOMALY_SPANS 32   /* that are remembered */
#define ANOMALY_SEASONS 2  /* at which it may come again */
#define ANOMALY_HISTORY 60 /* short seasons; a longer one is no place to look for more */

enum anomaly_reason {
    ANOMALY_NONE,
    ANOMALY_OUTAGE,
    ANOMALY_BURST,
    ANOMALY_STUCK,
    ANOMALY_REPEATED
};
const char *anomaly_name(enum anomaly_reason reason); /* "outage", … */

struct anomaly_span { /* [from, to); empty: none */
    int64_t from, to;
    enum anomaly_reason reason;
};

struct anomaly_run { /* of values that equal the one `lag` slots before */
    int64_t lag;
    double length, seen, common; /* share of values that equal, all in all */
};

struct anomalies {
    uint32_t season_steps[ANOMALY_SEASONS];
    size_t season_count;
    int64_t outage_steps, burst_steps;   /* longer ones stay */
    double level_keep, actual, expected; /* fading sums: how much more there is lately */
    double ratio_before;      /* of the slot before to what was expected of it; NaN: not known */
    uint32_t judged, enough;  /* before anything is suspect */
    struct anomaly_span open; /* its end is not known */
    double open_actual, open_expected; /* sums over it */
    double shift_ratio;                /* of the last new level; 0: none that is new */
    int64_t shift_until;
    struct anomaly_run same, hour;
    double run_low, run_high;                 /* of what was expected while nothing changed */
    struct anomaly_span spans[ANOMALY_SPANS]; /* ring */
    size_t span_count, span_next;
};

/* `reach_steps`: how long before a slot what is expected of it was said. */
void anomalies_init(struct anomalies *a, const uint32_t *season_steps, size_t season_count,
                    uint32_t reach_steps, uint32_t hour_steps);

struct anomaly_sample {
    int64_t slot;
    double value;              /* NaN: missing */
    double expected;           /* NaN: nothing was */
    double scale, scale_usual; /* usual error there, and all in all */
    double demand_usual;       /* all in all */
    bool counts;               /* of something: few of it vary by chance alone */
    bool explained;            /* by a calendar */
};

struct anomaly_verdict {
    enum anomaly_reason suspect;  /* what this slot belongs to, as far as is known now */
    bool begins;                  /* with it */
    struct anomaly_span left_out; /* is over, or (stuck, repeated) certain: no demand */
    struct anomaly_span stays;    /* was suspect, is demand after all */
    int64_t shift_from;           /* since then there is … */
    double shift_ratio;           /* … times as much as before; 0: nothing is said */
};
/* `h` ends before the slot. */
struct anomaly_verdict anomalies_observe(struct anomalies *a, const struct history *h,
                                         const struct anomaly_sample *s);

/* Newest last, at most `most`; one that goes on is the last. Returns how many. */
size_t anomalies_spans(const struct anomalies *a, struct anomaly_span *out, size_t most);
