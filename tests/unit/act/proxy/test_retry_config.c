/* `retry:`, `hedge:` and `limits:` of a service: defaults, what goes into the plan, what is
 * refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../config/config_text.h"
#include "act/proxy/retry_config.h"

static struct fixture {
    struct config_text text;
    struct retry_config retry;
    struct hedge_config hedge;
    struct circuit_config circuit;
} f;

static int set_up(void **state) {
    (void)state;
    memset(&f, 0, sizeof f);
    config_text_init(&f.text, "c.yaml");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    config_text_fini(&f.text);
    return 0;
}

static bool load(const struct config_table *table, void *out, const char *text) {
    struct config_text *t = &f.text;
    return text != NULL ? config_text_apply(t, table, text, out)
                        : config_apply(table, NULL, out, &t->arena, t->currency, &t->report);
}

static struct plan_service plan(const char *retry, const char *hedge, const char *limits) {
    struct plan_service service = { .queue_max = 500 };
    assert_true(load(&retry_config_table, &f.retry, retry));
    assert_true(load(&hedge_config_table, &f.hedge, hedge));
    assert_true(load(&circuit_config_table, &f.circuit, limits));
    retry_plan_service(&f.retry, &f.hedge, &f.circuit, 2, &service);
    return service;
}

/* Of a service that says nothing, too: no block, no check. */
static void the_defaults(void **state) {
    static const char *const texts[] = { NULL, "{}" };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct plan_service s = plan(texts[i], texts[i], texts[i]);
        assert_int_equal(s.retry.on, RETRY_ON_CONNECT | RETRY_ON_RESET | RETRY_ON_TIMEOUT |
                                         RETRY_ON_OUTLIER | RETRY_ON_502 | RETRY_ON_503 |
                                         RETRY_ON_504);
        assert_int_equal(s.retry.attempts, 3);
        assert_int_equal(s.retry_try_ms, 0);
        assert_true(s.retry_ratio == 0.1 && s.retry_floor_rps == 10);
        assert_false(s.idempotency_key);
        assert_true(s.hedge.ratio == 0.95F && s.hedge.least_us == 2000);
        assert_int_equal(s.connections, 0);
        assert_int_equal(s.concurrency, 0);
        assert_int_equal(s.queue_max, 500);
    }
}

static void what_is_written_goes_into_the_plan(void **state) {
    (void)state;
    struct plan_service s =
        plan("{ on: [reset, 500], attempts: 2, budget: 20%, floor: 5/s, per_try: 300ms, "
             "idempotency_key: true }",
             "{ percentile: 99, least: 10ms }", "{ connections: 30, pending: 40, requests: 50 }");
    assert_int_equal(s.retry.on, RETRY_ON_RESET | RETRY_ON_500);
    assert_int_equal(s.retry.attempts, 2);
    assert_int_equal(s.retry_try_ms, 300);
    assert_true(s.retry_ratio == 0.2 && s.retry_floor_rps == 5);
    assert_true(s.idempotency_key);
    assert_true(s.hedge.ratio == 0.99F && s.hedge.least_us == 10000);
    assert_int_equal(s.connections, 30);
    assert_int_equal(s.queue_max, 40);
    assert_int_equal(s.concurrency, 50);
}

static void both_can_be_switched_off(void **state) {
    (void)state;
    struct plan_service s = plan("{ on: [], attempts: 1 }", "{ enabled: false }", "{}");
    assert_int_equal(s.retry.on, 0);
    assert_true(s.hedge.ratio == 0);
}

static void what_makes_no_sense_is_refused(void **state) {
    static const struct {
        const struct config_table *table;
        const char *text, *message;
    } cases[] = {
        { &retry_config_table, "{ on: [reset, 404] }", "c.yaml:1:15: on: expected connect" },
        { &retry_config_table, "{ budget: 200% }", "budget" },
        { &retry_config_table, "{ attemps: 3 }", "attempts" },
        { &hedge_config_table, "{ percentile: 40 }", "percentile" },
        { &hedge_config_table, "{ percentile: 100 }", "percentile" },
        { &circuit_config_table, "{ connections: many }", "connections" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        union {
            struct retry_config retry;
            struct hedge_config hedge;
            struct circuit_config circuit;
        } out;
        assert_false(load(cases[i].table, &out, cases[i].text));
        const char *said = config_text_said(&f.text);
        if (strstr(said, cases[i].message) == NULL) {
            fail_msg("%s: %s", cases[i].text, said);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_written_goes_into_the_plan, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_can_be_switched_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_makes_no_sense_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
