/* HTTP dates (RFC 9110 section 5.6.7), against the C library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <time.h>

#include "base/rand.h"
#include "wire/http/date.h"
#include "wire/http/status.h"

static void formats_as_the_library_does(void **state) {
    struct rand r;
    (void)state;
    rand_init(&r, 7041);
    for (int round = 0; round < 20000; round++) {
        /* From 1900 to 2300, and the days around them. */
        int64_t seconds = -2208988800 + (int64_t)(rand_unit(&r) * 12622780800.0);
        char ours[HTTP_DATE_BYTES + 1] = "", theirs[64];
        time_t when = (time_t)seconds;
        struct tm tm;
        gmtime_r(&when, &tm);
        strftime(theirs, sizeof theirs, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        http_date_format(seconds, ours);
        assert_string_equal(ours, theirs);
        int64_t parsed;
        assert_true(http_date_parse(slice_from(ours), &parsed));
        assert_int_equal(parsed, seconds);
    }
}

static void knows_midnight(void **state) {
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = { { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
                  { 86399, "Thu, 01 Jan 1970 23:59:59 GMT" },
                  { 86400, "Fri, 02 Jan 1970 00:00:00 GMT" },
                  { -1, "Wed, 31 Dec 1969 23:59:59 GMT" },
                  { -86400, "Wed, 31 Dec 1969 00:00:00 GMT" } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[HTTP_DATE_BYTES + 1] = "";
        http_date_format(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void refuses_what_is_no_date(void **state) {
    static const char *const cases[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Mon, 06 Nov 1994 08:49:37 GMT", /* it was a Sunday */
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sun; 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT", /* the obsolete forms */
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, +6 Nov 1994 08:49:37 GMT",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t seconds = 42;
        if (http_date_parse(slice_from(cases[i]), &seconds)) {
            fail_msg("'%s'", cases[i]);
        }
        assert_int_equal(seconds, 42); /* written on success only */
    }
}

static void knows_the_leap_second(void **state) {
    int64_t seconds;
    (void)state;
    assert_true(http_date_parse(SLICE("Sat, 31 Dec 2016 23:59:60 GMT"), &seconds));
    assert_int_equal(seconds, 1483228800);
}

static void keeps_the_text_of_this_second(void **state) {
    (void)state;
    assert_true(slice_equal(http_date_now(784111777), SLICE("Sun, 06 Nov 1994 08:49:37 GMT")));
    assert_true(slice_equal(http_date_now(784111777), SLICE("Sun, 06 Nov 1994 08:49:37 GMT")));
    assert_true(slice_equal(http_date_now(784111778), SLICE("Sun, 06 Nov 1994 08:49:38 GMT")));
    assert_true(slice_equal(http_date_now(784111777), SLICE("Sun, 06 Nov 1994 08:49:37 GMT")));
}

static void gives_reasons(void **state) {
    (void)state;
    assert_true(slice_equal(http_status_reason(200), SLICE("OK")));
    assert_true(slice_equal(http_status_reason(431), SLICE("Request Header Fields Too Large")));
    assert_true(slice_equal(http_status_reason(503), SLICE("Service Unavailable")));
    assert_int_equal(http_status_reason(299).len, 0);
    assert_non_null(http_status_reason(299).data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_as_the_library_does),   cmocka_unit_test(knows_midnight),
        cmocka_unit_test(refuses_what_is_no_date),       cmocka_unit_test(knows_the_leap_second),
        cmocka_unit_test(keeps_the_text_of_this_second), cmocka_unit_test(gives_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
