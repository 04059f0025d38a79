#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tool/load/access_log.h"

#define WHEN "[11/Mar/2015:21:57:53 +0100] "
#define WHEN_MS 1426107473000 /* 2015-03-11T20:57:53Z */

static const struct {
    const char *name, *line;
    enum access_log_result result;
    enum http_method method;
    const char *target;
    int status;
} lines[] = {
    { "common", "203.0.113.7 - - " WHEN "\"GET / HTTP/1.0\" 200 2326", ACCESS_LOG_REQUEST, HTTP_GET,
      "/", 200 },
    { "combined", "::1 - anna " WHEN "\"POST /cart?a=b HTTP/1.1\" 303 - \"http://x/\" \"Moz [1]\"",
      ACCESS_LOG_REQUEST, HTTP_POST, "/cart?a=b", 303 },
    { "virtual host in front", "shop:80 1.2.3.4 - - " WHEN "\"HEAD /a HTTP/1.1\" 404 0",
      ACCESS_LOG_REQUEST, HTTP_HEAD, "/a", 404 },
    { "user with blanks", "1.2.3.4 - anna b c " WHEN "\"GET /u HTTP/1.1\" 200 1",
      ACCESS_LOG_REQUEST, HTTP_GET, "/u", 200 },
    { "absolute form", "h - - " WHEN "\"GET http://shop/p?q HTTP/1.1\" 200 1", ACCESS_LOG_REQUEST,
      HTTP_GET, "/p?q", 200 },
    { "absolute form without a path", "h - - " WHEN "\"GET http://shop HTTP/1.1\" 200 1",
      ACCESS_LOG_REQUEST, HTTP_GET, "/", 200 },
    { "HTTP/0.9", "h - - " WHEN "\"GET /old\" 200 1", ACCESS_LOG_REQUEST, HTTP_GET, "/old", 200 },
    { "carriage return", "h - - " WHEN "\"GET /r HTTP/1.1\" 200 1\r", ACCESS_LOG_REQUEST, HTTP_GET,
      "/r", 200 },
    { "no request", "h - - " WHEN "\"-\" 408 -", ACCESS_LOG_SKIPPED, 0, NULL, 408 },
    { "binary noise", "h - - " WHEN "\"\\x16\\x03\\x01\" 400 226", ACCESS_LOG_SKIPPED, 0, NULL,
      400 },
    { "an escaped quote", "h - - " WHEN "\"GET /\\\"x HTTP/1.1\" 200 1", ACCESS_LOG_SKIPPED, 0,
      NULL, 200 },
    { "CONNECT", "h - - " WHEN "\"CONNECT a:443 HTTP/1.1\" 405 1", ACCESS_LOG_SKIPPED, 0, NULL,
      405 },
    { "OPTIONS *", "h - - " WHEN "\"OPTIONS * HTTP/1.1\" 200 1", ACCESS_LOG_SKIPPED, 0, NULL, 200 },
    { "JSON",
      "{\"time\":\"2015-03-11T20:57:53Z\",\"method\":\"GET\",\"target\":\"/a?b=c\","
      "\"status\":200,\"value\":-1.5}",
      ACCESS_LOG_REQUEST, HTTP_GET, "/a?b=c", 200 },
    { "JSON in another order",
      "{ \"status\" : 304, \"x\": {\"target\":[\"}\\\"\"]}, \"n\":null, "
      "\"target\":\"/\", \"method\":\"HEAD\", \"time\":\"2015-03-11T21:57:53+01:00\" }",
      ACCESS_LOG_REQUEST, HTTP_HEAD, "/", 304 },
    { "JSON of what was no request", "{\"time\":\"2015-03-11T20:57:53Z\",\"status\":400}",
      ACCESS_LOG_SKIPPED, 0, NULL, 400 },
    { "JSON with an escape in its target",
      "{\"time\":\"2015-03-11T20:57:53Z\",\"method\":\"GET\","
      "\"target\":\"/\\\"\",\"status\":200}",
      ACCESS_LOG_SKIPPED, 0, NULL, 200 },
    { "not a version", "h - - " WHEN "\"GET /a b HTTP/1.1\" 400 1", ACCESS_LOG_SKIPPED, 0, NULL,
      400 },
};

