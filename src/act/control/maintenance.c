/* Maintenance: an instance that a person takes out of rotation, for a while or until he ends it. It
 * takes no new requests and finishes what it carries, for at most `timeouts.drain`; then what is
 * left of it (tunnels, mostly) is ended. It is neither healed nor replaced nor counted as capacity,
 * so the plan starts another one when demand wants it. The book outlives us. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"

static struct slice service_name(const struct controller *c, const struct instance *instance) {
    return slice_from(c->services[instance->service].name);
}

static void tell_maintenance(struct controller *c, const struct member *m, const char *action,
                             const struct api_maintenance *e, const char *sentence) {
    char evidence[256], until[32] = "null";
    if (e->until_ms > 0) {
        snprintf(until, sizeof until, "%" PRId64, e->until_ms);
    }
    /* `by` is ours, of letters, digits and blanks; the reason is a person's, and in the sentence.
     */
    snprintf(evidence, sizeof evidence,
             "{\"by\":\"%s\",\"since_ms\":%" PRId64 ",\"until_ms\":%s,\"in_flight\":%u}", e->by,
             e->since_ms, until,
             m == NULL
                 ? 0
                 : vitals_endpoint_in_flight(c->config.vitals, member_slot(c, m), m->generation));
    int service = -1;
    for (int i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (c->services[i].used && strcmp(c->services[i].name, e->service) == 0) {
            service = i;
        }
    }
    const struct told told = { .kind = "maintenance",
                               .action = action,
                               .subject = e->instance,
                               .service = service,
                               .noticed_ms = NAN,
                               .evidence = evidence };
    tell(c, &told, "%s: %s%s%s", e->instance, sentence, e->reason[0] != '\0' ? ": " : "",
         e->reason);
}

/* ---- what is in the book ---- */

void maintenance_open(struct controller *c) {
    struct error err;
    if (!maintenance_book_read(&c->maintenance, c->config.state->path, &err)) {
        log_error("maintenance_not_read", "error=\"%s\" action=go_on_without", err.text);
    }
}

static bool save(struct controller *c, struct error *err) {
    return maintenance_book_write(&c->maintenance, c->config.state->path, err);
}

/* What nobody waits for: a failure is told, and tried again with the next change. */
static void save_or_say(struct controller *c) {
    struct error err;
    if (!save(c, &err)) {
        log_error("maintenance_not_written", "error=\"%s\" action=go_on", err.text);
    }
}

struct api_maintenance *maintenance_of(struct controller *c, const struct instance *instance) {
    return maintenance_book_find(&c->maintenance, service_name(c, instance),
                                 slice_from(instance->id));
}

/* Ids of processes are given anew by a Tidegate that starts: an entry of one that has ended must
 * not wait for the next of its name. */
void maintenance_forget_ended(struct controller *c) {
    bool changed = false;
    for (size_t i = 0; i < API_MAINTENANCE_MAX; i++) {
        struct api_maintenance *e = &c->maintenance.entries[i];
        const struct service_config *config = shop_service(&c->shop, slice_from(e->service));
        bool ours = config == NULL || config->fleet.kind != FLEET_STATIC;
        if (e->service[0] != '\0' && ours &&
            fleet_find(c->fleet, slice_from(e->instance)) == NULL) {
            tell_maintenance(c, NULL, "end", e, "maintenance ends, its process has ended");
            *e = (struct api_maintenance){ .service = "" };
            changed = true;
        }
    }
    if (changed) {
        save_or_say(c);
    }
}

void maintenance_forget(struct controller *c, struct member *m, const char *why) {
    struct api_maintenance *e = m->maintenance;
    if (e != NULL) {
        tell_maintenance(c, m, "end", e, why);
        *e = (struct api_maintenance){ .service = "" };
        m->maintenance = NULL;
        m->cut = false;
        save_or_say(c);
    }
}

/* ---- begin ---- */

static bool is_ejected_by_workers(const struct controller *c, const struct member *m) {
    const struct vitals_shared_endpoint *shared = &c->config.vitals->shared[member_slot(c, m)];
    return atomic_load(&shared->generation) == m->generation &&
           atomic_load(&shared->ejected_until_us) > c->now_us;
}

/* Others of its service that take requests now, or with the plan that takes it out. */
static unsigned count_others(struct controller *c, const struct member *of) {
    unsigned others = 0;
    EACH_MEMBER(c, m, of->instance->service) {
        bool takes = m->state == ENDPOINT_SERVING || m->state == ENDPOINT_WARM;
        others +=
            m != of && takes && !m->leaving && m->instance->healthy && !is_ejected_by_workers(c, m);
    }
    return others;
}

static struct member *find(struct controller *c, struct slice service, struct slice instance) {
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        struct member *m = &c->members[i];
        if (m->instance != NULL && c->services[m->instance->service].used &&
            slice_equal(service_name(c, m->instance), service) &&
            slice_equal(slice_from(m->instance->id), instance)) {
            return m;
        }
    }
    return NULL;
}

static bool may_begin(struct controller *c, const struct member *m,
                      const struct api_maintenance_order *order, struct error *err) {
    if (m == NULL) {
        return error_set(err, ERROR_NOT_FOUND, "no instance '%.*s' of a service '%.*s'",
                         SLICE_ARG(order->instance), SLICE_ARG(order->service));
    }
    if (m->leaving || m->instance->phase == INSTANCE_STOPPING) {
        return error_set(err, ERROR_BUSY, "%s is leaving already", m->instance->id);
    }
    if (m->state == ENDPOINT_SERVING && !order->force && count_others(c, m) == 0) {
        return error_set(err, ERROR_BUSY,
                         "%s is the last that serves %.*s: nobody would answer; force it, or wait "
                         "for another one",
                         m->instance->id, SLICE_ARG(order->service));
    }
    return true;
}

