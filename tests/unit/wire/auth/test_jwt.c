/* Tokens and their keys: the vectors of RFC 7515, and tokens signed here with every kind of key,
 * whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "wire/auth/jwt.h"

#define NOW 1300819000 /* a little before the RFC's tokens expire */
#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* ---- making tokens ---- */

static size_t encode(const void *from, size_t len, char *out) {
    size_t bytes = (size_t)EVP_EncodeBlock((unsigned char *)out, from, (int)len);
    while (bytes > 0 && out[bytes - 1] == '=') {
        bytes--;
    }
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (char)(out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i]);
    }
    out[bytes] = '\0';
    return bytes;
}

struct signer {
    const char *algorithm; /* in the header, whatever the key is */
    const EVP_MD *digest;
    EVP_PKEY *key;      /* NULL: `secret` */
    const char *secret; /* NULL: no signature */
    size_t half;        /* of an ECDSA signature */
};

static size_t sign(const struct signer *s, const char *text, size_t len, unsigned char *out) {
    if (s->key == NULL) {
        unsigned bytes = 0;
        if (s->secret != NULL) {
            HMAC(s->digest, s->secret, (int)strlen(s->secret), (const unsigned char *)text, len,
                 out, &bytes);
        }
        return bytes;
    }
    size_t bytes = 1024;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, s->digest, NULL, s->key), 1);
    assert_int_equal(EVP_DigestSign(context, out, &bytes, (const unsigned char *)text, len), 1);
    EVP_MD_CTX_free(context);
    if (s->half > 0) {
        const unsigned char *at = out;
        ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)bytes);
        unsigned char raw[128];
        BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, (int)s->half);
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + s->half, (int)s->half);
        ECDSA_SIG_free(pair);
        memcpy(out, raw, 2 * s->half);
        bytes = 2 * s->half;
    }
    return bytes;
}

/* `extra` goes into the header, e.g. `,"kid":"x"`. */
static const char *make(const struct signer *s, const char *extra, const char *claims) {
    static char token[JWT_BYTES_MAX * 2];
    unsigned char signature[1024];
    char header[512];
    snprintf(header, sizeof header, "{\"alg\":\"%s\"%s}", s->algorithm, extra);
    size_t len = encode(header, strlen(header), token);
    token[len++] = '.';
    len += encode(claims, strlen(claims), token + len);
    size_t bytes = sign(s, token, len, signature);
    token[len++] = '.';
    encode(signature, bytes, token + len);
    return token;
}

static EVP_PKEY *rsa_key;
static EVP_PKEY *p256_key, *p384_key;

static int make_keys(void **state) {
    (void)state;
    rsa_key = EVP_RSA_gen(2048);
    p256_key = EVP_EC_gen("P-256");
    p384_key = EVP_EC_gen("P-384");
    return rsa_key == NULL || p256_key == NULL || p384_key == NULL;
}

static int free_keys(void **state) {
    (void)state;
    EVP_PKEY_free(rsa_key);
    EVP_PKEY_free(p256_key);
    EVP_PKEY_free(p384_key);
    return 0;
}

static const char *pem_of(EVP_PKEY *key) {
    static char text[4096];
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, key);
    int len = BIO_read(bio, text, sizeof text - 1);
    text[len] = '\0';
    BIO_free(bio);
    return text;
}

static struct jwt_keys *keys_of(const char *text) {
    struct error err = { 0 };
    struct jwt_keys *keys = jwt_keys_new(slice_from(text), &err);
    if (keys == NULL) {
        fail_msg("%s: %s", text, err.text);
    }
    return keys;
}

static enum jwt_result judge(const struct jwt_keys *keys, const char *token) {
    struct jwt_policy policy = { .keys = keys };
    struct jwt jwt;
    enum jwt_result result = jwt_verify(slice_from(token), &policy, NOW, &jwt);
    if (result == JWT_GOOD) {
        jwt_fini(&jwt);
    }
    return result;
}

/* ---- tests ---- */

#define CLAIMS                                                                                     \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"

