#include "decide/forecast/histogram.h"

#include <string.h>

#define LEAF_WEIGHT 1.0F /* pulls small leaves' gains down */
#define WEIGHT_UNITS 200
#define WEIGHT_UNITS_LEAST 2.0F
#define WEIGHT_UNITS_MOST 4095.0F
#define COUNT_SHIFT 48
#define WEIGHT_SHIFT 24
#define WEIGHT_MASK 0xffffff

bucket histogram_alone(float weight, float residual) {
    float units = weight * WEIGHT_UNITS;
    units = units > WEIGHT_UNITS_LEAST ? units : WEIGHT_UNITS_LEAST;
    uint32_t whole = (uint32_t)(units < WEIGHT_UNITS_MOST ? units : WEIGHT_UNITS_MOST);
    uint32_t halves = (uint32_t)(residual >= 0) + !(residual <= 0); /* above 2, equal 1, below 0 */
    return (bucket)1 << COUNT_SHIFT | (bucket)whole << WEIGHT_SHIFT | whole * halves / 2;
}

void histogram_clear(struct histogram *h, size_t features) {
    memset(h->of, 0, features * sizeof h->of[0]);
}

void histogram_take_away(struct histogram *h, const struct histogram *part, size_t features) {
    for (size_t f = 0; f < features; f++) {
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
            h->of[f][i] -= part->of[f][i];
        }
    }
}

/* Sums of the left sides of the splits that one feature allows. */
struct sides {
    int32_t weight[HISTOGRAM_BUCKETS], above[HISTOGRAM_BUCKETS];
    uint8_t last[HISTOGRAM_BUCKETS]; /* bucket on the left */
    size_t len;
};

static int32_t weight_of(bucket b) {
    return (int32_t)(b >> WEIGHT_SHIFT & WEIGHT_MASK);
}

static int32_t above_of(bucket b) {
    return (int32_t)(b & WEIGHT_MASK);
}

static void list_sides(const bucket *buckets, size_t len, size_t least, struct sides *out) {
    bucket left = 0;
    out->len = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        left += buckets[i];
        size_t count = left >> COUNT_SHIFT;
        if (len - count < least) {
            return;
        }
        if (buckets[i] != 0 && count >= least) {
            out->weight[out->len] = weight_of(left);
            out->above[out->len] = above_of(left);
            out->last[out->len++] = (uint8_t)i;
        }
    }
}

/* Of a side with so much weight, of which so much lies above what is said. */
static inline float gain_of(int32_t weight, int32_t above) {
    float of_all = (float)weight / WEIGHT_UNITS;
    float gradient = 2 * (float)above / WEIGHT_UNITS - of_all; /* above less below */
    return gradient * gradient / (of_all + LEAF_WEIGHT);
}

static bucket sum_of(const bucket *buckets) {
    bucket sum = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        sum += buckets[i];
    }
    return sum;
}

bool histogram_split(const struct histogram *h, size_t features, size_t len, size_t least,
                     struct histogram_split *out) {
    struct sides left;
    float gains[HISTOGRAM_BUCKETS], best = 0;
    bool found = false;
    if (features == 0) {
        return false;
    }
    bucket all = sum_of(h->of[0]); /* every feature's buckets add up to it */
    int32_t weight = weight_of(all), above = above_of(all);
    float whole = gain_of(weight, above) * 1.0001F + 1e-6F;
    for (size_t f = 0; f < features; f++) {
        list_sides(h->of[f], len, least, &left);
        for (size_t i = 0; i < left.len; i++) {
            gains[i] = gain_of(left.weight[i], left.above[i]) +
                       gain_of(weight - left.weight[i], above - left.above[i]) - whole;
        }
        for (size_t i = 0; i < left.len; i++) {
            if (gains[i] > best) {
                best = gains[i];
                found = true;
                out->feature = f;
                out->most = (uint8_t)(((left.last[i] + 1) << HISTOGRAM_BUCKET_BITS) - 1);
            }
        }
    }
    return found;
}
