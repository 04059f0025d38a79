/* Versions: which version of a service its capacity is of, and the capacity of the one before it,
 * which may still serve or come back. A version that nobody has seen starts from what is known of
 * its predecessor, with wide bounds; one that comes back finds what was known of it. */
#pragma once
#include "decide/autoscale/capacity.h"

#define VERSION_BYTES 64

struct versions {
    char name[VERSION_BYTES]; /* of the configured one; empty: not named yet */
    char before_name[VERSION_BYTES];
    struct capacity before;
    bool has_before;
};

void versions_init(struct versions *v);
/* `name` is configured now, the same as before is fine; `current` becomes its capacity. */
void versions_select(struct versions *v, struct capacity *current, const char *name);
/* Of that version; NULL: it is neither. */
struct capacity *versions_find(struct versions *v, struct capacity *current, const char *name);
/* What plans count on of each instance; `before_serves`: some of the version before are in
 * rotation, then the smaller of both. */
double versions_rps(const struct versions *v, const struct capacity *current, bool before_serves);
