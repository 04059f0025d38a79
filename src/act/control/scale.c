/* Scale: as many instances in rotation as decide/autoscale wants. What is warm is promoted at once,
 * what lacks is started, what is too much becomes a spare or is drained. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"

#define FORMER_TOLD_US 10000000 /* most have taken over by then */

struct census {
    unsigned serving, warm, starting;
    unsigned outdated; /* of serving: another version is configured now */
};

bool member_is_outdated(const struct controller *c, const struct member *m) {
    return m->retire ||
           (m->instance->pid != 0 &&
            strcmp(m->instance->version, fleet_version(c->fleet, m->instance->service)) != 0);
}

/* Of before the fleet's kind was changed, from processes of ours to addresses or back: it serves
 * until those that are configured now do, and counts as none of them. */
static bool is_former(const struct controller *c, const struct member *m) {
    bool fixed = c->services[m->instance->service].config->fleet.kind == FLEET_STATIC;
    return fixed != (m->instance->pid == 0);
}

static struct census count(const struct controller *c, unsigned service) {
    struct census census = { 0 };
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        const struct member *m = &c->members[i];
        if (m->instance == NULL || m->instance->service != service || m->leaving ||
            is_former(c, m)) {
            continue;
        }
        census.serving += m->state == ENDPOINT_SERVING;
        census.warm += m->state == ENDPOINT_WARM;
        census.starting += m->state == ENDPOINT_STARTING;
        census.outdated += m->state == ENDPOINT_SERVING && member_is_outdated(c, m);
    }
    return census;
}

static struct told scale_told(unsigned service, const char *action, const char *subject) {
    return (struct told){ .kind = "scale",
                          .action = action,
                          .subject = subject,
                          .service = (int)service,
                          .noticed_ms = NAN };
}

/* ---- one step each ---- */

static struct member *find_warm(struct controller *c, unsigned service) {
    struct member *found = NULL;
    EACH_MEMBER(c, m, service) {
        bool usable =
            m->state == ENDPOINT_WARM && !m->leaving && m->instance->healthy && !is_former(c, m);
        if (usable &&
            (found == NULL || (member_is_outdated(c, found) && !member_is_outdated(c, m)))) {
            found = m;
        }
    }
    return found;
}

static bool promote(struct controller *c, unsigned service, uint32_t wanted) {
    struct member *m = find_warm(c, service);
    if (m == NULL) {
        return false;
    }
    member_move(c, m, ENDPOINT_SERVING, NULL);
    const struct told told = scale_told(service, "promote", m->instance->id);
    tell(c, &told, "%s was warm and is in rotation now: %u are wanted", m->instance->id, wanted);
    return true;
}

/* The one that is missed least: outdated first, then the youngest. */
static struct member *find_surplus(struct controller *c, unsigned service,
                                   enum endpoint_state state) {
    struct member *found = NULL;
    EACH_MEMBER(c, m, service) {
        if (m->state != state || m->leaving || is_former(c, m)) {
            continue;
        }
        bool better = found == NULL ||
                      (member_is_outdated(c, m) && !member_is_outdated(c, found)) ||
                      (member_is_outdated(c, m) == member_is_outdated(c, found) &&
                       m->instance->started_ms > found->instance->started_ms);
        found = better ? m : found;
    }
    return found;
}

static void take_out(struct controller *c, unsigned service, unsigned warm, unsigned spares,
                     uint32_t wanted) {
    struct member *m = find_surplus(c, service, ENDPOINT_SERVING);
    bool keep = warm < spares && !member_is_outdated(c, m);
    const struct told told = scale_told(service, keep ? "demote" : "drain", m->instance->id);
    tell(c, &told,
         keep ? "%s stays warm as a spare: %u are wanted in rotation"
              : "%s finishes what it has and ends: %u are wanted",
         m->instance->id, wanted);
    if (keep) {
        member_move(c, m, ENDPOINT_WARM, NULL);
    } else {
        member_drain(c, m, "fewer are wanted");
    }
}

static bool start_one(struct controller *c, unsigned service, const char *why, uint32_t wanted) {
    struct instance *instance = fleet_start(c->fleet, service);
    if (instance == NULL) {
        return false;
    }
    if (member_add(c, instance) == NULL) {
        fleet_kill(c->fleet, instance);
        return false;
    }
    const struct told told = scale_told(service, "start", instance->id);
    tell(c, &told, "%s is started (process %d): %s, %u wanted", instance->id, (int)instance->pid,
         why, wanted);
    return true;
}

