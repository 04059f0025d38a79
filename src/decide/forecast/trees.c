#include "decide/forecast/trees.h"

#include <stdlib.h>
#include <string.h>

#define LEARNING_RATE 0.1F
#define LEAF_EXAMPLES_MIN 25
#define LEAF_WEIGHT 1.0F /* pulls small leaves' gains down */
#define BAG_OF_256 160   /* examples in a tree */
#define FEATURES_OF_256 100
#define BUCKET_BITS 2 /* of a byte that splits ignore */
#define BUCKETS (256 >> BUCKET_BITS)

/* What the examples of a bucket add up to, in one word, so that each costs one addition: how many
 * (16 bits), their weight and the weight of those above what is said (24 bits each, in units of
 * 1/WEIGHT_UNITS). At most 4,096 examples of a weight of at most 4,095 units. */
typedef uint64_t bucket;
#define WEIGHT_UNITS 200
#define WEIGHT_UNITS_MOST 4095.0F

struct pair {
    float value, weight;
};

struct trees_scratch {
    bucket bucket[FEATURES][BUCKETS];
    struct pair *pairs, *residuals;
    bucket *alone;           /* each example's own */
    uint16_t *order, *other; /* examples of the bag, node by node */
};

struct trees_scratch *trees_scratch_new(size_t capacity) {
    struct trees_scratch *s =
        malloc(sizeof *s + capacity * (2 * sizeof(struct pair) + sizeof(bucket) + 4));
    if (s != NULL) {
        s->pairs = (struct pair *)(s + 1);
        s->residuals = s->pairs + capacity;
        s->alone = (bucket *)(s->residuals + capacity);
        s->order = (uint16_t *)(s->alone + capacity);
        s->other = s->order + capacity;
    }
    return s;
}

static uint32_t mix_bits(uint32_t x) {
    x = (x ^ x >> 16) * 0x7feb352dU;
    x = (x ^ x >> 15) * 0x846ca68bU;
    return x ^ x >> 16;
}

/* `bytes` by feature, or by column while the tree still has columns. */
static float leaf_of(const struct tree *t, const uint8_t *bytes) {
    unsigned node = 0;
    for (int level = 0; level < TREES_DEPTH; level++) {
        node = 2 * node + 1 + (bytes[t->feature[node]] > t->most[node]);
    }
    return t->leaf[node - TREES_NODES];
}

double trees_predict(const struct trees *t, const uint8_t *bytes) {
    float sum = 0;
    for (uint32_t i = 0; i < t->len; i++) {
        sum += leaf_of(&t->tree[i], bytes);
    }
    return (double)sum;
}

struct growth {
    const struct examples *examples;
    struct trees_scratch *scratch;
    struct tree *tree;
    uint8_t columns[FEATURES];
    size_t column_count;
};

static const uint8_t *row_of(const struct examples *e, size_t i) {
    return e->rows + i * e->width;
}

static bucket bucket_of(struct pair residual) {
    float units = fminf(fmaxf(residual.weight * WEIGHT_UNITS, 2), WEIGHT_UNITS_MOST);
    bucket weight = (bucket)units;
    bucket above = residual.value > 0 ? weight : residual.value < 0 ? 0 : weight / 2;
    return (bucket)1 << 48 | weight << 24 | above;
}

static size_t count_of(bucket b) {
    return b >> 48;
}

static float weight_of(bucket b) {
    return (float)(b >> 24 & 0xffffff) / WEIGHT_UNITS;
}

/* Weight above less weight below. */
static float gradient_of(bucket b) {
    return 2 * (float)(b & 0xffffff) / WEIGHT_UNITS - weight_of(b);
}

static void fill_buckets(const struct growth *g, const uint16_t *members, size_t len) {
    for (size_t f = 0; f < g->column_count; f++) {
        memset(g->scratch->bucket[f], 0, sizeof g->scratch->bucket[f]);
    }
    for (size_t i = 0; i < len; i++) {
        const uint8_t *bytes = row_of(g->examples, members[i]);
        bucket alone = g->scratch->alone[members[i]];
        for (size_t f = 0; f < g->column_count; f++) {
            g->scratch->bucket[f][bytes[g->columns[f]] >> BUCKET_BITS] += alone;
        }
    }
}

static float gain_of(bucket b) {
    float gradient = gradient_of(b);
    return gradient * gradient / (weight_of(b) + LEAF_WEIGHT);
}

