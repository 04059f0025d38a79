/* What the verifier remembers: answers by a keyed hash of user, password and the stored hash (so
 * that a changed file forgets), and how much each network has guessed. Bounded tables; a later
 * entry takes an earlier one's place. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/proxy/verifier.h"

#define VERIFIER_ANSWERS 1024  /* power of two */
#define VERIFIER_NETWORKS 8192 /* power of two; strangers share a place by a keyed hash */
#define VERIFIER_KEY_BYTES 32

struct verifier_answer {
    uint8_t digest[16];
    uint64_t until_us; /* 0: the place is free */
    bool good;
};

struct verifier_cache {
    uint8_t key[VERIFIER_KEY_BYTES];
    struct verifier_answer answers[VERIFIER_ANSWERS];
    uint64_t guesses_until_us[VERIFIER_NETWORKS]; /* when the last guess is forgiven */
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

/* Takes one guess of the network (an address, of IPv6 a /64); false when it has none left. */
bool verifier_take_guess(struct verifier_cache *cache, const uint8_t ip[16], uint64_t now_us);
/* It was none: the password was right. */
void verifier_give_back_guess(struct verifier_cache *cache, const uint8_t ip[16]);