static void takes_the_tokens_of_the_rfc(void **state) {
    (void)state;
    /* RFC 7515 A.1 and A.3. */
    struct jwt_keys *keys = keys_of("{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-"
                                    "EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4"
                                    "hcgUuTwjAzZr1Z9CAow\"}");
    const char *hs256 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS
                        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_int_equal(judge(keys, hs256), JWT_GOOD);
    jwt_keys_free(keys);
    keys = keys_of("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                   "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                   "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}");
    const char *es256 =
        "eyJhbGciOiJFUzI1NiJ9." CLAIMS
        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJ"
        "qPP3-Kg6NU1Q";
    assert_int_equal(judge(keys, es256), JWT_GOOD);
    assert_int_equal(judge(keys, hs256), JWT_UNKNOWN_KEY);
    struct jwt_policy policy = { .keys = keys };
    struct jwt jwt;
    assert_int_equal(jwt_verify(slice_from(es256), &policy, NOW + 381, &jwt), JWT_EXPIRED);
    jwt_keys_free(keys);
}

#define GOOD_CLAIMS "{\"sub\":\"7\",\"exp\":1300819380}"

static void every_algorithm_and_no_other(void **state) {
    (void)state;
    const struct signer signers[] = {
        { "HS256", EVP_sha256(), NULL, SECRET, 0 },
        { "HS384", EVP_sha384(), NULL, SECRET, 0 },
        { "HS512", EVP_sha512(), NULL, SECRET, 0 },
        { "RS256", EVP_sha256(), rsa_key, NULL, 0 },
        { "RS384", EVP_sha384(), rsa_key, NULL, 0 },
        { "RS512", EVP_sha512(), rsa_key, NULL, 0 },
        { "ES256", EVP_sha256(), p256_key, NULL, 32 },
        { "ES384", EVP_sha384(), p384_key, NULL, 48 },
    };
    for (size_t i = 0; i < sizeof signers / sizeof *signers; i++) {
        const struct signer *s = &signers[i];
        struct jwt_keys *keys = keys_of(s->key == NULL ? SECRET : pem_of(s->key));
        struct signer liar = *s;
        assert_int_equal(judge(keys, make(s, "", GOOD_CLAIMS)), JWT_GOOD);
        for (int other = 0; other < JWT_ALGORITHMS; other++) { /* the same key, another name */
            static const char *const names[] = { "HS256", "HS384", "HS512", "RS256",
                                                 "RS384", "RS512", "ES256", "ES384" };
            liar.algorithm = names[other];
            enum jwt_result result = judge(keys, make(&liar, "", GOOD_CLAIMS));
            if ((result == JWT_GOOD) != (strcmp(names[other], s->algorithm) == 0)) {
                fail_msg("%s as %s: %d", s->algorithm, names[other], result);
            }
        }
        jwt_keys_free(keys);
    }
}

