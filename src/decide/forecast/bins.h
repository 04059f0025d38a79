/* Bins: what the examples of a node of a tree add up to, bin by bin of each feature's
 * bytes, and the best split that can be seen in it. Whole numbers: what one child of a node has,
 * taken from the node, is exactly what the other one has. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/forecast/features.h"

#define BINS_IGNORED_BITS 2 /* of a byte that splits ignore */
#define BINS_OF_FEATURE (256 >> BINS_IGNORED_BITS)
#define BINS_FEATURES_MAX 40 /* that may split at once */

/* What the examples of a bin add up to, in one word, so that each costs one addition: how many
 * (16 bits), their weight and the weight of those above what is said (24 bits each, in units of
 * 1/200). At most 4,096 examples of a weight of at most 4,095 units. */
typedef uint64_t bin;

struct bins {
    bin of[BINS_FEATURES_MAX][BINS_OF_FEATURE]; /* by place in the list of features */
};

struct bins_features {
    uint8_t of[BINS_FEATURES_MAX]; /* those that may split */
    size_t len;
};

/* An example alone, of a weight, whose target lies above (or below: negative) what is said. */
bin bins_alone(float weight, float residual);

/* All bins empty, for that many features. */
void bins_clear(struct bins *b, size_t features);

static inline void bins_add(struct bins *b, const struct bins_features *features,
                            const uint8_t *bytes, bin alone) {
    for (size_t f = 0; f < features->len; f++) {
        b->of[f][bytes[features->of[f]] >> BINS_IGNORED_BITS] += alone;
    }
}

/* `part` is of some of the same examples: they go. */
void bins_take_away(struct bins *b, const struct bins *part, size_t features);

struct bins_split {
    size_t feature; /* place in the list */
    uint8_t most;   /* byte that still goes to the left */
};
/* Of `len` examples, at least `least` on either side; false when no split is worth it. */
bool bins_split(const struct bins *b, size_t features, size_t len, size_t least,
                struct bins_split *out);
