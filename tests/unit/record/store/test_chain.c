#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "record/store/chain.h"

/* Expected by Python: hashlib.sha256(before + text), the text as chain.h describes it. */
static void a_known_decision(void **state) {
    (void)state;
    struct decision d;
    uint8_t hash[CHAIN_HASH_BYTES] = { 0 };
    char hex[CHAIN_HEX_BYTES];
    decision_init(&d, 1800000000123);
    d.id = 7;
    strcpy(d.kind, "scale");
    strcpy(d.service, "storefront");
    strcpy(d.action, "start");
    strcpy(d.reason, "6 instances: campaign 'Frühling'");
    strcpy(d.evidence, "{}");
    d.worth = 12.5;
    assert_true(chain_hash_decision(hash, &d, hash));
    chain_hex(hash, hex);
    assert_string_equal(hex, "469d36ac82cef9320410d084afe4c084c06b831748aeb21066e46bd62dbb48cd");
    struct store_healed healed = { .decision_id = 7, .noticed_ms = 0.1, .healed_ms = 41 };
    assert_true(chain_hash_healed(hash, &healed, hash));
    chain_hex(hash, hex);
    assert_string_equal(hex, "1b5fc6348dc0f4658dc1b602601a51d291b32e79ed696f9c7fe307b1e008259c");
}

static void lengths_keep_fields_apart(void **state) {
    (void)state;
    struct decision a, b;
    uint8_t zero[CHAIN_HASH_BYTES] = { 0 }, hash_a[CHAIN_HASH_BYTES], hash_b[CHAIN_HASH_BYTES];
    decision_init(&a, 1);
    decision_init(&b, 1);
    strcpy(a.subject, "x\naction 1 y");
    strcpy(b.subject, "x");
    strcpy(b.action, "y");
    assert_true(chain_hash_decision(zero, &a, hash_a));
    assert_true(chain_hash_decision(zero, &b, hash_b));
    assert_memory_not_equal(hash_a, hash_b, CHAIN_HASH_BYTES);
}

/* The longest decision that a struct can hold has room. */
static void the_longest(void **state) {
    (void)state;
    struct decision d;
    uint8_t hash[CHAIN_HASH_BYTES] = { 0 };
    decision_init(&d, INT64_MIN);
    d.id = INT64_MIN;
    d.worth = d.noticed_ms = d.healed_ms = -1.2345678901234567e-300;
    memset(d.kind, 'x', sizeof d.kind - 1);
    memset(d.service, 'x', sizeof d.service - 1);
    memset(d.subject, 'x', sizeof d.subject - 1);
    memset(d.action, 'x', sizeof d.action - 1);
    memset(d.reason, 'x', sizeof d.reason - 1);
    memset(d.evidence, 'x', sizeof d.evidence - 1);
    assert_true(chain_hash_decision(hash, &d, hash));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_decision),
        cmocka_unit_test(lengths_keep_fields_apart),
        cmocka_unit_test(the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
