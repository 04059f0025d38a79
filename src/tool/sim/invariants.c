#include "tool/sim/invariants.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WARM_SHARE 0.8
#define LONG_AGO INT64_C(-1000000000)

void invariants_init(struct invariants *v, const struct autoscale_policy *policy) {
    *v = (struct invariants){ .policy = policy, .grown_s = LONG_AGO, .disturbed_s = LONG_AGO };
}

__attribute__((format(printf, 3, 4))) static bool broken(struct invariants *v, const char *name,
                                                         const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    v->broken = name;
    vsnprintf(v->text, sizeof v->text, format, arguments);
    va_end(arguments);
    return false;
}

static uint32_t running(const struct invariants_moment *m) {
    return m->serving + m->starting;
}

static bool within_bounds(struct invariants *v, const struct invariants_moment *m) {
    uint32_t wanted = m->decision.instances;
    return (wanted >= v->policy->instances_min && wanted <= v->policy->instances_max) ||
           broken(v, "max", "%u wanted, %u to %u are allowed", wanted, v->policy->instances_min,
                  v->policy->instances_max);
}

/* More may run than is allowed, since the maximum was lowered; those may go at any time. */
static bool takes_away(const struct invariants *v, const struct invariants_moment *m) {
    return m->decision.instances < running(m) && m->decision.instances < v->policy->instances_max;
}

static bool keeps(struct invariants *v, const struct invariants_moment *m) {
    int64_t window_s = v->policy->down_stabilisation_ms / 1000;
    if (!takes_away(v, m)) {
        return true;
    }
    if (m->blind) {
        return broken(v, "blind", "%u wanted of %u that run, and nothing is known",
                      m->decision.instances, running(m));
    }
    if (m->at_s - v->disturbed_s < window_s) {
        return broken(v, "disturbed", "%u wanted of %u that run, %lld s after a disturbance",
                      m->decision.instances, running(m), (long long)(m->at_s - v->disturbed_s));
    }
    return m->at_s - v->grown_s >= window_s ||
           broken(v, "flapping", "%u wanted of %u that run, %lld s after more were wanted",
                  m->decision.instances, running(m), (long long)(m->at_s - v->grown_s));
}

static bool catches(struct invariants *v, const struct invariants_moment *m) {
    double with_headroom = m->demand_rps * (1 + v->policy->headroom_ratio);
    double needed = ceil(with_headroom / m->decision.capacity_rps - 1e-6);
    return isnan(m->demand_rps) ||
           m->decision.instances >= fmin(needed, v->policy->instances_max) ||
           broken(v, "net", "%u wanted, %.1f rps need %.0f", m->decision.instances, m->demand_rps,
                  needed);
}

/* What demand is without the campaign is forecast, too: it may be off by a fifth. */
static bool meets_warm(struct invariants *v, const struct invariants_moment *m) {
    double needed = ceil(m->announced_rps * WARM_SHARE / m->decision.capacity_rps - 1e-6);
    return isnan(m->announced_rps) ||
           m->decision.instances >= fmin(needed, v->policy->instances_max) ||
           broken(v, "warm", "%u wanted, %.1f rps were announced and need %.0f",
                  m->decision.instances, m->announced_rps, needed);
}

static bool reason_fits(const struct invariants *v, const struct invariants_moment *m) {
    const struct autoscale_decision *d = &m->decision;
    uint32_t wanted =
        d->wanted_forecast > d->wanted_reactive ? d->wanted_forecast : d->wanted_reactive;
    switch (d->reason) {
    case AUTOSCALE_STEADY:
        return d->instances == running(m) && d->instances >= wanted;
    case AUTOSCALE_DEMAND:
        return d->instances > running(m) && d->wanted_reactive >= d->wanted_forecast;
    case AUTOSCALE_CAMPAIGN:
    case AUTOSCALE_FORECAST:
        return d->wanted_forecast > d->wanted_reactive && d->instances >= d->wanted_forecast &&
               (d->campaign != NULL) == (d->reason == AUTOSCALE_CAMPAIGN);
    case AUTOSCALE_HOLDING:
        return d->instances > wanted;
    case AUTOSCALE_SHRINK:
        return d->instances < running(m);
    case AUTOSCALE_BLIND:
        return m->blind && d->instances > wanted;
    case AUTOSCALE_AT_MIN:
        return d->instances == v->policy->instances_min && wanted <= d->instances;
    case AUTOSCALE_AT_MAX:
    case AUTOSCALE_AT_BUDGET:
        return d->instances == v->policy->instances_max && wanted > d->instances &&
               v->policy->budgeted == (d->reason == AUTOSCALE_AT_BUDGET);
    case AUTOSCALE_REASONS:
        break;
    }
    return false;
}

static const char *note(struct invariants *v, const struct invariants_moment *m) {
    struct invariants_note *n = &v->last[v->noted++ % INVARIANTS_LAST];
    n->at_s = m->at_s;
    n->serving = m->serving;
    n->starting = m->starting;
    n->reason = m->decision.reason;
    autoscale_explain(&m->decision, n->sentence);
    return n->sentence;
}

static bool explains(struct invariants *v, const struct invariants_moment *m) {
    char number[16];
    const char *sentence = note(v, m);
    int len = snprintf(number, sizeof number, "%u ", m->decision.instances);
    bool says = strncmp(sentence, number, (size_t)len) == 0 && strstr(sentence, "nan") == NULL;
    return (says && reason_fits(v, m)) ||
           broken(v, "reason", "%s, but %u run, demand wants %u and the forecast %u: %.120s",
                  autoscale_reason_name(m->decision.reason), running(m),
                  m->decision.wanted_reactive, m->decision.wanted_forecast, sentence);
}

bool invariants_check(struct invariants *v, const struct invariants_moment *m) {
    bool changed = m->decision.instances != v->instances;
    if (m->disturbed) {
        v->disturbed_s = m->at_s;
    }
    bool explained = !changed || explains(v, m);
    bool holds = within_bounds(v, m) && keeps(v, m) && catches(v, m) && meets_warm(v, m);
    holds = holds && explained;
    if (m->decision.instances > v->instances) {
        v->grown_s = m->at_s;
    }
    v->instances = m->decision.instances;
    return holds;
}
