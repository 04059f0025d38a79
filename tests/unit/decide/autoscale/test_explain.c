#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "decide/autoscale/autoscale.h"

static void sentences(void **state) {
    (void)state;
    static const struct calendar_event sale = { .name = { "Spring sale", 11 } };
    struct autoscale_decision d = {
        .instances = 6,
        .reason = AUTOSCALE_CAMPAIGN,
        .wanted_forecast = 6,
        .demand_rps = 100,
        .forecast_rps = 540,
        .forecast_at_ms = INT64_C(1767225600000) + 14 * 3600000 + 300000,
        .quantile = 0.93,
        .capacity_rps = 98,
        .lead_ms = 2900,
        .campaign = &sale,
    };
    char text[AUTOSCALE_REASON_BYTES];
    autoscale_explain(&d, text);
    assert_string_equal(text, "6 instances: campaign 'Spring sale' at 14:05 is forecast at 540 rps "
                              "(q0.93); one instance carries 98 rps and takes 2.9 s to start");
    d.instances = 1;
    d.reason = AUTOSCALE_STEADY;
    autoscale_explain(&d, text);
    assert_string_equal(text,
                        "1 instance: demand is 100 rps; one instance carries 98 rps and takes "
                        "2.9 s to start");
    d.instances = 4;
    d.reason = AUTOSCALE_AT_MAX;
    autoscale_explain(&d, text);
    assert_string_equal(text, "4 instances: campaign 'Spring sale' at 14:05 is forecast at 540 rps "
                              "(q0.93) and needs 6, the maximum holds; one instance carries 98 rps "
                              "and takes 2.9 s to start");
    d.wanted_reactive = 7;
    autoscale_explain(&d, text);
    assert_string_equal(text, "4 instances: demand is 100 rps and needs 7, the maximum holds; one "
                              "instance carries 98 rps and takes 2.9 s to start");
    d.reason = AUTOSCALE_AT_BUDGET;
    autoscale_explain(&d, text);
    assert_non_null(strstr(text, "needs 7, the budget holds;"));
    d.reason = AUTOSCALE_SHRINK;
    autoscale_explain(&d, text);
    assert_string_equal(text,
                        "4 instances: no more were wanted for a while, demand is 100 rps; one "
                        "instance carries 98 rps and takes 2.9 s to start");
}

static void every_reason_has_a_name_and_a_sentence_that_fits(void **state) {
    (void)state;
    char name[300], text[AUTOSCALE_REASON_BYTES];
    memset(name, 'x', sizeof name);
    struct calendar_event event = { .name = { name, sizeof name } };
    for (int reason = 0; reason < AUTOSCALE_REASONS; reason++) {
        struct autoscale_decision d = {
            .reason = (enum autoscale_reason)reason,
            .demand_rps = 1e300,
            .forecast_rps = NAN,
            .capacity_rps = 1e300,
            .lead_ms = 1e300,
            .campaign = &event,
        };
        assert_true(strlen(autoscale_reason_name(d.reason)) > 3);
        autoscale_explain(&d, text);
        assert_true(strlen(text) > 20);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences),
        cmocka_unit_test(every_reason_has_a_name_and_a_sentence_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