static void note(struct member *m) {
    snprintf(m->note, sizeof m->note, "maintenance%s%.200s",
             m->maintenance->reason[0] != '\0' ? ": " : "", m->maintenance->reason);
}

void maintenance_adopt(struct controller *c, struct member *m) {
    m->maintenance = maintenance_of(c, m->instance);
    if (m->maintenance != NULL) {
        m->state = ENDPOINT_DRAINING;
        m->leaving = false;
        note(m);
    }
}

bool maintenance_start(struct controller *c, const struct api_maintenance_order *order,
                       struct error *err) {
    struct member *m = find(c, order->service, order->instance);
    if (!may_begin(c, m, order, err)) {
        return false;
    }
    int64_t now_ms = clock_unix_ms();
    bool again = m->maintenance != NULL;
    struct api_maintenance *e = again ? m->maintenance : maintenance_book_take(&c->maintenance);
    if (e == NULL) {
        return error_set(err, ERROR_LIMIT, "%d instances are in maintenance already",
                         API_MAINTENANCE_MAX);
    }
    const struct api_maintenance before = *e;
    *e = (struct api_maintenance){ .since_ms = again ? before.since_ms : now_ms,
                                   .until_ms = order->for_ms > 0 ? now_ms + order->for_ms : 0 };
    slice_copy_text(order->service, e->service, sizeof e->service);
    slice_copy_text(order->instance, e->instance, sizeof e->instance);
    slice_copy_text(slice_sub(order->reason, 0, sizeof e->reason - 1), e->reason, sizeof e->reason);
    slice_copy_text(slice_sub(order->by, 0, sizeof e->by - 1), e->by, sizeof e->by);
    if (!save(c, err)) {
        *e = before;
        return false;
    }
    m->maintenance = e;
    tell_maintenance(c, m, "start", e, again ? "maintenance goes on" : "maintenance begins");
    if (!again) {
        member_move(c, m, ENDPOINT_DRAINING, NULL);
        scale_fill(c, m->instance->service);
    }
    note(m);
    return true;
}

/* ---- end ---- */

/* Where it would be if nobody had asked. */
static void bring_back(struct controller *c, struct member *m) {
    const struct instance *i = m->instance;
    bool ours = i->pid != 0;
    m->cut = false;
    if (i->phase != INSTANCE_READY) {
        member_move(c, m, ENDPOINT_STARTING, NULL);
    } else if (!i->healthy) {
        member_move(c, m, ENDPOINT_EJECTED, i->health_note);
        m->finding = FINDING_UNHEALTHY;
        m->leaving = ours;
    } else {
        member_move(c, m, ours ? ENDPOINT_WARM : ENDPOINT_SERVING, NULL);
    }
    fleet_hear(c->fleet, m->instance, FLEET_SUSPECT, true); /* it may have been changed */
    scale_fill(c, i->service);
}

bool maintenance_end(struct controller *c, const struct api_maintenance_order *order,
                     struct error *err) {
    struct api_maintenance *e =
        maintenance_book_find(&c->maintenance, order->service, order->instance);
    if (e == NULL) {
        return error_set(err, ERROR_NOT_FOUND, "no instance '%.*s' of '%.*s' is in maintenance",
                         SLICE_ARG(order->instance), SLICE_ARG(order->service));
    }
    struct member *m = find(c, order->service, order->instance);
    struct api_maintenance told = *e;
    *e = (struct api_maintenance){ .service = "" };
    if (!save(c, err)) {
        *e = told;
        return false;
    }
    slice_copy_text(slice_sub(order->by, 0, sizeof told.by - 1), told.by, sizeof told.by);
    tell_maintenance(c, m, "end", &told,
                     order->expired ? "maintenance is over: its time is up" : "maintenance ends");
    if (m != NULL && m->maintenance == e) {
        m->maintenance = NULL;
        bring_back(c, m);
    }
    return true;
}

/* ---- ticks ---- */

static void expire(struct controller *c, const struct api_maintenance *e) {
    struct error err;
    const struct api_maintenance entry = *e; /* the order's texts outlive the entry */
    const struct api_maintenance_order order = { .service = slice_from(entry.service),
                                                 .instance = slice_from(entry.instance),
                                                 .by = SLICE("the clock"),
                                                 .expired = true };
    if (!maintenance_end(c, &order, &err)) {
        log_error("maintenance_not_ended", "instance=%s error=\"%s\" action=try_again",
                  entry.instance, err.text);
    }
}

void maintenance_tick(struct controller *c) {
    uint64_t patience_us = (uint64_t)c->shop.timeouts.drain_ms * 1000;
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        struct member *m = &c->members[i];
        if (m->instance != NULL && m->maintenance != NULL && !m->cut &&
            c->now_us - m->state_since_us >= patience_us) {
            m->cut = true; /* workers end what is still there */
            planner_change(c);
        }
    }
    for (size_t i = 0; i < API_MAINTENANCE_MAX; i++) {
        const struct api_maintenance *e = &c->maintenance.entries[i];
        if (e->service[0] != '\0' && e->until_ms > 0 && e->until_ms <= clock_unix_ms()) {
            expire(c, e);
        }
    }
}
