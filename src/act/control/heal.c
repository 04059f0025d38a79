/* Heal: what decide/remediation finds ill goes out of rotation at once, a spare takes its place,
 * and a new one is started. Each is a decision; the fault is over when every worker has the plan in
 * which the spare stands. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"

#define ACK_PATIENCE_US 2000000

/* ---- faults ---- */

static void open_fault(struct controller *c, int64_t decision_id, unsigned service,
                       uint64_t happened_us) {
    for (unsigned i = 0; i < FAULTS_MAX; i++) {
        if (c->faults[i].decision_id == 0) {
            c->faults[i] = (struct fault){ .decision_id = decision_id,
                                           .service = service,
                                           .happened_us = happened_us,
                                           .noticed_us = c->now_us };
            return;
        }
    }
}

static void close_fault(struct controller *c, struct fault *f, uint64_t now_us) {
    double noticed_ms = (double)(f->noticed_us - f->happened_us) / 1000;
    double healed_ms = (double)(now_us - f->happened_us) / 1000;
    if (f->decision_id > 0 && c->store != NULL) {
        store_append_healed(c->store, f->decision_id, noticed_ms, healed_ms);
    }
    api_healed(c->api, f->decision_id, noticed_ms, healed_ms);
    *f = (struct fault){ 0 };
}

/* Follows the newest plan through the workers. */
void faults_tick(struct controller *c) {
    uint64_t now_us = clock_monotonic_us(), in_use = planner_version_in_use(c);
    uint64_t newest = plan_version(c->config.plans);
    bool waiting = false;
    for (unsigned i = 0; i < FAULTS_MAX; i++) {
        struct fault *f = &c->faults[i];
        if (f->decision_id == 0) {
            continue;
        }
        if (f->plan_version == 0 && !c->plan_dirty) {
            f->plan_version = newest;
        }
        if (f->plan_version != 0 && in_use >= f->plan_version) {
            close_fault(c, f, now_us);
        } else if (now_us - f->noticed_us > ACK_PATIENCE_US) {
            *f = (struct fault){ 0 }; /* a worker is stuck: what healed when is not known */
        } else {
            waiting = true;
        }
    }
    if (waiting) {
        planner_follow(c);
    }
}

/* ---- out of rotation, and a spare in ---- */

static struct member *find_spare(struct controller *c, unsigned service) {
    EACH_MEMBER(c, m, service) {
        if (m->state == ENDPOINT_WARM && !m->leaving && m->instance->healthy) {
            return m;
        }
    }
    return NULL;
}

static void replace(struct controller *c, unsigned service, const char *ill, uint64_t happened_us) {
    struct member *spare = find_spare(c, service);
    if (spare == NULL) {
        return;
    }
    member_move(c, spare, ENDPOINT_SERVING, NULL);
    const struct told told = {
        .kind = "heal",
        .action = "promote",
        .subject = spare->instance->id,
        .service = (int)service,
        .noticed_ms = (double)(c->now_us - happened_us) / 1000,
    };
    int64_t id = tell(c, &told, "%s takes the place of %s: it was warm", spare->instance->id, ill);
    open_fault(c, id, service, happened_us);
}

static int64_t tell_ill(struct controller *c, const struct member *m, enum finding finding,
                        const char *action, const char *reason, uint64_t happened_us) {
    char evidence[160];
    snprintf(evidence, sizeof evidence,
             "{\"finding\":\"%s\",\"in_flight\":%u,\"requests_rps\":%.1f,\"errors_rps\":%.1f}",
             finding_name(finding),
             vitals_endpoint_in_flight(c->config.vitals, member_slot(c, m), m->generation),
             m->requests_rps, m->errors_rps);
    const struct told told = {
        .kind = "heal",
        .action = action,
        .subject = m->instance->id,
        .service = (int)m->instance->service,
        .evidence = evidence,
        .noticed_ms = (double)(c->now_us - happened_us) / 1000,
    };
    return tell(c, &told, "%s: %s", m->instance->id, reason);
}

