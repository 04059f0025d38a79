/* A keyed hash: whoever does not know the key can neither aim at a value nor tell from a value what
 * was hashed. For short texts that strangers choose.
 * After: Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012; with one round
 * a word and three at the end (SipHash-1-3), as hash tables use it. */
#pragma once
#include <stdint.h>

#include "base/slice.h"

struct siphash_key {
    uint64_t low, high;
};

uint64_t siphash(const struct siphash_key *key, struct slice text);
