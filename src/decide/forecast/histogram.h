/* Histogram: what the examples of a tree's node add up to, bucket by bucket of each feature's
 * bytes, and the best split that can be seen in it. Whole numbers: what one child of a node has,
 * taken from the node, is exactly what the other one has. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/forecast/features.h"

#define HISTOGRAM_BUCKET_BITS 2 /* of a byte that splits ignore */
#define HISTOGRAM_BUCKETS (256 >> HISTOGRAM_BUCKET_BITS)
#define HISTOGRAM_FEATURES_MAX 40 /* that may split at once */

/* What the examples of a bucket add up to, in one word, so that each costs one addition: how many
 * (16 bits), their weight and the weight of those above what is said (24 bits each, in units of
 * 1/200). At most 4,096 examples of a weight of at most 4,095 units. */
typedef uint64_t bucket;

struct histogram {
    bucket of[HISTOGRAM_FEATURES_MAX][HISTOGRAM_BUCKETS]; /* by place in the list of features */
};

struct histogram_features {
    uint8_t of[HISTOGRAM_FEATURES_MAX]; /* those that may split */
    size_t len;
};

/* An example alone, of a weight, whose target lies above (or below: negative) what is said. */
bucket histogram_alone(float weight, float residual);

/* All buckets empty, for that many features. */
void histogram_clear(struct histogram *h, size_t features);

static inline void histogram_add(struct histogram *h, const struct histogram_features *features,
                                 const uint8_t *bytes, bucket alone) {
    for (size_t f = 0; f < features->len; f++) {
        h->of[f][bytes[features->of[f]] >> HISTOGRAM_BUCKET_BITS] += alone;
    }
}

/* `part` is of some of the same examples: they go. */
void histogram_take_away(struct histogram *h, const struct histogram *part, size_t features);

struct histogram_split {
    size_t feature; /* place in the list */
    uint8_t most;   /* byte that still goes to the left */
};
/* Of `len` examples, at least `least` on either side; false when no split is worth it. */
bool histogram_split(const struct histogram *h, size_t features, size_t len, size_t least,
                     struct histogram_split *out);
