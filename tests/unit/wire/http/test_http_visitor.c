/* Who the visitor is behind trusted proxies: 10.0.0.0/8 and 2001:db8:ffff::/48 are trusted here. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "wire/http/visitor.h"

static bool trusts(void *self, const uint8_t ip[16]) {
    static const uint8_t v4[13] = { [10] = 0xff, [11] = 0xff, [12] = 10 };
    static const uint8_t v6[6] = { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff };
    (void)self;
    return memcmp(ip, v4, sizeof v4) == 0 || memcmp(ip, v6, sizeof v6) == 0;
}

static const struct {
    const char *name, *lines, *visitor; /* NULL: nothing but the peer is known */
} cases[] = {
    { "one", "X-Forwarded-For: 192.0.2.1", "192.0.2.1" },
    { "behind another proxy", "X-Forwarded-For: 192.0.2.1, 10.0.0.2", "192.0.2.1" },
    { "what the visitor claims", "X-Forwarded-For: 198.51.100.66, 192.0.2.1, 10.0.0.2",
      "192.0.2.1" },
    { "claims a trusted one", "X-Forwarded-For: 10.9.9.9, 192.0.2.1", "192.0.2.1" },
    { "lines are one list", "X-Forwarded-For: 1.1.1.1\nX-Forwarded-For: 192.0.2.1,10.0.0.2",
      "192.0.2.1" },
    { "the last line is the last", "X-Forwarded-For: 10.0.0.1, 1.1.1.1\nX-Forwarded-For: 2.2.2.2",
      "2.2.2.2" },
    { "all are trusted", "X-Forwarded-For: 10.0.0.5, 10.0.0.6", "10.0.0.5" },
    { "no field", "Host: a", NULL },
    { "empty", "X-Forwarded-For: ", NULL },
    { "nonsense", "X-Forwarded-For: shop.test", NULL },
    { "nonsense behind a proxy", "X-Forwarded-For: 1.2.3.4, nonsense, 10.0.0.2", "10.0.0.2" },
    { "unknown", "X-Forwarded-For: 192.0.2.1, unknown", NULL },
    { "an empty element", "X-Forwarded-For: 192.0.2.1, , 10.0.0.2", "10.0.0.2" },
    { "with a port", "X-Forwarded-For: 192.0.2.1:4711", "192.0.2.1" },
    { "a port too large", "X-Forwarded-For: 192.0.2.1:65536", NULL },
    { "v6", "X-Forwarded-For: 2001:db8::1, 2001:db8:ffff::2", "2001:db8::1" },
    { "v6 in brackets", "X-Forwarded-For: [2001:db8::1]", "2001:db8::1" },
    { "v6 with a port", "X-Forwarded-For: [2001:db8::1]:443", "2001:db8::1" },
    { "v6 with rubbish", "X-Forwarded-For: [2001:db8::1]443", NULL },
    { "too short", "X-Forwarded-For: 192.0.2", NULL },
    { "Forwarded does not count", "Forwarded: for=192.0.2.1", NULL },
};

static const typeof(cases[0]) forwarded_cases[] = {
    { "one", "Forwarded: for=192.0.2.1", "192.0.2.1" },
    { "in any case", "Forwarded: proto=https;FOR=192.0.2.1;host=a", "192.0.2.1" },
    { "quoted v6 with port", "Forwarded: for=\"[2001:db8::1]:4711\"", "2001:db8::1" },
    { "quoted commas", "Forwarded: for=1.1.1.1, for=192.0.2.1;by=\"a,for=2.2.2.2\"", "192.0.2.1" },
    { "an escaped quote", "Forwarded: for=1.1.1.1, for=192.0.2.1;by=\"a\\\",for=2.2.2.2\"",
      "192.0.2.1" },
    { "obfuscated", "Forwarded: for=1.1.1.1, for=_hidden, for=10.0.0.1", "10.0.0.1" },
    { "no for", "Forwarded: for=1.1.1.1, proto=https", NULL },
    { "X-Forwarded-For does not count", "X-Forwarded-For: 192.0.2.1", NULL },
};

static void check(const char *name, const char *lines, const char *visitor,
                  enum http_field_id field) {
    const struct visitor_trust trust = { NULL, trusts };
    struct http_field fields[16];
    struct http_head head;
    struct slice rest = slice_from(lines), line;
    uint8_t ip[16], expected[16];
    http_head_init(&head, fields, 16);
    while (slice_cut(&rest, '\n', &line)) {
        size_t mark = slice_find(line, ':');
        http_head_add(&head, slice_sub(line, 0, mark), slice_trim(slice_skip(line, mark + 1)));
    }
    bool found = visitor_find(&head, field, &trust, ip);
    if (found != (visitor != NULL) ||
        (found &&
         (!visitor_parse_node(slice_from(visitor), expected) || memcmp(ip, expected, 16) != 0))) {
        fail_msg("%s: %s", name, found ? "another one was found" : "nobody was found");
    }
}

static void finds_the_visitor(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(cases[i].name, cases[i].lines, cases[i].visitor, HTTP_FIELD_X_FORWARDED_FOR);
    }
    for (size_t i = 0; i < sizeof forwarded_cases / sizeof cases[0]; i++) {
        check(forwarded_cases[i].name, forwarded_cases[i].lines, forwarded_cases[i].visitor,
              HTTP_FIELD_FORWARDED);
    }
}

static void looks_at_so_many_hops(void **state) {
    char lines[1024] = "X-Forwarded-For: 192.0.2.1";
    (void)state;
    for (unsigned i = 0; i < VISITOR_HOPS_MAX; i++) {
        strcat(lines, ", 10.0.0.1");
    }
    check("one more than are looked at", lines, "10.0.0.1", HTTP_FIELD_X_FORWARDED_FOR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_visitor),
        cmocka_unit_test(looks_at_so_many_hops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
