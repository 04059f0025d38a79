/* The queue at the door, against a dumb twin and by its promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/rand.h"
#include "decide/admission/admission.h"

static struct admission_item item(double value, bool known, bool goes_first) {
    return (struct admission_item){ .value = value, .known = known, .goes_first = goes_first };
}

static bool push(struct admission_queue *q, struct admission_item *i) {
    struct admission_item *evicted;
    bool in = admission_queue_push(q, i, &evicted);
    assert_null(evicted);
    return in;
}

static void the_most_valuable_goes_first(void **state) {
    struct admission_queue q;
    struct admission_item items[] = { item(1, true, false), item(3, true, false),
                                      item(2, true, false), item(3, true, false),
                                      item(0.1, true, true) };
    static const int order[] = { 4, 1, 3, 2, 0 }; /* checkout; then by value, then by arrival */
    (void)state;
    admission_queue_init(&q, OVERLOAD_BY_VALUE, 10, 0);
    for (int i = 0; i < 5; i++) {
        assert_true(push(&q, &items[i]));
    }
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(admission_queue_pop(&q), &items[order[i]]);
    }
    assert_null(admission_queue_pop(&q));
    admission_queue_fini(&q);
}

static void fifo_is_by_arrival_only(void **state) {
    struct admission_queue q;
    struct admission_item items[] = { item(1, true, false), item(9, false, true),
                                      item(5, true, false) };
    struct admission_item late = item(99, true, true), *evicted;
    (void)state;
    admission_queue_init(&q, OVERLOAD_FIFO, 3, 0.5);
    for (int i = 0; i < 3; i++) {
        assert_true(push(&q, &items[i]));
    }
    assert_false(admission_queue_push(&q, &late, &evicted));
    assert_null(evicted);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(admission_queue_pop(&q), &items[i]);
    }
    admission_queue_fini(&q);
}

static void a_better_one_takes_the_place_of_the_least(void **state) {
    struct admission_queue q;
    struct admission_item items[] = { item(5, true, false), item(2, true, false),
                                      item(9, true, true) };
    struct admission_item better = item(3, true, false), worse = item(1, true, false);
    struct admission_item order = item(0, true, true), *evicted;
    (void)state;
    admission_queue_init(&q, OVERLOAD_BY_VALUE, 3, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(push(&q, &items[i]));
    }
    assert_false(admission_queue_push(&q, &worse, &evicted));
    assert_null(evicted);
    assert_true(admission_queue_push(&q, &better, &evicted));
    assert_ptr_equal(evicted, &items[1]);
    assert_false(admission_item_waits(evicted));
    assert_true(admission_queue_push(&q, &order, &evicted)); /* worth nothing, but an order */
    assert_ptr_equal(evicted, &better);
    assert_int_equal(admission_queue_len(&q), 3);
    admission_queue_fini(&q);
}

static void equals_do_not_push_each_other_out(void **state) {
    struct admission_queue q;
    struct admission_item first = item(1, true, false), second = item(1, true, false), *evicted;
    (void)state;
    admission_queue_init(&q, OVERLOAD_BY_VALUE, 1, 0);
    assert_true(push(&q, &first));
    assert_false(admission_queue_push(&q, &second, &evicted));
    admission_queue_fini(&q);
}

static void no_places_at_all(void **state) {
    struct admission_queue q;
    struct admission_item one = item(9, true, true), *evicted;
    (void)state;
    admission_queue_init(&q, OVERLOAD_BY_VALUE, 0, 1);
    assert_false(admission_queue_push(&q, &one, &evicted));
    assert_null(evicted);
    assert_null(admission_queue_pop(&q));
    admission_queue_fini(&q);
}

static void leaves_from_anywhere(void **state) {
    struct admission_queue q;
    struct admission_item items[5];
    (void)state;
    admission_queue_init(&q, OVERLOAD_BY_VALUE, 10, 0);
    for (int i = 0; i < 5; i++) {
        items[i] = item(i, i % 2 == 0, false);
        assert_true(push(&q, &items[i]));
    }
    admission_queue_remove(&q, &items[2]);
    admission_queue_remove(&q, &items[2]); /* again does nothing */
    admission_queue_remove(&q, &items[4]);
    assert_ptr_equal(admission_queue_pop(&q), &items[3]);
    assert_ptr_equal(admission_queue_pop(&q), &items[1]);
    assert_ptr_equal(admission_queue_pop(&q), &items[0]);
    admission_queue_fini(&q);
}

