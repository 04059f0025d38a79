/* What is known of one caller as bytes for the store: a head, then those that it calls, by name, as
 * indices are another start's. Little-endian as the machines that we run on; a store is not carried
 * to another one.
 *
 *   uint32 magic, uint32 called, double requests, double requests_squared
 *   called x { char name[64], double calls, traced, squared, requests, sure }
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "decide/autoscale/dependency.h"

#define MAGIC 0x31434454u /* "TDC1": another layout gets another one */
#define SUMS_MOST 1e12    /* of squares: traces have DEPENDENCY_TRACE_MOST requests at most */

struct kept_head {
    uint32_t magic, called;
    struct dependency_caller caller;
};

struct kept_pair {
    char name[DEPENDENCY_NAME_BYTES];
    struct dependency_pair pair;
};
_Static_assert(sizeof(struct kept_head) == 24 && sizeof(struct kept_pair) == 104,
               "no padding is written");
_Static_assert(sizeof(struct kept_head) + DEPENDENCY_MEMORY_CALLED * sizeof(struct kept_pair) ==
                   DEPENDENCY_MEMORY_BYTES,
               "its bytes");

/* Of those that are not in `done`, the one that is called most; DEPENDENCY_SERVICES_MAX: none. */
static unsigned most_called(const struct dependencies *d, unsigned caller,
                            const char *const names[DEPENDENCY_SERVICES_MAX], uint64_t done) {
    unsigned best = DEPENDENCY_SERVICES_MAX;
    double most = 0;
    for (unsigned i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        double calls = d->pairs[caller][i].calls;
        if (names[i] != NULL && !(done >> i & 1) && calls > most) {
            most = calls;
            best = i;
        }
    }
    return best;
}

size_t dependencies_save(const struct dependencies *d, unsigned caller,
                         const char *const names[DEPENDENCY_SERVICES_MAX],
                         uint8_t out[DEPENDENCY_MEMORY_BYTES]) {
    struct kept_head head = { MAGIC, 0, d->callers[caller] };
    uint64_t done = 0;
    while (head.called < DEPENDENCY_MEMORY_CALLED) {
        unsigned next = most_called(d, caller, names, done);
        if (next == DEPENDENCY_SERVICES_MAX) {
            break;
        }
        struct kept_pair kept = { .pair = d->pairs[caller][next] };
        snprintf(kept.name, sizeof kept.name, "%s", names[next]);
        memcpy(out + sizeof head + head.called * sizeof kept, &kept, sizeof kept);
        head.called++;
        done |= UINT64_C(1) << next;
    }
    memcpy(out, &head, sizeof head);
    return sizeof head + head.called * sizeof(struct kept_pair);
}

static bool is_sum(double value, double most) {
    return value >= 0 && value <= most; /* NaN fails too */
}

/* As sums over the same traces are: none of their parts is more than the whole, and the sum of the
 * products not more than those of the squares allow (Cauchy and Schwarz). */
static bool pair_is_good(const struct dependency_caller *caller,
                         const struct dependency_pair *pair) {
    double product = pair->calls_squared * caller->requests_squared;
    return pair->calls > 0 && is_sum(pair->calls, SUMS_MOST) &&
           is_sum(pair->calls_traced, pair->calls) && is_sum(pair->sure, pair->calls) &&
           is_sum(pair->calls_squared, SUMS_MOST) && is_sum(pair->calls_requests, SUMS_MOST) &&
           pair->calls_requests * pair->calls_requests <= product * (1 + 1e-9);
}

static unsigned index_of(const char *const names[DEPENDENCY_SERVICES_MAX], const char *name) {
    for (unsigned i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        if (names[i] != NULL && strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return DEPENDENCY_SERVICES_MAX;
}

bool dependencies_restore(struct dependencies *d, unsigned caller,
                          const char *const names[DEPENDENCY_SERVICES_MAX], const uint8_t *bytes,
                          size_t len) {
    struct kept_head head;
    struct dependency_pair pairs[DEPENDENCY_SERVICES_MAX] = { 0 };
    if (len < sizeof head) {
        return false;
    }
    memcpy(&head, bytes, sizeof head);
    if (head.magic != MAGIC || head.called > DEPENDENCY_MEMORY_CALLED ||
        len != sizeof head + head.called * sizeof(struct kept_pair) ||
        !is_sum(head.caller.requests, DEPENDENCY_REQUESTS_MOST) ||
        !is_sum(head.caller.requests_squared, SUMS_MOST)) {
        return false;
    }
    for (uint32_t i = 0; i < head.called; i++) {
        struct kept_pair kept;
        memcpy(&kept, bytes + sizeof head + i * sizeof kept, sizeof kept);
        bool named = kept.name[0] != '\0' && memchr(kept.name, '\0', sizeof kept.name) != NULL;
        if (!named || !pair_is_good(&head.caller, &kept.pair)) {
            return false;
        }
        unsigned called = index_of(names, kept.name);
        if (called < DEPENDENCY_SERVICES_MAX && called != caller) {
            pairs[called] = kept.pair;
        }
    }
    d->callers[caller] = head.caller;
    memcpy(d->pairs[caller], pairs, sizeof pairs);
    return true;
}
