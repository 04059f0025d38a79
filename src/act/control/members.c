/* Members: instances in slots of the plan. A slot keeps its instance as long as that lives, because
 * what workers know of an endpoint is indexed by it. */
#include <stdio.h>
#include <string.h>

#include "act/control/controller_internal.h"

struct member *member_of(const struct instance *instance) {
    return instance->user;
}

unsigned member_slot(const struct controller *c, const struct member *m) {
    return (unsigned)(m - c->members);
}

static struct member *free_slot(struct controller *c) {
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        if (c->members[i].instance == NULL) {
            return &c->members[i];
        }
    }
    return NULL;
}

/* Where a predecessor of ours had the instance: slot, generation and state stay. */
static struct member *inherited_slot(struct controller *c, const struct instance *instance) {
    const struct plan *plan = plan_current(c->config.plans);
    for (unsigned i = 0; plan != NULL && i < plan->endpoint_count; i++) {
        const struct plan_endpoint *e = &plan->endpoints[i];
        if (e->state != ENDPOINT_NONE && strcmp(e->id, instance->id) == 0 &&
            c->members[i].instance == NULL) {
            return &c->members[i];
        }
    }
    return NULL;
}

struct member *member_add(struct controller *c, struct instance *instance) {
    struct member *m = inherited_slot(c, instance);
    const struct plan *plan = plan_current(c->config.plans);
    enum endpoint_state state = ENDPOINT_STARTING;
    bool inherited = m != NULL;
    if (m == NULL) {
        m = free_slot(c);
    }
    if (m == NULL) {
        log_error("too_many_instances", "instance=%s limit=%d", instance->id, PLAN_ENDPOINTS_MAX);
        return NULL;
    }
    if (inherited) {
        state = (enum endpoint_state)plan->endpoints[member_slot(c, m)].state;
        if (state == ENDPOINT_DRAINING && instance->pid == 0) {
            state = ENDPOINT_STARTING; /* it was in maintenance: what is static leaves by being
                                        * configured no more */
        }
    } else {
        m->generation++;
    }
    uint32_t generation = m->generation;
    *m = (struct member){
        .instance = instance,
        .generation = generation,
        .state = state,
        .state_since_us = c->now_us,
        .leaving = state == ENDPOINT_DRAINING || (state == ENDPOINT_EJECTED && instance->pid != 0),
    };
    instance->user = m;
    maintenance_adopt(c, m);
    planner_change(c);
    return m;
}

void member_remove(struct controller *c, struct member *m) {
    uint32_t generation = m->generation;
    m->instance->user = NULL;
    *m = (struct member){ .generation = generation };
    planner_change(c);
}

void member_move(struct controller *c, struct member *m, enum endpoint_state state,
                 const char *note) {
    m->state = state;
    m->state_since_us = c->now_us;
    m->slow_since_us = 0;
    fleet_hear(c->fleet, m->instance, FLEET_SILENT, false); /* until its requests say something */
    snprintf(m->note, sizeof m->note, "%s", note == NULL ? "" : note);
    planner_change(c);
}

void member_drain(struct controller *c, struct member *m, const char *note) {
    maintenance_forget(c, m, "maintenance ends, it leaves for good");
    m->leaving = true;
    member_move(c, m, ENDPOINT_DRAINING, note);
}

unsigned members_count(const struct controller *c, unsigned service, enum endpoint_state state) {
    unsigned count = 0;
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        const struct member *m = &c->members[i];
        count += m->instance != NULL && m->instance->service == service && m->state == state &&
                 !(m->leaving && state != ENDPOINT_DRAINING && state != ENDPOINT_EJECTED);
    }
    return count;
}

static bool is_drained(const struct controller *c, const struct member *m) {
    uint64_t since_us = c->now_us - m->state_since_us;
    const struct plan *plan = plan_current(c->config.plans);
    uint64_t patience_us = (uint64_t)c->shop.timeouts.drain_ms * 1000;
    if (c->plan_dirty || plan == NULL || planner_version_in_use(c) < plan->version) {
        return since_us >= patience_us; /* a worker may still send it something */
    }
    bool idle = vitals_endpoint_in_flight(c->config.vitals, member_slot(c, m), m->generation) == 0;
    return (idle && since_us >= MEMBER_DRAIN_LEAST_US) || since_us >= patience_us;
}

void members_tick(struct controller *c) {
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        struct member *m = &c->members[i];
        if (m->instance != NULL && m->state == ENDPOINT_DRAINING && m->maintenance == NULL &&
            m->instance->phase != INSTANCE_STOPPING && is_drained(c, m)) {
            fleet_stop(c->fleet, m->instance);
        }
    }
}