/* ---- the floor ---- */

/* A shop full of good customers, and unknown visitors who are worth less than each of them: how
 * many of 10,000 releases go to them. */
static unsigned released_to_unknown(double floor_ratio, double unknown_value) {
    static struct admission_item items[64];
    struct admission_queue q;
    unsigned unknown = 0;
    admission_queue_init(&q, OVERLOAD_BY_VALUE, 64, floor_ratio);
    for (int i = 0; i < 64; i++) {
        items[i] = i % 2 == 0 ? item(unknown_value, false, false) : item(10, true, false);
        push(&q, &items[i]);
    }
    for (int i = 0; i < 10000; i++) {
        struct admission_item *out = admission_queue_pop(&q);
        unknown += !out->known;
        assert_true(push(&q, out)); /* the next of its kind */
    }
    admission_queue_fini(&q);
    return unknown;
}

static void the_unknown_have_their_share(void **state) {
    (void)state;
    assert_int_equal(released_to_unknown(0, 1), 0);
    assert_in_range(released_to_unknown(0.1, 1), 999, 1001);
    assert_in_range(released_to_unknown(0.5, 1), 4999, 5001);
    assert_in_range(released_to_unknown(1, 1), 9999, 10000);
    assert_int_equal(released_to_unknown(0.1, 11), 10000); /* who is worth more needs no floor */
}

static void orders_come_before_the_floor(void **state) {
    struct admission_queue q;
    struct admission_item unknown = item(1, false, false), order[20];
    (void)state;
    admission_queue_init(&q, OVERLOAD_BY_VALUE, 64, 0.5);
    assert_true(push(&q, &unknown));
    for (int i = 0; i < 20; i++) {
        order[i] = item(10, true, true);
        assert_true(push(&q, &order[i]));
    }
    for (int i = 0; i < 20; i++) {
        assert_ptr_equal(admission_queue_pop(&q), &order[i]);
    }
    assert_ptr_equal(admission_queue_pop(&q), &unknown);
    admission_queue_fini(&q);
}

/* A queue of 10 full of good customers: one place in five is for the unknown, no more. */
static void the_unknown_have_their_places(void **state) {
    struct admission_queue q;
    struct admission_item known[10], unknown[4], better = item(50, true, false), *evicted;
    (void)state;
    admission_queue_init(&q, OVERLOAD_BY_VALUE, 10, 0.2);
    for (int i = 0; i < 10; i++) {
        known[i] = item(10 + i, true, false);
        assert_true(push(&q, &known[i]));
    }
    for (int i = 0; i < 4; i++) {
        unknown[i] = item(1 + i % 3, false, false); /* 1, 2, 3, 1 */
    }
    assert_true(admission_queue_push(&q, &unknown[0], &evicted));
    assert_ptr_equal(evicted, &known[0]);
    assert_true(admission_queue_push(&q, &unknown[1], &evicted));
    assert_ptr_equal(evicted, &known[1]);
    /* The floor is full: now only by value, and only in place of one of their own. */
    assert_true(admission_queue_push(&q, &unknown[2], &evicted));
    assert_ptr_equal(evicted, &unknown[0]);
    assert_false(admission_queue_push(&q, &unknown[3], &evicted));
    assert_null(evicted);
    /* And no good customer can take it from them. */
    assert_true(admission_queue_push(&q, &better, &evicted));
    assert_ptr_equal(evicted, &known[2]);
    admission_queue_fini(&q);
}

static void the_floor_pushes_out_no_order(void **state) {
    struct admission_queue q;
    struct admission_item orders[4], unknown = item(1, false, false), *evicted;
    (void)state;
    admission_queue_init(&q, OVERLOAD_BY_VALUE, 4, 0.5);
    for (int i = 0; i < 4; i++) {
        orders[i] = item(1, true, true);
        assert_true(push(&q, &orders[i]));
    }
    assert_false(admission_queue_push(&q, &unknown, &evicted));
    assert_null(evicted);
    admission_queue_fini(&q);
}

