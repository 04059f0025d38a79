/* Hear: what workers did by themselves, within milliseconds, becomes decisions here, with the
 * numbers it came from. An endpoint that goes in and out all the time is told of a few times, then
 * seldom, with how often it was untold: the audit must not drown in it. */
#include <math.h>
#include <stdio.h>

#include "act/control/controller_internal.h"
#include "decide/balance/ejection.h"

#define HEDGE_TOLD_S 60
#define HEAR_BURST 4 /* of one endpoint at once, then one in HEAR_PAUSE_US */
#define HEAR_PAUSE_US 10000000
#define HEAR_ALL_BURST 64 /* of all of them together */
#define HEAR_ALL_PAUSE_US 1000000

/* ---- how often ---- */

static bool has_place(struct told_rate *r, uint32_t burst, uint64_t pause_us, uint64_t now_us) {
    uint64_t free = (now_us - r->since_us) / pause_us;
    if (free > 0) {
        r->told = r->told > free ? r->told - (uint32_t)free : 0;
        r->since_us = now_us;
    }
    return r->told < burst;
}

static bool may_tell(struct controller *c, struct told_rate *r) {
    if (!has_place(r, HEAR_BURST, HEAR_PAUSE_US, c->now_us) ||
        !has_place(&c->heard, HEAR_ALL_BURST, HEAR_ALL_PAUSE_US, c->now_us)) {
        r->untold++;
        return false;
    }
    r->told++;
    c->heard.told++;
    return true;
}

/* ---- in words ---- */

static double ms(uint64_t us) {
    return (double)us / 1000;
}

static void explain_ejection(const struct vitals_event *e, char *text, size_t bytes) {
    switch ((enum ejection_cause)e->cause) {
    case EJECTION_REFUSED:
        snprintf(text, bytes, "it takes no connections");
        break;
    case EJECTION_FAILURES:
        snprintf(text, bytes,
                 "%u answers in a row failed; of its peers' %u of the last second %u did",
                 e->in_a_row, e->peers_answers, e->peers_failures);
        break;
    case EJECTION_ERRORS:
        snprintf(text, bytes, "%u of its %u answers of the last second failed, %u of its peers' %u",
                 e->failures, e->answers, e->peers_failures, e->peers_answers);
        break;
    case EJECTION_SLOW:
        snprintf(text, bytes, "in the last second it took %.1f ms, its peers %.1f ms",
                 ms(e->latency_us), ms(e->peers_latency_us));
        break;
    default:
        snprintf(text, bytes,
                 "it hangs: %u requests await an answer, none has come for %.0f ms; its peers gave "
                 "%u in the last second",
                 e->awaiting, ms(e->silent_us), e->peers_answers);
    }
}

static void explain(const struct vitals_event *e, const char *name, char *text, size_t bytes) {
    char why[256];
    switch ((enum vitals_event_kind)e->kind) {
    case EVENT_EJECTED:
        explain_ejection(e, why, sizeof why);
        snprintf(text, bytes, "%s is left alone for a moment: %s", name, why);
        break;
    case EVENT_RETURNED:
        snprintf(
            text, bytes,
            "%s is back: %d trials in a row were good; it had been left alone for %.1f s (%s), "
            "%u times in a row",
            name, EJECTION_TRIALS, ms(e->at_us - e->happened_us) / 1000,
            ejection_cause_name(e->cause), e->in_a_row);
        break;
    case EVENT_PANIC:
        snprintf(
            text, bytes,
            "%u of %u endpoints are out, and %s looks ill too (%s): no more are left alone, and "
            "those that answer at all are used; what stands behind them may be ill",
            e->out, e->total, name, ejection_cause_name(e->cause));
        break;
    case EVENT_PANIC_OVER:
        snprintf(text, bytes, "%u of %u endpoints are out: they may be left alone again", e->out,
                 e->total);
        break;
    default:
        snprintf(text, bytes,
                 "%s has its whole share: warm after %u answers (%.1f ms in the last second, its "
                 "peers %.1f ms)",
                 name, e->in_a_row, ms(e->latency_us), ms(e->peers_latency_us));
    }
}

static void number_it(const struct vitals_event *e, uint32_t untold, char *text, size_t bytes) {
    snprintf(text, bytes,
             "{\"cause\":\"%s\",\"out\":%u,\"total\":%u,\"answers\":%u,\"failures\":%u,"
             "\"peers_answers\":%u,\"peers_failures\":%u,\"latency_ms\":%.3f,"
             "\"peers_latency_ms\":%.3f,\"awaiting\":%u,\"silent_ms\":%.1f,\"in_a_row\":%u,"
             "\"untold\":%u}",
             ejection_cause_name(e->cause), e->out, e->total, e->answers, e->failures,
             e->peers_answers, e->peers_failures, ms(e->latency_us), ms(e->peers_latency_us),
             e->awaiting, ms(e->silent_us), e->in_a_row, untold);
}

