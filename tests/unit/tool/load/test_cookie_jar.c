#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tool/load/cookie_jar.h"

#define NOW_S 1426107473

static void check(const struct cookie_jar *jar, const char *expected) {
    struct buffer out;
    buffer_init(&out, 1u << 20);
    assert_true(cookie_jar_write(jar, &out));
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data + out.start, expected);
    buffer_fini(&out);
}

static bool take(struct cookie_jar *jar, const char *text) {
    return cookie_jar_take(jar, slice_from(text), NOW_S);
}

static void cookies_come_change_and_go(void **state) {
    (void)state;
    struct cookie_jar jar = { 0 };
    check(&jar, "");
    assert_true(take(&jar, "sid=abc; Path=/; HttpOnly; SameSite=Lax"));
    assert_true(take(&jar, "cart=t.1x2~sig==; Path=/"));
    check(&jar, "sid=abc; cart=t.1x2~sig==");
    assert_true(take(&jar, "sid=other"));
    assert_true(take(&jar, " empty = ; Secure"));
    check(&jar, "sid=other; cart=t.1x2~sig==; empty=");
    assert_true(take(&jar, "cart=; Path=/; Max-Age=0"));
    assert_true(take(&jar, "absent=; Max-Age=-5"));
    check(&jar, "sid=other; empty=");
    cookie_jar_fini(&jar);
}

static void what_is_over_goes(void **state) {
    (void)state;
    struct cookie_jar jar = { 0 };
    take(&jar, "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    check(&jar, "");
    take(&jar, "a=1; expires=Sun, 06 Nov 2094 08:49:37 GMT");
    check(&jar, "a=1");
    take(&jar, "a=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60"); /* Max-Age decides */
    check(&jar, "a=2");
    take(&jar, "a=3; max-age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    check(&jar, "a=3");
    cookie_jar_fini(&jar);
}

static void rubbish_is_not_kept(void **state) {
    (void)state;
    struct cookie_jar jar = { 0 };
    static const char *const rubbish[] = { "", "novalue", "=x", "a b=1", ";a=1", "a=\x01" };
    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++) {
        assert_false(take(&jar, rubbish[i]));
    }
    check(&jar, "");
}

static void the_jar_has_limits(void **state) {
    (void)state;
    struct cookie_jar jar = { 0 };
    static char large[COOKIE_PAIR_BYTES_MAX + 2];
    char text[16];
    memset(large, 'x', sizeof large - 1);
    large[1] = '=';
    assert_false(take(&jar, large));
    for (int i = 0; i < COOKIE_JAR_MAX; i++) {
        snprintf(text, sizeof text, "c%d=1", i);
        assert_true(take(&jar, text));
    }
    assert_false(take(&jar, "more=1"));
    assert_true(take(&jar, "c3=2"));
    cookie_jar_remove(&jar, SLICE("c0"));
    assert_true(take(&jar, "more=1"));
    cookie_jar_fini(&jar);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookies_come_change_and_go),
        cmocka_unit_test(what_is_over_goes),
        cmocka_unit_test(rubbish_is_not_kept),
        cmocka_unit_test(the_jar_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
