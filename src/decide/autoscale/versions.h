/* Versions: the capacity of each version of a service that is about: the configured one and the one
 * before it. A version that nobody has seen starts from what is known of its predecessor, with wide
 * bounds; one that comes back finds what was known of it. */
#pragma once
#include "decide/autoscale/capacity.h"

#define VERSION_BYTES 64

struct version_capacity {
    char name[VERSION_BYTES]; /* empty: not named yet */
    struct capacity capacity;
};

struct versions {
    struct version_capacity current, before;
    bool has_before;
};

void versions_init(struct versions *v, double objective_ms, double start_rps);
/* `name` is configured now; the same as before is fine. */
void versions_select(struct versions *v, const char *name);
/* Of that version; NULL: it is neither. */
struct capacity *versions_find(struct versions *v, const char *name);
void versions_set_objective(struct versions *v, double objective_ms);
void versions_conclude(struct versions *v);
/* What plans count on of each instance; `before_serves`: some of the version before are in rotation,
 * then the smaller of both. */
double versions_rps(const struct versions *v, bool before_serves);
