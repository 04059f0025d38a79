#include "decide/remediation/remedy.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "decide/anomaly/peers.h"

#define HANG_LEAST_MS 500
#define SLOW_DISTANCE_LEAST_MS 100
#define HANG_EJECTIONS_LEAST 3 /* two trials have gone unanswered */

struct remedy_policy remedy_policy_for(uint32_t objective_ms) {
    uint32_t twice = objective_ms < UINT32_MAX / 2 ? 2 * objective_ms : UINT32_MAX;
    return (struct remedy_policy){
        .hang_ms = twice > HANG_LEAST_MS ? twice : HANG_LEAST_MS,
        .hang_least = 3,
        .hang_peers_least = 5,
        .errors_least = 10,
        .error_ratio = 0.5,
        .slow_ratio = 3,
        .slow_distance_ms =
            objective_ms / 2 > SLOW_DISTANCE_LEAST_MS ? objective_ms / 2 : SLOW_DISTANCE_LEAST_MS,
        .slow_answers_least = 5,
        .slow_for_ms = 2000,
        .errors_for_ms = 2000,
        .blast_ratio = 0.34,
    };
}

const char *finding_name(enum finding finding) {
    static const char *const names[] = { "none", "crashed", "unhealthy", "hung", "errors", "slow" };
    return names[finding];
}

static double error_ratio(const struct remedy_evidence *e) {
    uint64_t failed = e->failures + e->status_5xx, all = e->answers + e->failures;
    return all == 0 ? NAN : (double)failed / (double)all;
}

/* Among the answers of all others together. */
static double peers_error_ratio(const struct remedy_evidence *evidence, size_t count,
                                size_t index) {
    uint64_t failed = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        if (i != index) {
            failed += evidence[i].failures + evidence[i].status_5xx;
            all += evidence[i].answers + evidence[i].failures;
        }
    }
    return all == 0 ? NAN : (double)failed / (double)all;
}

bool remedy_is_slow(const struct remedy_policy *policy, const struct remedy_evidence *evidence,
                    size_t count, size_t index) {
    double values[REMEDY_ENDPOINTS_MAX], room[REMEDY_ENDPOINTS_MAX];
    struct peers_tolerance tolerance = { policy->slow_ratio, policy->slow_distance_ms };
    assert(count <= REMEDY_ENDPOINTS_MAX);
    for (size_t i = 0; i < count; i++) {
        bool known = evidence[i].answers >= policy->slow_answers_least;
        values[i] = known ? evidence[i].latency_ms_p50 : NAN;
    }
    return peers_compare(values, count, index, tolerance, room).outlier;
}

static uint64_t peers_answers(const struct remedy_evidence *evidence, size_t count, size_t index) {
    uint64_t answers = 0;
    for (size_t i = 0; i < count; i++) {
        answers += i != index ? evidence[i].answers : 0;
    }
    return answers;
}

/* One without peers, and one that is asked seldom, is judged by its probes: a page that takes a
 * second, a long poll or a database that stands still must not cost a service its instances. */
static bool is_hung(const struct remedy_policy *policy, const struct remedy_evidence *evidence,
                    size_t count, size_t index) {
    const struct remedy_evidence *e = &evidence[index];
    return e->answers == 0 && e->awaiting >= policy->hang_least &&
           e->oldest_age_ms >= policy->hang_ms && e->window_ms >= policy->hang_ms &&
           peers_answers(evidence, count, index) >= policy->hang_peers_least;
}

static bool has_error_burst(const struct remedy_policy *policy,
                            const struct remedy_evidence *evidence, size_t count, size_t index) {
    const struct remedy_evidence *e = &evidence[index];
    double peers = peers_error_ratio(evidence, count, index);
    return e->failures + e->status_5xx >= policy->errors_least &&
           error_ratio(e) >= policy->error_ratio && peers < policy->error_ratio / 2;
}

/* The workers have found it out long before, and keep finding it so: that is an illness. */
static enum finding find_left_alone(const struct remedy_policy *policy,
                                    const struct remedy_evidence *e) {
    switch (e->left_alone) {
    case EJECTION_HUNG:
        return e->left_alone_ms >= policy->hang_ms && e->left_alone_times >= HANG_EJECTIONS_LEAST
                   ? FINDING_HUNG
                   : FINDING_NONE;
    case EJECTION_FAILURES:
    case EJECTION_ERRORS:
        return e->left_alone_ms >= policy->errors_for_ms ? FINDING_ERRORS : FINDING_NONE;
    case EJECTION_SLOW:
        return e->left_alone_ms >= policy->slow_for_ms &&
                       e->left_alone_latency_ms >= policy->slow_distance_ms
                   ? FINDING_SLOW
                   : FINDING_NONE;
    default: /* one that takes no connections fails its probes too */
        return FINDING_NONE;
    }
}

