/* PROXY protocol: named headers, each also cut at every byte; what we write is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "wire/net/proxy_protocol.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(literal)                                                                             \
    { literal, sizeof(literal) - 1 }

static const struct {
    const char *name;
    struct slice header;
    const char *source, *destination; /* NULL: not known */
} good[] = {
    { "v1 TCP4", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"), "192.0.2.1:56324",
      "192.0.2.2:443" },
    { "v1 TCP6", BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"), "[2001:db8::1]:1",
      "[2001:db8::2]:65535" },
    { "v1 unknown", BYTES("PROXY UNKNOWN\r\n"), NULL, NULL },
    { "v1 unknown with more", BYTES("PROXY UNKNOWN ffff::1 x y z\r\n"), NULL, NULL },
    { "v2 TCP4", BYTES(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\x04\x01\xbb"), "192.0.2.1:56324",
      "192.0.2.2:443" },
    { "v2 TCP4 with TLVs", BYTES(V2 "\x21\x11\0\x10\xc0\0\2\1\xc0\0\2\2\xdc\x04\x01\xbb\x04\0\1x"),
      "192.0.2.1:56324", "192.0.2.2:443" },
    { "v2 TCP6",
      BYTES(V2 "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x0d\xb8\0\0\0\0\0\0\0\0"
               "\0\0\0\2\0\1\xff\xff"),
      "[2001:db8::1]:1", "[2001:db8::2]:65535" },
    { "v2 LOCAL", BYTES(V2 "\x20\0\0\0"), NULL, NULL },
    { "v2 LOCAL with addresses", BYTES(V2 "\x20\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\x04\x01\xbb"),
      NULL, NULL },
    { "v2 unspecified", BYTES(V2 "\x21\0\0\2xx"), NULL, NULL },
};

static const struct {
    const char *name;
    struct slice header;
} bad[] = {
    { "HTTP", BYTES("GET / HTTP/1.1\r\n") },
    { "TLS", BYTES("\x16\x03\x01\x02\0") },
    { "lower case", BYTES("proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n") },
    { "v1 without LF",
      BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r" /* 107 and no end */
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") },
    { "v1 bare LF", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\n") },
    { "v1 v6 in TCP4", BYTES("PROXY TCP4 ::1 ::2 1 2\r\n") },
    { "v1 v4 in TCP6", BYTES("PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n") },
    { "v1 port too large", BYTES("PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n") },
    { "v1 port with zeros", BYTES("PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n") },
    { "v1 signed port", BYTES("PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n") },
    { "v1 two spaces", BYTES("PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n") },
    { "v1 space at the end", BYTES("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n") },
    { "v1 too few", BYTES("PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n") },
    { "v1 too many", BYTES("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n") },
    { "v1 UDP4", BYTES("PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n") },
    { "v1 address too long",
      BYTES("PROXY TCP6 0000:0000:0000:0000:0000:0000:0000:0000:0000:0001 ::2 1 2\r\n") },
    { "v2 version 1", BYTES(V2 "\x11\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\x04\x01\xbb") },
    { "v2 command 2", BYTES(V2 "\x22\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\x04\x01\xbb") },
    { "v2 UDP4", BYTES(V2 "\x21\x12\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\x04\x01\xbb") },
    { "v2 too short for TCP4", BYTES(V2 "\x21\x11\0\x0b\xc0\0\2\1\xc0\0\2\2\xdc\x04\x01") },
    { "v2 too short for TCP6", BYTES(V2 "\x21\x21\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\x04\x01\xbb") },
    { "v2 beyond the limit", BYTES(V2 "\x21\x11\xff\xff") },
};

static void expect_address(const char *name, const struct address *address, const char *text) {
    char found[ADDRESS_TEXT_BYTES];
    address_format(address, found);
    if (text == NULL || strcmp(found, text) != 0) {
        fail_msg("%s: %s, not %s", name, found, text);
    }
}

static void reads_headers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct slice header = good[i].header;
        struct proxy_header parsed;
        size_t consumed = 0;
        char with_more[512];
        memcpy(with_more, header.data, header.len);
        memcpy(with_more + header.len, "GET ", 4);
        if (proxy_protocol_parse(slice_of(with_more, header.len + 4), &parsed, &consumed) !=
                PROXY_DONE ||
            consumed != header.len || parsed.known != (good[i].source != NULL)) {
            fail_msg("%s", good[i].name);
        }
        if (parsed.known) {
            expect_address(good[i].name, &parsed.source, good[i].source);
            expect_address(good[i].name, &parsed.destination, good[i].destination);
        }
        for (size_t len = 0; len < header.len; len++) {
            if (proxy_protocol_parse(slice_sub(header, 0, len), &parsed, &consumed) != PROXY_MORE) {
                fail_msg("%s, cut at %zu", good[i].name, len);
            }
        }
    }
}

static void refuses_what_is_none(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct proxy_header parsed;
        size_t consumed = 0;
        if (proxy_protocol_parse(bad[i].header, &parsed, &consumed) != PROXY_BAD) {
            fail_msg("%s", bad[i].name);
        }
    }
}

static void reads_what_it_writes(void **state) {
    static const char *const texts[] = { "192.0.2.1:1", "[2001:db8::1]:2", "192.0.2.9:65535",
                                         "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535" };
    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        struct address source, destination;
        struct proxy_header parsed;
        char out[PROXY_PROTOCOL_WRITE_BYTES];
        size_t consumed = 0;
        unsigned version = 1 + i % 2;
        assert_true(address_parse(slice_from(texts[i / 2 % 4]), 0, &source, NULL));
        assert_true(address_parse(slice_from(texts[i / 8 % 4]), 0, &destination, NULL));
        size_t len = proxy_protocol_write(version, &source, &destination, out);
        assert_true(len <= sizeof out);
        assert_int_equal(proxy_protocol_parse(slice_of(out, len), &parsed, &consumed), PROXY_DONE);
        assert_true(consumed == len && parsed.known);
        assert_int_equal(address_port(&parsed.source), address_port(&source));
        uint8_t before[16], after[16];
        address_ip(&source, before);
        address_ip(&parsed.source, after);
        assert_memory_equal(before, after, 16);
        address_ip(&destination, before);
        address_ip(&parsed.destination, after);
        assert_memory_equal(before, after, 16);
    }
}

static void says_when_it_does_not_know(void **state) {
    struct address local, ip;
    char out[PROXY_PROTOCOL_WRITE_BYTES];
    struct proxy_header parsed = { .known = true };
    size_t consumed;
    (void)state;
    assert_true(address_parse(SLICE("unix:/run/x"), 0, &local, NULL));
    assert_true(address_parse(SLICE("127.0.0.1:80"), 0, &ip, NULL));
    for (unsigned version = 1; version <= 2; version++) {
        size_t len = proxy_protocol_write(version, &local, &ip, out);
        assert_int_equal(proxy_protocol_parse(slice_of(out, len), &parsed, &consumed), PROXY_DONE);
        assert_false(parsed.known);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_headers),
        cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(says_when_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