static void eject(struct controller *c, struct member *m, const struct remedy *remedy,
                  uint64_t happened_us) {
    unsigned service = m->instance->service;
    bool ours = m->instance->pid != 0;
    int64_t id = tell_ill(c, m, remedy->finding, "eject", remedy->reason, happened_us);
    open_fault(c, id, service, happened_us);
    member_move(c, m, ENDPOINT_EJECTED, remedy->reason);
    replace(c, service, m->instance->id, happened_us);
    m->leaving = ours; /* a static one may come back: nobody replaces it */
    m->finding = remedy->finding;
    planner_publish(c); /* at once: workers rescue what waits there */
    scale_fill(c, service);
}

/* What is out of rotation for good finishes what it has, if it can, and ends. */
static void dispose(struct controller *c, struct member *m) {
    uint64_t since_us = c->now_us - m->state_since_us;
    bool idle = vitals_endpoint_in_flight(c->config.vitals, member_slot(c, m), m->generation) == 0;
    bool hung = m->finding == FINDING_HUNG; /* TERM comes with CONT: it may yet answer */
    if (m->instance->phase != INSTANCE_STOPPING &&
        (hung || (idle && since_us >= MEMBER_DRAIN_LEAST_US) || since_us >= MEMBER_RETURN_US)) {
        fleet_stop(c->fleet, m->instance);
    }
}

static void bring_back(struct controller *c, struct member *m) {
    /* Whose illness only probes have seen is well when they say so: `rise` is their patience. */
    bool patient =
        m->finding == FINDING_UNHEALTHY || c->now_us - m->state_since_us >= MEMBER_RETURN_US;
    if (m->instance->healthy && patient) {
        member_move(c, m, ENDPOINT_SERVING, NULL);
        const struct told told = { .kind = "heal",
                                   .action = "return",
                                   .subject = m->instance->id,
                                   .service = (int)m->instance->service,
                                   .noticed_ms = NAN };
        tell(c, &told, "%s is healthy again and back in rotation", m->instance->id);
    }
}

/* ---- finding what is ill ---- */

static void gather(struct controller *c, struct member *m, struct remedy_evidence *e) {
    static struct endpoint_reading now;
    struct endpoint_window window;
    unsigned slot = member_slot(c, m);
    sense_read_endpoint(c->config.vitals, slot, m->generation, &now);
    if (m->before_us == 0 || m->before.generation != m->generation) {
        m->before = m->between = now;
        m->before_us = m->between_us = c->now_us;
    } else if (c->now_us - m->between_us >= MEMBER_WINDOW_US) {
        m->before = m->between;
        m->before_us = m->between_us;
        m->between = now;
        m->between_us = c->now_us;
    }
    sense_endpoint(c->config.vitals, slot, m->generation, &m->before, &now, c->now_us, &window);
    *e = (struct remedy_evidence){
        .unhealthy = m->instance->phase == INSTANCE_READY && !m->instance->healthy,
        .window_ms = (uint32_t)((c->now_us - m->before_us) / 1000),
        .awaiting = window.awaiting,
        .oldest_age_ms = window.oldest_age_ms,
        .answers = window.answers,
        .failures = window.failures,
        .status_5xx = window.status_5xx,
        .latency_ms_p50 = window.answers > 0 ? window.latency_us_p50 / 1000.0 : NAN,
    };
}

static void follow_slowness(struct controller *c, const struct controlled *s,
                            struct member *const *members, struct remedy_evidence *evidence,
                            size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!remedy_is_slow(&s->remedy, evidence, count, i)) {
            members[i]->slow_since_us = 0;
        } else if (members[i]->slow_since_us == 0) {
            members[i]->slow_since_us = c->now_us;
        } else {
            evidence[i].slow_since_ms = (uint32_t)((c->now_us - members[i]->slow_since_us) / 1000);
        }
    }
}

static void hold_back(struct controller *c, struct member *m, const struct remedy *remedy) {
    if (m->note[0] == '\0') { /* told once, as long as it lasts */
        snprintf(m->note, sizeof m->note, "%.200s; kept: too many look ill", remedy->reason);
        (void)tell_ill(c, m, remedy->finding, "keep", m->note, c->now_us);
    }
}

