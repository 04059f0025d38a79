#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/profile_cache.h"

#define PATH 24 /* longer than the cache */

struct world {
    struct history history;
    struct members members;
    struct profile_cache cache;
    struct rand rand;
};

static void begin(struct world *w, const uint32_t *seasons, size_t count, size_t keep) {
    rand_init(&w->rand, 11);
    assert_true(history_init(&w->history, &(struct history_span){ .keep = keep, .exact = keep }));
    members_init(&w->members, seasons, count);
    profile_cache_init(&w->cache, &w->members);
}

/* Also a gap now and then. */
static void append(struct world *w) {
    bool gap = rand_below(&w->rand, 50) == 0;
    history_append(&w->history, gap ? (double)NAN : 1 + (double)rand_below(&w->rand, 1000) / 7);
}

/* What is asked of a slot from an origin is what a fresh look says, to the last bit. */
static void assert_fresh(struct world *w, int64_t slot, uint32_t ahead) {
    struct profile_values cached = { 0 }, fresh = { 0 };
    profile_cache_look(&w->cache, &w->members, &w->history, slot, ahead, &cached);
    members_profiles(&w->members, &w->history, slot, ahead, &fresh);
    assert_memory_equal(&cached, &fresh, sizeof fresh);
}

static void look_along_a_path(struct world *w) {
    int64_t next = history_end(&w->history);
    for (uint32_t ahead = 1; ahead <= PATH; ahead++) {
        assert_fresh(w, next + ahead - 1, ahead);
    }
    assert_fresh(w, next, PATH / 2); /* as it was said then */
    assert_fresh(w, next, 1);
}

static void the_cache_says_what_a_fresh_look_says(void **state) {
    (void)state;
    static const struct {
        uint32_t seasons[2];
        size_t count;
    } cases[] = { { { 96, 672 }, 2 }, { { 24, 168 }, 2 }, { { 7, 0 }, 1 }, { { 0, 0 }, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        begin(&w, cases[i].seasons, cases[i].count, 1000); /* what is older falls off meanwhile */
        for (int slot = 0; slot < 3000; slot++) {
            append(&w);
            look_along_a_path(&w);
        }
        history_fini(&w.history);
    }
}

static void change_the_past(struct world *w) {
    for (int slot = 0; slot < 5000; slot++) {
        append(w);
    }
    int64_t next = history_end(&w->history);
    look_along_a_path(w);
    history_set_aside(&w->history, next - 96, next - 90, true);
    look_along_a_path(w);
    history_set_aside(&w->history, next - 96, next - 90, false);
    look_along_a_path(w);
    history_scale(&w->history, next - 10, 1.5);
    look_along_a_path(w);
    history_fini(&w->history);
}

static void what_is_changed_in_the_past_is_seen(void **state) {
    (void)state;
    struct world w;
    begin(&w, (const uint32_t[]){ 96, 672 }, 2, 4000);
    change_the_past(&w);
}

/* … also where it is kept in a byte a value. */
static void what_is_changed_in_a_long_past_is_seen(void **state) {
    (void)state;
    struct world w;
    begin(&w, (const uint32_t[]){ 96, 672 }, 2, 4000);
    history_fini(&w.history);
    assert_true(history_init(
        &w.history,
        &(struct history_span){ .keep = 4000, .fine = 2000, .exact = 8, .season_steps = 96 }));
    change_the_past(&w);
}

/* What comes next, and is asked for again and again, stays in the cache. */
static void a_slot_is_computed_once(void **state) {
    (void)state;
    struct world w;
    struct profile_values values;
    begin(&w, (const uint32_t[]){ 96, 672 }, 2, 4000);
    for (int slot = 0; slot < 3000; slot++) {
        append(&w);
    }
    int64_t next = history_end(&w.history);
    look_along_a_path(&w);
    size_t place = (size_t)next % PROFILE_CACHE_SLOTS;
    assert_int_equal(w.cache.of[place].slot, next);
    w.cache.of[place].values.at[0] = 12345; /* so that it shows */
    profile_cache_look(&w.cache, &w.members, &w.history, next, 80, &values);
    assert_true(values.at[0] == 12345);
    profile_cache_look(&w.cache, &w.members, &w.history, next, 96, &values); /* cut short there */
    assert_true(values.at[0] != 12345);
    history_fini(&w.history);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cache_says_what_a_fresh_look_says),
        cmocka_unit_test(what_is_changed_in_the_past_is_seen),
        cmocka_unit_test(what_is_changed_in_a_long_past_is_seen),
        cmocka_unit_test(a_slot_is_computed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
