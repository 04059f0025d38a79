/* `compression:` of shop.yaml: defaults, what goes into the plan, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../config/config_text.h"
#include "act/proxy/compression.h"
#include "act/proxy/compression_config.h"

struct fixture {
    struct config_text text;
    struct compression_config config;
};

static int set_up(void **state) {
    static struct fixture f;
    memset(&f, 0, sizeof f);
    config_text_init(&f.text, "c.yaml");
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    config_text_fini(&f->text);
    return 0;
}

static bool load(struct fixture *f, const char *text) {
    return config_text_apply(&f->text, &compression_config_table, text, &f->config);
}

static void has_cheap_defaults(void **state) {
    struct fixture *f = *state;
    assert_true(load(f, "{}"));
    assert_false(f->config.enabled);
    assert_true(f->config.services_may);
    int fd;
    struct plan_segment *segment = plan_segment_new(&fd, NULL);
    struct plan *plan = plan_begin(segment);
    assert_true(compression_plan(&f->config, plan));
    struct compression_policy policy;
    compression_policy_init(&policy, plan);
    assert_int_equal(policy.order_count, 3);
    assert_int_equal(policy.order[0], HTTP_CODING_ZSTD);
    assert_int_equal(policy.order[1], HTTP_CODING_BROTLI);
    assert_int_equal(policy.order[2], HTTP_CODING_GZIP);
    assert_int_equal(policy.levels[HTTP_CODING_ZSTD], 3);
    assert_int_equal(policy.levels[HTTP_CODING_BROTLI], 3);
    assert_int_equal(policy.levels[HTTP_CODING_GZIP], 4);
    assert_int_equal(policy.min_bytes, 1024);
    assert_int_equal(policy.encoders_max, 64);
    assert_int_equal(policy.type_count, 8);
    assert_true(slice_equal(policy.types[0], SLICE("text/*")));
    assert_true(slice_equal(policy.types[7], SLICE("image/svg+xml")));
    plan_segment_free(segment);
    close(fd);
}

static void takes_what_is_written(void **state) {
    struct fixture *f = *state;
    assert_true(load(f, "enabled: true\nalgorithms: gzip\nlevel: { gzip: 9 }\nmin: 4KiB\n"
                        "types: [text/css, 'x-y/*']\nencoders: 0\noffer_to_services: false\n"));
    assert_true(f->config.enabled);
    assert_int_equal(f->config.algorithm_count, 1);
    assert_int_equal(f->config.level.gzip, 9);
    assert_int_equal(f->config.min_bytes, 4096);
    assert_int_equal(f->config.type_count, 2);
    assert_int_equal(f->config.encoders, 0);
    assert_false(f->config.services_may);
}

static void switches_services(void **state) {
    struct compression_config on = { .enabled = true }, off = { .enabled = false };
    (void)state;
    assert_true(compression_plan_service(&on, PLAN_DEFAULT));
    assert_false(compression_plan_service(&off, PLAN_DEFAULT));
    assert_true(compression_plan_service(&off, PLAN_ON));
    assert_false(compression_plan_service(&on, PLAN_OFF));
    for (int i = PLAN_DEFAULT; i <= PLAN_OFF; i++) {
        static const char *const names[] = { "default", "on", "off" };
        assert_string_equal(compression_switches[i], names[i]);
    }
}

static void says_what_is_wrong(void **state) {
    static const struct {
        const char *name, *text, *said;
    } cases[] = {
        { "no algorithm", "algorithms: []",
          "c.yaml:1:13: algorithms: expected at least one of gzip, br, zstd\n" },
        { "an algorithm twice", "algorithms: [br, gzip, br]",
          "c.yaml:1:13: algorithms: br is there twice\n" },
        { "not a type", "types: [html]",
          "c.yaml:1:8: types: expected a media type such as text/html, text/* or "
          "application/*+json, found 'html'\n" },
        { "two stars", "types: ['*/*']",
          "c.yaml:1:8: types: expected a media type such as text/html, text/* or "
          "application/*+json, found '*/*'\n" },
        { "with a parameter", "types: ['text/html; charset=utf-8']",
          "c.yaml:1:8: types: expected a media type such as text/html, text/* or "
          "application/*+json, found 'text/html; charset=utf-8'\n" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(load(f, cases[i].text));
        const char *said = config_text_said(&f->text);
        if (strcmp(said, cases[i].said) != 0) {
            fail_msg("%s: %s", cases[i].name, said);
        }
    }
    static const char *const refused[] = {
        "level: { br: 6 }",  "level: { gzip: 0 }",   "level: { zstd: 10 }",
        "level: { lz4: 1 }", "algorithms: [lz4]",    "algorithms: [gzip, br, zstd, gzip]",
        "min: 2000000000B",  "encoders: 10000000",   "enabled: perhaps",
        "enable: true",      "types: { a: text/a }",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (load(f, refused[i])) {
            fail_msg("%s was taken", refused[i]);
        }
    }
}

static void bounds_types(void **state) {
    struct fixture *f = *state;
    char text[1024] = "types: [a/b";
    for (unsigned i = 1; i < PLAN_COMPRESSION_TYPES_MAX; i++) {
        strcat(text, ", a/b");
    }
    size_t len = strlen(text);
    strcpy(text + len, "]");
    assert_true(load(f, text));
    strcpy(text + len, ", a/b]");
    assert_false(load(f, text));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(has_cheap_defaults), TEST(takes_what_is_written), TEST(switches_services),
        TEST(says_what_is_wrong), TEST(bounds_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
