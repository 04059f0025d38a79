#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "wire/net/network.h"

static void contains(void **state) {
    (void)state;
    static const struct {
        const char *network, *ip;
        bool inside;
    } cases[] = {
        { "10.0.0.0/8", "10.255.1.2", true },
        { "10.0.0.0/8", "11.0.0.0", false },
        { "192.0.2.128/25", "192.0.2.128", true },
        { "192.0.2.128/25", "192.0.2.127", false },
        { "192.0.2.7", "192.0.2.7", true },
        { "192.0.2.7", "192.0.2.6", false },
        { "0.0.0.0/0", "203.0.113.9", true },
        { "0.0.0.0/0", "2001:db8::1", false },
        { "::/0", "203.0.113.9", true }, /* all there is */
        { "2001:db8::/33", "2001:db8:7fff::1", true },
        { "2001:db8::/33", "2001:db8:8000::1", false },
        { "::ffff:192.0.2.0/120", "192.0.2.200", true },
        { "::1", "::1", true },
        { "::1", "::2", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct network network, ip;
        assert_true(network_parse(slice_from(cases[i].network), &network, NULL));
        assert_true(network_parse(slice_from(cases[i].ip), &ip, NULL));
        if (network_contains(&network, ip.ip) != cases[i].inside) {
            fail_msg("%s in %s", cases[i].ip, cases[i].network);
        }
    }
}

static void says_what_is_no_network(void **state) {
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "", "is not a network such as" },
        { "10.0.0.0/33", "is not a network such as" },
        { "10.0.0.0/", "is not a network such as" },
        { "10.0.0.0/8/8", "is not a network such as" },
        { "10.0.0.0/-1", "is not a network such as" },
        { "2001:db8::/129", "is not a network such as" },
        { "shop.test", "is not a network such as" },
        { "10.0.0.256", "is not a network such as" },
        { "10.1.2.3/8", "did you mean 10.0.0.0/8?" },
        { "2001:db8::1/32", "did you mean 2001:db8::/32?" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct network network;
        struct error err;
        if (network_parse(slice_from(cases[i].text), &network, &err) ||
            strstr(err.text, cases[i].why) == NULL) {
            fail_msg("%s: %s", cases[i].text, err.text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contains),
        cmocka_unit_test(says_what_is_no_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