static uint64_t happened_us(const struct controller *c, const struct remedy *remedy,
                            const struct remedy_evidence *e) {
    uint64_t ago_ms = remedy->finding == FINDING_HUNG     ? e->oldest_age_ms
                      : remedy->finding == FINDING_SLOW   ? e->slow_since_ms
                      : remedy->finding == FINDING_ERRORS ? e->window_ms
                                                          : 0;
    return c->now_us - ago_ms * 1000;
}

static void heal_service(struct controller *c, unsigned service) {
    static struct member *members[REMEDY_ENDPOINTS_MAX];
    static struct remedy_evidence evidence[REMEDY_ENDPOINTS_MAX];
    static struct remedy remedies[REMEDY_ENDPOINTS_MAX];
    size_t count = 0, ejected = 0;
    EACH_MEMBER(c, m, service) {
        if (m->state == ENDPOINT_SERVING && !m->leaving && count < REMEDY_ENDPOINTS_MAX) {
            gather(c, m, &evidence[count]);
            checks_hear(c, m, &evidence[count]);
            members[count++] = m;
        } else if (m->state == ENDPOINT_EJECTED) {
            ejected += m->instance->phase != INSTANCE_STOPPING;
            if (m->leaving) {
                dispose(c, m);
            } else {
                bring_back(c, m);
            }
        }
    }
    follow_slowness(c, &c->services[service], members, evidence, count);
    remedy_decide(&c->services[service].remedy, evidence, count, ejected, remedies);
    for (size_t i = 0; i < count; i++) {
        if (remedies[i].eject) {
            if (remedies[i].finding == FINDING_UNHEALTHY) {
                snprintf(remedies[i].reason, sizeof remedies[i].reason,
                         "it fails its health probes: %s", members[i]->instance->health_note);
            }
            eject(c, members[i], &remedies[i], happened_us(c, &remedies[i], &evidence[i]));
        } else if (remedies[i].held_back) {
            hold_back(c, members[i], &remedies[i]);
        } else if (members[i]->note[0] != '\0') {
            members[i]->note[0] = '\0';
        }
    }
}

void heal_tick(struct controller *c) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (c->services[i].used && !c->stopping) {
            heal_service(c, i);
        }
    }
}

/* A probe says that it is ill, or well again: looked at now, not at the next tick. */
void heal_health(struct controller *c, struct member *m) {
    if (m->state == ENDPOINT_WARM && !m->instance->healthy && m->instance->pid != 0) {
        struct remedy remedy = { .finding = FINDING_UNHEALTHY, .eject = true };
        snprintf(remedy.reason, sizeof remedy.reason, "this spare fails its health probes: %s",
                 m->instance->health_note);
        (void)tell_ill(c, m, remedy.finding, "eject", remedy.reason, c->now_us);
        m->leaving = true;
        member_move(c, m, ENDPOINT_EJECTED, remedy.reason);
        scale_fill(c, m->instance->service);
    } else if (!c->stopping) {
        heal_service(c, m->instance->service);
    }
}

void heal_crashed(struct controller *c, struct member *m, int status) {
    unsigned service = m->instance->service;
    bool in_rotation = m->state == ENDPOINT_SERVING;
    char id[PLAN_NAME_BYTES], reason[REMEDY_REASON_BYTES];
    memcpy(id, m->instance->id, sizeof id);
    if (status == -1) {
        snprintf(reason, sizeof reason, "its process ended by itself");
    } else if (WIFSIGNALED(status)) {
        snprintf(reason, sizeof reason, "its process was ended by signal %d", WTERMSIG(status));
    } else {
        snprintf(reason, sizeof reason, "its process ended by itself with status %d",
                 WEXITSTATUS(status));
    }
    int64_t decision = tell_ill(c, m, FINDING_CRASHED, "eject", reason, c->now_us);
    member_remove(c, m);
    if (in_rotation) {
        open_fault(c, decision, service, c->now_us);
        replace(c, service, id, c->now_us);
    }
    planner_publish(c);
    scale_fill(c, service);
}
