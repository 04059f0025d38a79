#include "decide/balance/ejection.h"

bool ejection_is_active(const struct ejection *e, uint64_t now_us) {
    return e->until_us > now_us;
}

static bool may_eject(uint32_t ejected, uint32_t total) {
    return total > 1 && (ejected == 0 || ejected + 1 <= total * EJECTION_RATIO_MAX);
}

static uint64_t duration_us(uint32_t ejections) {
    uint64_t us = EJECTION_FIRST_US;
    while (ejections-- > 0 && us < EJECTION_MAX_US) {
        us *= 2;
    }
    return us < EJECTION_MAX_US ? us : EJECTION_MAX_US;
}

static void count(struct ejection *e, enum ejection_event event) {
    if (event == EJECTION_SUCCESS) {
        e->connect_failures = e->failures = e->ejections = 0;
    } else if (event == EJECTION_CONNECT_FAILED) {
        e->connect_failures++;
    } else {
        e->connect_failures = 0; /* somebody listened */
        e->failures++;
    }
}

bool ejection_observe(struct ejection *e, enum ejection_event event, uint32_t ejected,
                      uint32_t total, uint64_t now_us) {
    bool active = ejection_is_active(e, now_us);
    if (event == EJECTION_SUCCESS && active) {
        e->until_us = now_us; /* sent before, or in a panic: it lives */
    }
    count(e, event);
    bool enough =
        e->connect_failures >= EJECTION_CONNECT_FAILURES || e->failures >= EJECTION_FAILURES;
    if (!enough || active || !may_eject(ejected, total)) {
        return false; /* when many fail at one moment it is one ejection */
    }
    e->until_us = now_us + duration_us(e->ejections);
    e->ejections++;
    e->connect_failures = e->failures = 0;
    return true;
}
