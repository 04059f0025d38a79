/* gRPC's own words: content types, timeouts, and the status that an answer of ours becomes. */
#include "h1_dump.h"
#include "wire/http/grpc.h"

static void test_requests(void **state) {
    static const struct {
        const char *type;
        uint8_t version;
        bool grpc;
    } cases[] = {
        { "application/grpc", 20, true },
        { "application/grpc+proto", 20, true },
        { "application/grpc;x=y", 20, true },
        { "Application/GRPC", 20, true },
        { "application/grpc-web", 20, false },
        { "application/grpcx", 20, false },
        { "application/json", 20, false },
        { "application/grpc", 11, false },
        { "", 20, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_field fields[1];
        struct http_head head;
        http_head_init(&head, fields, 1);
        head.version = cases[i].version;
        http_head_add(&head, SLICE("content-type"), slice_from(cases[i].type));
        if (grpc_is_request(&head) != cases[i].grpc) {
            fail_msg("%s", cases[i].type);
        }
    }
}

static void test_timeouts(void **state) {
    static const struct {
        const char *text;
        bool good;
        uint64_t us;
    } cases[] = {
        { "1S", true, 1000000 },    { "100m", true, 100000 },
        { "2M", true, 120000000 },  { "1H", true, 3600000000 },
        { "5u", true, 5 },          { "1500n", true, 2 },
        { "0m", true, 0 },          { "99999999H", true, 99999999ull * 3600000000ull },
        { "", false, 0 },           { "S", false, 0 },
        { "1", false, 0 },          { "1s", false, 0 },
        { "-1S", false, 0 },        { "1.5S", false, 0 },
        { "123456789S", false, 0 }, { "1 S", false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t us = 0;
        bool good = grpc_timeout_us(slice_from(cases[i].text), &us);
        if (good != cases[i].good || (good && us != cases[i].us)) {
            fail_msg("'%s': %d %llu", cases[i].text, good, (unsigned long long)us);
        }
    }
}

static void test_timeouts_written(void **state) {
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {
        { 0, "1u" },
        { 1, "1u" },
        { 99999999, "99999999u" },
        { 100000000, "100000m" },
        { 1234567890, "1234567m" },
        { 100000000000, "100000S" },
        { UINT64_MAX, "99999999H" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char room[GRPC_TIMEOUT_BYTES];
        struct slice text = grpc_timeout_text(cases[i].us, room);
        uint64_t us;
        assert_true(slice_equal(text, slice_from(cases[i].text)));
        assert_true(grpc_timeout_us(text, &us));
        assert_true(cases[i].us == 0 || us <= cases[i].us);
    }
}

static void test_statuses(void **state) {
    (void)state;
    assert_int_equal(grpc_status_of(503), 14);
    assert_int_equal(grpc_status_of(502), 14);
    assert_int_equal(grpc_status_of(504), 4);
    assert_int_equal(grpc_status_of(404), 12);
    assert_int_equal(grpc_status_of(401), 16);
    assert_int_equal(grpc_status_of(413), 8);
    assert_int_equal(grpc_status_of(418), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_timeouts_written),
        cmocka_unit_test(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
