#include "decide/autoscale/versions.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_named(const char *has, const char *name) {
    return strncmp(has, name, VERSION_BYTES - 1) == 0;
}

void versions_init(struct versions *v) {
    *v = (struct versions){ .has_before = false };
}

void versions_select(struct versions *v, struct capacity *current, const char *name) {
    if (v->name[0] != '\0' && !is_named(v->name, name)) {
        struct capacity last = *current;
        if (v->has_before && is_named(v->before_name, name)) {
            *current = v->before;
        } else {
            capacity_inherit(current, &last);
        }
        v->before = last;
        v->has_before = true;
        memcpy(v->before_name, v->name, sizeof v->before_name);
    }
    snprintf(v->name, sizeof v->name, "%s", name);
}

struct capacity *versions_find(struct versions *v, struct capacity *current, const char *name) {
    if (is_named(v->name, name)) {
        return current;
    }
    return v->has_before && is_named(v->before_name, name) ? &v->before : NULL;
}

double versions_rps(const struct versions *v, const struct capacity *current, bool before_serves) {
    double rps = capacity_rps(current);
    return before_serves && v->has_before ? fmin(rps, capacity_rps(&v->before)) : rps;
}
