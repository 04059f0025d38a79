/* The handshake that stands between HTTP/1 and HTTP/2. */
#include "h1_dump.h"
#include "wire/http/websocket.h"

static void test_the_example_of_the_rfc(void **state) {
    char accept[WEBSOCKET_ACCEPT_LEN + 1] = "";
    (void)state;
    websocket_accept(SLICE("dGhlIHNhbXBsZSBub25jZQ=="), accept); /* RFC 6455 1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    websocket_accept(SLICE(""), accept); /* any length is bounded */
    static const char long_key[4096];
    websocket_accept(slice_of(long_key, sizeof long_key), accept);
}

static void test_keys(void **state) {
    char key[WEBSOCKET_KEY_LEN + 1] = "";
    (void)state;
    websocket_key((uint64_t[]){ 0, 0 }, key);
    assert_string_equal(key, "AAAAAAAAAAAAAAAAAAAAAA==");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_of_the_rfc),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
