/* Origins: what the members knew at each of the last slots. Of short steps those further back are
 * kept only now and then: what was known a few minutes earlier is nearly the same. */
#pragma once
#include "decide/forecast/members.h"

struct origins {
    struct origin *fine, *coarse; /* rings: of slot % fine_count, of slot / stride % coarse_count */
    int64_t newest;
    uint32_t fine_count, coarse_count; /* 0 coarse ones: every slot is fine */
    uint32_t stride;
};

/* Of the last `steps` slots. False without memory. */
bool origins_init(struct origins *o, uint32_t steps, uint32_t season_steps);
void origins_fini(struct origins *o);
/* Also again, of slots before: then of all that came after, too. */
void origins_put(struct origins *o, int64_t slot, const struct origin *origin);

/* Of the slot, or of one shortly before. */
static inline const struct origin *origins_at(const struct origins *o, int64_t slot) {
    bool fine = o->coarse_count == 0 || slot > o->newest - (int64_t)o->fine_count;
    return fine ? &o->fine[slot % o->fine_count] : &o->coarse[slot / o->stride % o->coarse_count];
}
