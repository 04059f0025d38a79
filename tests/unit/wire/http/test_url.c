#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "wire/http/url.h"

static void assert_text(struct slice got, const char *expected) {
    if (!slice_equal(got, slice_from(expected))) {
        fail_msg("expected '%s', found '%.*s'", expected, SLICE_ARG(got));
    }
}

static void parts(void **state) {
    (void)state;
    struct url u;
    assert_true(url_parse(SLICE("https://cal.example/private/a.ics?t=1&u#x"), &u));
    assert_true(u.tls && u.has_query);
    assert_int_equal(u.port, 443);
    assert_text(u.host, "cal.example");
    assert_text(u.origin, "https://cal.example");
    assert_text(u.path, "/private/a.ics");
    assert_text(u.query, "t=1&u");
    assert_true(url_parse(SLICE("HTTP://[::1]:8080"), &u));
    assert_false(u.tls || u.has_query);
    assert_int_equal(u.port, 8080);
    assert_text(u.host, "::1");
    assert_text(u.authority, "[::1]:8080");
    assert_text(u.path, "");
}

static void refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "calendar.ics",
        "ftp://a/b",
        "file:///etc/passwd",
        "webcal://a/b",
        "https://",
        "https:///a",
        "https://user:pass@host/",
        "https://user@host",
        "http://a:0/",
        "http://a:65536/",
        "http://a:x/",
        "http://a/ b",
        "http://a/\r\nX: y",
        "http://a/\x7f",
        "http://a/\"",
        "http://a/\xc3\xa4",
    };
    struct url u;
    char longest[URL_BYTES_MAX + 1];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (url_parse(slice_from(texts[i]), &u)) {
            fail_msg("'%s' was taken", texts[i]);
        }
    }
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "http://", 7);
    assert_false(url_parse(slice_of(longest, URL_BYTES_MAX), &u));
}

static void a_redirect_leads_where_it_says(void **state) {
    (void)state;
    static const struct {
        const char *location, *expected;
    } cases[] = {
        { "http://b/c", "http://b/c" },     { "mailto:x@y", "mailto:x@y" },
        { "//b:1/c", "https://b:1/c" },     { "/c?d", "https://a:8/c?d" },
        { "c", "https://a:8/x/c" },         { "c:d", "c:d" },
        { "./c:d", "https://a:8/x/./c:d" }, { "?d", "https://a:8/x/y?d" },
        { "", "https://a:8/x/y?q" },
    };
    struct url base;
    char out[64];
    assert_true(url_parse(SLICE("https://a:8/x/y?q#f"), &base));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(url_follow(&base, slice_from(cases[i].location), out, sizeof out));
        assert_string_equal(out, cases[i].expected);
    }
    assert_false(url_follow(&base, SLICE("/c"), out, 13));
    assert_true(url_parse(SLICE("http://a"), &base));
    assert_true(url_follow(&base, SLICE("c"), out, sizeof out));
    assert_string_equal(out, "http://a/c");
}

static void same_origin(void **state) {
    (void)state;
    struct url a, b;
    assert_true(url_parse(SLICE("https://Cal.example/a"), &a));
    assert_true(url_parse(SLICE("https://cal.example:443/b"), &b));
    assert_true(url_same_origin(&a, &b));
    assert_true(url_parse(SLICE("http://cal.example:443/b"), &b));
    assert_false(url_same_origin(&a, &b));
    assert_true(url_parse(SLICE("https://cal.example:444/"), &b));
    assert_false(url_same_origin(&a, &b));
    assert_true(url_parse(SLICE("https://cal.example.evil/"), &b));
    assert_false(url_same_origin(&a, &b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts),
        cmocka_unit_test(refused),
        cmocka_unit_test(a_redirect_leads_where_it_says),
        cmocka_unit_test(same_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
