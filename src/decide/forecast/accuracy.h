/* Accuracy: how good the forecast was in the past week, beside the forecast itself. What is said of
 * a step one planning horizon before it comes is kept until it has come, then scored: the error of
 * the median, whether demand was within the band for people (0.1 to 0.9) and below the 0.95
 * quantile. Beside it the error of repeating the last season. Sums by hour, bounded memory.
 * Not here: evaluation over a file with many origins (evaluate.h). */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define ACCURACY_HOURS 168
#define ACCURACY_AHEAD_MAX 256   /* steps that may be said and not come yet */
#define ACCURACY_SEASON_MAX 1440 /* means that are kept of a season */

struct accuracy_said { /* of the step that starts at start_ms; NaN: nothing */
    int64_t start_ms;
    float low, median, high, bound; /* quantiles 0.1, 0.5, 0.9, 0.95 */
};

struct accuracy_hour {
    uint32_t hour; /* since 1970 */
    uint16_t steps, in_band, under_bound;
    float error, demand;               /* sums of |demand - median| and of demand */
    float compared_error, naive_error; /* likewise, where the season before is known */
};

struct accuracy_part { /* of a season: what came in the one that is not over */
    int64_t number;    /* since 1970 */
    uint32_t steps;
    double sum;
};

struct accuracy {
    int64_t step_ms, season_ms, part_ms;
    int64_t last_ms; /* start of the newest step that came; INT64_MIN: none */
    struct accuracy_said said[ACCURACY_AHEAD_MAX]; /* by step */
    struct accuracy_hour hours[ACCURACY_HOURS];    /* by hour */
    struct accuracy_part part;
    float season[ACCURACY_SEASON_MAX + 2]; /* means of the parts before; NaN: nothing came */
};

void accuracy_init(struct accuracy *a, int64_t step_ms, int64_t season_ms);

/* What is said now of a step that is to come; the last word counts. */
void accuracy_said(struct accuracy *a, const struct accuracy_said *said);

/* The step that starts at start_ms is over and demand was `rps` (NaN: unknown). In order. */
void accuracy_came(struct accuracy *a, int64_t start_ms, double rps);

struct accuracy_score { /* NaN: nothing to say it from */
    int64_t since_ms;   /* of the oldest step, to the hour; 0: none */
    size_t steps;
    double mase;        /* mean error of the median ÷ that of repeating the last season */
    double wape;        /* error of the median ÷ demand */
    double in_band;     /* share within 0.1 to 0.9: 0.8 is right */
    double under_bound; /* share below the 0.95 quantile: 0.95 is right */
};

/* Over the ACCURACY_HOURS before the newest step. */
struct accuracy_score accuracy_score(const struct accuracy *a);