static enum finding find(const struct remedy_policy *policy, const struct remedy_evidence *evidence,
                         size_t count, size_t index) {
    const struct remedy_evidence *e = &evidence[index];
    if (e->crashed) {
        return FINDING_CRASHED;
    }
    if (e->unhealthy) {
        return FINDING_UNHEALTHY;
    }
    if (e->fixed) {
        return FINDING_NONE;
    }
    if (is_hung(policy, evidence, count, index)) {
        return FINDING_HUNG;
    }
    if (has_error_burst(policy, evidence, count, index)) {
        return FINDING_ERRORS;
    }
    return e->slow_since_ms >= policy->slow_for_ms ? FINDING_SLOW : find_left_alone(policy, e);
}

static bool explain_left_alone(const struct remedy_policy *policy, const struct remedy_evidence *e,
                               struct remedy *r) {
    if (find_left_alone(policy, e) != r->finding || r->finding == FINDING_NONE) {
        return false;
    }
    const char *what = r->finding == FINDING_HUNG     ? "it hangs"
                       : r->finding == FINDING_ERRORS ? "it answers with errors"
                                                      : "it is far slower than its peers";
    snprintf(r->reason, sizeof r->reason,
             "%s: it has been left alone for %u ms, and none of %u tries was good", what,
             e->left_alone_ms, e->left_alone_times - 1);
    return true;
}

static void explain(const struct remedy_policy *policy, const struct remedy_evidence *e,
                    struct remedy *r) {
    if (explain_left_alone(policy, e, r)) {
        return;
    }
    switch (r->finding) {
    case FINDING_NONE:
        r->reason[0] = '\0';
        break;
    case FINDING_CRASHED:
        snprintf(r->reason, sizeof r->reason, "its process ended by itself");
        break;
    case FINDING_UNHEALTHY:
        snprintf(r->reason, sizeof r->reason, "it fails its health probes");
        break;
    case FINDING_HUNG:
        snprintf(
            r->reason, sizeof r->reason,
            "it hangs: %u requests await an answer, the oldest for %u ms, none came for %u ms, "
            "its peers answer",
            e->awaiting, e->oldest_age_ms, e->window_ms);
        break;
    case FINDING_ERRORS:
        snprintf(r->reason, sizeof r->reason,
                 "%.0f %% of its %llu answers of the last %u ms are errors, its peers' are not",
                 100 * error_ratio(e), (unsigned long long)e->answers + e->failures, e->window_ms);
        break;
    default:
        snprintf(r->reason, sizeof r->reason,
                 "its median latency of %.0f ms has been more than %.0f times its peers' for %u ms",
                 e->latency_ms_p50, policy->slow_ratio, e->slow_since_ms);
    }
}

void remedy_decide(const struct remedy_policy *policy, const struct remedy_evidence *evidence,
                   size_t count, size_t ejected, struct remedy *remedies) {
    size_t allowed = (size_t)(policy->blast_ratio * (double)(count + ejected));
    size_t ill = 0;
    allowed = allowed > 0 ? allowed : 1;
    for (size_t i = 0; i < count; i++) {
        remedies[i] = (struct remedy){ .finding = find(policy, evidence, count, i) };
        explain(policy, &evidence[i], &remedies[i]);
        ill += remedies[i].finding != FINDING_NONE && remedies[i].finding != FINDING_CRASHED;
    }
    /* Most of them at the same time: what they have in common is ill. One alone is not "most". */
    bool common_cause = ill > 1 && 2 * ill > count;
    size_t out = ejected;
    for (size_t i = 0; i < count; i++) {
        struct remedy *r = &remedies[i];
        if (r->finding == FINDING_NONE) {
            continue;
        }
        r->eject = r->finding == FINDING_CRASHED || (!common_cause && out < allowed);
        r->held_back = !r->eject;
        out += r->eject && r->finding != FINDING_CRASHED;
    }
}