static void an_order_needs_no_floor(void **state) {
    struct admission_queue q;
    struct admission_item unknown[2] = { item(1, false, false), item(2, false, false) };
    struct admission_item good = item(50, true, false), order = item(0, true, true), *evicted;
    (void)state;
    admission_queue_init(&q, OVERLOAD_BY_VALUE, 2, 1);
    assert_true(push(&q, &unknown[0]) && push(&q, &unknown[1]));
    assert_false(admission_queue_push(&q, &good, &evicted));
    assert_null(evicted);
    assert_true(admission_queue_push(&q, &order, &evicted));
    assert_ptr_equal(evicted, &unknown[0]);
    admission_queue_fini(&q);
}

/* ---- a dumb twin: an array, searched from end to end; without a floor ---- */

#define ITEMS 40
#define PLACES 12

static int twin_best(struct admission_item *const *twin, int len, bool worst) {
    int found = -1;
    for (int i = 0; i < len; i++) {
        if (found < 0) {
            found = i;
            continue;
        }
        const struct admission_item *a = twin[i], *b = twin[found];
        bool higher = a->goes_first != b->goes_first ? a->goes_first
                      : a->value != b->value         ? a->value > b->value
                                                     : a->arrival < b->arrival;
        found = higher != worst ? i : found;
    }
    return found;
}

static void behaves_like_its_twin(void **state) {
    struct admission_queue q;
    struct admission_item items[ITEMS] = { 0 }, *twin[PLACES + 1];
    struct rand r;
    int len = 0;
    (void)state;
    rand_init(&r, 7041);
    admission_queue_init(&q, OVERLOAD_BY_VALUE, PLACES, 0);
    for (int step = 0; step < 200000; step++) {
        struct admission_item *one = &items[rand_below(&r, ITEMS)], *evicted, *expected = NULL;
        uint32_t what = rand_below(&r, 4);
        if (what < 2 && !admission_item_waits(one)) {
            *one = item(rand_below(&r, 6), rand_below(&r, 2) == 0, rand_below(&r, 8) == 0);
            one->arrival = q.arrivals;
            twin[len++] = one;
            if (len > PLACES) {
                int worst = twin_best(twin, len, true);
                expected = twin[worst];
                twin[worst] = twin[--len];
            }
            assert_int_equal(admission_queue_push(&q, one, &evicted), expected != one);
            assert_ptr_equal(evicted, expected == one ? NULL : expected);
        } else if (what == 2) {
            int best = twin_best(twin, len, false);
            expected = best < 0 ? NULL : twin[best];
            assert_ptr_equal(admission_queue_pop(&q), expected);
            if (best >= 0) {
                twin[best] = twin[--len];
            }
        } else if (what == 3 && len > 0) {
            int at = (int)rand_below(&r, (uint32_t)len);
            admission_queue_remove(&q, twin[at]);
            twin[at] = twin[--len];
        }
        assert_int_equal(admission_queue_len(&q), len);
    }
    admission_queue_fini(&q);
}

static void says_when_to_come_back(void **state) {
    (void)state;
    assert_int_equal(admission_retry_after_s(0, 100, 0), 1);
    assert_int_equal(admission_retry_after_s(100, 100, 0), 1);
    assert_int_equal(admission_retry_after_s(101, 100, 0), 2);
    assert_int_equal(admission_retry_after_s(300, 100, 0.5), 5);
    assert_int_equal(admission_retry_after_s(1000000, 1, 0.99), ADMISSION_RETRY_SECONDS_MAX);
    assert_int_equal(admission_retry_after_s(10, 0, 0), ADMISSION_RETRY_SECONDS_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_valuable_goes_first),
        cmocka_unit_test(fifo_is_by_arrival_only),
        cmocka_unit_test(a_better_one_takes_the_place_of_the_least),
        cmocka_unit_test(equals_do_not_push_each_other_out),
        cmocka_unit_test(no_places_at_all),
        cmocka_unit_test(leaves_from_anywhere),
        cmocka_unit_test(the_unknown_have_their_share),
        cmocka_unit_test(orders_come_before_the_floor),
        cmocka_unit_test(the_unknown_have_their_places),
        cmocka_unit_test(the_floor_pushes_out_no_order),
        cmocka_unit_test(an_order_needs_no_floor),
        cmocka_unit_test(behaves_like_its_twin),
        cmocka_unit_test(says_when_to_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
