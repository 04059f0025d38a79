/* Forwarded (RFC 7239) and X-Forwarded-*: what the next hop is told about the visitor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "wire/http/forwarded.h"

static struct arena arena;

static void set(struct http_head *head, struct http_field *fields, const char *lines,
                struct forwarded_peer peer) {
    struct slice rest = slice_from(lines), line;
    http_head_init(head, fields, 16);
    head->authority = SLICE("shop.test:8080");
    while (slice_cut(&rest, '\n', &line)) {
        size_t mark = slice_find(line, ':');
        if (mark != SLICE_NONE) {
            http_head_add(head, slice_sub(line, 0, mark), slice_trim(slice_skip(line, mark + 1)));
        }
    }
    assert_true(forwarded_set(head, &peer, &arena));
}

static void expect(const struct http_head *head, const char *name, const char *value) {
    unsigned count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (slice_equal_fold(head->fields[i].name, slice_from(name))) {
            count++;
            if (!slice_equal(head->fields[i].value, slice_from(value))) {
                fail_msg("%s: '%.*s', not '%s'", name, SLICE_ARG(head->fields[i].value), value);
            }
        }
    }
    assert_int_equal(count, value == NULL ? 0 : 1);
}

static const struct forwarded_peer visitor = { .address = { "192.0.2.7", 9 },
                                               .scheme = { "http", 4 } };

static void tells_who_asks(void **state) {
    struct http_field fields[16];
    struct http_head head;
    (void)state;
    set(&head, fields, "x:1", visitor);
    expect(&head, "forwarded", "for=192.0.2.7;host=\"shop.test:8080\";proto=http");
    expect(&head, "x-forwarded-for", "192.0.2.7");
    expect(&head, "x-forwarded-proto", "http");
    expect(&head, "x-forwarded-host", "shop.test:8080");
    expect(&head, "x", "1");
}

static void quotes_v6(void **state) {
    struct forwarded_peer peer = visitor;
    struct http_field fields[16];
    struct http_head head;
    (void)state;
    peer.is_v6 = true;
    peer.address = SLICE("2001:db8::1");
    set(&head, fields, "", peer);
    expect(&head, "forwarded", "for=\"[2001:db8::1]\";host=\"shop.test:8080\";proto=http");
    expect(&head, "x-forwarded-for", "2001:db8::1");
}

static void believes_no_visitor(void **state) {
    struct http_field fields[16];
    struct http_head head;
    (void)state;
    set(&head, fields,
        "X-Forwarded-For: 127.0.0.1\nForwarded: for=127.0.0.1\nx-forwarded-proto: https\n"
        "X-Forwarded-Host: evil\nX-Forwarded-For: 10.0.0.1\nX-Real-IP: 10.0.0.1\n"
        "X-Forwarded-Port: 443\nX-Forwarded-Prefix: /admin\nX-Forwarded: x",
        visitor);
    expect(&head, "forwarded", "for=192.0.2.7;host=\"shop.test:8080\";proto=http");
    expect(&head, "x-forwarded-for", "192.0.2.7");
    expect(&head, "x-forwarded-proto", "http");
    expect(&head, "x-forwarded-host", "shop.test:8080");
    expect(&head, "x-real-ip", NULL);
    expect(&head, "x-forwarded-port", NULL);
    expect(&head, "x-forwarded-prefix", NULL);
    expect(&head, "x-forwarded", "x"); /* nobody's name */
}

static struct forwarded_peer trusted_peer(void) {
    struct forwarded_peer peer = visitor;
    peer.trusted = true;
    peer.visitor = SLICE("203.0.113.9");
    return peer;
}

static void appends_to_a_trusted_word(void **state) {
    struct forwarded_peer peer = trusted_peer();
    struct http_field fields[16];
    struct http_head head;
    (void)state;
    set(&head, fields,
        "X-Forwarded-For: 198.51.100.1\nForwarded: for=198.51.100.1\nX-Forwarded-Proto: https\n"
        "X-Forwarded-For: 203.0.113.9\nX-Forwarded-Host: shop.example\nX-Real-IP: 198.51.100.1",
        peer);
    /* it speaks X-Forwarded-For: whoever wrote Forwarded, it was not the proxy */
    expect(&head, "forwarded", "for=203.0.113.9;host=\"shop.test:8080\";proto=https");
    expect(&head, "x-forwarded-for", "198.51.100.1, 203.0.113.9, 192.0.2.7");
    expect(&head, "x-forwarded-proto", "https");
    expect(&head, "x-forwarded-host", "shop.example");
    expect(&head, "x-real-ip", "198.51.100.1");
}

static void appends_to_a_trusted_forwarded(void **state) {
    struct forwarded_peer peer = trusted_peer();
    struct http_field fields[16];
    struct http_head head;
    (void)state;
    peer.speaks_forwarded = true;
    peer.visitor = SLICE("2001:db8::9");
    peer.visitor_is_v6 = true;
    set(&head, fields,
        "X-Forwarded-For: 198.51.100.1\nForwarded: for=\"[2001:db8::9]\";proto=https\n"
        "X-Forwarded-Proto: ftp\nX-Real-IP: 198.51.100.1",
        peer);
    expect(&head, "forwarded",
           "for=\"[2001:db8::9]\";proto=https, for=192.0.2.7;host=\"shop.test:8080\";proto=http");
    expect(&head, "x-forwarded-for", "2001:db8::9");
    expect(&head, "x-forwarded-proto", "http");
    expect(&head, "x-real-ip", NULL);
}

static void trusted_but_silent(void **state) {
    struct forwarded_peer peer = trusted_peer();
    struct http_field fields[16];
    struct http_head head;
    (void)state;
    peer.visitor = peer.address;
    set(&head, fields, "", peer);
    expect(&head, "x-forwarded-for", "192.0.2.7");
    expect(&head, "x-forwarded-proto", "http");
}

static void nobody_named_a_host(void **state) { /* HTTP/1.0 */
    struct http_field fields[8];
    struct http_head head;
    (void)state;
    http_head_init(&head, fields, 8);
    assert_true(forwarded_set(&head, &visitor, &arena));
    expect(&head, "forwarded", "for=192.0.2.7;proto=http");
    expect(&head, "x-forwarded-host", NULL);
}

static void says_when_there_is_no_room(void **state) {
    struct http_field fields[3];
    struct http_head head;
    struct arena tiny;
    (void)state;
    http_head_init(&head, fields, 3);
    head.authority = SLICE("a");
    assert_false(forwarded_set(&head, &visitor, &arena)); /* it needs four fields */
    struct http_field enough[8];
    http_head_init(&head, enough, 8);
    arena_init(&tiny, 16);
    assert_false(forwarded_set(&head, &visitor, &tiny));
    arena_fini(&tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_who_asks),      cmocka_unit_test(quotes_v6),
        cmocka_unit_test(believes_no_visitor), cmocka_unit_test(appends_to_a_trusted_word),
        cmocka_unit_test(nobody_named_a_host), cmocka_unit_test(appends_to_a_trusted_forwarded),
        cmocka_unit_test(trusted_but_silent),  cmocka_unit_test(says_when_there_is_no_room),
    };
    arena_init(&arena, 1u << 16);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
