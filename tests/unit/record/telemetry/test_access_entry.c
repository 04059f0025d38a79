#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "record/telemetry/access_log.h"

#define WHEN_MS 1426107473042 /* 2015-03-11T20:57:53.042Z */

static struct slice text(const char *t) {
    return slice_from(t);
}

static struct access_entry example(void) {
    return (struct access_entry){
        .unix_ms = WHEN_MS,
        .trace_high = 0x4bf92f3577b34da6,
        .trace_low = 0xa3ce929d0e0e4736,
        .bytes_in = 5,
        .bytes_out = 1024,
        .total_us = 12345,
        .first_byte_us = 9001,
        .waited_us = 7,
        .value = 1.25,
        .status = 200,
        .client_port = 4711,
        .client = { [10] = 0xff, [11] = 0xff, [12] = 203, [13] = 0, [14] = 113, [15] = 77 },
        .protocol = 11,
        .retries = 1,
        .method = text("GET"),
        .host = text("shop.test:80"),
        .path = text("/a"),
        .service = text("storefront"),
        .route = text("/"),
        .endpoint = text("storefront-1"),
        .stage = text("browse"),
        .outcome = text("served"),
        .reason = text("none"),
        .agent = text("curl/8"),
        .referer = text("http://shop.test/"),
    };
}

static void expect(const char *name, const struct access_format *format,
                   const struct access_entry *entry, const char *line) {
    struct buffer out;
    buffer_init(&out, 65536);
    assert_true(access_entry_write(format, entry, &out));
    struct slice got = buffer_slice(&out);
    if (!slice_equal(got, slice_from(line))) {
        fail_msg("%s:\n%.*s instead of\n%s", name, SLICE_ARG(got), line);
    }
    buffer_fini(&out);
}

static const struct access_format json = { ACCESS_JSON, ACCESS_FIELDS_ALL, false };
static const struct access_format common = { ACCESS_COMMON, 0, false };
static const struct access_format combined = { ACCESS_COMBINED, 0, false };

static void whole_lines(void **state) {
    (void)state;
    struct access_entry e = example();
    expect(
        "json", &json, &e,
        "{\"time\":\"2015-03-11T20:57:53.042Z\",\"client\":\"203.0.113.77\",\"client_port\":4711,"
        "\"method\":\"GET\",\"host\":\"shop.test:80\",\"target\":\"/a\",\"protocol\":\"HTTP/1.1\","
        "\"status\":200,\"outcome\":\"served\",\"reason\":\"none\",\"service\":\"storefront\","
        "\"route\":\"/\",\"endpoint\":\"storefront-1\",\"stage\":\"browse\",\"value\":1.2500,"
        "\"retries\":1,\"bytes_in\":5,\"bytes_out\":1024,\"duration_ms\":12.345,"
        "\"first_byte_ms\":9.001,\"waited_ms\":0.007,"
        "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"referer\":\"http://shop.test/\","
        "\"user_agent\":\"curl/8\"}\n");
    expect("common", &common, &e,
           "203.0.113.77 - - [11/Mar/2015:20:57:53 +0000] \"GET /a HTTP/1.1\" 200 1024\n");
    expect("combined", &combined, &e,
           "203.0.113.77 - - [11/Mar/2015:20:57:53 +0000] \"GET /a HTTP/1.1\" 200 1024 "
           "\"http://shop.test/\" \"curl/8\"\n");
}

static void what_is_not_known_is_left_out(void **state) {
    (void)state;
    struct access_entry e = { .unix_ms = 1000,
                              .value = NAN,
                              .status = 408,
                              .outcome = text("bad_request"),
                              .reason = text("client_timeout"),
                              .client = {
                                  [0] = 0x20, [1] = 0x01, [2] = 0x0d, [3] = 0xb8, [15] = 1 } };
    expect("json", &json, &e,
           "{\"time\":\"1970-01-01T00:00:01.000Z\",\"client\":\"2001:db8::1\",\"status\":408,"
           "\"outcome\":\"bad_request\",\"reason\":\"client_timeout\",\"retries\":0,\"bytes_in\":0,"
           "\"bytes_out\":0,\"duration_ms\":0.000,\"waited_ms\":0.000}\n");
    expect("combined", &combined, &e,
           "2001:db8::1 - - [01/Jan/1970:00:00:01 +0000] \"-\" 408 0 \"-\" \"-\"\n");
    e.request_line = text("GE\x01T \"\\");
    expect("a line that is no request", &common, &e,
           "2001:db8::1 - - [01/Jan/1970:00:00:01 +0000] \"GE\\x01T \\x22\\x5c\" 408 0\n");
}

static void addresses_are_masked(void **state) {
    (void)state;
    struct access_format masked = { ACCESS_JSON,
                                    1u << ACCESS_FIELD_CLIENT | 1u << ACCESS_FIELD_CLIENT_PORT,
                                    true };
    struct access_entry e = example();
    expect("v4", &masked, &e, "{\"client\":\"203.0.113.0\"}\n");
    const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, 0xaa, 0xbb, 0xcc, 0xdd, [15] = 9 };
    memcpy(e.client, v6, sizeof v6);
    expect("v6", &masked, &e, "{\"client\":\"2001:db8:aabb::\"}\n");
    memset(e.client, 0, sizeof e.client);
    expect("unix", &masked, &e, "{\"client\":\"unix:\"}\n");
}

