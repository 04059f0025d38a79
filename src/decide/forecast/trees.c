#include "decide/forecast/trees.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "decide/forecast/bins.h"

#define LEARNING_RATE 0.1F
#define LEAF_EXAMPLES_MIN 25
#define SPLIT_EXAMPLES_MIN (2 * (size_t)LEAF_EXAMPLES_MIN)
#define BAG_OF_256 160 /* examples in a tree */
#define FEATURES_OF_256 100

struct pair {
    float value, weight;
};

struct trees_scratch {
    struct bins bins[TREES_DEPTH]; /* of the smaller children on the way down */
    struct pair *residuals, *pairs, *larger;
    bin *alone;              /* each example's own */
    uint16_t *order, *other; /* examples of the bag, node by node */
};

struct trees_scratch *trees_scratch_new(size_t capacity) {
    struct trees_scratch *s =
        calloc(1, sizeof *s + capacity * (3 * sizeof(struct pair) + sizeof(bin) + 4));
    if (s != NULL) {
        s->residuals = (struct pair *)(s + 1);
        s->pairs = s->residuals + capacity;
        s->larger = s->pairs + capacity;
        s->alone = (bin *)(s->larger + capacity);
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
    unsigned node = 1;
    for (int level = 0; level < TREES_DEPTH; level++) {
        struct tree_split split = t->split[node];
        unsigned room = (unsigned)split.most - bytes[split.feature];
        node = 2 * node + (room >> 31); /* the sign bit: cheaper than to compare */
    }
    return t->leaf[node - TREES_LEAVES];
}

double trees_predict(const struct trees *t, const uint8_t *bytes) {
    float sum = 0;
    for (uint32_t i = 0; i < t->len; i++) {
        sum += leaf_of(&t->tree[i], bytes);
    }
    return (double)sum;
}

void trees_rows_add(struct trees_rows *rows, const uint8_t *bytes) {
    assert(rows->len < TREES_ROWS);
    memcpy(rows->bytes[rows->len], bytes, FEATURES);
    for (size_t f = 0; f < FEATURES; f++) {
        uint8_t least = rows->len > 0 ? rows->least[f] : 255,
                most = rows->len > 0 ? rows->most[f] : 0;
        rows->least[f] = bytes[f] < least ? bytes[f] : least;
        rows->most[f] = bytes[f] > most ? bytes[f] : most;
    }
    rows->len++;
}

/* False when not all rows go the same way. */
static bool leaf_of_all(const struct tree *t, const struct trees_rows *rows, float *leaf) {
    unsigned node = 1, parted = 0;
    for (int level = 0; level < TREES_DEPTH; level++) {
        struct tree_split split = t->split[node];
        unsigned room_most = (unsigned)split.most - rows->most[split.feature];
        unsigned room_least = (unsigned)split.most - rows->least[split.feature];
        parted |= room_most ^ room_least;
        node = 2 * node + (room_most >> 31);
    }
    *leaf = t->leaf[node - TREES_LEAVES];
    return parted >> 31 == 0;
}

void trees_predict_rows(const struct trees *t, const struct trees_rows *rows, double *out) {
    float sums[TREES_ROWS] = { 0 };
    for (uint32_t i = 0; i < t->len; i++) {
        float leaf;
        if (leaf_of_all(&t->tree[i], rows, &leaf)) {
            for (size_t row = 0; row < TREES_ROWS; row++) {
                sums[row] += leaf; /* of rows that are not there, too: at once */
            }
        } else {
            for (size_t row = 0; row < rows->len; row++) {
                sums[row] += leaf_of(&t->tree[i], rows->bytes[row]);
            }
        }
    }
    for (size_t row = 0; row < rows->len; row++) {
        out[row] = (double)sums[row];
    }
}

struct growth {
    struct examples *examples;
    struct trees_scratch *scratch;
    struct tree *tree;
    struct bins_features columns; /* while it grows; in the end they become features */
};

static const uint8_t *row_of(const struct examples *e, size_t i) {
    return e->rows + i * e->width;
}

struct stretch { /* of the bag's order: the examples of a node */
    uint16_t *members;
    size_t len;
};

/* Quickselect: each turn keeps the side in which half of the weight is reached. What goes where is
 * written without asking: no branch could be foreseen. */
static float weighted_median(const struct growth *g, struct stretch of) {
    struct pair *pairs = g->scratch->pairs, *larger = g->scratch->larger;
    size_t len = of.len;
    float wanted = 0;
    for (size_t i = 0; i < len; i++) {
        pairs[i] = g->scratch->residuals[of.members[i]];
        wanted += pairs[i].weight / 2;
    }
    while (len > 1) {
        float middle = pairs[len / 2].value, below_weight = 0, equal_weight = 0;
        size_t below = 0, above = 0;
        for (size_t i = 0; i < len; i++) {
            struct pair p = pairs[i];
            below_weight += p.value < middle ? p.weight : 0;
            equal_weight += p.value == middle ? p.weight : 0;
            pairs[below] = p;
            below += p.value < middle;
            larger[above] = p;
            above += p.value > middle;
        }
        if (wanted <= below_weight) {
            len = below;
        } else if (wanted <= below_weight + equal_weight) {
            return middle;
        } else {
            struct pair *smaller = pairs;
            pairs = larger;
            larger = smaller;
            wanted -= below_weight + equal_weight;
            len = above;
        }
    }
    return len == 1 ? pairs[0].value : 0;
}

static void fill(const struct growth *g, struct stretch of, struct bins *out) {
    bins_clear(out, g->columns.len);
    for (size_t i = 0; i < of.len; i++) {
        bins_add(out, &g->columns, row_of(g->examples, of.members[i]),
                 g->scratch->alone[of.members[i]]);
    }
}

/* Those that go to the left come first; returns how many. */
static size_t part(const struct growth *g, struct stretch of, struct tree_split split) {
    size_t left = 0, right = 0;
    for (size_t i = 0; i < of.len; i++) {
        uint16_t member = of.members[i];
        bool to_right = row_of(g->examples, member)[split.feature] > split.most;
        of.members[left] = member; /* one of both stays */
        g->scratch->other[right] = member;
        left += !to_right;
        right += to_right;
    }
    memcpy(of.members + left, g->scratch->other, right * sizeof *of.members);
    return left;
}

/* A node that is not split sends all to the left, and so do those below. What the tree says of the
 * node's examples is known here. */
static void end_in_leaf(const struct growth *g, unsigned node, struct stretch of) {
    for (; node < TREES_LEAVES; node *= 2) {
        g->tree->split[node] = (struct tree_split){ 0, 255 };
    }
    float leaf = LEARNING_RATE * weighted_median(g, of);
    g->tree->leaf[node - TREES_LEAVES] = leaf;
    for (size_t i = 0; i < of.len; i++) {
        g->examples->scores[of.members[i]] += leaf;
    }
}

/* The smaller child's examples are counted; the larger child has what is left of the node's. */
static void share_out(const struct growth *g, struct stretch smaller, struct bins *of_smaller,
                      struct bins *of_node) {
    fill(g, smaller, of_smaller);
    bins_take_away(of_node, of_smaller, g->columns.len);
}

/* `own` is the node's bins, which may be overwritten; those of `level` and deeper are free. */
static void grow_node(const struct growth *g, unsigned node, unsigned level, struct stretch of,
                      struct bins *own) {
    struct bins_split best;
    if (level == TREES_DEPTH || of.len < SPLIT_EXAMPLES_MIN ||
        !bins_split(own, g->columns.len, of.len, LEAF_EXAMPLES_MIN, &best)) {
        end_in_leaf(g, node, of);
        return;
    }
    g->tree->split[node] = (struct tree_split){ g->columns.of[best.feature], best.most };
    struct stretch left = { of.members, part(g, of, g->tree->split[node]) };
    struct stretch right = { of.members + left.len, of.len - left.len };
    bool left_smaller = left.len < right.len;
    struct bins *spare = NULL;
    if (level + 1 < TREES_DEPTH && (left_smaller ? right : left).len >= SPLIT_EXAMPLES_MIN) {
        spare = &g->scratch->bins[level + 1];
        share_out(g, left_smaller ? left : right, spare, own);
    }
    grow_node(g, 2 * node, level + 1, left, left_smaller ? spare : own);
    grow_node(g, 2 * node + 1, level + 1, right, left_smaller ? own : spare);
}

/* Each tree sees its own share of the examples (the rest stands behind them in the order) and … */
static struct stretch fill_bag(const struct growth *g, uint32_t tree) {
    struct trees_scratch *s = g->scratch;
    struct stretch bag = { s->order, 0 };
    uint16_t *rest = s->order + g->examples->len;
    for (size_t i = 0; i < g->examples->len; i++) {
        bool wanted = (mix_bits(g->examples->aims[i].hash + tree * 0x9e3779b9U) & 255) < BAG_OF_256;
        s->order[bag.len] = (uint16_t)i; /* one of both stays */
        *(rest - 1) = (uint16_t)i;
        bag.len += wanted;
        rest -= !wanted;
    }
    for (size_t i = 0; i < bag.len; i++) {
        uint16_t member = bag.members[i];
        const struct example_aim *aim = &g->examples->aims[member];
        struct pair residual = { aim->target - g->examples->scores[member], aim->weight };
        s->residuals[member] = residual;
        s->alone[member] = bins_alone(residual.weight, residual.value);
    }
    return bag;
}

/* … of the features, of which only those have a column that were not always the same. */
static void choose_columns(struct growth *g, uint32_t tree) {
    const struct examples *e = g->examples;
    for (uint32_t f = 0; f < FEATURES && g->columns.len < BINS_FEATURES_MAX; f++) {
        bool chosen = (mix_bits(f * 0x85ebca6bU + tree) & 255) < FEATURES_OF_256;
        if (chosen && e->column[f] != FEATURES_NO_COLUMN) {
            g->columns.of[g->columns.len++] = e->column[f];
        }
    }
}

static void name_features(struct tree *t, const struct examples *e) {
    for (unsigned node = 0; node < TREES_LEAVES; node++) {
        t->split[node].feature = e->feature[t->split[node].feature];
    }
}

void trees_grow(struct trees *t, struct examples *e, struct trees_scratch *scratch) {
    struct growth g = { .examples = e, .scratch = scratch, .tree = &t->tree[t->len] };
    struct stretch bag = fill_bag(&g, t->len);
    choose_columns(&g, t->len);
    memset(g.tree, 0, sizeof *g.tree);
    fill(&g, bag, &scratch->bins[0]);
    grow_node(&g, 1, 0, bag, &scratch->bins[0]);
    for (size_t i = bag.len; i < e->len; i++) { /* those in the bag know it from their leaf */
        e->scores[scratch->order[i]] += leaf_of(g.tree, row_of(e, scratch->order[i]));
    }
    name_features(g.tree, e);
    t->len++;
}
