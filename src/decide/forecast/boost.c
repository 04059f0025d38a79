#include "decide/forecast/boost.h"

#include <math.h>
#include <stdlib.h>

#define EXAMPLES_ENOUGH 200
#define INTERVAL_SHARE 10      /* a new model after so much more history */
#define ERROR_LEVEL_SHARE 0.1F /* of the level: unit of an error where little is forecast */
#define ERROR_MOST 20.0F

bool boost_init(struct boost *b, uint32_t interval_least) {
    *b = (struct boost){ .interval_least = interval_least > 8 ? interval_least : 8 };
    b->growing = calloc(1, sizeof *b->growing);
    b->grown = calloc(1, sizeof *b->grown);
    bool ok = examples_init(&b->examples, BOOST_EXAMPLES) && b->growing != NULL && b->grown != NULL;
    if (!ok) {
        boost_fini(b);
    }
    return ok;
}

void boost_fini(struct boost *b) {
    free(b->growing);
    free(b->grown);
    free(b->scratch);
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
    if (b->trees_each > 0) {
        e.score = (float)trees_predict(b->growing, bytes);
    }
    examples_add(&b->examples, &e);
}

void boost_grow(struct boost *b, int64_t slot) {
    if (b->trees_each == 0 && b->active && slot >= b->start_slot &&
        b->examples.len >= EXAMPLES_ENOUGH) {
        double interval = fmax(b->interval_least, (double)slot / INTERVAL_SHARE);
        b->start_slot = slot + (int64_t)interval;
        b->trees_each = (uint32_t)(2 * TREES_MAX / interval) + 1;
        b->growing->len = 0;
        b->scratch = trees_scratch_new(BOOST_EXAMPLES);
        b->trees_each = b->scratch != NULL ? b->trees_each : 0; /* without memory: another time */
    }
    for (uint32_t i = 0; i < b->trees_each && b->growing->len < TREES_MAX; i++) {
        trees_grow(b->growing, &b->examples, b->scratch);
    }
    if (b->trees_each > 0 && b->growing->len == TREES_MAX) {
        struct trees *old = b->grown;
        b->grown = b->growing;
        b->growing = old;
        b->trees_each = 0;
        free(b->scratch);
        b->scratch = NULL;
    }
}

const struct trees *boost_model(const struct boost *b) {
    return b->grown->len == TREES_MAX ? b->grown : NULL;
}

double boost_correct(double said, double level, double base) {
    return fmax(base + unit_of(level, base) * said, 0);
}
