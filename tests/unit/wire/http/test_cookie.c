/* Cookies, found where they stand (RFC 6265 section 4.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "wire/http/cookie.h"

static void finds_cookies(void **state) {
    static const struct {
        const char *name, *fields; /* Cookie fields, separated by LF */
        const char *value;         /* of "sid"; NULL: none */
    } cases[] = {
        { "alone", "sid=1", "1" },
        { "first", "sid=1; x=2", "1" },
        { "last", "x=2; sid=1", "1" },
        { "in a second field", "x=2\nsid=1", "1" },
        { "the first of two", "sid=1; sid=2", "1" },
        { "the first of two fields", "sid=1\nsid=2", "1" },
        { "without the blank", "x=2;sid=1", "1" },
        { "with more blanks", "x=2 ;\t sid=1 ", "1" },
        { "quoted", "sid=\"a b\"", "a b" },
        { "half quoted", "sid=\"a", "\"a" },
        { "one quote", "sid=\"", "\"" },
        { "empty", "sid=", "" },
        { "empty in quotes", "sid=\"\"", "" },
        { "with equals signs", "sid=a==", "a==" },
        { "a longer name before it", "sid2=2; sid=1", "1" },
        { "a name that ends like it", "xsid=2; sid=1", "1" },
        { "no value at all", "sid", NULL },
        { "only a longer name", "sid2=1", NULL },
        { "only a shorter one", "si=d=1", NULL },
        { "in the value of another", "x=sid=1", NULL },
        { "in another case", "SID=1", NULL },
        { "a blank before the equals sign", "sid =1", NULL },
        { "nothing", "", NULL },
        { "only separators", ";; ;", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_field fields[8];
        struct http_head head;
        struct slice rest = slice_from(cases[i].fields), line, value = SLICE("unset");
        http_head_init(&head, fields, 8);
        http_head_add(&head, SLICE("accept"), SLICE("sid=9"));
        while (slice_cut(&rest, '\n', &line)) {
            http_head_add(&head, SLICE("cookie"), line);
        }
        bool found = cookie_find(&head, SLICE("sid"), &value);
        if (found != (cases[i].value != NULL) ||
            !slice_equal(value, found ? slice_from(cases[i].value) : SLICE("unset"))) {
            fail_msg("%s: %d '%.*s'", cases[i].name, found, SLICE_ARG(value));
        }
    }
}

/* What stands behind the field in memory is not its own. */
static void ends_with_the_field(void **state) {
    struct http_field fields[1];
    struct http_head head;
    struct slice value;
    (void)state;
    http_head_init(&head, fields, 1);
    http_head_add(&head, SLICE("cookie"), slice_sub(SLICE("x=2; sid=1"), 0, 8));
    assert_false(cookie_find(&head, SLICE("sid"), &value));
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(finds_cookies),
                                        cmocka_unit_test(ends_with_the_field) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
