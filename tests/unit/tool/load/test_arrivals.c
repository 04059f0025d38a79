#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tool/load/arrivals.h"

#define CSV "time,requests\n0,10\n60,0\n120,1000\n180,\n240,3\n"

static const struct arrivals_options plain = { .speed = 60, .scale = 1, .seed = 7 };

static struct arrivals parse(const char *text, struct arrivals_options options) {
    struct arrivals a;
    struct error err = { 0 };
    if (!arrivals_parse(&a, slice_from(text), "trace", &options, &err)) {
        fail_msg("%s", err.text);
    }
    return a;
}

/* Arrivals in each second; they must come in order. */
static uint64_t count_seconds(struct arrivals *a, unsigned *counts, size_t len) {
    struct arrival arrival;
    uint64_t last_us = 0, total = 0;
    memset(counts, 0, len * sizeof *counts);
    while (arrivals_next(a, &arrival)) {
        assert_true(arrival.at_us >= last_us);
        last_us = arrival.at_us;
        assert_true(arrival.at_us / 1000000 < len);
        counts[arrival.at_us / 1000000]++;
        total++;
    }
    return total;
}

static void the_trace_is_kept_exactly(void **state) {
    (void)state;
    unsigned counts[5];
    struct arrivals a = parse(CSV, plain);
    assert_int_equal(arrivals_duration_us(&a), 5000000);
    assert_int_equal(a.missing, 1);
    assert_int_equal((int)arrivals_total(&a), 1013);
    assert_int_equal(count_seconds(&a, counts, 5), 1013);
    assert_int_equal(counts[0], 10);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 1000);
    assert_int_equal(counts[3], 0);
    assert_int_equal(counts[4], 3);
    arrivals_fini(&a);
}

static void what_scaling_leaves_over_is_carried(void **state) {
    (void)state;
    struct arrivals_options options = plain;
    unsigned counts[4];
    options.scale = 0.25;
    struct arrivals a = parse("time,n\n0,1\n60,1\n120,1\n180,1\n", options);
    assert_int_equal(count_seconds(&a, counts, 4), 1);
    assert_int_equal(counts[3], 1);
    arrivals_fini(&a);
    options.scale = 2.5;
    a = parse("time,n\n0,1\n60,1\n120,1\n180,1\n", options);
    assert_int_equal(count_seconds(&a, counts, 4), 10);
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 3);
    arrivals_fini(&a);
}

/* Of a Poisson process the gaps' standard deviation is their mean; of a regular one it is 0. */
static void gaps_are_those_of_a_poisson_process(void **state) {
    (void)state;
    struct arrivals a = parse("time,n\n0,20000\n60,20000\n", plain);
    struct arrival arrival;
    double last = 0, sum = 0, squares = 0, n = 0;
    while (arrivals_next(&a, &arrival)) {
        double gap = (double)arrival.at_us - last;
        last = (double)arrival.at_us;
        sum += gap;
        squares += gap * gap;
        n++;
    }
    double mean = sum / n, deviation = sqrt(squares / n - mean * mean);
    assert_true(fabs(mean - 50) < 0.5);
    assert_true(fabs(deviation - 50) < 2);
    arrivals_fini(&a);
}

static void the_seed_decides(void **state) {
    (void)state;
    struct arrivals_options other = plain;
    other.seed = 8;
    struct arrivals a = parse(CSV, plain), b = parse(CSV, plain), c = parse(CSV, other);
    struct arrival one, two, three;
    bool differs = false;
    while (arrivals_next(&a, &one)) {
        assert_true(arrivals_next(&b, &two));
        assert_true(arrivals_next(&c, &three));
        assert_int_equal(one.at_us, two.at_us);
        differs = differs || one.at_us != three.at_us;
    }
    assert_true(differs);
    arrivals_fini(&a);
    arrivals_fini(&b);
    arrivals_fini(&c);
}

#define LINE(second, request) "h - - [11/Mar/2015:20:57:" second " +0000] \"" request "\" 200 1\n"

static void a_log_gives_its_requests_in_order(void **state) {
    (void)state;
    static const char log[] = LINE("10", "GET /a HTTP/1.1") LINE("12", "POST /c HTTP/1.1")
        LINE("11", "-") LINE("10", "GET /b HTTP/1.1");
    static const char *const targets[] = { "/a", "/b", "/c" };
    struct arrivals_options options = { .speed = 1, .scale = 1 };
    struct arrivals a = parse(log, options);
    struct arrival arrival;
    assert_int_equal(a.skipped, 1);
    assert_int_equal(arrivals_duration_us(&a), 3000000);
    for (size_t i = 0; i < 3; i++) {
        assert_true(arrivals_next(&a, &arrival));
        assert_true(slice_equal(arrival.target, slice_from(targets[i])));
        assert_int_equal(arrival.method, i == 2 ? HTTP_POST : HTTP_GET);
        assert_int_equal(arrival.at_us / 1000000, i == 2 ? 2 : 0);
    }
    assert_false(arrivals_next(&a, &arrival));
    arrivals_fini(&a);
}

static void a_scaled_log_repeats_its_requests(void **state) {
    (void)state;
    static const char log[] =
        LINE("10", "GET /a HTTP/1.1") LINE("10", "GET /b HTTP/1.1") LINE("12", "GET /c HTTP/1.1");
    unsigned seen[3] = { 0 };
    struct arrivals a = parse(log, (struct arrivals_options){ .speed = 1, .scale = 1.5 });
    struct arrival arrival;
    while (arrivals_next(&a, &arrival)) {
        assert_true(arrival.target.len == 2);
        seen[arrival.target.data[1] - 'a']++;
    }
    assert_int_equal(seen[0], 2);
    assert_int_equal(seen[1], 1);
    assert_int_equal(seen[2], 1);
    arrivals_fini(&a);
    a = parse(log, (struct arrivals_options){ .speed = 1, .scale = 0.5 });
    while (arrivals_next(&a, &arrival)) {
        assert_true(arrival.target.len == 2);
    }
    arrivals_fini(&a);
}

static void bad_traces_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *error;
        double scale;
    } cases[] = {
        { "time,requests\n0,5\n60,-1\n", "expected requests, found -1 at 60", 1 },
        { "time,requests\n0,5\n60,many\n", "trace:3:4: expected a number in column", 1 },
        { "time,requests\n0,5\n60,5\n", "expected at most 1000000", 1e9 },
        { LINE("10", "GET /a HTTP/1.1") "rubbish\n", "trace:2:8: expected host", 1 },
        { LINE("10", "-"), "trace: no request in it can be sent", 1 },
        { "h - - [11/Mar/1015:20:57:10 +0000] \"GET / HTTP/1.1\" 200 1\n" LINE("10",
                                                                               "GET / HTTP/1.1"),
          "expected at most 8000000 seconds", 1 },
        { "", "trace", 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arrivals a;
        struct error err = { 0 };
        struct arrivals_options options = { .speed = 60, .scale = cases[i].scale };
        assert_false(arrivals_parse(&a, slice_from(cases[i].text), "trace", &options, &err));
        if (strstr(err.text, cases[i].error) == NULL) {
            fail_msg("expected '%s', found '%s'", cases[i].error, err.text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trace_is_kept_exactly),
        cmocka_unit_test(what_scaling_leaves_over_is_carried),
        cmocka_unit_test(gaps_are_those_of_a_poisson_process),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(a_log_gives_its_requests_in_order),
        cmocka_unit_test(a_scaled_log_repeats_its_requests),
        cmocka_unit_test(bad_traces_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
