/* Storage: when a volume will be full, and how much larger it should be. What is used is looked at
 * on three scales (an hour, half a day, a fortnight), each with a robust slope; what a scale
 * has seen it may extend twelve times, not further. The earliest answer counts: a log that explodes
 * is seen within minutes, growth as such over days.
 * After: Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 1968; its
 * interval is widened for what is alike from one point to the next.
 * Not here: looking at volumes (act/control/storage.c). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORAGE_SCALES 3
#define STORAGE_POINTS_MAX 336
#define STORAGE_POINTS_LEAST 8
#define STORAGE_AHEAD_RATIO 12 /* of the time that was seen */

struct storage_policy {
    double full_at_ratio; /* of its size: then it counts as full */
    int64_t lead_ms;      /* it takes so long to make it larger */
    int64_t horizon_ms;   /* what is added shall last so long */
    double size_most;     /* bytes; 0: any */
};

struct storage_point {
    int64_t time_ms; /* unix */
    double used_bytes;
};

struct storage_trend { /* bytes a second, 0.9 of certainty between low and high */
    double likely, low, high;
    int64_t span_ms;
    bool known;
};

struct storage_scale {
    size_t len, next; /* a ring */
    struct storage_point points[STORAGE_POINTS_MAX];
    struct storage_trend trend;
    bool stale; /* the trend: there are points that it does not know */
};

enum storage_state {
    STORAGE_UNKNOWN, /* nothing was seen yet */
    STORAGE_FINE,
    STORAGE_GROW, /* it may be full before it could be made larger */
    STORAGE_FULL, /* as full as it may get */
    STORAGE_STATES,
};

struct storage {
    struct storage_scale scales[STORAGE_SCALES];
    double used_bytes, size_bytes, inodes_ratio; /* as seen last; NaN: not known */
    enum storage_state state;
};

struct storage_sample {
    int64_t time_ms;
    double used_bytes, size_bytes; /* size: what may be used at all */
    double inodes_ratio;           /* of the files that it can hold; NaN: any number */
};

struct storage_outlook {
    enum storage_state state;
    bool changed; /* the state, since the last outlook */
    /* Until it counts as full; infinity: it does not fill; NaN: not seen for long enough. Low is
     * the earliest. */
    double full_in_ms, full_in_ms_low, full_in_ms_high;
    double growth, growth_low, growth_high; /* bytes a second, of the scale that says so; NaN */
    int64_t seen_ms;                        /* how long that scale has looked */
    double size_wanted;                     /* bytes; its size: it need not grow */
    bool limited;                           /* by size_most: more would be needed */
};

void storage_init(struct storage *s);
/* In order of time; one that is not later than the last on a scale is not kept there. */
void storage_observe(struct storage *s, const struct storage_sample *sample);
/* A point of the past, of the coarsest scale. */
void storage_remember(struct storage *s, int64_t time_ms, double used_bytes);
/* Point `index` of that scale, oldest first; false beyond the last. */
bool storage_recall(const struct storage *s, size_t index, struct storage_point *out);

struct storage_outlook storage_judge(struct storage *s, const struct storage_policy *policy);

const char *storage_state_name(enum storage_state state);