/* The best split of a node into `tree`; false when none is worth it. */
static bool choose_split(const struct growth *g, size_t node, size_t len) {
    float best = 0;
    bool found = false;
    for (size_t f = 0; f < g->column_count; f++) {
        const bucket *buckets = g->scratch->bucket[f];
        bucket all = 0, left = 0;
        for (int i = 0; i < BUCKETS; i++) {
            all += buckets[i];
        }
        float whole = gain_of(all) * 1.0001F + 1e-6F;
        for (int i = 0; i < BUCKETS - 1; i++) {
            left += buckets[i];
            if (buckets[i] == 0 || count_of(left) < LEAF_EXAMPLES_MIN ||
                len - count_of(left) < LEAF_EXAMPLES_MIN) {
                continue;
            }
            float gain = gain_of(left) + gain_of(all - left) - whole;
            if (gain > best) {
                best = gain;
                found = true;
                g->tree->feature[node] = g->columns[f];
                g->tree->most[node] = (uint8_t)(((i + 1) << BUCKET_BITS) - 1);
            }
        }
    }
    return found;
}

/* Quickselect: each turn keeps the side in which half of the weight is reached. */
static float weighted_median(const struct growth *g, const uint16_t *members, size_t len) {
    struct pair *pairs = g->scratch->pairs;
    float wanted = 0;
    for (size_t i = 0; i < len; i++) {
        pairs[i] = g->scratch->residuals[members[i]];
        wanted += pairs[i].weight / 2;
    }
    while (len > 1) {
        float middle = pairs[len / 2].value, below_weight = 0, equal_weight = 0;
        for (size_t i = 0; i < len; i++) {
            below_weight += pairs[i].value < middle ? pairs[i].weight : 0;
            equal_weight += pairs[i].value == middle ? pairs[i].weight : 0;
        }
        bool below = wanted <= below_weight;
        if (!below && wanted <= below_weight + equal_weight) {
            return middle;
        }
        size_t kept = 0;
        for (size_t i = 0; i < len; i++) {
            if (below ? pairs[i].value < middle : pairs[i].value > middle) {
                pairs[kept++] = pairs[i];
            }
        }
        wanted -= below ? 0 : below_weight + equal_weight;
        len = kept;
    }
    return len == 1 ? pairs[0].value : 0;
}

static void grow_node(const struct growth *g, size_t node, uint16_t *members, size_t len) {
    if (node >= TREES_NODES) {
        g->tree->leaf[node - TREES_NODES] = LEARNING_RATE * weighted_median(g, members, len);
        return;
    }
    g->tree->feature[node] = 0;
    g->tree->most[node] = 255;
    size_t left = len;
    if (len >= 2 * (size_t)LEAF_EXAMPLES_MIN) {
        fill_buckets(g, members, len);
        if (choose_split(g, node, len)) {
            uint8_t feature = g->tree->feature[node], most = g->tree->most[node];
            size_t right = 0;
            left = 0;
            for (size_t i = 0; i < len; i++) {
                if (row_of(g->examples, members[i])[feature] <= most) {
                    members[left++] = members[i];
                } else {
                    g->scratch->other[right++] = members[i];
                }
            }
            memcpy(members + left, g->scratch->other, right * sizeof *members);
        }
    }
    grow_node(g, 2 * node + 1, members, left);
    if (left < len) {
        grow_node(g, 2 * node + 2, members + left, len - left);
    }
}

void trees_grow(struct trees *t, struct examples *e, struct trees_scratch *scratch) {
    struct growth g = { .examples = e, .scratch = scratch, .tree = &t->tree[t->len] };
    size_t bag = 0;
    for (size_t i = 0; i < e->len; i++) {
        const struct example_aim *aim = &e->aims[i];
        scratch->residuals[i] = (struct pair){ aim->target - e->scores[i], aim->weight };
        scratch->alone[i] = bucket_of(scratch->residuals[i]);
        if ((mix_bits(aim->hash + t->len * 0x9e3779b9U) & 255) < BAG_OF_256) {
            scratch->order[bag++] = (uint16_t)i;
        }
    }
    for (uint32_t f = 0; f < FEATURES; f++) {
        bool chosen = (mix_bits(f * 0x85ebca6bU + t->len) & 255) < FEATURES_OF_256;
        if (chosen && e->column[f] != FEATURES_NO_COLUMN) {
            g.columns[g.column_count++] = e->column[f];
        }
    }
    memset(g.tree, 0, sizeof *g.tree);
    grow_node(&g, 0, scratch->order, bag);
    for (size_t i = 0; i < e->len; i++) {
        e->scores[i] += leaf_of(g.tree, row_of(e, i));
    }
    for (size_t node = 0; node < TREES_NODES; node++) {
        g.tree->feature[node] = e->feature[g.tree->feature[node]];
    }
    t->len++;
}