static void lines_are_read(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct access_log log;
        struct access_line out = { 0 };
        struct error err = { 0 };
        access_log_init(&log, slice_from(lines[i].line), "log");
        if (access_log_next(&log, &out, &err) != lines[i].result) {
            fail_msg("%s: %s", lines[i].name, err.text);
        }
        assert_int_equal(out.time_ms, WHEN_MS);
        assert_int_equal(out.status, lines[i].status);
        if (lines[i].target != NULL) {
            assert_int_equal(out.method, lines[i].method);
            assert_true(slice_equal(out.target, slice_from(lines[i].target)));
        }
        assert_int_equal(access_log_next(&log, &out, &err), ACCESS_LOG_END);
    }
}

static const struct {
    const char *text, *error;
} bad[] = {
    { "time,requests", "log:1:14: expected host, identity, user and [time]" },
    { "h - - [11/Foo/2015:20:57:53 +0100] \"GET / HTTP/1.1\" 200 1",
      "log:1:8: expected a time such as 11/Mar/2015:20:57:53 +0100" },
    { "h - - [11/Mar/2015:20:57:53 +9900] \"GET / HTTP/1.1\" 200 1",
      "log:1:8: expected a time such as 11/Mar/2015:20:57:53 +0100" },
    { "h - - [11/Mar/2015:20:57", "log:1:8: expected a time such as 11/Mar/2015:20:57:53 +0100" },
    { "h - - " WHEN "GET / 200", "log:1:34: expected ] and the request in quotes" },
    { "\n\nh - - " WHEN "\"GET / HTTP", "log:3:47: expected the quote that ends the request" },
    { "h - - " WHEN "\"GET / HTTP/1.1\\\"", "log:1:53: expected the quote that ends the request" },
    { "h - - " WHEN "\"GET / HTTP/1.1\"", "log:1:52: expected a blank and the status" },
    { "h - - " WHEN "\"GET / HTTP/1.1\" ok 1", "log:1:53: expected a status such as 200" },
    { "h - - " WHEN "\"GET / HTTP/1.1\" 2000 1", "log:1:53: expected a status such as 200" },
};

static void what_is_wrong_is_said_with_its_place(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct access_log log;
        struct access_line out;
        struct error err = { 0 };
        access_log_init(&log, slice_from(bad[i].text), "log");
        assert_int_equal(access_log_next(&log, &out, &err), ACCESS_LOG_BAD);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_string_equal(err.text, bad[i].error);
    }
}

static void zones_are_counted(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } times[] = {
        { "h - - [01/Jan/1970:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1", 0 },
        { "h - - [01/Jan/1970:00:00:00 -0130] \"GET / HTTP/1.1\" 200 1", 5400000 },
        { "h - - [29/Feb/2024:23:59:60 +0000] \"GET / HTTP/1.1\" 200 1", 1709251200000 },
    };
    for (size_t i = 0; i < 3; i++) {
        struct access_log log;
        struct access_line out;
        access_log_init(&log, slice_from(times[i].text), "log");
        assert_int_equal(access_log_next(&log, &out, NULL), ACCESS_LOG_REQUEST);
        assert_int_equal(out.time_ms, times[i].ms);
    }
}

static void a_log_is_told_from_csv(void **state) {
    (void)state;
    assert_true(access_log_detect(slice_from("\n\r\nh - - " WHEN "\"-\" 400 0\nrubbish")));
    assert_false(access_log_detect(slice_from("time,requests\n2015-03-11,4\n")));
    assert_false(access_log_detect(SLICE("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(zones_are_counted),
        cmocka_unit_test(a_log_is_told_from_csv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
