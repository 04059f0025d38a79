#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "record/series/series.h"

static void gaps_are_missing_not_zero(void **state) {
    (void)state;
    struct series s;
    const struct series_column *c;
    struct error err = { 0 };
    assert_true(series_parse(&s,
                             SLICE("local_time,word,requests\n"
                                   "2020-01-01T00:00:00,a,1\n"
                                   "2020-01-01T00:05:00,b,\n"
                                   "2020-01-01T00:10:00,c,0\n"
                                   "2020-01-01T00:25:00,d,4\n"),
                             "f.csv", &err));
    assert_int_equal(s.step_ms, 300000);
    assert_int_equal(s.slots, 6);
    assert_int_equal(s.rows, 4);
    assert_int_equal(s.clock, SERIES_CLOCK_LOCAL);
    assert_true(series_column(&s, SLICE("requests"), &c, &err));
    assert_true(c->values[0] == 1 && c->values[2] == 0 && c->values[5] == 4);
    assert_true(isnan(c->values[1]) && isnan(c->values[3]) && isnan(c->values[4]));
    assert_true(series_column(&s, SLICE(""), &c, &err)); /* the first that is numeric */
    assert_memory_equal(c->name.data, "requests", 8);
    series_fini(&s);
}

static void wrong_input_names_file_line_and_column(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *error;
    } cases[] = {
        { "empty", "", "f.csv:1:1: expected a header line, found nothing" },
        { "no time", "a,b\n1,2\n",
          "f.csv:1:1: expected a column named time, timestamp or date, found 'a'" },
        { "one row", "time,n\n2020-01-01,1\n",
          "f.csv:3:1: expected at least two rows below the header" },
        { "bad time", "n,time\n1,2020-01-01\n1,yesterday\n",
          "f.csv:3:3: expected a time (2015-03-11T20:57:00Z or epoch seconds), found 'yesterday'" },
        { "backwards", "time,n\n2020-01-02,1\n2020-01-01,1\n",
          "f.csv:3:1: expected a time after the one of the row above" },
        { "off the grid", "time,n\n60,1\n120,1\n180,1\n200,1\n240,2\n",
          "f.csv:5:1: expected a time a multiple of 60 s after the first row" },
        { "two clocks", "time,n\n2020-01-01T00:00:00Z,1\n2020-01-01T00:01:00,1\n",
          "f.csv:3:1: expected a time written like that of the first row" },
        { "too many cells", "time,n\n60,1\n120,1,7\n",
          "f.csv:3:7: expected 2 cells as in the header, found 3" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct series s;
        struct error err = { 0 };
        assert_false(series_parse(&s, slice_from(cases[i].text), "f.csv", &err));
        assert_string_equal(err.text, cases[i].error);
    }
}

static void a_text_column_is_an_error_only_when_asked_for(void **state) {
    (void)state;
    struct series s;
    const struct series_column *c;
    struct error err = { 0 };
    assert_true(
        series_parse(&s, SLICE("date,sky,n\n2020-01-01,1,1\n2020-01-02,clear,2\n"), "f.csv", &err));
    assert_true(series_column(&s, SLICE("n"), &c, &err));
    assert_false(series_column(&s, SLICE("sky"), &c, &err));
    assert_string_equal(err.text, "f.csv:3:12: expected a number in column 'sky', found 'clear'");
    assert_false(series_column(&s, SLICE("rain"), &c, &err));
    assert_string_equal(err.text, "f.csv:1:1: expected a numeric column named 'rain', found: n");
    series_fini(&s);
    /* Nothing else is there to be meant. */
    assert_true(series_parse(&s, SLICE("date,n\n2020-01-01,1\n2020-01-02,2\n2020-01-03,x\n"),
                             "f.csv", &err));
    assert_false(series_column(&s, (struct slice){ 0 }, &c, &err));
    assert_string_equal(err.text, "f.csv:4:12: expected a number in column 'n', found 'x'");
    series_fini(&s);
}

static void times_are_written_as_they_were_read(void **state) {
    (void)state;
    static const struct {
        const char *first, *second, *third;
    } cases[] = {
        { "2020-02-28", "2020-02-29", "2020-03-01" },
        { "2020-01-01T23:59:00Z", "2020-01-02T00:00:00Z", "2020-01-02T00:01:00Z" },
        { "2020-01-01T23:59:00", "2020-01-02T00:00:00", "2020-01-02T00:01:00" },
        { "1500000000", "1500000060", "1500000120" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct series s;
        char text[256], time[CLOCK_ISO8601_BYTES];
        int len =
            snprintf(text, sizeof text, "time,n\n%s,1\n%s,2\n", cases[i].first, cases[i].second);
        assert_true(series_parse(&s, slice_of(text, (size_t)len), "f.csv", NULL));
        series_format_time(s.clock, s.start_ms + 2 * s.step_ms, time);
        assert_string_equal(time, cases[i].third);
        series_fini(&s);
    }
}

static void coarser_steps_lose_what_is_incomplete(void **state) {
    (void)state;
    struct series s;
    struct arena arena;
    struct error err = { 0 };
    double *values;
    size_t len;
    arena_init(&arena, 1 << 20);
    assert_true(series_parse(&s, SLICE("time,n\n0,1\n60,2\n120,\n180,4\n240,5\n"), "f.csv", NULL));
    assert_true(
        series_resample(&s, &s.columns[1], 120000, SERIES_SUM, &arena, &values, &len, NULL));
    assert_int_equal(len, 2); /* the fifth has no partner */
    assert_true(values[0] == 3 && isnan(values[1]));
    assert_true(
        series_resample(&s, &s.columns[1], 120000, SERIES_MEAN, &arena, &values, &len, NULL));
    assert_true(values[0] == 1.5);
    assert_false(
        series_resample(&s, &s.columns[1], 90000, SERIES_SUM, &arena, &values, &len, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    arena_fini(&arena);
    series_fini(&s);
}

static void sizes_have_limits(void **state) {
    (void)state;
    struct series s;
    struct error err = { 0 };
    assert_false(series_parse(&s, SLICE("time,n\n0,1\n1,2\n9000000,3\n"), "f.csv", &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
}

static void gzip_is_read_like_plain_text(void **state) {
    (void)state;
    char path[] = "/tmp/test_series_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    gzFile out = gzdopen(fd, "wb");
    assert_true(gzputs(out, "time,n\n0,1\n60,2\n") > 0);
    gzclose(out);
    struct series s;
    assert_true(series_read(&s, path, NULL));
    assert_int_equal(s.slots, 2);
    series_fini(&s);
    assert_int_equal(truncate(path, 20), 0); /* cut in the middle: says so, is not half read */
    struct error err = { 0 };
    assert_false(series_read(&s, path, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    unlink(path);
    assert_false(series_read(&s, path, &err));
    assert_int_equal(err.kind, ERROR_SYSTEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_are_missing_not_zero),
        cmocka_unit_test(wrong_input_names_file_line_and_column),
        cmocka_unit_test(a_text_column_is_an_error_only_when_asked_for),
        cmocka_unit_test(times_are_written_as_they_were_read),
        cmocka_unit_test(coarser_steps_lose_what_is_incomplete),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(gzip_is_read_like_plain_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
