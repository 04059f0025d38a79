#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "wire/auth/base64.h"
#include "wire/auth/basic.h"

#define HASH "$2y$05$aaaaaaaaaaaaaaaaaaaaaOjOHCcGZ1ZydhnG2lX11qSmiRJbsbsA."

static void decodes_base64_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text, *value; /* NULL: it is none */
        bool url;
    } cases[] = {
        { "", "", false },
        { "Zg==", "f", false },
        { "Zm8=", "fo", false },
        { "Zm9v", "foo", false },
        { "Zm9vYg==", "foob", false },
        { "Zg", NULL, false },
        { "Zg=", NULL, false },
        { "Zh==", NULL, false }, /* an unused bit is set */
        { "Zm9=", NULL, false },
        { "Z===", NULL, false },
        { "====", NULL, false },
        { "Zm 9", NULL, false },
        { "_-__", NULL, false },
        { "Zm9v\n", NULL, false },
        { "Zg", "f", true },
        { "Zm8", "fo", true },
        { "Zg==", NULL, true },
        { "Zh", NULL, true },
        { "Z", NULL, true },
        { "+/+/", NULL, true },
        { "-_-_", "\xfb\xff\xbf", true },
        { "MTIzNDU2Nzg5", NULL, false }, /* longer than the room */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[8];
        size_t len = 0;
        struct slice text = slice_from(cases[i].text);
        bool good = cases[i].url ? base64url_decode(text, out, sizeof out, &len)
                                 : base64_decode(text, out, sizeof out, &len);
        if (good != (cases[i].value != NULL) ||
            (good && !slice_equal(slice_of(out, len), slice_from(cases[i].value)))) {
            fail_msg("%s", cases[i].text);
        }
    }
}

static void reads_credentials(void **state) {
    (void)state;
    static const struct {
        const char *field, *user, *password; /* NULL: refused */
    } cases[] = {
        { "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame" }, /* RFC 7617 */
        { "bAsIc  QTpCOkM=", "A", "B:C" },
        { "Basic Og==", "", "" },
        { "Basic QQ==", NULL, NULL }, /* no colon */
        { "Basic", NULL, NULL },
        { "Bearer QTpC", NULL, NULL },
        { "Basic QTpC QTpC", NULL, NULL },
        { "Basic QQo6Qg==", NULL, NULL }, /* a line's end in the name */
        { "Basic QTpCAA==", NULL, NULL }, /* NUL */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char room[BASIC_CREDENTIALS_BYTES_MAX];
        struct basic_credentials c;
        bool good = basic_parse(slice_from(cases[i].field), room, &c);
        if (good != (cases[i].user != NULL) ||
            (good && (!slice_equal(c.user, slice_from(cases[i].user)) ||
                      !slice_equal(c.password, slice_from(cases[i].password))))) {
            fail_msg("%s", cases[i].field);
        }
    }
}

static void reads_files_of_users(void **state) {
    (void)state;
    static const struct {
        const char *file, *why; /* NULL: good */
    } cases[] = {
        { "ann:" HASH "\n", NULL },
        { "# staff\r\n\r\nann:" HASH "\r\nbob:" HASH, NULL },
        { "", "expected at least one user" },
        { "# nobody\n", "expected at least one user" },
        { "ann:" HASH "\nbob:secret\n", "user 2: expected user:hash with a bcrypt hash" },
        { "ann\n", "user 1: expected" },
        { ":" HASH "\n", "user 1: expected" },
        { "ann:$apr1$x$y\n", "user 1: expected" },
        { "ann:$2y$05$aaaaaaaaaaaaaaaaaaaaaOjOHCcGZ1ZydhnG2lX11qSmiRJbsbs:.\n",
          "user 1: expected" },
        { "ann:$2y$31$aaaaaaaaaaaaaaaaaaaaaOjOHCcGZ1ZydhnG2lX11qSmiRJbsbsA.\n",
          "user 'ann': expected a bcrypt cost of 4 to 12, found 31" },
    };
    struct slice hash;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = { 0 };
        bool good = basic_check_users(slice_from(cases[i].file), &err);
        if (good != (cases[i].why == NULL) || (!good && strstr(err.text, cases[i].why) == NULL)) {
            fail_msg("%s: %s", cases[i].file, good ? "taken" : err.text);
        }
    }
    struct slice file = SLICE("#ann:x\nanna:" HASH "\nann:$2y$05$bbbb\r\nann:second\n");
    assert_true(basic_find_user(file, SLICE("ann"), &hash));
    assert_true(slice_equal(hash, SLICE("$2y$05$bbbb")));
    assert_false(basic_find_user(file, SLICE("an"), &hash));
    assert_false(basic_find_user(file, SLICE(""), &hash));
    assert_true(slice_equal(basic_any_hash(file), SLICE(HASH)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_base64_strictly),
        cmocka_unit_test(reads_credentials),
        cmocka_unit_test(reads_files_of_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