/* ---- all of it ---- */

static void start_missing(struct controller *c, unsigned service, uint32_t wanted,
                          uint32_t spares) {
    const struct controlled *s = &c->services[service];
    struct census now = count(c, service);
    unsigned have = now.serving + now.warm + now.starting, need = wanted + spares;
    /* A new version comes one by one: one more is started, one old one goes when it is ready. */
    unsigned renewing = now.outdated > 0 && now.starting == 0 && have <= need;
    need += renewing;
    while (have < need && now.starting < s->config->instances.starting &&
           fleet_may_start(c->fleet, service)) {
        const char *why = renewing > 0 && have + 1 == need ? "another version is configured"
                          : have < wanted                  ? "more are needed in rotation"
                                                           : "a spare is missing";
        if (!start_one(c, service, why, wanted)) {
            return;
        }
        have++;
        now.starting++;
    }
}

static void drain_spare(struct controller *c, struct member *m, const char *why) {
    const struct told told = scale_told(m->instance->service, "drain", m->instance->id);
    tell(c, &told, "the spare %s ends: %s", m->instance->id, why);
    member_drain(c, m, why);
}

/* A fresh one that is warm takes the place of an outdated one; at last the spares themselves. */
static void renew_one(struct controller *c, unsigned service, uint32_t wanted) {
    struct census now = count(c, service);
    struct member *fresh = find_warm(c, service);
    if (now.serving != wanted || fresh == NULL) {
        return;
    }
    if (now.outdated == 0 && member_is_outdated(c, fresh)) {
        drain_spare(c, fresh, "another version is configured");
    } else if (now.outdated > 0 && !member_is_outdated(c, fresh)) {
        struct member *old = find_surplus(c, service, ENDPOINT_SERVING);
        (void)promote(c, service, wanted);
        const struct told told = scale_told(service, "drain", old->instance->id);
        tell(c, &told, "%s is replaced by %s", old->instance->id, fresh->instance->id);
        member_drain(c, old, "a newer one has its place");
    }
}

static void remove_surplus(struct controller *c, unsigned service, uint32_t wanted,
                           uint32_t spares) {
    struct census now = count(c, service);
    while (now.serving > wanted) {
        take_out(c, service, now.warm, spares, wanted);
        now = count(c, service);
    }
    renew_one(c, service, wanted);
    /* Those that start may fail: spares are given up only when enough are in rotation. */
    now = count(c, service);
    while (now.serving >= wanted && now.warm > spares) {
        drain_spare(c, find_surplus(c, service, ENDPOINT_WARM), "no spare is needed");
        now = count(c, service);
    }
}

/* ---- those of before the fleet's kind was changed ---- */

struct former {
    unsigned all, serving;
};

static struct former count_former(struct controller *c, unsigned service) {
    struct former former = { 0 };
    EACH_MEMBER(c, m, service) {
        bool counts = !m->leaving && is_former(c, m);
        former.all += counts;
        former.serving += counts && m->state == ENDPOINT_SERVING;
    }
    return former;
}

/* Of those that are configured now. Addresses are members from their first good probe on: the
 * fleet knows the others, and of a name that is not found only the configuration. */
static unsigned count_addresses(const struct controller *c, unsigned service) {
    unsigned addresses = 0, named = (unsigned)c->services[service].config->fleet.endpoint_len;
    for (struct instance *i = fleet_first(c->fleet); i != NULL; i = fleet_next(c->fleet, i)) {
        addresses += i->service == service && i->pid == 0 && i->phase != INSTANCE_STOPPING;
    }
    return addresses > named ? addresses : named;
}

/* Nothing fails, so that nobody would notice that what is configured does not come. */
static void tell_former_stay(struct controller *c, unsigned service, unsigned former,
                             unsigned serving, unsigned of) {
    struct controlled *s = &c->services[service];
    const char *what = s->config->fleet.kind == FLEET_STATIC ? "addresses" : "processes";
    if (s->former_told || c->now_us - s->former_since_us < FORMER_TOLD_US) {
        return;
    }
    char evidence[DECISION_EVIDENCE_BYTES];
    snprintf(evidence, sizeof evidence, "{\"former\":%u,\"serving\":%u,\"configured\":%u}", former,
             serving, of);
    struct told told = scale_told(service, "keep", s->name);
    told.evidence = evidence;
    tell(c, &told,
         "%u of before the reload stay in rotation: only %u of the %u %s that should take over "
         "serve",
         former, serving, of, what);
    s->former_told = true;
}

