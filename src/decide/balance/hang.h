/* Hang: requests go into an endpoint, nothing comes out, its peers answer. Found in the time that
 * a slow answer takes, long before any timeout.
 *
 * Evidence are whole requests sent one after the other since its last answer: each of these would
 * be slower than 99 of 100 of its service, by chance once in 10^8 for HANG_REQUESTS of them. One
 * slow page, a stream or a tunnel is no such row: any answer to anybody ends it. While there are
 * too few of them, more are sent there on purpose (hang_is_suspected).
 * Pure; the words are the caller's (the vitals: one row an endpoint for all workers). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define HANG_REQUESTS 4       /* in a row without an answer */
#define HANG_AWAITING 2       /* of which somebody still waits for so many */
#define HANG_LEAST_US 200000  /* silence that is nothing: a busy machine makes such pauses */
#define HANG_TAILS 2          /* times the service's 99th percentile */
#define HANG_PEERS_ANSWERS 12 /* meanwhile: else what stands behind all of them hangs */

struct hang {
    uint32_t unanswered;      /* whole requests since its last answer */
    uint64_t silent_since_us; /* when the first of them was sent */
    uint32_t marked;          /* so many of them ... */
    uint64_t marked_us;       /* ... had been sent by then */
};

/* At each look: notes how many have been sent, once that is enough. */
void hang_mark(struct hang *hang, uint64_t now_us);

/* How long nothing may come, of a service whose 99th percentile is `tail_us`; 0: not known. */
uint64_t hang_patience_us(uint64_t tail_us);

/* `awaiting`: requests for whose answer somebody still waits; `peers_answers`: since
 * silent_since_us, of those of the others that have answered since marked_us too. */
bool hang_is_certain(const struct hang *hang, uint64_t tail_us, uint32_t awaiting,
                     uint32_t peers_answers, uint64_t now_us);
/* It is silent for half of that, and too few requests would tell. */
bool hang_is_suspected(const struct hang *hang, uint64_t tail_us, uint64_t now_us);

/* The 99th percentile of a stream of numbers in one word, in 1/256 us: it moves up by much with
 * each that is above, down by little with each that is below. Faster while it knows little. After:
 * Ma, Muthukrishnan, Sandler, "Frugal Streaming for Estimating Quantiles", 2014. */
struct tail {
    uint64_t us_256; /* 0: nothing known */
    uint32_t seen;
};
void tail_add(struct tail *tail, uint64_t us);
static inline uint64_t tail_us(const struct tail *tail) {
    return tail->us_256 >> 8;
}
