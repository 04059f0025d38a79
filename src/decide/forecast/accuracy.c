#include "decide/forecast/accuracy.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "decide/forecast/calendar.h"

void accuracy_init(struct accuracy *a, int64_t step_ms, int64_t season_ms) {
    memset(a, 0, sizeof *a);
    int64_t steps = season_ms / step_ms > 0 ? season_ms / step_ms : 1;
    a->step_ms = step_ms;
    a->season_ms = season_ms;
    a->part_ms = step_ms * ((steps + ACCURACY_SEASON_MAX - 1) / ACCURACY_SEASON_MAX);
    a->last_ms = INT64_MIN;
    for (size_t i = 0; i < ACCURACY_AHEAD_MAX; i++) {
        a->said[i].start_ms = INT64_MIN;
    }
    for (size_t i = 0; i < ACCURACY_SEASON_MAX + 2; i++) {
        a->season[i] = NAN;
    }
}

static size_t place_of(const struct accuracy *a, int64_t start_ms) {
    return (size_t)(start_ms / a->step_ms) % ACCURACY_AHEAD_MAX;
}

void accuracy_said(struct accuracy *a, const struct accuracy_said *said) {
    bool whole = isfinite(said->low) && isfinite(said->median) && isfinite(said->high) &&
                 isfinite(said->bound);
    if (whole && said->start_ms > a->last_ms) {
        a->said[place_of(a, said->start_ms)] = *said;
    }
}

/* ---- the season before ---- */

static float *mean_at(struct accuracy *a, int64_t part) {
    return &a->season[part % (ACCURACY_SEASON_MAX + 2)];
}

static double mean_of(const struct accuracy_part *part) {
    return part->steps > 0 ? part->sum / part->steps : NAN;
}

static double season_before(struct accuracy *a, int64_t start_ms) {
    int64_t part = (start_ms - a->season_ms) / a->part_ms;
    if (start_ms < a->season_ms || part + ACCURACY_SEASON_MAX + 2 <= a->part.number) {
        return NAN;
    }
    if (part == a->part.number) {
        return mean_of(&a->part);
    }
    return part < a->part.number ? (double)*mean_at(a, part) : NAN;
}

static void note_season(struct accuracy *a, int64_t start_ms, double rps) {
    int64_t part = start_ms / a->part_ms, oldest = part - (ACCURACY_SEASON_MAX + 2);
    if (part != a->part.number) {
        *mean_at(a, a->part.number) = (float)mean_of(&a->part);
        int64_t gap = a->part.number + 1 > oldest ? a->part.number + 1 : oldest;
        for (; gap < part; gap++) {
            *mean_at(a, gap) = NAN;
        }
        a->part = (struct accuracy_part){ .number = part };
    }
    a->part.sum += rps;
    a->part.steps++;
}

/* ---- scoring ---- */

static struct accuracy_hour *hour_at(struct accuracy *a, int64_t ms) {
    struct accuracy_hour *hour = &a->hours[(size_t)(ms / MS_PER_HOUR) % ACCURACY_HOURS];
    uint32_t number = (uint32_t)(ms / MS_PER_HOUR);
    if (hour->hour != number) {
        *hour = (struct accuracy_hour){ .hour = number };
    }
    return hour;
}

static void score(struct accuracy *a, const struct accuracy_said *said, double rps) {
    struct accuracy_hour *hour = hour_at(a, said->start_ms);
    double error = fabs(rps - said->median), naive = season_before(a, said->start_ms);
    hour->steps++;
    hour->error += (float)error;
    hour->demand += (float)rps;
    hour->in_band += rps >= said->low && rps <= said->high;
    hour->under_bound += rps <= said->bound;
    if (isfinite(naive)) {
        hour->compared_error += (float)error;
        hour->naive_error += (float)fabs(rps - naive);
    }
}

void accuracy_came(struct accuracy *a, int64_t start_ms, double rps) {
    if (start_ms <= a->last_ms || start_ms < 0) {
        return;
    }
    const struct accuracy_said *said = &a->said[place_of(a, start_ms)];
    a->last_ms = start_ms;
    if (!isfinite(rps)) {
        return;
    }
    if (said->start_ms == start_ms) {
        score(a, said, rps);
    }
    note_season(a, start_ms, rps);
}

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : NAN;
}

struct accuracy_score accuracy_score(const struct accuracy *a) {
    double steps = 0, in_band = 0, under_bound = 0, error = 0, demand = 0, compared = 0, naive = 0;
    struct accuracy_score out = { .since_ms = 0 };
    for (size_t i = 0; i < ACCURACY_HOURS; i++) {
        const struct accuracy_hour *hour = &a->hours[i];
        int64_t start_ms = (int64_t)hour->hour * MS_PER_HOUR;
        if (hour->steps == 0 || start_ms <= a->last_ms - (int64_t)ACCURACY_HOURS * MS_PER_HOUR) {
            continue;
        }
        steps += hour->steps;
        in_band += hour->in_band;
        under_bound += hour->under_bound;
        error += hour->error;
        demand += hour->demand;
        compared += hour->compared_error;
        naive += hour->naive_error;
        out.since_ms = out.since_ms == 0 || start_ms < out.since_ms ? start_ms : out.since_ms;
    }
    out.steps = (size_t)steps;
    out.mase = ratio(compared, naive);
    out.wape = ratio(error, demand);
    out.in_band = ratio(in_band, steps);
    out.under_bound = ratio(under_bound, steps);
    return out;
}
