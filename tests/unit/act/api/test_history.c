#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "act/api/history.h"

static struct history_row row_at(int64_t second, float failed_rps) {
    struct history_row row;
    history_row_init(&row, second * 1000);
    row.failed_rps = failed_rps;
    row.offered_rps = (float)second;
    return row;
}

static void a_ring_in_order(void **state) {
    (void)state;
    struct history *h = history_new("shop", 3);
    for (int64_t second = 1; second <= 5; second++) {
        struct history_row row = row_at(second, 1);
        history_push(h, &row);
    }
    assert_int_equal(h->len, 3);
    assert_int_equal(history_at(h, 0)->time_ms, 3000);
    assert_int_equal(history_at(h, 2)->time_ms, 5000);
    struct history_row same = row_at(5, 7), older = row_at(4, 9);
    history_push(h, &same);
    history_push(h, &older);
    assert_int_equal(h->len, 3);
    assert_float_equal(history_at(h, 2)->failed_rps, 7, 1e-6);
    assert_float_equal(history_at(h, 1)->failed_rps, 1, 1e-6);
    history_free(h);
}

static void what_was_before_goes_in_front(void **state) {
    (void)state;
    struct history *h = history_new("shop", 5);
    struct history_row now = row_at(10, 0);
    struct history_row before[] = { row_at(6, 0), row_at(7, 0),  row_at(8, 0),
                                    row_at(9, 0), row_at(10, 5), row_at(11, 5) };
    history_push(h, &now);
    now = row_at(12, 0);
    history_push(h, &now);
    history_prepend(h, before, 6); /* those from second 10 on are known better */
    assert_int_equal(h->len, 5);
    assert_int_equal(history_at(h, 0)->time_ms, 7000); /* the oldest did not fit */
    assert_int_equal(history_at(h, 2)->time_ms, 9000);
    assert_float_equal(history_at(h, 3)->failed_rps, 0, 1e-6);
    assert_int_equal(history_at(h, 4)->time_ms, 12000);
    now = row_at(13, 0);
    history_push(h, &now);
    assert_int_equal(history_at(h, 0)->time_ms, 8000);
    assert_int_equal(history_at(h, 4)->time_ms, 13000);
    history_free(h);
}

static void failures_of_late(void **state) {
    (void)state;
    struct history *h = history_new("shop", 100);
    for (int64_t second = 0; second < 60; second++) {
        struct history_row row = row_at(second, second == 30 ? NAN : second % 20 == 0 ? 2 : 0);
        history_push(h, &row);
    }
    assert_float_equal(history_failed(h, 60000, 20), 2, 1e-6);
    assert_float_equal(history_failed(h, 60000, 19), 0, 1e-6);
    assert_float_equal(history_failed(h, 60000, 300), 6, 1e-6);
    assert_float_equal(history_refused(h, 60000, 300), 0, 1e-6);
    history_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_in_order),
        cmocka_unit_test(what_was_before_goes_in_front),
        cmocka_unit_test(failures_of_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
