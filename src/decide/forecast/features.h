/* Features: what the trees see of one slot from one origin, each in a byte. Everything that is an
 * amount is a ratio to the level at the origin, so that what was learned holds when demand grows;
 * a byte has steps of 1 % near the level. 0 means missing. */
#pragma once
#include "decide/forecast/history.h"
#include "decide/forecast/known.h"
#include "decide/forecast/members.h"

#define FEATURES 68
#define FEATURES_OF_ORIGIN 12
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

/* What is the same for every slot that is looked at from one origin. */
struct features_origin {
    double level; /* as above */
    uint8_t bytes[FEATURES_OF_ORIGIN];
};
void features_look_back(const struct members *m, const struct history *h, int64_t origin_slot,
                        const struct origin *origin, struct features_origin *out);

/* Writes FEATURES bytes; `from` is known at the slot's origin, its level is not NAN. */
void features_fill(const struct features_input *in, const struct features_origin *from,
                   uint8_t *out);
