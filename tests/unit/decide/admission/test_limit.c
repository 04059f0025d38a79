/* The learned limit: window by window, and on a simulated service under too much load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/heap.h"
#include "base/rand.h"
#include "decide/admission/limit.h"

static const struct admission_objective objective = { .latency_us = 100000, .share = 0.99 };

/* One window of 100 answers. */
static void window(struct admission_limit *l, uint64_t *now_us, uint64_t latency_us,
                   unsigned late_of_100, uint32_t in_flight) {
    for (unsigned i = 0; i < 100; i++) {
        *now_us += ADMISSION_WINDOW_US / 100 + 1;
        admission_limit_observe(l, &objective, i < late_of_100 ? 150000 : latency_us, false,
                                in_flight, *now_us);
    }
}

static void moves_once_a_window(void **state) {
    static const struct {
        const char *name;
        uint64_t latency_us;
        unsigned late;
        uint32_t in_flight;
        double limit; /* after it, from 100 */
    } cases[] = {
        { "all in time, in use: it grows", 50000, 0, 100, 111 },
        { "all in time, not in use: it stays", 50000, 0, 79, 100 },
        { "one in a hundred is forgiven", 50000, 1, 100, 111 },
        { "two are not", 50000, 2, 100, 95 },
        { "all late by a quarter", 125000, 0, 100, 80 },
        { "all four times too late: by half at most", 400000, 0, 100, 50 },
        { "late and not in use: it shrinks too", 125000, 0, 10, 80 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct admission_limit l;
        uint64_t now_us = 1000000;
        admission_limit_init(&l, 100, 1, 1000, now_us);
        window(&l, &now_us, cases[i].latency_us, cases[i].late, cases[i].in_flight);
        if (l.limit < cases[i].limit - 0.01 || l.limit > cases[i].limit + 0.01) {
            fail_msg("%s: %.2f, not %.2f", cases[i].name, l.limit, cases[i].limit);
        }
    }
}

static void remembers_where_it_was_too_large(void **state) {
    struct admission_limit l;
    uint64_t now_us = 0;
    (void)state;
    admission_limit_init(&l, 100, 1, 1000, 0);
    window(&l, &now_us, 200000, 0, 100);
    assert_float_equal(l.limit, 50, 0.01);
    for (int i = 0; i < 12; i++) { /* back to below 100 in three seconds */
        window(&l, &now_us, 50000, 0, 1000);
        assert_true(l.limit < 95);
    }
    assert_true(l.limit > 88);
    for (int i = 0; i < 20; i++) { /* and on with small steps */
        double before = l.limit;
        window(&l, &now_us, 50000, 0, 1000);
        assert_true(l.limit > before && l.limit < before * 1.02);
    }
    for (int i = 0; i < 40; i++) { /* until that is long behind: then it searches again */
        window(&l, &now_us, 50000, 0, 1000);
    }
    assert_true(l.limit > 300);
}

static void stays_within_its_bounds(void **state) {
    struct admission_limit l;
    uint64_t now_us = 0;
    (void)state;
    admission_limit_init(&l, 500, 4, 20, now_us);
    assert_int_equal(admission_limit_now(&l), 20);
    for (int i = 0; i < 50; i++) {
        window(&l, &now_us, 50000, 0, 20);
    }
    assert_int_equal(admission_limit_now(&l), 20);
    for (int i = 0; i < 50; i++) {
        window(&l, &now_us, 900000, 0, 20);
    }
    assert_int_equal(admission_limit_now(&l), 4);
}

static void few_answers_are_no_evidence(void **state) {
    struct admission_limit l;
    (void)state;
    admission_limit_init(&l, 10, 1, 100, 0);
    for (unsigned i = 1; i < ADMISSION_WINDOW_SAMPLES; i++) {
        admission_limit_observe(&l, &objective, 900000, false, 10, i * 1000000);
    }
    assert_int_equal(admission_limit_now(&l), 10);
    admission_limit_observe(&l, &objective, 900000, false, 10, 99000000);
    assert_int_equal(admission_limit_now(&l), 5);
}

static void a_fast_refusal_is_not_a_fast_answer(void **state) {
    struct admission_limit l;
    uint64_t now_us = 0;
    (void)state;
    admission_limit_init(&l, 100, 1, 1000, 0);
    for (unsigned i = 0; i < 100; i++) {
        now_us += ADMISSION_WINDOW_US / 100 + 1;
        admission_limit_observe(&l, &objective, 100, true, 100, now_us);
    }
    assert_int_equal(admission_limit_now(&l), 95);
}

/* Half of the answers fast, half of them too late and refused: the mean is 160 ms, and nothing else
 * says by how much to shrink. */
static void shrinks_by_the_mean(void **state) {
    struct admission_limit l;
    uint64_t now_us = 0;
    (void)state;
    admission_limit_init(&l, 100, 1, 1000, 0);
    for (unsigned i = 0; i < 100; i++) {
        now_us += ADMISSION_WINDOW_US / 100 + 1;
        admission_limit_observe(&l, &objective, i % 2 == 0 ? 20000 : 300000, i % 2 == 1, 100,
                                now_us);
    }
    assert_float_equal(l.limit, 62.5, 0.01);
}

static void goes_along_with_the_fleet(void **state) {
    struct admission_limit l;
    (void)state;
    admission_limit_init(&l, 40, 1, 80, 0);
    admission_limit_rescale(&l, 1.5, 1, 120);
    assert_int_equal(admission_limit_now(&l), 60);
    admission_limit_rescale(&l, 10, 1, 120);
    assert_int_equal(admission_limit_now(&l), 120);
}

/* ---- simulation: `lanes` requests at a time, 20 ms each, offered twice what they carry ---- */

struct flight {
    struct heap_node node;
    uint64_t due_us, since_us;
};

static bool is_due_earlier(const struct heap_node *a, const struct heap_node *b) {
    return HEAP_ITEM_CONST(a, struct flight, node)->due_us <
           HEAP_ITEM_CONST(b, struct flight, node)->due_us;
}

struct outcome {
    double limit;        /* mean of the second half */
    double served_ratio; /* of what the lanes could have carried */
    double late_ratio;
};

static struct outcome overload(unsigned lanes, double start, uint64_t seed) {
    static struct flight flights[1024];
    static uint64_t lane_free_us[64];
    const uint64_t service_us = 20000, end_us = 60000000;
    struct admission_limit l;
    struct heap due;
    struct rand r;
    struct outcome o = { 0 };
    unsigned samples = 0, served = 0, late = 0, used = 0;
    memset(flights, 0, sizeof flights);
    memset(lane_free_us, 0, sizeof lane_free_us);
    heap_init(&due, is_due_earlier);
    rand_init(&r, seed);
    admission_limit_init(&l, start, 1, 1000, 0);
    for (uint64_t now_us = 0; now_us < end_us;) {
        now_us += (uint64_t)(rand_exponential(&r) * (double)service_us / (2.0 * lanes)) + 1;
        for (struct heap_node *n = heap_first(&due); n != NULL; n = heap_first(&due)) {
            struct flight *f = HEAP_ITEM(n, struct flight, node);
            if (f->due_us > now_us) {
                break;
            }
            admission_limit_observe(&l, &objective, f->due_us - f->since_us, false,
                                    (uint32_t)due.len, f->due_us);
            heap_remove(&due, n);
            if (f->due_us > end_us / 2) {
                served++;
                late += f->due_us - f->since_us > objective.latency_us;
            }
        }
        if (due.len < admission_limit_now(&l)) {
            unsigned lane = 0;
            for (unsigned i = 1; i < lanes; i++) {
                lane = lane_free_us[i] < lane_free_us[lane] ? i : lane;
            }
            uint64_t begin_us = lane_free_us[lane] > now_us ? lane_free_us[lane] : now_us;
            while (flights[used % 1024].node.position != 0) {
                used++;
            }
            struct flight *f = &flights[used++ % 1024];
            f->since_us = now_us;
            f->due_us = lane_free_us[lane] = begin_us + service_us;
            assert_true(heap_insert(&due, &f->node));
        }
        if (now_us > end_us / 2) {
            o.limit += l.limit;
            samples++;
        }
    }
    heap_fini(&due);
    o.limit /= samples;
    o.served_ratio = served / (lanes * (double)(end_us / 2) / (double)service_us);
    o.late_ratio = (double)late / served;
    return o;
}

/* 100 ms for 20 ms of work: five may wait for each lane. From far below and from far above. */
static void finds_what_a_service_carries(void **state) {
    static const struct {
        unsigned lanes;
        double start;
    } cases[] = { { 1, 1 }, { 1, 50 }, { 8, 2 }, { 8, 400 }, { 32, 32 }, { 32, 900 } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o = overload(cases[i].lanes, cases[i].start, 7041 + i);
        if (o.limit < 3.0 * cases[i].lanes || o.limit > 6.0 * cases[i].lanes ||
            o.served_ratio < 0.97 || o.late_ratio > 0.1) {
            fail_msg("%u lanes from %.0f: limit %.1f, served %.3f, late %.3f", cases[i].lanes,
                     cases[i].start, o.limit, o.served_ratio, o.late_ratio);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_once_a_window),
        cmocka_unit_test(remembers_where_it_was_too_large),
        cmocka_unit_test(stays_within_its_bounds),
        cmocka_unit_test(few_answers_are_no_evidence),
        cmocka_unit_test(a_fast_refusal_is_not_a_fast_answer),
        cmocka_unit_test(shrinks_by_the_mean),
        cmocka_unit_test(goes_along_with_the_fleet),
        cmocka_unit_test(finds_what_a_service_carries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
