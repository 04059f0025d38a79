/* Checks: what requests and probes have to say to each other. Requests that fail make probes come
 * quickly; a probe that connects ends a worker's ejection for a refused connection; what probes
 * find is told as decisions. */
#include <math.h>
#include <stdio.h>

#include "act/control/controller_internal.h"

#define TOLD_LEAST_US 1000000 /* one that flaps is told of once a second, with how often */
#define SUSPECT_SHARE 10      /* a tenth of its answers failed */

/* Workers have ejected it since we looked last. */
static bool was_ejected(struct controller *c, struct member *m) {
    const struct vitals_shared_endpoint *shared = &c->config.vitals->shared[member_slot(c, m)];
    if (atomic_load(&shared->generation) != m->generation) {
        return false;
    }
    uint64_t until_us = atomic_load(&shared->ejected_until_us);
    bool again = until_us > m->ejected_until_us && until_us > c->now_us;
    m->ejected_until_us = until_us;
    return again;
}

static bool is_suspicious(const struct controlled *s, const struct remedy_evidence *e) {
    uint64_t failed = e->failures + e->status_5xx;
    bool fails = failed > 0 && failed * SUSPECT_SHARE >= e->answers;
    bool hangs = e->awaiting > 0 && e->answers == 0 && e->oldest_age_ms * 2 >= s->remedy.hang_ms;
    return fails || hangs;
}

void checks_hear(struct controller *c, struct member *m, const struct remedy_evidence *e) {
    bool ejected = was_ejected(c, m);
    enum fleet_evidence evidence = FLEET_SILENT;
    if (ejected || is_suspicious(&c->services[m->instance->service], e)) {
        evidence = FLEET_SUSPECT;
    } else if (e->answers > 0) {
        evidence = FLEET_VOUCHED;
    }
    fleet_hear(c->fleet, m->instance, evidence, ejected);
}

/* Only connections were refused lately: a probe that has just connected knows better. Errors in
 * answers are another matter, which a health path may well not see. */
static bool was_only_refused(const struct controller *c, const struct member *m) {
    static struct endpoint_reading now;
    sense_read_endpoint(c->config.vitals, member_slot(c, m), m->generation, &now);
    return m->before_us != 0 && m->before.generation == m->generation &&
           now.connect_failures > m->before.connect_failures &&
           now.failures == m->before.failures && now.status_5xx == m->before.status_5xx;
}

void checks_probed(struct controller *c, struct member *m, bool well) {
    struct vitals_shared_endpoint *shared = &c->config.vitals->shared[member_slot(c, m)];
    uint64_t until_us = atomic_load(&shared->ejected_until_us);
    if (well && m->state == ENDPOINT_SERVING && until_us > c->now_us &&
        atomic_load(&shared->generation) == m->generation && was_only_refused(c, m)) {
        /* A newer ejection stands. */
        if (atomic_compare_exchange_strong(&shared->ejected_until_us, &until_us, c->now_us)) {
            log_info("ejection_ended", "instance=%s reason=probe_connected early_ms=%llu",
                     m->instance->id, (unsigned long long)((until_us - c->now_us) / 1000));
        }
    }
}

/* ---- decisions ---- */

static void tell_state_change(struct controller *c, struct member *m) {
    const struct instance *i = m->instance;
    char evidence[256];
    snprintf(evidence, sizeof evidence,
             "{\"result\":\"%s\",\"probe_ms\":%.1f,\"probes_failed\":%u,\"probes_passed\":%u,"
             "\"changes\":%u}",
             probe_result_name(i->probe_result), i->probe_ms, i->probes_failed, i->probes_passed,
             m->check_changes);
    const struct told told = { .kind = "check",
                               .action = i->healthy ? "up" : "down",
                               .subject = i->id,
                               .service = (int)i->service,
                               .noticed_ms = NAN,
                               .evidence = evidence };
    if (i->healthy) {
        tell(c, &told, "%s is well: %u good probes in a row", i->id, i->probes_passed);
    } else {
        tell(c, &told, "%s fails its health probes, %u in a row: %s", i->id, i->probes_failed,
             i->health_note);
    }
    m->check_told_us = c->now_us;
    m->check_changes = 0;
}

static bool may_tell(const struct controller *c, const struct member *m) {
    return m->check_told_us == 0 || c->now_us - m->check_told_us >= TOLD_LEAST_US;
}

void checks_changed(struct controller *c, struct member *m) {
    m->check_changes++;
    if (may_tell(c, m)) {
        tell_state_change(c, m);
    }
}

void checks_tick(struct controller *c) {
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        struct member *m = &c->members[i];
        if (m->instance != NULL && m->check_changes > 0 && may_tell(c, m)) {
            tell_state_change(c, m);
        }
    }
}
