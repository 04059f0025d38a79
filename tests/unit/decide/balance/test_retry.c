/* What may be sent again: each rule with the case that it is there for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "decide/balance/retry.h"

#define ALL 0xff
#define GATEWAY                                                                                    \
    (RETRY_ON_CONNECT | RETRY_ON_RESET | RETRY_ON_TIMEOUT | RETRY_ON_502 | RETRY_ON_503 |          \
     RETRY_ON_504)
#define NO_DEADLINE UINT64_MAX

/* repeatable: GET, HEAD, PUT, DELETE, OPTIONS; a POST with a key that the service honours; a route
 * that promises it. Not: POST, PATCH, an upgrade. */
static const struct {
    const char *name;
    uint32_t on;
    struct retry_facts facts; /* left_us 0: no deadline */
    enum retry_verdict verdict;
} cases[] = {
    { "GET, no connection", GATEWAY, { .cause = RETRY_CONNECT, .repeatable = true }, RETRY_FREE },
    { "POST, no connection: nothing was sent", GATEWAY, { .cause = RETRY_CONNECT }, RETRY_FREE },
    { "no connection, however often",
      GATEWAY,
      { .cause = RETRY_CONNECT, .attempts = 9 },
      RETRY_FREE },
    { "POST, REFUSED_STREAM or above GOAWAY", GATEWAY, { .cause = RETRY_REFUSED }, RETRY_CHARGED },
    { "POST, the connection broke",
      GATEWAY,
      { .cause = RETRY_RESET, .attempts = 1 },
      RETRY_UNSAFE },
    { "POST, no answer in time", GATEWAY, { .cause = RETRY_TIMEOUT, .attempts = 1 }, RETRY_UNSAFE },
    { "POST, the endpoint hangs",
      GATEWAY,
      { .cause = RETRY_EJECTED, .attempts = 1 },
      RETRY_UNSAFE },
    { "POST, 503", GATEWAY, { .cause = RETRY_STATUS, .status = 503, .attempts = 1 }, RETRY_UNSAFE },
    { "GET, the connection broke",
      GATEWAY,
      { .cause = RETRY_RESET, .repeatable = true, .attempts = 1 },
      RETRY_CHARGED },
    { "GET, no answer in time",
      GATEWAY,
      { .cause = RETRY_TIMEOUT, .repeatable = true, .attempts = 2 },
      RETRY_CHARGED },
    { "GET, the endpoint hangs",
      GATEWAY,
      { .cause = RETRY_EJECTED, .repeatable = true, .attempts = 1 },
      RETRY_CHARGED },
    { "GET, 503",
      GATEWAY,
      { .cause = RETRY_STATUS, .status = 503, .repeatable = true, .attempts = 1 },
      RETRY_CHARGED },
    { "GET, 500 is the application's answer",
      GATEWAY,
      { .cause = RETRY_STATUS, .status = 500, .repeatable = true, .attempts = 1 },
      RETRY_NOT_WANTED },
    { "GET, 500 of an instance whose peers answer well",
      RETRY_ON_OUTLIER,
      { .cause = RETRY_STATUS, .status = 500, .repeatable = true, .outlier = true, .attempts = 1 },
      RETRY_CHARGED },
    { "GET, 500 where the peers give it too",
      RETRY_ON_OUTLIER,
      { .cause = RETRY_STATUS, .status = 500, .repeatable = true, .attempts = 1 },
      RETRY_NOT_WANTED },
    { "GET, the second 500 is the application's",
      RETRY_ON_OUTLIER,
      { .cause = RETRY_STATUS, .status = 500, .repeatable = true, .outlier = true, .attempts = 2 },
      RETRY_NOT_WANTED },
    { "GET, 501 of an outlier: no instance knows the method",
      RETRY_ON_OUTLIER,
      { .cause = RETRY_STATUS, .status = 501, .repeatable = true, .outlier = true, .attempts = 1 },
      RETRY_NOT_WANTED },
    { "POST, 500 of an outlier",
      RETRY_ON_OUTLIER,
      { .cause = RETRY_STATUS, .status = 500, .outlier = true, .attempts = 1 },
      RETRY_UNSAFE },
    { "GET, 500 where it is asked for",
      ALL,
      { .cause = RETRY_STATUS, .status = 500, .repeatable = true, .attempts = 1 },
      RETRY_CHARGED },
    { "GET, 404 never",
      ALL,
      { .cause = RETRY_STATUS, .status = 404, .repeatable = true, .attempts = 1 },
      RETRY_NOT_WANTED },
    { "GET, 501 never",
      ALL,
      { .cause = RETRY_STATUS, .status = 501, .repeatable = true, .attempts = 1 },
      RETRY_NOT_WANTED },
    { "GET, 503 with Retry-After",
      GATEWAY,
      { .cause = RETRY_STATUS,
        .status = 503,
        .repeatable = true,
        .says_when = true,
        .attempts = 1 },
      RETRY_NOT_WANTED },
    { "GET, the third sending failed",
      GATEWAY,
      { .cause = RETRY_RESET, .repeatable = true, .attempts = 3 },
      RETRY_ENOUGH },
    { "PUT that was not kept whole",
      GATEWAY,
      { .cause = RETRY_RESET, .repeatable = true, .attempts = 1, .lost = true },
      RETRY_UNSAFE },
    { "POST that was refused but not kept whole",
      GATEWAY,
      { .cause = RETRY_REFUSED, .attempts = 1, .lost = true },
      RETRY_UNSAFE },
    { "GET whose answer has begun",
      GATEWAY,
      { .cause = RETRY_RESET, .repeatable = true, .attempts = 1, .answer_begun = true },
      RETRY_UNSAFE },
    { "GET, resets are not retried here",
      RETRY_ON_CONNECT,
      { .cause = RETRY_RESET, .repeatable = true, .attempts = 1 },
      RETRY_NOT_WANTED },
    { "nothing is retried here",
      0,
      { .cause = RETRY_CONNECT, .repeatable = true },
      RETRY_NOT_WANTED },
    { "GET, 5 ms left and an answer takes 6",
      GATEWAY,
      { .cause = RETRY_RESET,
        .repeatable = true,
        .attempts = 1,
        .left_us = 5000,
        .expected_us = 6000 },
      RETRY_LATE },
    { "GET, 7 ms left",
      GATEWAY,
      { .cause = RETRY_RESET,
        .repeatable = true,
        .attempts = 1,
        .left_us = 7000,
        .expected_us = 6000 },
      RETRY_CHARGED },
    { "GET, the deadline is now",
      GATEWAY,
      { .cause = RETRY_CONNECT, .repeatable = true, .left_us = 1, .expected_us = 1 },
      RETRY_LATE },
};

