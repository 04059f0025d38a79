/* Authorities, and paths as routing sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/rand.h"
#include "wire/http/uri.h"

static void tells_authorities(void **state) { /* RFC 3986 3.2 */
    static const struct {
        const char *text;
        bool valid;
        const char *host;
    } cases[] = {
        { "a", true, "a" },
        { "shop.test", true, "shop.test" },
        { "shop.test:80", true, "shop.test" },
        { "shop.test:", true, "shop.test" },
        { "192.0.2.1:65535", true, "192.0.2.1" },
        { "[::1]", true, "[::1]" },
        { "[2001:db8::1]:80", true, "[2001:db8::1]" },
        { "[::ffff:192.0.2.1]", true, "[::ffff:192.0.2.1]" },
        { "a_b-c~d", true, "a_b-c~d" },
        { "%41", true, "%41" },
        { "a!$&'()*+,;=", true, "a!$&'()*+,;=" },
        { "", false, "" },
        { ":80", false, "" },
        { "a:65536", false, "a" },
        { "a:123456", false, "a" },
        { "a:8o", false, "a" },
        { "a:-1", false, "a" },
        { "u@a", false, "u@a" },
        { "a/b", false, "a/b" },
        { "a b", false, "a b" },
        { "a\\b", false, "a\\b" },
        { "a\"b", false, "a\"b" },
        { "a?b", false, "a?b" },
        { "a#b", false, "a#b" },
        { "%4", false, "%4" },
        { "%4g", false, "%4g" },
        { "a%", false, "a%" },
        { "[::1", false, "[" },
        { "[]", false, "[]" },
        { "[1.2.3.4]", false, "[1.2.3.4]" },
        { "[::1]80", false, "[::1]80" },
        { "[::1]:x", false, "[::1]" },
        { "[::1%25lo]", false, "[::1%25lo]" },
        { "::1", false, "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice text = slice_from(cases[i].text);
        if (uri_is_authority(text) != cases[i].valid) {
            fail_msg("'%s'", cases[i].text);
        }
        if (cases[i].valid && !slice_equal(uri_host(text), slice_from(cases[i].host))) {
            fail_msg("'%s': host '%.*s'", cases[i].text, SLICE_ARG(uri_host(text)));
        }
    }
    assert_int_equal(uri_host(SLICE("")).len, 0);
    assert_false(uri_is_authority(SLICE("a\0b")));
    assert_false(uri_is_authority(SLICE("[::1\0]")));
}

static void normalises_paths(void **state) { /* RFC 3986 6.2.2 */
    static const struct {
        const char *path, *normal; /* NULL: refused */
    } cases[] = {
        { "/", "/" },
        { "/a/b.c", "/a/b.c" },
        { "/a/./b", "/a/b" },
        { "/a/../b", "/b" },
        { "/a/b/../../c", "/c" },
        { "/../../a", "/a" },
        { "/a/.", "/a/" },
        { "/a/..", "/" },
        { "/a/b/..", "/a/" },
        { "/..", "/" },
        { "/.", "/" },
        { "/...", "/..." },
        { "/.a/..b/c.", "/.a/..b/c." },
        { "/a//b", "/a//b" },
        { "/a//../b", "/a/b" },
        { "//a/../b", "//b" },
        { "/%63heckout", "/checkout" },
        { "/%2e%2E/a", "/a" },
        { "/a/%2e./b", "/b" },
        { "/%7euser", "/~user" },
        { "/a%2fb", "/a%2fb" },
        { "/a%2Fb%20c", "/a%2Fb%20c" },
        { "/%C3%BC", "/%C3%BC" },
        { "/%252e%252e/a", "/%252e%252e/a" },
        { "/%", NULL },
        { "/%4", NULL },
        { "/%4g", NULL },
        { "/%g4", NULL },
        { "/%00", NULL },
        { "/a%+4", NULL },
        { "*", "*" },
        { "", "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        struct slice normal;
        bool ok = uri_normalise_path(slice_from(cases[i].path), out, sizeof out, &normal);
        if (ok != (cases[i].normal != NULL) ||
            (ok && !slice_equal(normal, slice_from(cases[i].normal)))) {
            fail_msg("'%s': %d '%.*s'", cases[i].path, ok, ok ? (int)normal.len : 0, normal.data);
        }
    }
}

static void leaves_alone_what_is_normal(void **state) {
    struct slice path = SLICE("/product/4711"), normal;
    (void)state;
    assert_true(uri_normalise_path(path, NULL, 0, &normal));
    assert_ptr_equal(normal.data, path.data);
}

static void refuses_what_does_not_fit(void **state) {
    char out[4];
    struct slice normal;
    (void)state;
    assert_true(uri_normalise_path(SLICE("/%61bc"), out, 4, &normal));
    assert_false(uri_normalise_path(SLICE("/%61bcd"), out, 4, &normal));
}

/* What was normalised stays as it is, begins with a slash and holds no dot segment. */
static void normalises_once(void **state) {
    static const char *const pieces[] = { "/", "/", ".", "..", "a", "%2e", "%2F", "%61", "b" };
    struct rand r;
    (void)state;
    rand_init(&r, 7041);
    for (int round = 0; round < 20000; round++) {
        char path[128] = "/", out[128], again[128];
        for (uint32_t count = rand_below(&r, 12); count > 0; count--) {
            strcat(path, pieces[rand_below(&r, 9)]);
        }
        struct slice once, twice;
        assert_true(uri_normalise_path(slice_from(path), out, sizeof out, &once));
        assert_true(uri_normalise_path(once, again, sizeof again, &twice));
        if (!slice_equal(once, twice) || once.len == 0 || once.data[0] != '/') {
            fail_msg("%s: %.*s, then %.*s", path, SLICE_ARG(once), SLICE_ARG(twice));
        }
        assert_int_equal(slice_find_slice(once, SLICE("/../")), SLICE_NONE);
        assert_false(slice_ends_with(once, SLICE("/..")));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_authorities),
        cmocka_unit_test(normalises_paths),
        cmocka_unit_test(leaves_alone_what_is_normal),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(normalises_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
