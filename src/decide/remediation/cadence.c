#include "decide/remediation/cadence.h"

#include <assert.h>

enum cadence_change cadence_observe(struct cadence *c, const struct cadence_policy *policy,
                                    bool well, uint64_t now_us) {
    assert(policy->rise > 0 && policy->fall > 0);
    c->failed = well ? 0 : c->failed + 1;
    c->passed = well ? c->passed + 1 : 0;
    c->well_since_us = !well ? 0 : c->well_since_us != 0 ? c->well_since_us : now_us;
    bool healthy =
        c->healthy ? c->failed < policy->fall : c->passed >= (c->started ? policy->rise : 1);
    bool changed = healthy != c->healthy;
    /* A row that begins is news; one that goes on is not, and what is dead is not asked for ever.
     */
    bool news = changed || c->failed == 1 || (!healthy && c->passed == 1);
    c->started |= healthy;
    c->healthy = healthy;
    if (news) {
        c->alert = CADENCE_ALERT;
    } else if (c->alert > 0 && --c->alert == 0) {
        c->spread = true;
    }
    return !changed ? CADENCE_SAME : healthy ? CADENCE_UP : CADENCE_DOWN;
}

bool cadence_suspect(struct cadence *c) {
    bool calm = c->alert == 0;
    c->alert = CADENCE_ALERT;
    return calm;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t quick_us(const struct cadence_policy *policy) {
    uint64_t quick = most(policy->interval_us / CADENCE_QUICK_DIVISOR, CADENCE_QUICK_LEAST_US);
    return least(quick, policy->interval_us);
}

/* At which each of so many may be asked. */
static uint64_t share_us(uint32_t endpoints) {
    return (uint64_t)endpoints * 1000000 / CADENCE_RATE_MAX;
}

/* On its way from well to ill or back. */
static bool is_undecided(const struct cadence *c) {
    return c->healthy ? c->failed > 0 : c->passed > 0;
}

uint64_t cadence_gap_us(struct cadence *c, const struct cadence_policy *policy, uint32_t endpoints,
                        bool vouched, uint64_t now_us, double unit) {
    uint64_t share = share_us(endpoints), gap = policy->interval_us;
    double factor = 1 - CADENCE_JITTER_RATIO + 2 * CADENCE_JITTER_RATIO * unit;
    assert(unit >= 0 && unit < 1);
    if (!c->started) {
        gap = least(quick_us(policy), CADENCE_STARTING_US);
    } else if (c->alert > 0 || is_undecided(c)) {
        gap = quick_us(policy);
    } else if (c->spread) {
        c->spread = false;
        factor = unit;
    } else if (vouched && c->healthy && c->well_since_us != 0 &&
               now_us - c->well_since_us >= CADENCE_LONG_US) {
        gap = policy->interval_us * CADENCE_SLOW_FACTOR;
    }
    return (uint64_t)((double)most(gap, share) * factor);
}

uint64_t cadence_at_once_us(uint32_t endpoints, double unit) {
    return (uint64_t)((double)share_us(endpoints) * unit);
}