/* ---- from the workers ---- */

static const char *action_of(enum vitals_event_kind kind) {
    static const char *const actions[EVENT_KINDS] = { "eject", "return", "panic", "calm", "warm" };
    return actions[kind];
}

static void hear(struct controller *c, const struct vitals_event *e) {
    char text[DECISION_REASON_BYTES], evidence[DECISION_EVIDENCE_BYTES];
    struct member *m = &c->members[e->endpoint % PLAN_ENDPOINTS_MAX];
    struct controlled *s = &c->services[e->service % PLAN_SERVICES_MAX];
    bool of_service = e->kind == EVENT_PANIC || e->kind == EVENT_PANIC_OVER;
    if (!s->used || e->kind >= EVENT_KINDS || m->instance == NULL ||
        m->generation != e->generation || m->instance->service != e->service) {
        return; /* gone since */
    }
    struct told_rate *rate = of_service ? &s->panics : &m->heard;
    if (!may_tell(c, rate)) {
        return;
    }
    number_it(e, rate->untold, evidence, sizeof evidence);
    rate->untold = 0;
    explain(e, m->instance->id, text, sizeof text);
    const struct told told = {
        .kind = "balance",
        .action = action_of((enum vitals_event_kind)e->kind),
        .subject = of_service ? s->name : m->instance->id,
        .service = e->service,
        .evidence = evidence,
        .noticed_ms = e->kind == EVENT_EJECTED ? ms(e->at_us - e->happened_us) : NAN,
    };
    tell(c, &told, "%s", text);
}

void hear_workers(struct controller *c) {
    struct vitals_event event;
    for (unsigned i = 0; i < c->config.vitals->worker_count; i++) {
        for (unsigned k = 0;
             k < VITALS_EVENTS && vitals_hear(&c->config.vitals->workers[i], &event); k++) {
            hear(c, &event);
        }
    }
}

/* ---- from their counters ---- */

static uint64_t retries_refused(const struct controller *c, unsigned service) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < c->config.vitals->worker_count; i++) {
        sum += vitals_get(&c->config.vitals->workers[i].services[service].retries_refused);
    }
    return sum;
}

static struct hedge_counts hedges(const struct controller *c, unsigned service) {
    struct hedge_counts sum = { 0 };
    for (unsigned i = 0; i < c->config.vitals->worker_count; i++) {
        const struct vitals_service *v = &c->config.vitals->workers[i].services[service];
        sum.sent += vitals_get(&v->hedges_sent);
        sum.won += vitals_get(&v->hedges_won);
        sum.lost += vitals_get(&v->hedges_lost);
    }
    return sum;
}

/* Each is a decision, but thousands of them are one: what a minute of them was worth. */
static void tell_hedges(struct controller *c, unsigned service) {
    struct controlled *s = &c->services[service];
    struct hedge_counts now = hedges(c, service), before = s->hedges;
    s->hedges = now;
    if (now.sent <= before.sent) {
        return; /* none, or the counters began anew */
    }
    unsigned long long sent = now.sent - before.sent, won = now.won - before.won,
                       lost = now.lost - before.lost;
    char evidence[120];
    snprintf(evidence, sizeof evidence, "{\"sent\":%llu,\"won\":%llu,\"lost\":%llu}", sent, won,
             lost);
    const struct told told = {
        .kind = "balance",
        .action = "hedge",
        .subject = s->name,
        .service = (int)service,
        .evidence = evidence,
        .noticed_ms = NAN,
    };
    tell(c, &told,
         "%llu reads were slow and sent to another instance as well in the last minute: %llu were "
         "answered there, %llu by the first one after all",
         sent, won, lost);
}

void hear_second(struct controller *c) {
    bool minute = ++c->seconds_heard % HEDGE_TOLD_S == 0;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (minute && c->services[i].used) {
            tell_hedges(c, i);
        }
        struct controlled *s = &c->services[i];
        uint64_t refused = s->used ? retries_refused(c, i) : 0;
        uint64_t more = refused > s->retries_refused ? refused - s->retries_refused : 0;
        s->retries_refused = refused;
        if (!s->used || !s->has_second || more == 0 || !may_tell(c, &s->refusals)) {
            continue;
        }
        char evidence[160];
        snprintf(evidence, sizeof evidence,
                 "{\"refused\":%llu,\"retries_rps\":%.1f,\"offered_rps\":%.1f,\"untold\":%u}",
                 (unsigned long long)more, s->second.retries_rps, s->second.offered_rps,
                 s->refusals.untold);
        s->refusals.untold = 0;
        const struct told told = {
            .kind = "balance",
            .action = "refuse_retries",
            .subject = s->name,
            .service = (int)i,
            .evidence = evidence,
            .noticed_ms = NAN,
        };
        tell(c, &told,
             "%llu retries were refused in the last second: more would only add to what already "
             "fails",
             (unsigned long long)more);
    }
}
