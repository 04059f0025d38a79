/* Profile cache: what the profiles (members.h) say of the slots that come next. As long as a slot
 * is near, they look at the same places of the past from every origin, and so do the path that is
 * drawn, what scores it when the value comes and the levels: each slot is computed once. */
#pragma once
#include "decide/forecast/members.h"

#define PROFILE_CACHE_SLOTS 16 /* a longer path is computed anew behind them */

struct profile_cache {
    uint32_t near_steps; /* so far ahead they say the same */
    uint32_t revision;   /* of the history that they looked at */
    struct {
        int64_t slot; /* -1: nothing */
        struct profile_values values;
    } of[PROFILE_CACHE_SLOTS]; /* by slot % PROFILE_CACHE_SLOTS */
};

void profile_cache_init(struct profile_cache *c, const struct members *m);

/* As members_profiles(). */
void profile_cache_look(struct profile_cache *c, const struct members *m, const struct history *h,
                        int64_t slot, uint32_t ahead, struct profile_values *out);
