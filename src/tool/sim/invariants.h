/* Invariants: what no decision of autoscale may ever do, whatever day it is. Checked from outside,
 * with what the simulation knows to be true, not with what the code believes.
 *   max        never more than the maximum, never fewer than the minimum
 *   blind      with demand unknown, stale or no forecast, never below what runs
 *   disturbed  nothing is taken away within the stabilisation time after a restart or a jump of the
 *              clock
 *   net        what demand needs now is wanted now, whatever the forecast says
 *   warm       a campaign that begins within the lead time is provisioned as it was announced, be
 *              it the first of all: nothing has to be learned before somebody is believed
 *   flapping   nothing is taken away within the stabilisation time after more was wanted
 *   reason     the reason given fits the numbers, and the sentence says them */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "decide/autoscale/autoscale.h"

#define INVARIANTS_LAST 8 /* decisions kept to be shown */
#define INVARIANTS_TEXT_BYTES 256

struct invariants_moment {
    int64_t at_s;         /* since the start, of the world's own time */
    double demand_rps;    /* as known; NaN: unknown or stale */
    double announced_rps; /* what begins within the lead time asks for; NaN: nothing */
    bool blind;
    bool disturbed; /* the clock jumped or the controller began anew just now */
    uint32_t serving, starting;
    struct autoscale_decision decision;
};

struct invariants_note { /* a decision that changed something */
    int64_t at_s;
    uint32_t serving, starting;
    enum autoscale_reason reason;
    char sentence[AUTOSCALE_REASON_BYTES];
};

struct invariants {
    const struct autoscale_policy *policy;
    struct invariants_note last[INVARIANTS_LAST]; /* ring */
    uint64_t noted;
    uint32_t instances; /* decided last; 0: nothing */
    int64_t grown_s, disturbed_s;
    const char *broken; /* the name of the first that did not hold; NULL */
    char text[INVARIANTS_TEXT_BYTES];
};

void invariants_init(struct invariants *v, const struct autoscale_policy *policy);

/* False once one did not hold; v->text says which numbers. */
bool invariants_check(struct invariants *v, const struct invariants_moment *moment);
