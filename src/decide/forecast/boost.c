#include "decide/forecast/boost.h"

#include <math.h>
#include <stdlib.h>

#define EXAMPLES_ENOUGH 200
#define INTERVAL_SHARE 10      /* a new model after so much more history */
#define ERROR_LEVEL_SHARE 0.1F /* of the level: unit of an error where little is forecast */
#define ERROR_MOST 20.0F

void boost_init(struct boost *b, uint32_t interval_least) {
    *b = (struct boost){ .interval_least = interval_least > 8 ? interval_least : 8 };
    examples_init(&b->examples, BOOST_EXAMPLES);
}

void boost_fini(struct boost *b) {
    free(b->growing);
    free(b->grown);
    examples_fini(&b->examples);
    *b = (struct boost){ 0 };
}

static uint32_t hash_of(int64_t slot, uint32_t ahead) {
    uint64_t x = ((uint64_t)slot * 0x9e3779b97f4a7c15U) ^ ((uint64_t)ahead * 0xd1b54a32d192ed03U);
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93U;
    return (uint32_t)(x ^ x >> 32);
}

bool boost_wants(const struct boost *b, int64_t slot, uint32_t ahead) {
    return examples_wanted(&b->examples, hash_of(slot, ahead));
}

static double unit_of(double level, double base) {
    return base + (double)ERROR_LEVEL_SHARE * level;
}

void boost_learn(struct boost *b, int64_t slot, uint32_t ahead, const uint8_t *bytes, double level,
                 double base, double value) {
    struct example e = { .hash = hash_of(slot, ahead) };
    double unit = unit_of(level, base);
    for (size_t i = 0; i < FEATURES; i++) {
        e.bytes[i] = bytes[i];
    }
    e.target = fminf((float)((value - base) / unit), ERROR_MOST);
    e.weight = (float)fmin(unit / level, 20);
    float score = b->growing != NULL ? (float)trees_predict(b->growing, bytes) : 0;
    examples_add(&b->examples, &e, score);
}

static bool due(const struct boost *b, int64_t slot) {
    return b->growing == NULL && b->active && slot >= b->start_slot &&
           b->examples.len >= EXAMPLES_ENOUGH;
}

/* Without memory: another time. */
static void start(struct boost *b, int64_t slot) {
    double interval = fmax(b->interval_least, (double)slot / INTERVAL_SHARE);
    b->start_slot = slot + (int64_t)interval;
    b->trees_each = (uint32_t)(2 * TREES_MAX / interval) + 1;
    b->growing = calloc(1, sizeof *b->growing);
    if (b->growing == NULL || !examples_score(&b->examples)) {
        free(b->growing);
        b->growing = NULL;
    }
}

static void finish(struct boost *b) {
    free(b->grown);
    b->grown = b->growing;
    b->growing = NULL;
    examples_scored(&b->examples);
}

/* What growing needs beside examples is taken for the moment: a process has it once, however many
 * forecasters it has. */
void boost_grow(struct boost *b, int64_t slot) {
    if (due(b, slot)) {
        start(b, slot);
    }
    if (b->growing == NULL) {
        return;
    }
    struct trees_scratch *scratch = trees_scratch_new(BOOST_EXAMPLES);
    for (uint32_t i = 0; i < b->trees_each && scratch != NULL && b->growing->len < TREES_MAX; i++) {
        trees_grow(b->growing, &b->examples, scratch);
    }
    free(scratch);
    if (b->growing->len == TREES_MAX) {
        finish(b);
    }
}

const struct trees *boost_model(const struct boost *b) {
    return b->grown;
}

double boost_correct(double said, double level, double base) {
    return fmax(base + unit_of(level, base) * said, 0);
}
