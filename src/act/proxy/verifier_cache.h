/* What the verifier remembers: answers by a keyed hash of user, password and the stored hash (so
 * that a changed file forgets). A bounded table; a later entry takes an earlier one's place. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/proxy/verifier.h"

#define VERIFIER_ANSWERS 1024 /* power of two */
#define VERIFIER_KEY_BYTES 32

struct verifier_answer {
    uint8_t digest[16];
    uint64_t until_us; /* 0: the place is free */
    bool good;
};

struct verifier_cache {
    uint8_t key[VERIFIER_KEY_BYTES];
    struct verifier_answer answers[VERIFIER_ANSWERS];
};

struct verifier_digest {
    uint8_t bytes[16];
};

bool verifier_cache_init(struct verifier_cache *cache); /* false: no randomness */
bool verifier_digest_of(const struct verifier_cache *cache,
                        const struct verifier_question *question, struct verifier_digest *digest);
/* False when it is not remembered. */
bool verifier_cache_find(const struct verifier_cache *cache, const struct verifier_digest *digest,
                         uint64_t now_us, bool *good);
void verifier_cache_add(struct verifier_cache *cache, const struct verifier_digest *digest,
                        bool good, uint64_t now_us);
