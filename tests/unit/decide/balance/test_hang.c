/* What is a hang and what only looks like one; a percentile in one word. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rand.h"
#include "decide/balance/hang.h"

#define NOW UINT64_C(1000000000)
#define TAIL_US 60000

static void tells_a_hang_from_what_looks_like_one(void **state) {
    static const struct {
        const char *name;
        uint32_t unanswered, marked;
        uint64_t silent_ms, marked_ms; /* ago */
        uint64_t tail_us;
        uint32_t awaiting, peers_answers;
        bool certain, suspected;
    } cases[] = {
        { "silence long enough, requests enough", 9, 4, 230, 110, TAIL_US, 9, 50, true, false },
        { "one slow page", 1, 1, 5000, 4900, TAIL_US, 1, 5000, false, true },
        { "three slow pages at a time", 3, 3, 5000, 4900, TAIL_US, 3, 5000, false, true },
        { "the last of them were sent just now", 9, 4, 230, 20, TAIL_US, 9, 50, false, false },
        { "slow, as the service is", 9, 4, 230, 110, 200000, 9, 50, false, false },
        { "nobody answers: it is not the endpoint", 9, 4, 5000, 4000, TAIL_US, 9, 11, false,
          false },
        { "nobody waits any more", 9, 4, 5000, 4000, TAIL_US, 1, 500, false, false },
        { "nothing is known of the service", 9, 4, 5000, 4000, 0, 9, 500, false, false },
        { "a fast service has a moment's patience", 9, 4, 190, 110, 300, 9, 500, false, false },
        { "silent for a moment, too few to tell", 2, 2, 60, 60, TAIL_US, 2, 50, false, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct hang hang = { cases[i].unanswered, NOW - cases[i].silent_ms * 1000,
                                   cases[i].marked, NOW - cases[i].marked_ms * 1000 };
        bool certain = hang_is_certain(&hang, cases[i].tail_us, cases[i].awaiting,
                                       cases[i].peers_answers, NOW);
        bool suspected = hang_is_suspected(&hang, cases[i].tail_us, NOW);
        if (certain != cases[i].certain || suspected != cases[i].suspected) {
            fail_msg("%s: certain %d suspected %d", cases[i].name, certain, suspected);
        }
    }
}

static void marks_the_moment_when_there_were_enough(void **state) {
    struct hang h = { .unanswered = 2, .silent_since_us = NOW };
    (void)state;
    hang_mark(&h, NOW + 1);
    assert_int_equal(h.marked, 2);
    h.unanswered = 6;
    hang_mark(&h, NOW + 2);
    assert_int_equal(h.marked, 6);
    assert_int_equal(h.marked_us, NOW + 2);
    h.unanswered = 60;
    hang_mark(&h, NOW + 3);
    assert_int_equal(h.marked_us, NOW + 2);
}

static void a_tail_is_about_the_99th_percentile(void **state) {
    struct rand r;
    (void)state;
    rand_init(&r, 7);
    struct tail t = { 0 };
    for (int i = 0; i < 60000; i++) { /* 0 to 100 ms, all alike */
        tail_add(&t, rand_below(&r, 100000));
    }
    assert_in_range(tail_us(&t), 95000, 115000);
    for (int i = 0; i < 20000; i++) { /* and then a tenth of that */
        tail_add(&t, rand_below(&r, 10000));
    }
    assert_in_range(tail_us(&t), 9500, 12500);
    for (int i = 0; i < 1500; i++) {
        tail_add(&t, rand_below(&r, 100000));
    }
    assert_in_range(tail_us(&t), 80000, 130000);
}

static void a_tail_knows_soon(void **state) {
    struct tail t = { 0 };
    (void)state;
    tail_add(&t, 1000000); /* a first one that had to connect, compile and load */
    for (int i = 0; i < 1000; i++) {
        tail_add(&t, 5000);
    }
    assert_in_range(tail_us(&t), 4000, 200000);
    assert_true(tail_us(&t) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_a_hang_from_what_looks_like_one),
        cmocka_unit_test(marks_the_moment_when_there_were_enough),
        cmocka_unit_test(a_tail_is_about_the_99th_percentile),
        cmocka_unit_test(a_tail_knows_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