static void a_public_key_is_no_secret(void **state) {
    (void)state;
    /* The well-known attack: HS256 with the text of the public key as secret, or no signature. */
    char pem[4096];
    strcpy(pem, pem_of(rsa_key));
    struct jwt_keys *keys = keys_of(pem);
    struct signer confused = { "HS256", EVP_sha256(), NULL, pem, 0 };
    assert_int_equal(judge(keys, make(&confused, "", GOOD_CLAIMS)), JWT_UNKNOWN_KEY);
    struct signer none = { "none", NULL, NULL, NULL, 0 };
    assert_int_equal(judge(keys, make(&none, "", GOOD_CLAIMS)), JWT_OTHER_ALGORITHM);
    none.algorithm = "nOnE";
    assert_int_equal(judge(keys, make(&none, "", GOOD_CLAIMS)), JWT_OTHER_ALGORITHM);
    none.algorithm = "RS256";
    assert_int_equal(judge(keys, make(&none, "", GOOD_CLAIMS)), JWT_BAD_SIGNATURE);
    none.algorithm = "HS256";
    assert_int_equal(judge(keys, make(&none, "", GOOD_CLAIMS)), JWT_UNKNOWN_KEY);
    jwt_keys_free(keys);
    keys = keys_of(pem_of(p256_key));
    none.algorithm = "ES256";
    assert_int_equal(judge(keys, make(&none, "", GOOD_CLAIMS)), JWT_BAD_SIGNATURE);
    /* CVE-2022-21449: r = s = 0. */
    char zeroes[JWT_BYTES_MAX];
    snprintf(
        zeroes, sizeof zeroes, "%s%s", make(&none, "", GOOD_CLAIMS),
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_int_equal(judge(keys, zeroes), JWT_BAD_SIGNATURE);
    jwt_keys_free(keys);
}

static void judges_claims(void **state) {
    (void)state;
    static const struct {
        const char *name, *claims, *issuer, *audience;
        enum jwt_result result;
    } cases[] = {
        { "good", "{\"exp\":1300819380}", "", "", JWT_GOOD },
        { "no exp", "{\"sub\":\"x\"}", "", "", JWT_NO_EXPIRY },
        { "exp as a text", "{\"exp\":\"1300819380\"}", "", "", JWT_NO_EXPIRY },
        { "expired", "{\"exp\":1300818970}", "", "", JWT_EXPIRED },
        { "expired within the leeway", "{\"exp\":1300818971}", "", "", JWT_GOOD },
        { "a fraction", "{\"exp\":1300819000.5}", "", "", JWT_GOOD },
        { "a far future", "{\"exp\":1e300}", "", "", JWT_GOOD },
        { "negative", "{\"exp\":-1}", "", "", JWT_EXPIRED },
        { "not yet", "{\"exp\":1300819380,\"nbf\":1300819031}", "", "", JWT_TOO_EARLY },
        { "not yet within the leeway", "{\"exp\":1300819380,\"nbf\":1300819030}", "", "",
          JWT_GOOD },
        { "nbf is no date", "{\"exp\":1300819380,\"nbf\":null}", "", "", JWT_TOO_EARLY },
        { "issued in the future", "{\"exp\":1300819380,\"iat\":1300819100}", "", "",
          JWT_TOO_EARLY },
        { "the issuer", "{\"exp\":1300819380,\"iss\":\"me\"}", "me", "", JWT_GOOD },
        { "another issuer", "{\"exp\":1300819380,\"iss\":\"mee\"}", "me", "", JWT_OTHER_ISSUER },
        { "no issuer", "{\"exp\":1300819380}", "me", "", JWT_OTHER_ISSUER },
        { "the audience", "{\"exp\":1300819380,\"aud\":\"us\"}", "", "us", JWT_GOOD },
        { "among others", "{\"exp\":1300819380,\"aud\":[\"a\",\"us\"]}", "", "us", JWT_GOOD },
        { "not among them", "{\"exp\":1300819380,\"aud\":[\"a\",1]}", "", "us",
          JWT_OTHER_AUDIENCE },
        { "no audience", "{\"exp\":1300819380}", "", "us", JWT_OTHER_AUDIENCE },
        { "a name twice", "{\"exp\":1,\"exp\":1300819380}", "", "", JWT_MALFORMED },
        { "not an object", "[1300819380]", "", "", JWT_MALFORMED },
        { "something after it", "{\"exp\":1300819380}x", "", "", JWT_MALFORMED },
        { "a NUL", "{\"exp\":1300819380,\"sub\":\"a\\u0000b\"}", "", "", JWT_MALFORMED },
        { "too deep", "{\"exp\":1300819380,\"a\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}", "", "",
          JWT_MALFORMED },
        { "as deep as may be", "{\"exp\":1300819380,\"a\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}", "", "",
          JWT_GOOD },
        { "brackets in a text", "{\"exp\":1300819380,\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[\"}", "", "",
          JWT_GOOD },
    };
    struct jwt_keys *keys = keys_of(SECRET);
    struct signer s = { "HS256", EVP_sha256(), NULL, SECRET, 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct jwt jwt;
        struct jwt_policy policy = { .keys = keys,
                                     .issuer = slice_from(cases[i].issuer),
                                     .audience = slice_from(cases[i].audience),
                                     .leeway_s = 30 };
        enum jwt_result result =
            jwt_verify(slice_from(make(&s, "", cases[i].claims)), &policy, NOW, &jwt);
        if (result != cases[i].result) {
            fail_msg("%s: %d, expected %d", cases[i].name, result, cases[i].result);
        }
        if (result == JWT_GOOD) {
            jwt_fini(&jwt);
        }
    }
    jwt_keys_free(keys);
}

static void refuses_what_is_no_token(void **state) {
    (void)state;
    struct jwt_keys *keys = keys_of(SECRET);
    struct signer s = { "HS256", EVP_sha256(), NULL, SECRET, 0 };
    char token[JWT_BYTES_MAX + 64];
    static const char *const texts[] = { "",         ".",     "..",
                                         "...",      "a.b",   "a.b.c",
                                         "e30.e30.", "!.!.!", "e30.e30.AA.AA.AA" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_true(judge(keys, texts[i]) != JWT_GOOD);
    }
    strcpy(token, make(&s, "", GOOD_CLAIMS));
    assert_int_equal(judge(keys, token), JWT_GOOD);
    size_t len = strlen(token);
    for (size_t i = 0; i < len; i++) { /* no byte may be another one, not even an unused bit */
        char was = token[i];
        token[i] = was == 'A' ? 'B' : 'A';
        assert_true(judge(keys, token) != JWT_GOOD);
        token[i] = was;
    }
    for (size_t i = 0; i < len; i++) {
        struct jwt jwt;
        struct jwt_policy policy = { .keys = keys };
        assert_true(jwt_verify(slice_of(token, i), &policy, NOW, &jwt) != JWT_GOOD);
    }
    strcat(token, "="); /* padding is another text for the same value */
    assert_int_equal(judge(keys, token), JWT_MALFORMED);
    assert_int_equal(judge(keys, make(&s, ",\"crit\":[\"x\"]", GOOD_CLAIMS)), JWT_MALFORMED);
    memset(token, 'A', sizeof token - 1);
    token[20] = token[100] = '.';
    assert_int_equal(judge(keys, token), JWT_MALFORMED);
    jwt_keys_free(keys);
}

static void chooses_the_key_by_its_name(void **state) {
    (void)state;
    struct jwt_keys *keys =
        keys_of("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"},"
                "{\"kty\":\"oct\",\"kid\":\"one\",\"alg\":\"HS256\",\"k\":"
                "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},"
                "{\"kty\":\"oct\",\"kid\":\"two\",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"k\":"
                "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFi"
                "Y2RlZg\"},"
                "{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"AA\"}]}");
    struct signer s = { "HS256", EVP_sha256(), NULL, SECRET, 0 };
    assert_int_equal(jwt_keys_count(keys), 2);
    assert_int_equal(judge(keys, make(&s, ",\"kid\":\"two\"", GOOD_CLAIMS)), JWT_GOOD);
    assert_int_equal(judge(keys, make(&s, "", GOOD_CLAIMS)), JWT_GOOD);
    assert_int_equal(judge(keys, make(&s, ",\"kid\":\"one\"", GOOD_CLAIMS)), JWT_BAD_SIGNATURE);
    assert_int_equal(judge(keys, make(&s, ",\"kid\":\"three\"", GOOD_CLAIMS)), JWT_UNKNOWN_KEY);
    s = (struct signer){ "HS384", EVP_sha384(), NULL, SECRET, 0 };
    assert_int_equal(judge(keys, make(&s, ",\"kid\":\"one\"", GOOD_CLAIMS)), JWT_UNKNOWN_KEY);
    struct jwt_policy policy = { .keys = keys, .algorithms = 1u << JWT_RS256 };
    struct jwt jwt;
    assert_int_equal(jwt_verify(slice_from(make(&s, "", GOOD_CLAIMS)), &policy, NOW, &jwt),
                     JWT_OTHER_ALGORITHM);
    jwt_keys_free(keys);
}

