/* Known: what is known ahead about one slot. Events and holidays of the calendar, columns that go
 * on past the origin, and the factor that the multipliers and the learned effects make of them. Not
 * here: reading them (calendar.h), learning effects (effects.h). */
#pragma once
#include "decide/forecast/calendar.h"
#include "decide/forecast/effects.h"

#define KNOWN_REGRESSORS_MAX 8
#define KNOWN_REGRESSOR_VALUES 3 /* effects of the values 1, 2, 3 of a column */
#define KNOWN_NEAR_DAYS 7        /* how far known_nearness looks to either side */
#define KNOWN_MEASURE_SPAN 4     /* a measure is told as 0 to this */

struct known_regressor {
    const double *values;
    size_t len;
    int64_t start_ms;
    bool measure;     /* any numbers, such as a weather forecast, instead of flags */
    double low, high; /* of a measure: nearly all values lie between them */
};

struct known {
    const struct calendar *calendar; /* NULL: none */
    struct known_regressor regressors[KNOWN_REGRESSORS_MAX];
    size_t regressor_count;
    int64_t step_ms, near_ms; /* near: a day, or a step where that is longer */
    uint32_t day_steps;
};

void known_init(struct known *k, int64_t step_ms);
/* Makes a measure of a column: `low` and `high` are its quantiles of 1 and 99 %. Fails with
 * ERROR_INVALID when it has no two different values, ERROR_LIMIT without memory. */
bool known_make_measure(struct known_regressor *r, struct error *err);

struct known_slot {
    struct effects_active active;
    double given;   /* product of the multipliers that were given */
    double learned; /* factor of the kinds without one */
};
/* What is known of the slot that starts at `from_ms`; events count from `lead_ms` earlier on. */
void known_look(const struct known *k, const struct effects *effects, int64_t from_ms,
                int64_t lead_ms, struct known_slot *out);

/* For the first `len` kinds of the calendar: how far the nearest event without a multiplier is, in
 * log2(1 + hours): negative while it is ahead, 0 while it lasts, NAN beyond KNOWN_NEAR_DAYS. */
void known_nearness(const struct known *k, int64_t from_ms, double *out, size_t len);

/* How much of the day around a slot short events (of hours) without a multiplier take up, added up:
 * whether it is a busy day. 0 at steps of a day. */
double known_busy(const struct known *k, int64_t from_ms);

/* The column's value at a time; 0 where it has none. Of a measure: where it lies between `low` (0)
 * and `high` (KNOWN_MEASURE_SPAN); NAN where it has none. */
double known_regressor_at(const struct known *k, size_t regressor, int64_t at_ms);
/* Days to the nearest day on which the column is not 0 at this time of the day, signed as above;
 * NAN for a measure. */
double known_regressor_nearness(const struct known *k, size_t regressor, int64_t at_ms);
