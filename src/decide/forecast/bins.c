#include "decide/forecast/bins.h"

#include <string.h>

#define LEAF_WEIGHT 1.0F /* pulls small leaves' gains down */
#define WEIGHT_UNITS 200
#define WEIGHT_UNITS_LEAST 2.0F
#define WEIGHT_UNITS_MOST 4095.0F
#define COUNT_SHIFT 48
#define WEIGHT_SHIFT 24
#define WEIGHT_MASK 0xffffff

bin bins_alone(float weight, float residual) {
    float units = weight * WEIGHT_UNITS;
    units = units > WEIGHT_UNITS_LEAST ? units : WEIGHT_UNITS_LEAST;
    uint32_t whole = (uint32_t)(units < WEIGHT_UNITS_MOST ? units : WEIGHT_UNITS_MOST);
    uint32_t halves = (uint32_t)(residual >= 0) + !(residual <= 0); /* above 2, equal 1, below 0 */
    return (bin)1 << COUNT_SHIFT | (bin)whole << WEIGHT_SHIFT | whole * halves / 2;
}

void bins_clear(struct bins *b, size_t features) {
    memset(b->of, 0, features * sizeof b->of[0]);
}

void bins_take_away(struct bins *b, const struct bins *part, size_t features) {
    for (size_t f = 0; f < features; f++) {
        for (size_t i = 0; i < BINS_OF_FEATURE; i++) {
            b->of[f][i] -= part->of[f][i];
        }
    }
}

/* Sums of the left sides of the splits that one feature allows. */
struct sides {
    int32_t weight[BINS_OF_FEATURE], above[BINS_OF_FEATURE];
    uint8_t last[BINS_OF_FEATURE]; /* bin on the left */
    size_t len;
};

static int32_t weight_of(bin b) {
    return (int32_t)(b >> WEIGHT_SHIFT & WEIGHT_MASK);
}

static int32_t above_of(bin b) {
    return (int32_t)(b & WEIGHT_MASK);
}

static void list_sides(const bin *bins, size_t len, size_t least, struct sides *out) {
    bin left = 0;
    out->len = 0;
    for (size_t i = 0; i < BINS_OF_FEATURE - 1; i++) {
        left += bins[i];
        size_t count = left >> COUNT_SHIFT;
        if (len - count < least) {
            return;
        }
        if (bins[i] != 0 && count >= least) {
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

static bin sum_of(const bin *bins) {
    bin sum = 0;
    for (size_t i = 0; i < BINS_OF_FEATURE; i++) {
        sum += bins[i];
    }
    return sum;
}

bool bins_split(const struct bins *b, size_t features, size_t len, size_t least,
                struct bins_split *out) {
    struct sides left;
    float gains[BINS_OF_FEATURE], best = 0;
    bool found = false;
    if (features == 0) {
        return false;
    }
    bin all = sum_of(b->of[0]); /* every feature's bins add up to it */
    int32_t weight = weight_of(all), above = above_of(all);
    float whole = gain_of(weight, above) * 1.0001F + 1e-6F;
    for (size_t f = 0; f < features; f++) {
        list_sides(b->of[f], len, least, &left);
        for (size_t i = 0; i < left.len; i++) {
            gains[i] = gain_of(left.weight[i], left.above[i]) +
                       gain_of(weight - left.weight[i], above - left.above[i]) - whole;
        }
        for (size_t i = 0; i < left.len; i++) {
            if (gains[i] > best) {
                best = gains[i];
                found = true;
                out->feature = f;
                out->most = (uint8_t)(((left.last[i] + 1) << BINS_IGNORED_BITS) - 1);
            }
        }
    }
    return found;
}
