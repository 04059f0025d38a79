/* Certificates: what can be offered, and which one a name gets. How a connection speaks TLS is in
 * tests/system/test_tls.py, against openssl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../tls_fixture.h"
#include "wire/net/tls_internal.h"

enum { FIRST, WILD, EXACT, FIRST_RSA, PAIRS };
static struct pem_pair pems[PAIRS];

static int make_pairs(void **state) {
    (void)state;
    make_pair(&pems[FIRST], false, "DNS:shop.test,DNS:www.shop.test,IP:127.0.0.1");
    make_pair(&pems[WILD], false, "DNS:*.Shop.Test");
    make_pair(&pems[EXACT], false, "DNS:pay.shop.test");
    make_pair(&pems[FIRST_RSA], true, "DNS:shop.test");
    return 0;
}

static struct tls_pair pair(unsigned chain, unsigned key) {
    return (struct tls_pair){ slice_from(pems[chain].chain), slice_from(pems[key].key), { "", 0 } };
}

static void looks_at_a_pair(void **state) {
    struct tls_certificate_info info;
    struct error err;
    struct tls_pair good = pair(FIRST, FIRST), rsa = pair(FIRST_RSA, FIRST_RSA);
    (void)state;
    assert_true(tls_pair_check(&good, &info, &err));
    assert_string_equal(info.name, "shop.test");
    assert_string_equal(info.kind, "ecdsa");
    assert_true(info.not_after_ms - info.not_before_ms == 86460000);
    assert_true(tls_pair_check(&rsa, &info, &err));
    assert_string_equal(info.kind, "rsa");
}

static void takes_the_common_name_of_who_has_no_other(void **state) {
    struct tls_certificate_info info;
    struct error err;
    struct pem_pair old;
    (void)state;
    make_pair(&old, false, NULL);
    struct tls_pair p = { slice_from(old.chain), slice_from(old.key), { "", 0 } };
    assert_true(tls_pair_check(&p, &info, &err));
    assert_string_equal(info.name, "common.test");
}

static void says_why_a_pair_is_useless(void **state) {
    const struct slice half = { pems[FIRST].chain, strlen(pems[FIRST].chain) / 2 };
    const struct slice chain = slice_from(pems[FIRST].chain), key = slice_from(pems[FIRST].key);
    static const char locked[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGj\n"
                                 "-----END ENCRYPTED PRIVATE KEY-----\n";
    const struct {
        const char *name;
        struct tls_pair pair;
        const char *why;
    } cases[] = {
        { "another's key", pair(FIRST, EXACT), "does not belong" },
        { "another kind of key", pair(FIRST, FIRST_RSA), "does not belong" },
        { "half a certificate", { half, key, { "", 0 } }, "not PEM certificates" },
        { "nothing", { { "", 0 }, key, { "", 0 } }, "not PEM certificates" },
        { "a key as certificate", { key, key, { "", 0 } }, "not PEM certificates" },
        { "a certificate as key", { chain, chain, { "", 0 } }, "not a PEM private key" },
        { "a locked key", { chain, slice_from(locked), { "", 0 } }, "not a PEM private key" },
        { "no key", { chain, { "", 0 }, { "", 0 } }, "not a PEM private key" },
        { "a response that is none", { chain, key, { "junk", 4 } }, "OCSP" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        if (tls_pair_check(&cases[i].pair, NULL, &err) || strstr(err.text, cases[i].why) == NULL) {
            fail_msg("%s: '%s'", cases[i].name, err.text);
        }
    }
}

static void a_name_finds_its_certificate(void **state) {
    static const struct {
        const char *name;
        int ecdsa, rsa;
    } cases[] = {
        { "shop.test", 0, 3 },      { "SHOP.test.", 0, 3 },
        { "www.shop.test", 0, -1 }, { "img.shop.test", 1, -1 },
        { "pay.shop.test", 2, -1 }, { "a.b.shop.test", 0, 3 },
        { ".shop.test", 0, 3 },     { "other.test", 0, 3 },
        { "127.0.0.1", 0, 3 },      { "", 0, 3 },
        { "test", 0, 3 },           { "*.shop.test", 1, -1 },
    };
    struct tls_pair pairs[PAIRS];
    struct error err;
    (void)state;
    for (unsigned i = 0; i < PAIRS; i++) {
        pairs[i] = pair(i, i);
    }
    struct tls_server_options options = { .pairs = pairs, .pair_count = PAIRS };
    struct tls_server *server = tls_server_new(&options, NULL, &err);
    assert_non_null(server);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct tls_choice *choice = tls_names_find(server, cases[i].name);
        if (choice->pairs[0] != cases[i].rsa || choice->pairs[1] != cases[i].ecdsa) {
            fail_msg("%s: rsa %d, ecdsa %d", cases[i].name, choice->pairs[0], choice->pairs[1]);
        }
    }
    assert_ptr_equal(tls_names_find(server, NULL), &server->choices[0]);
    tls_server_free(server);
}

static void what_has_not_changed_is_taken_over(void **state) {
    struct error err;
    struct tls_pair pairs[2] = { pair(FIRST, FIRST), pair(WILD, WILD) };
    struct tls_server_options options = { .pairs = pairs, .pair_count = 2 };
    (void)state;
    struct tls_server *old = tls_server_new(&options, NULL, &err);
    pairs[1] = pair(EXACT, EXACT);
    struct tls_server *fresh = tls_server_new(&options, old, &err);
    assert_non_null(fresh);
    assert_ptr_equal(old->pairs[0], fresh->pairs[0]);
    assert_ptr_equal(tls_names_find(old, "shop.test")->context,
                     tls_names_find(fresh, "shop.test")->context);
    assert_ptr_not_equal(tls_names_find(old, "img.shop.test")->context,
                         tls_names_find(fresh, "pay.shop.test")->context);
    options.only_1_3 = true; /* other settings: other contexts, the same certificates */
    struct tls_server *strict = tls_server_new(&options, fresh, &err);
    assert_ptr_equal(strict->pairs[0], fresh->pairs[0]);
    assert_ptr_not_equal(strict->choices[0].context, fresh->choices[0].context);
    tls_server_free(old);
    tls_server_free(fresh);
    tls_server_free(strict);
}

static void checks_lists_and_ciphers(void **state) {
    struct error err;
    (void)state;
    assert_true(tls_authorities_check(slice_from(pems[FIRST].chain), &err));
    assert_false(tls_authorities_check(SLICE("x"), &err));
    assert_false(tls_revocations_check(slice_from(pems[FIRST].chain), &err));
    assert_true(tls_ciphers_check(TLS_CIPHERS_DEFAULT, &err));
    assert_false(tls_ciphers_check("NO-SUCH-CIPHER", &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_at_a_pair),
        cmocka_unit_test(takes_the_common_name_of_who_has_no_other),
        cmocka_unit_test(says_why_a_pair_is_useless),
        cmocka_unit_test(a_name_finds_its_certificate),
        cmocka_unit_test(what_has_not_changed_is_taken_over),
        cmocka_unit_test(checks_lists_and_ciphers),
    };
    return cmocka_run_group_tests(tests, make_pairs, NULL);
}
