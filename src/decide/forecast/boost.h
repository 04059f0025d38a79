/* Boost: corrects the weighted mean of the members by trees that learn from its past errors: what
 * days around events do, which lag is right when, where the members all fail alike. Models are
 * grown tree by tree between samples and replaced now and then. */
#pragma once
#include "decide/forecast/trees.h"

#define BOOST_EXAMPLES 4096

struct boost {
    struct examples examples;
    struct trees *growing, *grown; /* NULL: there is none */
    uint32_t interval_least;       /* slots between two models; at least the horizon */
    uint32_t trees_each;           /* grown with each slot; 0: none is growing */
    int64_t start_slot;            /* of the next model */
    bool active;                   /* models are wanted by now */
};

/* Room is taken later; without memory there are fewer examples, or the next model comes late. */
void boost_init(struct boost *b, uint32_t interval_least);
void boost_fini(struct boost *b);

/* Where (slot, ahead) may become an example, offer it. */
bool boost_wants(const struct boost *b, int64_t slot, uint32_t ahead);
/* `base` was said, `value` came. */
void boost_learn(struct boost *b, int64_t slot, uint32_t ahead, const uint8_t *bytes, double level,
                 double base, double value);

/* After each slot. */
void boost_grow(struct boost *b, int64_t slot);

/* The newest complete model; NULL: none. */
const struct trees *boost_model(const struct boost *b);
/* `base` corrected by what its trees said, never negative. */
double boost_correct(double said, double level, double base);
