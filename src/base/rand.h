/* Seeded random numbers: xoshiro256** (Blackman and Vigna, 2018). Same seed, same run. Not for
 * secrets: those come from getrandom(2). */
#pragma once
#include <stdint.h>

struct rand {
    uint64_t state[4];
};

void rand_init(struct rand *r, uint64_t seed);
uint64_t rand_next(struct rand *r);
uint32_t rand_below(struct rand *r, uint32_t bound); /* uniform in [0, bound), bound > 0 */
double rand_unit(struct rand *r);                    /* uniform in [0, 1) */
double rand_normal(struct rand *r);                  /* mean 0, variance 1 */
double rand_exponential(struct rand *r);             /* mean 1 */