static const struct {
    const char *name;
    struct slice agent;
    const char *json, *combined;
} escapes[] = {
    { "quote and backslash", { "a\"b\\c", 5 }, "a\\\"b\\\\c", "a\\x22b\\x5cc" },
    { "a new line", { "a\nb\rc\td", 7 }, "a\\nb\\rc\\td", "a\\x0ab\\x0dc\\x09d" },
    { "control bytes and NUL",
      { "a\0b\x1b\x7f", 5 },
      "a\\u0000b\\u001b\\u007f",
      "a\\x00b\\x1b\\x7f" },
    { "UTF-8",
      { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9b\x92", 15 },
      "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9b\x92",
      "gr\\xc3\\xbc\\xc3\\x9f \\xe2\\x82\\xac \\xf0\\x9f\\x9b\\x92" },
    { "C1 control", { "\xc2\x9b!", 3 }, "\\u009b!", "\\xc2\\x9b!" },
    { "alone", { "\xff\x80z", 3 }, "\xef\xbf\xbd\xef\xbf\xbdz", "\\xff\\x80z" },
    { "cut sequence", { "\xe2\x82", 2 }, "\xef\xbf\xbd\xef\xbf\xbd", "\\xe2\\x82" },
    { "too long form", { "\xc0\xaf", 2 }, "\xef\xbf\xbd\xef\xbf\xbd", "\\xc0\\xaf" },
    { "surrogate",
      { "\xed\xa0\x80", 3 },
      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
      "\\xed\\xa0\\x80" },
    { "beyond Unicode",
      { "\xf4\x90\x80\x80", 4 },
      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
      "\\xf4\\x90\\x80\\x80" },
};

static void hostile_texts_are_escaped(void **state) {
    (void)state;
    const struct access_format agent = { ACCESS_JSON, 1u << ACCESS_FIELD_AGENT, false };
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        char line[512];
        struct access_entry e = example();
        e.agent = escapes[i].agent;
        snprintf(line, sizeof line, "{\"user_agent\":\"%s\"}\n", escapes[i].json);
        expect(escapes[i].name, &agent, &e, line);
        snprintf(line, sizeof line,
                 "203.0.113.77 - - [11/Mar/2015:20:57:53 +0000] \"GET /a HTTP/1.1\" 200 1024 "
                 "\"http://shop.test/\" \"%s\"\n",
                 escapes[i].combined);
        expect(escapes[i].name, &combined, &e, line);
    }
}

static void targets_have_their_query(void **state) {
    (void)state;
    const struct access_format target = { ACCESS_JSON, 1u << ACCESS_FIELD_TARGET, false };
    struct access_entry e = example();
    e.has_query = true;
    expect("an empty query", &target, &e, "{\"target\":\"/a?\"}\n");
    e.query = text("q=\"x\"");
    expect("json", &target, &e, "{\"target\":\"/a?q=\\\"x\\\"\"}\n");
    expect("common", &common, &e,
           "203.0.113.77 - - [11/Mar/2015:20:57:53 +0000] \"GET /a?q=\\x22x\\x22 HTTP/1.1\" 200 "
           "1024\n");
}

static void values_are_written_with_four_decimals(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *line;
    } cases[] = { { 0, "{\"value\":0.0000}\n" },
                  { 0.00004, "{\"value\":0.0000}\n" },
                  { -0.5, "{\"value\":-0.5000}\n" },
                  { 12.34567, "{\"value\":12.3457}\n" },
                  { 1e300, "{\"value\":1000000000000.0000}\n" },
                  { INFINITY, "{}\n" } };
    const struct access_format value = { ACCESS_JSON, 1u << ACCESS_FIELD_VALUE, false };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct access_entry e = example();
        e.value = cases[i].value;
        expect("value", &value, &e, cases[i].line);
    }
}

/* Every byte of every text at its worst: the line still fits into what was reserved for it. */
static void the_longest_line_fits(void **state) {
    (void)state;
    static char worst[4096];
    struct access_entry e = example();
    struct buffer out;
    memset(worst, 1, sizeof worst);
    struct slice *const texts[] = { &e.method,  &e.host,  &e.path,    &e.query, &e.request_line,
                                    &e.referer, &e.agent, &e.service, &e.route, &e.endpoint };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        *texts[i] = slice_of(worst, sizeof worst);
    }
    e.has_query = true;
    e.unix_ms = 253402300799999;
    e.bytes_in = e.bytes_out = UINT64_MAX;
    e.total_us = e.first_byte_us = e.waited_us = UINT32_MAX;
    e.value = -1e300;
    buffer_init(&out, 1 << 20);
    assert_true(access_entry_write(&json, &e, &out)); /* buffer_commit asserts that it fitted */
    assert_true(buffer_len(&out) > 10 * 6 * sizeof worst);
    assert_true(access_entry_write(&combined, &e, &out));
    buffer_fini(&out);
    buffer_init(&out, 100);
    assert_false(access_entry_write(&json, &e, &out));
    assert_int_equal(buffer_len(&out), 0);
    buffer_fini(&out);
}

static void fields_have_names(void **state) {
    (void)state;
    for (unsigned i = 0; i < ACCESS_FIELD_COUNT; i++) {
        assert_int_equal(access_field_bit(slice_from(access_field_names[i])), 1u << i);
    }
    assert_int_equal(access_field_bit(SLICE("nope")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_lines),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(addresses_are_masked),
        cmocka_unit_test(hostile_texts_are_escaped),
        cmocka_unit_test(targets_have_their_query),
        cmocka_unit_test(values_are_written_with_four_decimals),
        cmocka_unit_test(the_longest_line_fits),
        cmocka_unit_test(fields_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
