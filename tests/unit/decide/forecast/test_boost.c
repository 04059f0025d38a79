#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned asked, refused_first, refused_end; /* which requests for memory are refused */

static bool refuse(void) {
    unsigned number = asked++;
    return number >= refused_first && number < refused_end;
}

static void *sparing_calloc(size_t count, size_t bytes) {
    return refuse() ? NULL : calloc(count, bytes);
}

static void *sparing_realloc(void *before, size_t bytes) {
    return refuse() ? NULL : realloc(before, bytes);
}

/* Compiled once more, so that memory can run out. NOLINTBEGIN(bugprone-suspicious-include) */
#define calloc sparing_calloc
#define realloc sparing_realloc
#include "decide/forecast/boost.c"
#include "decide/forecast/examples.c"
#include "decide/forecast/trees.c"
/* NOLINTEND(bugprone-suspicious-include) */

#define SLOTS 500
#define INTERVAL 100
#define COLUMN_SLOT 150      /* from here on a second feature differs … */
#define LATE_COLUMN_SLOT 210 /* … and a third, while trees are growing */
#define BASE 100.0

static void fill_bytes(int64_t slot, uint8_t *out) {
    memset(out, 7, FEATURES);
    out[0] = (uint8_t)(slot * 37);
    out[3] = slot < COLUMN_SLOT ? 7 : (uint8_t)slot;
    out[FEATURES - 1] = slot < LATE_COLUMN_SLOT ? 7 : (uint8_t)(slot * 3 | 8);
}

static void live(struct boost *b, int64_t from, int64_t to) {
    for (int64_t slot = from; slot < to; slot++) {
        uint8_t bytes[FEATURES];
        fill_bytes(slot, bytes);
        boost_learn(b, slot, 1, bytes, BASE, BASE, bytes[0] > 100 ? 1.5 * BASE : BASE);
        boost_grow(b, slot);
    }
}

static void begin(struct boost *b, unsigned first, unsigned end) {
    boost_init(b, INTERVAL);
    b->active = true;
    asked = 0;
    refused_first = first;
    refused_end = end;
}

/* Each whole, in order; how many are missing. */
static size_t assert_examples(const struct boost *b) {
    int64_t slot = 0;
    for (size_t i = 0; i < b->examples.len; i++, slot++) {
        struct example kept = examples_get(&b->examples, i);
        uint8_t bytes[FEATURES];
        while (slot < SLOTS && hash_of(slot, 1) != kept.hash) {
            slot++;
        }
        fill_bytes(slot, bytes);
        assert_memory_equal(kept.bytes, bytes, FEATURES);
    }
    return SLOTS - b->examples.len;
}

static void assert_corrects(const struct boost *b) {
    uint8_t high[FEATURES], low[FEATURES];
    assert_non_null(boost_model(b));
    memset(high, 7, sizeof high);
    memset(low, 7, sizeof low);
    high[0] = 200;
    assert_true(boost_correct(trees_predict(boost_model(b), high), BASE, BASE) > 1.4 * BASE);
    assert_true(boost_correct(trees_predict(boost_model(b), low), BASE, BASE) < 1.1 * BASE);
}

static void what_the_base_misses_is_learned(void **state) {
    (void)state;
    struct boost b;
    begin(&b, 0, 0);
    live(&b, 0, SLOTS);
    assert_int_equal(assert_examples(&b), 0);
    assert_corrects(&b);
    boost_fini(&b);
}

/* Whichever request is refused: one example is missing or the model comes later. */
static void one_refusal_costs_little(void **state) {
    (void)state;
    unsigned first = 0;
    do {
        struct boost b;
        begin(&b, first, first + 1);
        live(&b, 0, SLOTS);
        assert_true(assert_examples(&b) <= 1);
        assert_corrects(&b);
        boost_fini(&b);
    } while (++first < asked);
    assert_true(first > 50);
}

static void without_memory_there_is_no_model_until_there_is_memory(void **state) {
    (void)state;
    struct boost b;
    begin(&b, 0, UINT32_MAX);
    live(&b, 0, SLOTS);
    assert_null(boost_model(&b));
    assert_int_equal(b.examples.len, 0);
    refused_end = 0;
    live(&b, SLOTS, 2 * SLOTS);
    assert_corrects(&b);
    boost_fini(&b);
}

/* It runs out with examples there and trees that grow. */
static void what_was_learned_stays_without_memory(void **state) {
    (void)state;
    struct boost b;
    begin(&b, UINT32_MAX, UINT32_MAX);
    live(&b, 0, LATE_COLUMN_SLOT);
    assert_non_null(b.growing);
    size_t len = b.examples.len;
    refused_first = 0;
    live(&b, LATE_COLUMN_SLOT, SLOTS);
    assert_null(boost_model(&b));
    assert_int_equal(b.examples.len, len); /* the new ones want a column */
    (void)assert_examples(&b);
    boost_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_base_misses_is_learned),
        cmocka_unit_test(one_refusal_costs_little),
        cmocka_unit_test(without_memory_there_is_no_model_until_there_is_memory),
        cmocka_unit_test(what_was_learned_stays_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
