/* JSON Web Keys (RFC 7517, RFC 7518 §6). */
#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#include "wire/auth/base64.h"
#include "wire/auth/json.h"
#include "wire/auth/jwt_keys_internal.h"

#define NUMBER_BYTES_MAX 1024 /* a modulus of 8192 bits */

static BIGNUM *number_of(const json_t *jwk, const char *name) {
    uint8_t bytes[NUMBER_BYTES_MAX];
    size_t len = 0;
    struct slice text = json_member_text(jwk, name);
    if (text.len == 0 || !base64url_decode(text, bytes, sizeof bytes, &len)) {
        return NULL;
    }
    return BN_bin2bn(bytes, (int)len, NULL);
}

static EVP_PKEY *make_key(const char *kind, OSSL_PARAM_BLD *build) {
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
    if (context != NULL && parameters != NULL && EVP_PKEY_fromdata_init(context) == 1) {
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
    }
    OSSL_PARAM_free(parameters);
    EVP_PKEY_CTX_free(context);
    return key;
}

static EVP_PKEY *read_rsa(const json_t *jwk) {
    BIGNUM *n = number_of(jwk, "n"), *e = number_of(jwk, "e");
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (n != NULL && e != NULL && build != NULL &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1) {
        key = make_key("RSA", build);
    }
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return key;
}

/* An uncompressed point: 4, x, y. */
static bool read_point(const json_t *jwk, size_t half, uint8_t point[1 + 2 * 48]) {
    size_t x_len = 0, y_len = 0;
    point[0] = 4;
    return base64url_decode(json_member_text(jwk, "x"), point + 1, half, &x_len) && x_len == half &&
           base64url_decode(json_member_text(jwk, "y"), point + 1 + half, half, &y_len) &&
           y_len == half;
}

static EVP_PKEY *read_curve(const json_t *jwk) {
    struct slice curve = json_member_text(jwk, "crv");
    bool p256 = slice_equal(curve, SLICE("P-256")), p384 = slice_equal(curve, SLICE("P-384"));
    size_t half = p384 ? 48 : 32;
    uint8_t point[1 + 2 * 48];
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if ((p256 || p384) && build != NULL && read_point(jwk, half, point) &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, p384 ? "P-384" : "P-256",
                                        0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half) ==
            1) {
        key = make_key("EC", build);
    }
    OSSL_PARAM_BLD_free(build);
    return key;
}

static bool read_secret(const json_t *jwk, struct jwt_key *key, struct error *err) {
    uint8_t secret[JWT_SECRET_BYTES_MAX];
    size_t len = 0;
    if (!base64url_decode(json_member_text(jwk, "k"), secret, sizeof secret, &len)) {
        return error_set(err, ERROR_INVALID, "'k' is not base64url of at most %d bytes",
                         JWT_SECRET_BYTES_MAX);
    }
    bool good = jwt_key_set_secret(key, secret, len, err);
    OPENSSL_cleanse(secret, sizeof secret);
    return good;
}

static bool read_public(const json_t *jwk, bool rsa, struct jwt_key *key, struct error *err) {
    key->pkey = rsa ? read_rsa(jwk) : read_curve(jwk);
    ERR_clear_error();
    return key->pkey != NULL
               ? jwt_key_set_public(key, err)
               : error_set(err, ERROR_INVALID, "its numbers make no %s key", rsa ? "RSA" : "EC");
}

/* "alg" narrows down what it may verify, "kid" names it. */
static bool narrow(const json_t *jwk, struct jwt_key *key, struct error *err) {
    struct slice algorithm = json_member_text(jwk, "alg"), id = json_member_text(jwk, "kid");
    if (algorithm.len > 0) {
        enum jwt_algorithm only = jwt_algorithm_of(algorithm);
        key->algorithms &= only == JWT_ALGORITHMS ? 0 : 1u << only;
        if (key->algorithms == 0) {
            return error_set(err, ERROR_INVALID, "'alg' does not fit the key");
        }
    }
    if (id.len > sizeof key->id) {
        return error_set(err, ERROR_INVALID, "'kid' has more than %d bytes", JWT_KEY_ID_BYTES);
    }
    if (id.len > 0) {
        memcpy(key->id, id.data, id.len);
    }
    key->id_len = id.len;
    return true;
}

static bool is_for_signatures(const json_t *jwk) {
    struct slice use = json_member_text(jwk, "use");
    const json_t *operations = json_object_get(jwk, "key_ops"), *operation;
    size_t i;
    bool verify = operations == NULL;
    json_array_foreach (operations, i, operation) {
        verify |= json_is_string(operation) && strcmp(json_string_value(operation), "verify") == 0;
    }
    return verify && (use.len == 0 || slice_equal(use, SLICE("sig")));
}

static bool read_key(struct jwt_keys *keys, const json_t *jwk, struct error *err) {
    struct slice kind = json_member_text(jwk, "kty");
    bool rsa = slice_equal(kind, SLICE("RSA")), curve = slice_equal(kind, SLICE("EC"));
    bool secret = slice_equal(kind, SLICE("oct"));
    struct slice name = json_member_text(jwk, "crv");
    bool other_curve =
        curve && !slice_equal(name, SLICE("P-256")) && !slice_equal(name, SLICE("P-384"));
    if (!is_for_signatures(jwk) || !(rsa || curve || secret) || other_curve) {
        return true; /* for something else */
    }
    struct jwt_key *key = jwt_keys_add(keys);
    if (key == NULL) {
        return error_set(err, ERROR_LIMIT, "expected at most %d keys", JWT_KEYS_MAX);
    }
    return (secret ? read_secret(jwk, key, err) : read_public(jwk, rsa, key, err)) &&
           narrow(jwk, key, err);
}

static bool read_set(struct jwt_keys *keys, const json_t *set, struct error *err) {
    const json_t *list = json_object_get(set, "keys"), *jwk;
    size_t i;
    if (list == NULL) {
        return read_key(keys, set, err);
    }
    json_array_foreach (list, i, jwk) {
        if (!read_key(keys, jwk, err)) {
            return error_wrap(err, "key %zu", i + 1);
        }
    }
    return true;
}

bool jwt_keys_read_json(struct jwt_keys *keys, struct slice text, struct error *err) {
    json_t *root = json_read_bounded(text);
    if (root == NULL) {
        return error_set(err, ERROR_INVALID,
                         "expected a JWK set: this is not JSON, repeats a name, "
                         "or is too deep");
    }
    bool good = read_set(keys, root, err);
    json_decref(root);
    return good && (keys->count > 0 || error_set(err, ERROR_INVALID,
                                                 "no key in it can verify signatures by HS, RS or "
                                                 "ES"));
}
