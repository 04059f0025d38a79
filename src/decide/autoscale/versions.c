#include "decide/autoscale/versions.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void set_name(struct version_capacity *v, const char *name) {
    snprintf(v->name, sizeof v->name, "%s", name);
}

static bool is_named(const struct version_capacity *v, const char *name) {
    return strncmp(v->name, name, VERSION_BYTES - 1) == 0;
}

void versions_init(struct versions *v, double objective_ms, double start_rps) {
    v->has_before = false;
    v->current.name[0] = v->before.name[0] = '\0';
    capacity_init(&v->current.capacity, objective_ms, start_rps);
    v->before.capacity = v->current.capacity;
}

void versions_select(struct versions *v, const char *name) {
    if (v->current.name[0] == '\0' || is_named(&v->current, name)) {
        set_name(&v->current, name);
        return;
    }
    struct version_capacity last = v->current;
    if (v->has_before && is_named(&v->before, name)) {
        v->current = v->before;
    } else {
        set_name(&v->current, name);
        capacity_inherit(&v->current.capacity, &last.capacity);
    }
    v->before = last;
    v->has_before = true;
}

struct capacity *versions_find(struct versions *v, const char *name) {
    if (is_named(&v->current, name)) {
        return &v->current.capacity;
    }
    return v->has_before && is_named(&v->before, name) ? &v->before.capacity : NULL;
}

void versions_set_objective(struct versions *v, double objective_ms) {
    capacity_set_objective(&v->current.capacity, objective_ms);
    capacity_set_objective(&v->before.capacity, objective_ms);
}

void versions_conclude(struct versions *v) {
    capacity_conclude(&v->current.capacity);
    if (v->has_before) {
        capacity_conclude(&v->before.capacity);
    }
}

double versions_rps(const struct versions *v, bool before_serves) {
    double rps = capacity_rps(&v->current.capacity);
    return before_serves && v->has_before ? fmin(rps, capacity_rps(&v->before.capacity)) : rps;
}
