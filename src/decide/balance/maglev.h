/* Maglev: the same key to the same endpoint, in every worker and after every restart, as long as
 * the endpoints stay; when one goes or comes, few other keys move. A table of MAGLEV_SIZE places
 * that the endpoints fill in turn, each in an order of its own; a key is one look into it.
 *
 * With a bound no endpoint gets more than its share of what is in flight: the key goes on to the
 * next places until it finds one that has room.
 * After: "Maglev: A Fast and Reliable Software Network Load Balancer", Eisenbud et al., NSDI 2016
 * (weights as Envoy has them); "Consistent Hashing with Bounded Loads", Mirrokni et al., 2016. */
#pragma once
#include <stdint.h>

#include "decide/balance/balance.h"

#define MAGLEV_SIZE 16381u /* prime; 32 places or more each */
#define MAGLEV_MEMBERS_MAX 512
#define MAGLEV_IN_FLIGHT_LEAST 8u /* so many are never too many */
#define MAGLEV_STEPS_MAX 64       /* places that one key looks at */

struct maglev_member {
    uint64_t id; /* a hash of what it is called; the order of the members does not matter */
    uint32_t weight;
    uint16_t position; /* what stands in the table */
};

struct maglev {
    uint16_t table[MAGLEV_SIZE];
};

/* 1 to MAGLEV_MEMBERS_MAX members; sorts them. */
void maglev_build(struct maglev *m, struct maglev_member *members, uint32_t count);

/* How much one of `weight` may have in flight: `factor_percent` of its share,
 * MAGLEV_IN_FLIGHT_LEAST at least; 0: any. */
uint32_t maglev_bound(uint32_t in_flight, uint32_t weight, uint32_t weight_sum,
                      uint32_t factor_percent);

/* What may be used at a position, given how much it may carry. */
typedef bool maglev_takes(const void *self, uint16_t position);

/* The position of the first that takes the key; false: none of those near it does. */
bool maglev_find(const struct maglev *m, uint64_t key, maglev_takes *takes, const void *self,
                 uint16_t *position);
