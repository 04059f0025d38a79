#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "record/telemetry/exposition.h"

static const struct metric requests = { "tidegate_requests_total", METRIC_COUNTER,
                                        "requests \\ so\nfar" };
static const struct metric in_flight = { "tidegate_in_flight", METRIC_GAUGE, "now" };
static const struct metric latency = { "tidegate_latency_seconds", METRIC_HISTOGRAM, "how long" };

static struct buffer out;

static int setup(void **state) {
    (void)state;
    buffer_init(&out, 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    buffer_fini(&out);
    return 0;
}

static void expect(const char *text) {
    assert_true(buffer_append_byte(&out, '\0'));
    assert_string_equal(buffer_slice(&out).data, text);
}

static void text_format(void **state) {
    (void)state;
    struct exposition e;
    struct metric_label labels[] = { { "service", SLICE("a\"b\\c\nd") }, { "stage", SLICE("") } };
    exposition_begin(&e, &out, false);
    exposition_family(&e, &requests);
    exposition_value(&e, (struct metric_labels){ labels, 2 }, 12345678901.0);
    exposition_value(&e, METRIC_LABELS_NONE, NAN);
    exposition_family(&e, &in_flight);
    exposition_value(&e, METRIC_LABELS_NONE, 0.1);
    exposition_value(&e, METRIC_LABELS_NONE, 1795836998.359);
    exposition_value(&e, METRIC_LABELS_NONE, INFINITY);
    assert_true(exposition_end(&e));
    expect("# HELP tidegate_requests_total requests \\\\ so\\nfar\n"
           "# TYPE tidegate_requests_total counter\n"
           "tidegate_requests_total{service=\"a\\\"b\\\\c\\nd\",stage=\"\"} 12345678901\n"
           "# HELP tidegate_in_flight now\n"
           "# TYPE tidegate_in_flight gauge\n"
           "tidegate_in_flight 0.1\n"
           "tidegate_in_flight 1795836998.359\n"
           "tidegate_in_flight +Inf\n");
}

static void openmetrics_names(void **state) {
    (void)state;
    struct exposition e;
    exposition_begin(&e, &out, true);
    exposition_family(&e, &requests);
    exposition_value(&e, METRIC_LABELS_NONE, 3);
    assert_true(exposition_end(&e));
    expect("# HELP tidegate_requests requests \\\\ so\\nfar\n# TYPE tidegate_requests counter\n"
           "tidegate_requests_total 3\n# EOF\n");
}

static void histogram_is_cumulative(void **state) {
    (void)state;
    static struct histogram h;
    struct exposition e;
    histogram_record(&h, 900);      /* in 1 ms */
    histogram_record(&h, 40000);    /* in 50 ms */
    histogram_record(&h, 20000000); /* above all bounds */
    exposition_begin(&e, &out, false);
    exposition_family(&e, &latency);
    exposition_histogram(&e, METRIC_LABELS_NONE, &h);
    assert_true(exposition_end(&e));
    buffer_append_byte(&out, '\0');
    const char *text = buffer_slice(&out).data;
    assert_non_null(strstr(text, "_bucket{le=\"0.001\"} 1\n"));
    assert_non_null(strstr(text, "_bucket{le=\"0.025\"} 1\n"));
    assert_non_null(strstr(text, "_bucket{le=\"0.05\"} 2\n"));
    assert_non_null(strstr(text, "_bucket{le=\"10.0\"} 2\n"));
    assert_non_null(strstr(text, "_bucket{le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "_sum 20.0409\n"));
    assert_non_null(strstr(text, "_count 3\n"));
}

static void limits_are_kept(void **state) {
    (void)state;
    struct exposition e;
    exposition_begin(&e, &out, false);
    exposition_family(&e, &in_flight);
    for (int i = 0; i < EXPOSITION_SERIES_MAX + 5; i++) {
        exposition_value(&e, METRIC_LABELS_NONE, i);
    }
    assert_int_equal(e.series_dropped, 5);
    assert_false(exposition_end(&e));
    buffer_fini(&out);
    buffer_init(&out, 16);
    exposition_begin(&e, &out, false);
    exposition_family(&e, &in_flight);
    assert_false(exposition_end(&e));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_format, setup, teardown),
        cmocka_unit_test_setup_teardown(openmetrics_names, setup, teardown),
        cmocka_unit_test_setup_teardown(histogram_is_cumulative, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_are_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
