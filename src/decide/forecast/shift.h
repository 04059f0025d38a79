/* Shift: finds that demand has gone to another level and stays there, when the step is too small
 * for an outage or a burst (anomalies.h). The last half season is compared, part by part, with the
 * same times of the last long seasons (weeks): all of them have to say it, in about the same ratio
 * in every part, and it has to be far more than what usually changes from week to week. Downwards
 * it has to last three times as long: a holiday that nobody announced is over tomorrow.
 * Pure. Not here: what is done about it (cleaning.h). */
#pragma once
#include "decide/forecast/history.h"

struct shift {
    int64_t part_steps, lag; /* 0 parts: nothing to compare with */
    double usual, seen;      /* mean size of log ratios, of how many */
};

struct shift_found {
    int64_t from; /* since then there is … */
    double ratio; /* … times as much */
};

void shift_init(struct shift *s, const uint32_t *season_steps, size_t season_count);
/* So far back it looks. */
int64_t shift_reach_steps(const struct shift *s);
/* `h` ends before the slot. True when a new level has just been found. */
bool shift_find(struct shift *s, const struct history *h, int64_t slot, struct shift_found *out);
