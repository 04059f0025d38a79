#include "decide/balance/retry.h"

static const struct {
    const char *name;
    uint32_t on;
    bool begun; /* an endpoint may have acted on it */
} causes[RETRY_CAUSES] = {
    [RETRY_CONNECT] = { "connect", RETRY_ON_CONNECT, false },
    [RETRY_REFUSED] = { "refused", RETRY_ON_CONNECT, false },
    [RETRY_RESET] = { "reset", RETRY_ON_RESET, true },
    [RETRY_TIMEOUT] = { "timeout", RETRY_ON_TIMEOUT, true },
    [RETRY_EJECTED] = { "ejected", RETRY_ON_TIMEOUT, true },
    [RETRY_STATUS] = { "status", 0, true },
};

const char *retry_cause_name(enum retry_cause cause) {
    return causes[cause].name;
}

static uint32_t on_status(uint16_t status) {
    switch (status) {
    case 500:
        return RETRY_ON_500;
    case 502:
        return RETRY_ON_502;
    case 503:
        return RETRY_ON_503;
    case 504:
        return RETRY_ON_504;
    default:
        return 0;
    }
}

/* A 500 is the application's, and comes again wherever it is sent; unless it is one endpoint's. A
 * second one says that it was the application's. */
static uint32_t on_of(const struct retry_facts *f) {
    if (f->cause != RETRY_STATUS) {
        return causes[f->cause].on;
    }
    bool strange = f->status == 500 && f->outlier && f->attempts == 1;
    return on_status(f->status) | (strange ? RETRY_ON_OUTLIER : 0);
}

bool retry_is_wanted(const struct retry_policy *p, const struct retry_facts *f) {
    return (p->on & on_of(f)) != 0;
}

enum retry_verdict retry_decide(const struct retry_policy *p, const struct retry_facts *f) {
    if (f->answer_begun || f->lost || (causes[f->cause].begun && !f->repeatable)) {
        return RETRY_UNSAFE;
    }
    if (!retry_is_wanted(p, f) || f->says_when) {
        return RETRY_NOT_WANTED;
    }
    if (f->left_us <= f->expected_us) {
        return RETRY_LATE;
    }
    if (f->cause == RETRY_CONNECT) {
        return RETRY_FREE; /* it was no attempt: the endpoint never heard of it */
    }
    return f->attempts < p->attempts ? RETRY_CHARGED : RETRY_ENOUGH;
}
