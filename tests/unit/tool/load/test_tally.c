#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tool/load/tally.h"

static struct tally tally;

static int set_up(void **state) {
    (void)state;
    assert_true(tally_init(&tally, 3000000, 1426107473000, NULL));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tally_fini(&tally);
    return 0;
}

static enum tally_verdict count(uint64_t wanted_us, enum call_end end, unsigned status,
                                bool retry_after) {
    struct tally_entry entry = {
        .wanted_us = wanted_us,
        .latency_us = 20000,
        .end = end,
        .status = (uint16_t)status,
        .retry_after = retry_after,
        .stage = STAGE_CART,
        .method = HTTP_POST,
        .target = SLICE("/cart"),
    };
    tally_offer(&tally, wanted_us, 100);
    return tally_count(&tally, &entry);
}

static void verdicts(void **state) {
    (void)state;
    static const struct {
        enum call_end end;
        unsigned status;
        bool retry_after;
        enum tally_verdict verdict;
    } cases[] = {
        { CALL_ANSWERED, 200, false, TALLY_SERVED },
        { CALL_ANSWERED, 303, false, TALLY_SERVED },
        { CALL_ANSWERED, 404, false, TALLY_SERVED },
        { CALL_ANSWERED, 503, true, TALLY_REFUSED },
        { CALL_ANSWERED, 503, false, TALLY_FAILED },
        { CALL_ANSWERED, 500, false, TALLY_FAILED },
        { CALL_ANSWERED, 502, true, TALLY_FAILED },
        { CALL_TIMEOUT, 0, false, TALLY_FAILED },
        { CALL_CONNECT_REFUSED, 0, false, TALLY_FAILED },
        { CALL_CUT, 200, false, TALLY_FAILED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(count(0, cases[i].end, cases[i].status, cases[i].retry_after),
                         cases[i].verdict);
    }
    assert_int_equal(tally.requests, 10);
    assert_int_equal(tally.served, 3);
    assert_int_equal(tally.refused, 1);
    assert_int_equal(tally.failed, 6);
    assert_int_equal(tally.latency_us[STAGE_CART].total_count, 3); /* of those served */
}

static void seconds_are_those_of_the_wish(void **state) {
    (void)state;
    count(999999, CALL_ANSWERED, 200, false);
    count(1000000, CALL_ANSWERED, 200, false);
    count(2999999, CALL_TIMEOUT, 0, false);
    assert_int_equal(tally.second_count, 3);
    assert_int_equal(tally.seconds[0].served, 1);
    assert_int_equal(tally.seconds[1].offered, 1);
    assert_int_equal(tally.seconds[2].failed, 1);
}

static json_t *report(void) {
    char path[] = "/tmp/tally_XXXXXX";
    close(mkstemp(path));
    struct error err = { 0 };
    assert_true(tally_write_json(&tally, path, &err));
    json_t *json = json_load_file(path, 0, NULL);
    unlink(path);
    assert_non_null(json);
    return json;
}

static void the_report_says_it_all(void **state) {
    (void)state;
    count(0, CALL_ANSWERED, 200, false);
    count(0, CALL_ANSWERED, 502, false);
    count(1500000, CALL_RESET, 0, false);
    json_t *json = report();
    int requests, served, failed, ok, bad_gateway, reset, offered;
    double p50;
    const char *time, *kind, *path, *stage, *method;
    assert_int_equal(json_unpack(json, "{s:i, s:i, s:i, s:{s:i}, s:{s:i, s:i}, s:{s:{s:F}}}",
                                 "requests", &requests, "served", &served, "failed", &failed,
                                 "statuses", "200", &ok, "errors", "status_502", &bad_gateway,
                                 "reset", &reset, "latency_ms", "cart", "p50", &p50),
                     0);
    assert_int_equal(requests, 3);
    assert_int_equal(served, 1);
    assert_int_equal(failed, 2);
    assert_int_equal(ok + bad_gateway + reset, 3);
    assert_true(p50 >= 20 && p50 < 21);
    json_t *failure = json_array_get(json_object_get(json, "failures"), 1);
    assert_int_equal(json_unpack(failure, "{s:s, s:s, s:s, s:s, s:s}", "time", &time, "kind", &kind,
                                 "path", &path, "stage", &stage, "method", &method),
                     0);
    assert_string_equal(time, "2015-03-11T20:57:54.520Z");
    assert_string_equal(kind, "reset");
    assert_string_equal(path, "/cart");
    assert_string_equal(stage, "cart");
    assert_string_equal(method, "POST");
    json_t *second = json_array_get(json_object_get(json, "seconds"), 1);
    assert_int_equal(json_unpack(second, "{s:s, s:i}", "time", &time, "offered", &offered), 0);
    assert_string_equal(time, "2015-03-11T20:57:54Z");
    assert_int_equal(offered, 1);
    json_decref(json);
}

static void failures_are_bounded(void **state) {
    (void)state;
    for (int i = 0; i < TALLY_FAILURES_MAX + 5; i++) {
        count(0, CALL_CLOSED, 0, false);
    }
    assert_int_equal(tally.failure_count, TALLY_FAILURES_MAX);
    assert_int_equal(tally.failed_ends[CALL_CLOSED], TALLY_FAILURES_MAX + 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(verdicts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(seconds_are_those_of_the_wish, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_report_says_it_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_are_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