static void the_rule(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct retry_policy policy = { .on = cases[i].on, .attempts = 3 };
        struct retry_facts facts = cases[i].facts;
        facts.left_us = facts.left_us == 0 ? NO_DEADLINE : facts.left_us;
        if (retry_decide(&policy, &facts) != cases[i].verdict) {
            fail_msg("%s: %d", cases[i].name, (int)retry_decide(&policy, &facts));
        }
    }
}

/* Whatever else is so: what an endpoint may have begun goes again only if that does no harm. */
static void never_unsafe(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 1u << 10; bits++) {
        for (int cause = 0; cause < RETRY_CAUSES; cause++) {
            struct retry_policy policy = { .on = bits & 1 ? ALL : GATEWAY, .attempts = 9 };
            struct retry_facts facts = {
                .cause = (enum retry_cause)cause,
                .status = bits & 2 ? 503 : 500,
                .repeatable = bits & 4,
                .lost = bits & 8,
                .answer_begun = bits & 16,
                .says_when = bits & 32,
                .attempts = bits >> 6 & 3,
                .left_us = bits & 256 ? NO_DEADLINE : 10,
                .outlier = bits & 512,
            };
            enum retry_verdict verdict = retry_decide(&policy, &facts);
            bool again = verdict == RETRY_FREE || verdict == RETRY_CHARGED;
            bool begun = cause != RETRY_CONNECT && cause != RETRY_REFUSED;
            assert_false(again && begun && !facts.repeatable);
            assert_false(again && (facts.answer_begun || facts.lost));
            assert_true(verdict != RETRY_FREE || cause == RETRY_CONNECT);
        }
    }
}

static void names(void **state) {
    (void)state;
    for (int cause = 0; cause < RETRY_CAUSES; cause++) {
        assert_non_null(retry_cause_name((enum retry_cause)cause));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule),
        cmocka_unit_test(never_unsafe),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