static void says_which_keys_are_bad(void **state) {
    (void)state;
    char weak[4096], mixed[8192];
    EVP_PKEY *small = EVP_RSA_gen(1024), *other = EVP_EC_gen("secp521r1");
    strcpy(weak, pem_of(small));
    snprintf(mixed, sizeof mixed,
             "%s-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", pem_of(rsa_key));
    const struct {
        const char *text, *why;
    } cases[] = {
        { "", "expected a secret of 32 to 512 bytes, found 0" },
        { "too short a secret\n", "expected a secret of 32 to 512 bytes, found 18" },
        { weak, "expected an RSA key of 2048 to 8192 bits, found 1024" },
        { pem_of(other), "expected the curve P-256 or P-384, found 'secp521r1'" },
        { mixed, "expected PEM blocks PUBLIC KEY or CERTIFICATE, and only these" },
        { "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "expected PEM blocks" },
        { "{", "this is not JSON" },
        { "{\"keys\":[]}", "no key in it can verify" },
        { "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", "key 1: expected a secret of 32" },
        { "{\"keys\":[{\"kty\":\"oct\",\"k\":\"A\"}]}", "key 1: 'k' is not base64url" },
        { "{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\"}", "expected an RSA key of 2048" },
        { "{\"kty\":\"RSA\",\"n\":\"AQ\"}", "its numbers make no RSA key" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
          "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}",
          "its numbers make no EC key" },
        { "{\"kty\":\"oct\",\"alg\":\"RS256\",\"k\":"
          "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}",
          "'alg' does not fit the key" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = { 0 };
        struct jwt_keys *keys = jwt_keys_new(slice_from(cases[i].text), &err);
        if (keys != NULL || strstr(err.text, cases[i].why) == NULL) {
            fail_msg("%s: %s", cases[i].why, keys != NULL ? "taken" : err.text);
        }
    }
    EVP_PKEY_free(small);
    EVP_PKEY_free(other);
}

static void gives_claims_as_text(void **state) {
    (void)state;
    static const struct {
        const char *name, *value; /* NULL: none */
    } cases[] = {
        { "sub", "7" },   { "n", "-12" },    { "t", "true" },   { "l", "a,b" },
        { "e", "" },      { "mixed", NULL }, { "comma", NULL }, { "o", NULL },
        { "line", NULL }, { "none", NULL },  { "long", NULL },  { "null", NULL },
    };
    struct jwt_keys *keys = keys_of(SECRET);
    struct signer s = { "HS256", EVP_sha256(), NULL, SECRET, 0 };
    struct jwt_policy policy = { .keys = keys };
    struct jwt jwt;
    const char *token =
        make(&s, "",
             "{\"exp\":1300819380,\"sub\":\"7\",\"n\":-12,\"t\":true,\"l\":[\"a\",\"b\"],\"e\":[],"
             "\"mixed\":[\"a\",1],\"comma\":[\"a,b\"],\"o\":{},\"line\":\"a\\r\\nb: c\","
             "\"long\":\"01234567890123456\",\"null\":null}");
    assert_int_equal(jwt_verify(slice_from(token), &policy, NOW, &jwt), JWT_GOOD);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16];
        size_t len;
        bool found = jwt_claim(&jwt, slice_from(cases[i].name), text, sizeof text, &len);
        if (found != (cases[i].value != NULL) ||
            (found && !slice_equal(slice_of(text, len), slice_from(cases[i].value)))) {
            fail_msg("%s: %.*s", cases[i].name, found ? (int)len : 0, text);
        }
    }
    jwt_fini(&jwt);
    jwt_keys_free(keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_tokens_of_the_rfc),
        cmocka_unit_test(every_algorithm_and_no_other),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(judges_claims),
        cmocka_unit_test(refuses_what_is_no_token),
        cmocka_unit_test(chooses_the_key_by_its_name),
        cmocka_unit_test(says_which_keys_are_bad),
        cmocka_unit_test(gives_claims_as_text),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
