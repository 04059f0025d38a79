/* Features: what the trees see of one slot from one origin, each in a byte. Everything that is an
 * amount is a ratio to the level at the origin, so that what was learned holds when demand grows;
 * a byte has steps of 1 % near the level. 0 means missing. */
#pragma once
#include "decide/forecast/history.h"
#include "decide/forecast/known.h"
#include "decide/forecast/members.h"

#define FEATURES 68
#define FEATURES_KINDS 12     /* of the calendar */
#define FEATURES_REGRESSORS 5 /* four features each */

struct features_input {
    const struct members *members;
    const struct history *history; /* nothing after `origin_slot` of it is used */
    const struct known *known;
    const struct origin *origin;
    const struct profile_values *profiles; /* of `slot` from there */
    int64_t slot, slot_ms;
    uint32_t ahead;
    double base;    /* what is forecast without trees */
    double learned; /* factor of the calendar in it */
};

/* Usual demand of a slot around the origin, > 0; NAN: not known. */
double features_level(const struct members *m, const struct history *h, int64_t origin_slot);

/* Writes FEATURES bytes; `level` as above. */
void features_fill(const struct features_input *in, double level, uint8_t *out);
