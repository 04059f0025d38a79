/* How often somebody may ask: a bucket of `burst` tokens that gains one every `interval_ns`; a
 * request takes one, and without one it is refused.
 *
 * The whole bucket is one word, the time at which it will be full again, so that several processes
 * can share it by compare-and-swap alone (act/shm/rate_table.h). That is the generic cell rate
 * algorithm in its form of virtual scheduling, where the word is the theoretical arrival time:
 * ITU-T I.371 (2004), annex A. Pure: time is an argument. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define RATE_LIMIT_BURST_MAX 1000000u
#define RATE_LIMIT_SPAN_NS_MAX                                                                     \
    (30ull * 86400 * 1000000000) /* of an empty bucket until it is full */

struct rate_limit {
    uint64_t interval_ns; /* one token more */
    uint64_t span_ns;     /* of an empty bucket until it is full: burst × interval */
};

/* `rate_rps` > 0, 1 <= burst <= RATE_LIMIT_BURST_MAX, burst / rate_rps within the longest span. */
struct rate_limit rate_limit_of(double rate_rps, uint32_t burst);

/* Takes one token from a bucket that is full at `full_at_ns` (any past time: it is full now).
 * False: there is none, *after_ns is untouched. */
static inline bool rate_limit_take(const struct rate_limit *limit, uint64_t full_at_ns,
                                   uint64_t now_ns, uint64_t *after_ns) {
    uint64_t after = (full_at_ns > now_ns ? full_at_ns : now_ns) + limit->interval_ns;
    if (after - now_ns > limit->span_ns) {
        return false;
    }
    *after_ns = after;
    return true;
}

/* Whole tokens in it. */
uint32_t rate_limit_remaining(const struct rate_limit *limit, uint64_t full_at_ns, uint64_t now_ns);
/* Until a token is there; 0: one is. */
uint64_t rate_limit_wait_ns(const struct rate_limit *limit, uint64_t full_at_ns, uint64_t now_ns);
