#include "decide/balance/ejection.h"

#include <math.h>

/* A prior of ten answers that makes five failures in a row one in 10^6. */
#define PRIOR_ANSWERS 10.0
#define PRIOR_FAILURES 0.63
#define CHANCE 1e-6

enum ejection_state ejection_state(const struct ejection *e, uint64_t now_us) {
    return e->until_us == 0       ? EJECTION_IN
           : e->until_us > now_us ? EJECTION_OUT
                                  : EJECTION_ON_PROBATION;
}

bool ejection_is_certain(enum ejection_cause cause) {
    return cause == EJECTION_REFUSED || cause == EJECTION_HUNG;
}

const char *ejection_cause_name(enum ejection_cause cause) {
    static const char *const names[EJECTION_CAUSES] = {
        "none", "refused", "failures", "errors", "slow", "hung",
    };
    return (unsigned)cause < EJECTION_CAUSES ? names[cause] : "unknown";
}

uint32_t ejection_failures_needed(const struct ejection_peers *peers) {
    double ratio = (peers->failures + PRIOR_FAILURES) / (peers->answers + PRIOR_ANSWERS);
    double needed = ratio < 1 ? ceil(log(CHANCE) / log(ratio) - 1e-9) : EJECTION_FAILURES_MOST;
    return (uint32_t)fmin(fmax(needed, EJECTION_FAILURES_LEAST), EJECTION_FAILURES_MOST);
}

static bool may_eject(enum ejection_cause cause, const struct ejection_peers *peers) {
    bool slow = cause == EJECTION_SLOW;
    double most = peers->total * (slow ? EJECTION_SLOW_RATIO_MAX : EJECTION_RATIO_MAX);
    return peers->total > (slow ? 2u : 1u) && (peers->out == 0 || peers->out + 1 <= most);
}

static uint64_t duration_us(enum ejection_cause cause, uint32_t ejections) {
    uint64_t most_us = cause == EJECTION_HUNG   ? EJECTION_HUNG_MAX_US
                       : cause == EJECTION_SLOW ? EJECTION_SLOW_MAX_US
                                                : EJECTION_MAX_US;
    uint64_t us = EJECTION_FIRST_US;
    while (ejections-- > 0 && us < most_us) {
        us *= 2;
    }
    return us < most_us ? us : most_us;
}

static void put_out(struct ejection *e, enum ejection_cause cause, uint64_t now_us) {
    e->cause = cause;
    e->until_us = now_us + duration_us(cause, e->ejections);
    e->ejections++;
    e->connect_failures = e->failures = e->passed = 0;
}

enum ejection_change ejection_eject(struct ejection *e, enum ejection_cause cause,
                                    const struct ejection_peers *peers, uint64_t now_us) {
    switch (ejection_state(e, now_us)) {
    case EJECTION_OUT:
        return EJECTION_UNCHANGED; /* when many fail at one moment it is one ejection */
    case EJECTION_ON_PROBATION:
        put_out(e, cause, now_us);
        return EJECTION_AGAIN;
    default:
        break;
    }
    if (!may_eject(cause, peers)) {
        return peers->total > 1 ? EJECTION_HELD_BACK : EJECTION_UNCHANGED;
    }
    if (now_us - e->changed_us > EJECTION_FORGET_US) {
        e->ejections = 0;
    }
    e->changed_us = now_us;
    put_out(e, cause, now_us);
    return EJECTION_BEGAN;
}

static enum ejection_change succeed(struct ejection *e, uint64_t sent_us, uint64_t now_us) {
    switch (ejection_state(e, now_us)) {
    case EJECTION_OUT:
        if (!ejection_is_certain(e->cause)) {
            return EJECTION_UNCHANGED; /* it does answer, only not well enough */
        }
        e->until_us = now_us; /* sent before, or in a panic: it lives */
        return EJECTION_TRIED;
    case EJECTION_ON_PROBATION:
        if (sent_us < e->until_us || ++e->passed < EJECTION_TRIALS) {
            return EJECTION_UNCHANGED;
        }
        e->until_us = 0;
        e->passed = 0;
        e->changed_us = now_us;
        return EJECTION_RETURNED;
    default:
        e->connect_failures = e->failures = 0;
        return EJECTION_UNCHANGED;
    }
}

static enum ejection_change fail(struct ejection *e, enum ejection_event event,
                                 const struct ejection_peers *peers, uint64_t now_us) {
    bool refused = event == EJECTION_CONNECT_FAILED;
    if (refused) {
        e->connect_failures++;
    } else {
        e->connect_failures = 0; /* somebody listened */
        e->failures++;
    }
    bool enough = refused ? e->connect_failures >= EJECTION_CONNECT_FAILURES
                          : e->failures >= ejection_failures_needed(peers);
    return enough ? ejection_eject(e, refused ? EJECTION_REFUSED : EJECTION_FAILURES, peers, now_us)
                  : EJECTION_UNCHANGED;
}

enum ejection_change ejection_observe(struct ejection *e, enum ejection_event event,
                                      uint64_t sent_us, const struct ejection_peers *peers,
                                      uint64_t now_us) {
    if (event == EJECTION_SUCCESS) {
        return succeed(e, sent_us, now_us);
    }
    if (ejection_state(e, now_us) == EJECTION_IN) {
        return fail(e, event, peers, now_us);
    }
    if (sent_us < e->until_us) {
        return EJECTION_UNCHANGED; /* out already; or of before: this is no trial */
    }
    return ejection_eject(e, event == EJECTION_CONNECT_FAILED ? EJECTION_REFUSED : e->cause, peers,
                          now_us);
}