/* Those who have taken over are as many as are wanted; of addresses, half of those that there are:
 * one that is down must not keep the former ones for ever. */
static void drain_former(struct controller *c, unsigned service, uint32_t wanted) {
    struct controlled *s = &c->services[service];
    struct former former = count_former(c, service);
    bool fixed = s->config->fleet.kind == FLEET_STATIC;
    if (former.all == 0) {
        s->former_since_us = 0;
        s->former_told = false;
        return;
    }
    unsigned serving = count(c, service).serving;
    unsigned of = fixed ? count_addresses(c, service) : wanted;
    bool enough = fixed ? serving > 0 && 2 * serving >= of : serving >= of;
    s->former_since_us = s->former_since_us == 0 ? c->now_us : s->former_since_us;
    if (!enough) {
        tell_former_stay(c, service, former.serving, serving, of);
        return;
    }
    EACH_MEMBER(c, m, service) {
        if (!m->leaving && is_former(c, m)) {
            const struct told told = scale_told(service, "drain", m->instance->id);
            tell(c, &told, "%s finishes what it has and ends: the service's instances are %s now",
                 m->instance->id, fixed ? "somebody else's" : "ours");
            member_drain(c, m, "others have its place");
        }
    }
}

void scale_fill(struct controller *c, unsigned service) {
    const struct controlled *s = &c->services[service];
    if (!s->used || s->config->fleet.kind == FLEET_STATIC || c->stopping) {
        return;
    }
    uint32_t wanted = s->decided ? s->foresee.decision.instances : s->config->instances.min;
    unsigned serving = count(c, service).serving;
    while (serving < wanted && promote(c, service, wanted)) {
        serving++;
    }
    start_missing(c, service, wanted, s->config->instances.spares);
}

static void tell_decision(struct controller *c, unsigned service) {
    struct controlled *s = &c->services[service];
    const struct autoscale_decision *d = &s->foresee.decision;
    char sentence[AUTOSCALE_REASON_BYTES], evidence[512];
    if (s->told && d->instances == s->told_instances) {
        return;
    }
    autoscale_explain(d, sentence);
    char forecast[32] = "null", demand[32] = "null", quantile[32] = "null";
    if (isfinite(d->forecast_rps)) {
        snprintf(forecast, sizeof forecast, "%.1f", d->forecast_rps);
    }
    if (isfinite(d->demand_rps)) {
        snprintf(demand, sizeof demand, "%.1f", d->demand_rps);
    }
    if (isfinite(d->quantile)) {
        snprintf(quantile, sizeof quantile, "%.3f", d->quantile);
    }
    snprintf(evidence, sizeof evidence,
             "{\"why\":\"%s\",\"instances\":%u,\"before\":%u,\"demand_rps\":%s,"
             "\"forecast_rps\":%s,\"quantile\":%s,\"instance_capacity_rps\":%.1f,"
             "\"instance_capacity\":\"%s\","
             "\"lead_ms\":%.0f,\"wanted_reactive\":%u,\"wanted_forecast\":%u}",
             autoscale_reason_name(d->reason), d->instances, s->told ? s->told_instances : 0,
             demand, forecast, quantile, d->capacity_rps,
             capacity_source_name(s->foresee.capacity.source), d->lead_ms, d->wanted_reactive,
             d->wanted_forecast);
    struct told told = scale_told(service, "want", s->name);
    told.evidence = evidence;
    tell(c, &told, "%s", sentence);
    s->told = true;
    s->told_instances = d->instances;
}

void scale_service(struct controller *c, unsigned service) {
    struct controlled *s = &c->services[service];
    struct census now = count(c, service);
    if (c->stopping) {
        return;
    }
    uint32_t spares = s->config->instances.spares, pool = now.warm + now.starting;
    uint32_t coming = pool > spares ? pool - spares : 0; /* the rest are spares to be */
    s->foresee.before_serves = now.outdated > 0;
    foresee_decide(&s->foresee, clock_unix_ms(), now.serving,
                   coming < now.starting ? coming : now.starting);
    s->decided = true;
    if (s->config->fleet.kind != FLEET_STATIC) { /* that is as large as it is */
        tell_decision(c, service);
        scale_fill(c, service);
        remove_surplus(c, service, s->foresee.decision.instances, spares);
    }
    drain_former(c, service, s->foresee.decision.instances);
}
