#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "act/api/query.h"

static const struct query_parameter known[] = {
    { .name = "service", .type = QUERY_TEXT },
    { .name = "limit", .type = QUERY_UINT, .number = 100 },
    { .name = "from", .type = QUERY_TIME },
};

static void good_queries(void **state) {
    (void)state;
    static const struct {
        const char *query, *service;
        int64_t limit, from_ms;
    } cases[] = {
        { "", "", 100, 0 },
        { "&&", "", 100, 0 },
        { "service=a%2Fb+c&limit=7", "a/b c", 7, 0 },
        { "limit=0&from=2015-03-11T20:57:53Z", "", 0, 1426107473000 },
        { "from=1426107473", "", 100, 1426107473000 },
        { "service=x=y", "x=y", 100, 0 },
        { "service=%C3%A9", "\xc3\xa9", 100, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct query_parameter p[3];
        struct error err = { 0 };
        memcpy(p, known, sizeof p);
        if (!query_parse(slice_from(cases[i].query), p, 3, &err)) {
            fail_msg("%s: %s", cases[i].query, err.text);
        }
        assert_string_equal(p[0].text, cases[i].service);
        assert_int_equal(p[1].number, cases[i].limit);
        assert_int_equal(p[2].number, cases[i].from_ms);
    }
}

static void bad_queries(void **state) {
    (void)state;
    static const struct {
        const char *query, *words;
    } cases[] = {
        { "nonsense=1", "expected service, limit, from" },
        { "service", NULL }, /* an empty value is one */
        { "limit=", "not a whole number" },
        { "limit=-1", "not a whole number" },
        { "limit=9223372036854775808", "not a whole number" },
        { "from=yesterday", "not a time" },
        { "limit=1&limit=2", "given twice" },
        { "service=%4", "badly encoded" },
        { "service=%zz", "badly encoded" },
        { "service=a%00b", "badly encoded" },
        { "service=a%0ab", "badly encoded" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct query_parameter p[3];
        struct error err = { 0 };
        memcpy(p, known, sizeof p);
        assert_int_equal(query_parse(slice_from(cases[i].query), p, 3, &err),
                         cases[i].words == NULL);
        if (cases[i].words != NULL) {
            assert_non_null(strstr(err.text, cases[i].words));
        }
    }
}

static void a_long_value(void **state) {
    (void)state;
    char query[QUERY_VALUE_BYTES + 16] = "service=";
    struct query_parameter p[3];
    memcpy(p, known, sizeof p);
    memset(query + 8, 'x', QUERY_VALUE_BYTES - 1);
    assert_true(query_parse(slice_from(query), p, 3, NULL));
    strcat(query, "x");
    memcpy(p, known, sizeof p);
    assert_false(query_parse(slice_from(query), p, 3, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_queries),
        cmocka_unit_test(bad_queries),
        cmocka_unit_test(a_long_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
