/* The buckets of all rate limits, shared by all workers: who has asked how often. One table of
 * RATE_WAYS places a set, 16 bytes a place, two cache lines a set; which set is a keyed hash, so
 * that nobody can aim at another's. Nothing waits: no lock, no system call; a worker that is killed
 * at any instruction leaves nothing that another one needs.
 *
 *   place:  key      0 free, else a hash of who it is; its low 6 bits are the size class of the
 *                    bucket: 2^class <= span_ns
 *           full_at  when its bucket is full again (decide/admission/rate_limit.h), or MOVING while
 *                    the place goes from one key to another
 *
 * Exact: a token is taken by compare-and-swap of `full_at`, and a place changes its key only while
 * that word is MOVING, so that who takes from a word that has not changed has taken from the bucket
 * of his key. (A value that comes again while somebody sleeps between reading and swapping would
 * deceive him by one token; the word grows but for tokens given back and places of 2. below.) Two
 * workers that meet a new key at once may give it a place each; whoever sees both
 * next moves the debt of the second to the first.
 *
 * Who has to leave when a set is full:  1. a full bucket, the longest full: nothing is forgotten
 *                                       2. the emptied least, by share of its size
 *                                       3. nobody whose bucket is emptied by half or more
 * so strangers, however many, do not push out whom a limit holds back, and a place can be won only
 * by giving somebody back less than half of a burst. Why: docs/decisions/0033. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "base/slice.h"
#include "decide/admission/rate_limit.h"

#define RATE_WAYS 8
#define RATE_KEYS_MIN 1024u
#define RATE_KEYS_MAX (1u << 22) /* 64 MiB; only touched pages cost */
#define RATE_KEYS_DEFAULT 65536u
#define RATE_SETS_MAX (RATE_KEYS_MAX / RATE_WAYS)
#define RATE_MOVING_STALE_MS 1000u /* who moves a place for so long is dead */

struct rate_set {
    _Alignas(64) _Atomic uint64_t key[RATE_WAYS];
    _Atomic uint64_t full_at[RATE_WAYS];
};
_Static_assert(sizeof(struct rate_set) == 2 * sizeof(uint64_t) * RATE_WAYS, "16 bytes a key");

struct rate_table {
    struct siphash_key secret;
    _Atomic uint32_t set_mask; /* sets in use, less one */
    struct rate_set sets[RATE_SETS_MAX];
};

enum rate_result {
    RATE_PASSED,
    RATE_REFUSED,
    RATE_TABLE_FULL, /* no place for a new key: not counted, and so to be let through */
};

enum rate_place { RATE_PLACE_KNOWN, RATE_PLACE_NEW, RATE_PLACE_OF_FULL, RATE_PLACE_EARLY };

/* What a request found, and what is needed to give its token back. */
struct rate_taken {
    _Atomic uint64_t *full_at_word, *key_word;
    uint64_t key, full_at_ns;
    enum rate_place place; /* whose place it got: its own, a free one, 1. or 2. of above */
};

/* In zeroed memory. False: no randomness. */
bool rate_table_init(struct rate_table *table);
/* From here on so many keys, rounded up to a power of two; most keys are in another place then, and
 * begin with a full bucket. By the controller. */
void rate_table_resize(struct rate_table *table, uint32_t keys);
uint32_t rate_table_keys(const struct rate_table *table);

/* The hash of who it is to the limit of that id; what it was cannot be found from it. */
static inline uint64_t rate_table_hash(const struct rate_table *table, uint64_t id,
                                       struct slice who) {
    const struct siphash_key key = { table->secret.low ^ id, table->secret.high };
    return siphash(&key, who);
}
/* One token. RATE_TABLE_FULL leaves *taken untouched. */
enum rate_result rate_table_take(struct rate_table *table, uint64_t hash,
                                 const struct rate_limit *limit, uint64_t now_ns,
                                 struct rate_taken *taken);
/* The token back, if the place is still this key's. */
void rate_table_give_back(const struct rate_taken *taken, const struct rate_limit *limit);

/* The share of the places whose bucket is not full. Of a table of more than 65,536 keys that of the
 * first ones, which is as good: chance says where a key is. */
double rate_table_used_ratio(const struct rate_table *table, uint64_t now_ns);
