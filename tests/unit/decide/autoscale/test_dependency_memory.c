/* What is known of calls, as bytes and back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decide/autoscale/dependency.h"

enum { FRONT, BACK, OTHER };

static struct dependencies *d, *again;
static const char *const names[DEPENDENCY_SERVICES_MAX] = { "front", "back", "other" };
/* After a restart: other indices, and one service less. */
static const char *const moved[DEPENDENCY_SERVICES_MAX] = { NULL, "new", "back", "front" };
#define MOVED_FRONT 3
#define MOVED_BACK 2
#define HEAD_BYTES 24

static int set_up(void **state) {
    (void)state;
    d = calloc(1, sizeof *d);
    again = calloc(1, sizeof *again);
    return d == NULL || again == NULL;
}

static int tear_down(void **state) {
    (void)state;
    free(d);
    free(again);
    return 0;
}

static void call(uint64_t trace, uint16_t called, uint64_t begun_us) {
    const struct dependency_request r = { .trace = trace,
                                          .begun_us = trace * 1000000 + begun_us,
                                          .ended_us = trace * 1000000 + begun_us + 50,
                                          .owners = UINT64_C(1) << FRONT,
                                          .service = called,
                                          .reached = true };
    dependencies_observe(d, &r);
}

/* Each page calls BACK once or twice, and OTHER always. */
static void learn(void) {
    for (uint64_t i = 1; i <= 400; i++) {
        const struct dependency_request page = { .trace = i,
                                                 .begun_us = i * 1000000,
                                                 .ended_us = i * 1000000 + 1000,
                                                 .service = FRONT,
                                                 .reached = true };
        dependencies_observe(d, &page);
        call(i, BACK, 100);
        if (i % 2 == 0) {
            call(i, BACK, 300);
        }
        call(i, OTHER, 500);
    }
    dependencies_settle(d, 1000000000000);
}

static void it_comes_back_at_other_indices(void **state) {
    (void)state;
    uint8_t bytes[DEPENDENCY_MEMORY_BYTES];
    learn();
    size_t len = dependencies_save(d, FRONT, names, bytes);
    struct dependency_ratio was = dependencies_ratio(d, FRONT, BACK);
    assert_true(was.proven && was.likely == 1.5);
    again->pairs[MOVED_FRONT][1].calls = 7; /* what was there makes room */
    assert_true(dependencies_restore(again, MOVED_FRONT, moved, bytes, len));
    struct dependency_ratio is = dependencies_ratio(again, MOVED_FRONT, MOVED_BACK);
    assert_true(is.likely == was.likely && is.low == was.low && is.high == was.high);
    assert_true(is.requests == was.requests && is.by_trace && is.proven);
    assert_true(isnan(dependencies_ratio(again, MOVED_FRONT, 1).likely));
    /* Saved again it is what is left of it. */
    assert_int_equal(dependencies_save(again, MOVED_FRONT, moved, bytes), HEAD_BYTES + 104);
}

static void nothing_is_a_head(void **state) {
    (void)state;
    uint8_t bytes[DEPENDENCY_MEMORY_BYTES];
    size_t len = dependencies_save(d, FRONT, names, bytes);
    assert_int_equal(len, HEAD_BYTES);
    assert_true(dependencies_restore(again, FRONT, names, bytes, len));
}

static void those_that_are_called_most_are_kept(void **state) {
    (void)state;
    uint8_t bytes[DEPENDENCY_MEMORY_BYTES];
    char text[DEPENDENCY_SERVICES_MAX][8];
    const char *all[DEPENDENCY_SERVICES_MAX];
    d->callers[FRONT].requests = 1000;
    d->callers[FRONT].requests_squared = 1000;
    for (unsigned i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        snprintf(text[i], sizeof text[i], "s%u", i);
        all[i] = text[i];
        double calls = i == FRONT ? 0 : (double)i;
        d->pairs[FRONT][i] = (struct dependency_pair){ .calls = calls,
                                                       .calls_squared = calls,
                                                       .calls_requests = calls };
    }
    size_t len = dependencies_save(d, FRONT, all, bytes);
    assert_int_equal(len, sizeof bytes);
    assert_true(dependencies_restore(again, FRONT, all, bytes, len));
    for (unsigned i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        bool kept = i >= DEPENDENCY_SERVICES_MAX - DEPENDENCY_MEMORY_CALLED;
        assert_true(again->pairs[FRONT][i].calls == (kept ? (double)i : 0));
    }
}

static void put(uint8_t *bytes, size_t at, double value) {
    memcpy(bytes + at, &value, sizeof value);
}

/* In the first pair: its name at 24, calls at 88, traced 96, squared 104, requests 112, sure 120.
 */
static const struct {
    const char *name;
    size_t at;
    double value;
} broken[] = {
    { "another layout", 0, 1 },
    { "requests without end", 8, 1e9 },
    { "requests below none", 8, -1 },
    { "no number of requests", 8, NAN },
    { "squares that are none", 16, NAN },
    { "no name", 24, 0 },
    { "no calls", 88, 0 },
    { "no number of calls", 88, NAN },
    { "endless calls", 88, INFINITY },
    { "more with a trace than all", 96, 1e6 },
    { "squares below none", 104, -1 },
    { "products that cannot be", 112, 1e6 },
    { "more that are sure than all", 120, 1e6 },
};

static void what_is_none_of_ours_is_refused_and_changes_nothing(void **state) {
    (void)state;
    uint8_t good[DEPENDENCY_MEMORY_BYTES], bytes[DEPENDENCY_MEMORY_BYTES];
    learn();
    size_t len = dependencies_save(d, FRONT, names, good);
    dependencies_restore(again, FRONT, names, good, len);
    struct dependencies *before = malloc(sizeof *before);
    assert_non_null(before);
    memcpy(before, again, sizeof *before);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        memcpy(bytes, good, sizeof bytes);
        put(bytes, broken[i].at, broken[i].value);
        if (dependencies_restore(again, FRONT, names, bytes, len)) {
            fail_msg("%s was taken", broken[i].name);
        }
        assert_memory_equal(before, again, sizeof *before);
    }
    memcpy(bytes, good, sizeof bytes);
    memset(bytes + 24, 'x', DEPENDENCY_NAME_BYTES); /* a name without end */
    assert_false(dependencies_restore(again, FRONT, names, bytes, len));
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(dependencies_restore(again, FRONT, names, good, cut));
    }
    assert_false(dependencies_restore(again, FRONT, names, good, len + 1));
    assert_memory_equal(before, again, sizeof *before);
    free(before);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_comes_back_at_other_indices),
        TEST(nothing_is_a_head),
        TEST(those_that_are_called_most_are_kept),
        TEST(what_is_none_of_ours_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
