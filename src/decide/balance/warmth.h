/* Warmth: how much of its share a new endpoint gets, by what it does with it, not by the clock.
 *
 * It begins with one request in WARMTH_REQUESTS of its service, so few that the service's 99th
 * percentile does not feel it. Each answer that comes about as fast as its peers' doubles that,
 * each that does not halves it; at an equal share it is warm. One that answers WARMTH_PATIENCE
 * times and gets no nearer is as warm as it will be: balancing by latency has it from there. Pure;
 * the words are the caller's (the vitals, one for all workers). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define WARMTH_REQUESTS 300 /* of the service for one of the coldest */
#define WARMTH_STEPS 9      /* doublings to all of them, and one */
#define WARMTH_NEAR 1.5     /* times its peers' latency is as fast */
#define WARMTH_NEAR_US 1000 /* and so much more, whatever they take */
#define WARMTH_SPREAD 4.0   /* and up to so many times, where one in 100 of theirs takes longer */
#define WARMTH_PATIENCE 512 /* answers */
#define WARMTH_SEEN_US 1000000 /* a quiet service sends it something as often as this */

struct warmth {
    uint32_t steps;   /* still to go; 0: warm */
    uint32_t answers; /* since it came */
};

/* Whether an answer took about as long as its peers' do: their typical latency (0: nothing to
 * compare with) and the 99th percentile of its service (0: not known). On a machine that holds
 * everybody up now and then many good answers are far from typical. */
bool warmth_is_near(uint64_t latency_us, double peers_us, uint64_t tail_us);
/* After an answer of it. True: it is warm now. */
bool warmth_observe(struct warmth *warmth, bool near);

/* Of the requests of its service, one in so many is for it; 1: all that fall to it. `cold` of
 * `total` endpoints are as it is. */
uint32_t warmth_interval(uint32_t steps, uint32_t cold, uint32_t total);
/* Requests that it may have at a time. */
uint32_t warmth_in_flight(uint32_t steps);
/* What it has in flight as balancing is to see it: as many times as much as its share is less. */
uint32_t warmth_load(uint32_t in_flight, uint32_t steps, uint32_t total);
