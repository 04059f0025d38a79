/* What an answer must be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "act/fleet/expectation.h"

static struct expectation *expect(const char *status, const char *body) {
    static const char *statuses[EXPECT_STATUSES_MAX];
    struct expect_config config = { .status = statuses, .body = body };
    static char text[64];
    struct error err;
    strcpy(text, status);
    char *rest = NULL;
    for (char *at = strtok_r(text, " ", &rest); at != NULL; at = strtok_r(NULL, " ", &rest)) {
        statuses[config.status_len++] = at;
    }
    struct expectation *e = expectation_new(&config, &err);
    if (e == NULL) {
        fail_msg("'%s' '%s': %s", status, body == NULL ? "" : body, err.text);
    }
    return e;
}

static void judges_statuses(void **state) {
    static const struct {
        const char *expected;
        uint16_t status;
        bool well;
    } cases[] = {
        { "", 200, true },
        { "", 399, true },
        { "", 199, false },
        { "", 400, false },
        { "200", 200, true },
        { "200", 201, false },
        { "200 204", 204, true },
        { "2xx", 200, true },
        { "2xx", 299, true },
        { "2xx", 300, false },
        { "4xx", 404, true },
        { "200-204", 203, true },
        { "200-204", 205, false },
        { "503", 503, true },
        { "2xx 401 500-599", 401, true },
        { "2xx 401 500-599", 599, true },
        { "2xx 401 500-599", 402, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char why[PROBE_WHY_BYTES] = "";
        struct expectation *e = expect(cases[i].expected, NULL);
        enum probe_result result =
            expectation_judge(e, cases[i].status, slice_of("", 0), false, why);
        if (result != (cases[i].well ? PROBE_WELL : PROBE_STATUS)) {
            fail_msg("%u of '%s': %s", cases[i].status, cases[i].expected,
                     probe_result_name(result));
        }
        assert_true(cases[i].well == (why[0] == '\0'));
        expectation_free(e);
    }
}

static void judges_bodies(void **state) {
    static const struct {
        const char *expected, *body;
        bool ended;
        enum probe_result result;
    } cases[] = {
        { "ok", "it is ok", false, PROBE_WELL },
        { "ok", "it is o", false, PROBE_MORE },
        { "ok", "it is o", true, PROBE_BODY },
        { "ok", "", true, PROBE_BODY },
        { "/ok/", "it is ok", false, PROBE_MORE },
        { "/ok/", "it\nis\nok\n", true, PROBE_WELL },
        { "/^ok$/", "ok", true, PROBE_WELL },
        { "/^ok$/", "it is ok", true, PROBE_BODY },
        { "/a.c/", "a\nc", true, PROBE_BODY },
        { "/(?s)a.c/", "a\nc", true, PROBE_WELL },
        { "/", "a/b", true, PROBE_WELL }, /* too short for a pattern */
        { "/x|y/", "abcy", true, PROBE_WELL },
        { "/x|y/", "abc", true, PROBE_BODY },
        { "/\\bup\\b/", "setup up", true, PROBE_WELL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char why[PROBE_WHY_BYTES] = "";
        struct expectation *e = expect("", cases[i].expected);
        enum probe_result result =
            expectation_judge(e, 200, slice_from(cases[i].body), cases[i].ended, why);
        if (result != cases[i].result) {
            fail_msg("'%s' in '%s': %s %s", cases[i].expected, cases[i].body,
                     probe_result_name(result), why);
        }
        expectation_free(e);
    }
}

/* A whole body of the largest size is searched; a pattern that runs wild gives up in time. */
static void looks_at_so_many_bytes(void **state) {
    static char body[PROBE_BODY_BYTES_MAX];
    char why[PROBE_WHY_BYTES] = "";
    (void)state;
    memset(body, 'a', sizeof body);
    struct expectation *e = expect("", "needle");
    assert_int_equal(expectation_judge(e, 200, slice_of(body, sizeof body), false, why),
                     PROBE_BODY); /* no more is read */
    expectation_free(e);
    e = expect("", "/needle$/");
    memcpy(body + sizeof body - 6, "needle", 6);
    assert_int_equal(expectation_judge(e, 200, slice_of(body, sizeof body), true, why), PROBE_WELL);
    expectation_free(e);
    e = expect("", "/(a|aa)+\\d/");
    assert_int_equal(expectation_judge(e, 200, slice_of(body, sizeof body), true, why), PROBE_BODY);
    assert_string_equal(why, "the pattern of expect.body gave up on its body");
    expectation_free(e);
}

static void names_its_results(void **state) {
    (void)state;
    for (int i = 0; i < PROBE_RESULTS; i++) {
        assert_non_null(probe_result_name((enum probe_result)i));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_statuses),
        cmocka_unit_test(judges_bodies),
        cmocka_unit_test(looks_at_so_many_bytes),
        cmocka_unit_test(names_its_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
