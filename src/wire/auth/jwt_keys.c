#include "wire/auth/jwt_keys.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "wire/auth/jwt_keys_internal.h"

#define BIT(algorithm) (1u << (algorithm))
#define P256_HALF_BYTES 32
#define P384_HALF_BYTES 48

static const char *const names[JWT_ALGORITHMS] = { "HS256", "HS384", "HS512", "RS256",
                                                   "RS384", "RS512", "ES256", "ES384" };

enum jwt_algorithm jwt_algorithm_of(struct slice name) {
    for (int i = 0; i < JWT_ALGORITHMS; i++) {
        if (slice_equal(name, slice_from(names[i]))) {
            return (enum jwt_algorithm)i;
        }
    }
    return JWT_ALGORITHMS;
}

static const EVP_MD *digest_of(enum jwt_algorithm algorithm) {
    switch (algorithm) {
    case JWT_HS384:
    case JWT_RS384:
    case JWT_ES384:
        return EVP_sha384();
    case JWT_HS512:
    case JWT_RS512:
        return EVP_sha512();
    default:
        return EVP_sha256();
    }
}

/* ---- what a key may verify ---- */

static bool set_curve(struct jwt_key *key, struct error *err) {
    char name[32] = "";
    size_t len;
    EVP_PKEY_get_group_name(key->pkey, name, sizeof name, &len);
    if (strcmp(name, "prime256v1") == 0 || strcmp(name, "P-256") == 0) {
        key->algorithms = BIT(JWT_ES256);
    } else if (strcmp(name, "secp384r1") == 0 || strcmp(name, "P-384") == 0) {
        key->algorithms = BIT(JWT_ES384);
    } else {
        return error_set(err, ERROR_INVALID, "expected the curve P-256 or P-384, found '%s'", name);
    }
    return true;
}

bool jwt_key_set_public(struct jwt_key *key, struct error *err) {
    int kind = EVP_PKEY_get_base_id(key->pkey);
    if (kind == EVP_PKEY_EC) {
        return set_curve(key, err);
    }
    if (kind != EVP_PKEY_RSA) {
        return error_set(err, ERROR_INVALID, "expected an RSA or EC key");
    }
    int bits = EVP_PKEY_get_bits(key->pkey);
    if (bits < JWT_RSA_BITS_MIN || bits > JWT_RSA_BITS_MAX) {
        return error_set(err, ERROR_INVALID, "expected an RSA key of %d to %d bits, found %d",
                         JWT_RSA_BITS_MIN, JWT_RSA_BITS_MAX, bits);
    }
    key->algorithms = BIT(JWT_RS256) | BIT(JWT_RS384) | BIT(JWT_RS512);
    return true;
}

bool jwt_key_set_secret(struct jwt_key *key, const uint8_t *secret, size_t bytes,
                        struct error *err) {
    if (bytes < JWT_SECRET_BYTES_MIN || bytes > JWT_SECRET_BYTES_MAX) {
        return error_set(err, ERROR_INVALID, "expected a secret of %d to %d bytes, found %zu",
                         JWT_SECRET_BYTES_MIN, JWT_SECRET_BYTES_MAX, bytes);
    }
    memcpy(key->secret, secret, bytes);
    key->secret_bytes = bytes;
    key->algorithms =
        BIT(JWT_HS256) | (bytes >= 48 ? BIT(JWT_HS384) : 0) | (bytes >= 64 ? BIT(JWT_HS512) : 0);
    return true;
}

/* ---- reading ---- */

/* The next public key or the one of the next certificate; NULL: no more. */
static EVP_PKEY *next_pem(BIO *bio) {
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long len = 0;
    EVP_PKEY *key = NULL;
    if (PEM_read_bio(bio, &name, &header, &data, &len) != 1) {
        return NULL;
    }
    const unsigned char *at = data;
    if (strcmp(name, "CERTIFICATE") == 0) {
        X509 *certificate = d2i_X509(NULL, &at, len);
        key = certificate == NULL ? NULL : X509_get_pubkey(certificate);
        X509_free(certificate);
    } else if (strcmp(name, "PUBLIC KEY") == 0) {
        key = d2i_PUBKEY(NULL, &at, len);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    return key;
}

static bool read_pem(struct jwt_keys *keys, struct slice file, struct error *err) {
    BIO *bio = BIO_new_mem_buf(file.data, (int)file.len);
    EVP_PKEY *pkey;
    bool good = bio != NULL;
    while (good && (pkey = next_pem(bio)) != NULL) {
        struct jwt_key *key = jwt_keys_add(keys);
        if (key == NULL) {
            EVP_PKEY_free(pkey);
            good = error_set(err, ERROR_LIMIT, "expected at most %d keys", JWT_KEYS_MAX);
            break;
        }
        key->pkey = pkey;
        good = jwt_key_set_public(key, err);
    }
    /* What follows a block that is no key would be passed over in silence. */
    bool all = good && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    ERR_clear_error();
    if (good && (!all || keys->count == 0)) {
        return error_set(err, ERROR_INVALID,
                         "expected PEM blocks PUBLIC KEY or CERTIFICATE, and only these");
    }
    return good;
}

static bool read_secret(struct jwt_keys *keys, struct slice file, struct error *err) {
    while (file.len > 0 && (file.data[file.len - 1] == '\n' || file.data[file.len - 1] == '\r')) {
        file.len--;
    }
    return jwt_key_set_secret(jwt_keys_add(keys), (const uint8_t *)file.data, file.len, err);
}

struct jwt_key *jwt_keys_add(struct jwt_keys *keys) {
    if (keys->count == JWT_KEYS_MAX) {
        return NULL;
    }
    struct jwt_key *key = &keys->keys[keys->count++];
    *key = (struct jwt_key){ 0 };
    return key;
}

struct jwt_keys *jwt_keys_new(struct slice file, struct error *err) {
    struct jwt_keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for keys");
        return NULL;
    }
    struct slice text = file;
    while (text.len > 0 && (unsigned char)text.data[0] <= ' ') {
        text = slice_skip(text, 1);
    }
    ERR_clear_error();
    bool good = file.len > JWT_KEYS_BYTES_MAX
                    ? error_set(err, ERROR_LIMIT, "expected at most %d bytes", JWT_KEYS_BYTES_MAX)
                : text.len > 0 && text.data[0] == '{' ? jwt_keys_read_json(keys, text, err)
                : slice_find_slice(text, SLICE("-----BEGIN")) == 0 ? read_pem(keys, text, err)
                                                                   : read_secret(keys, file, err);
    if (!good) {
        jwt_keys_free(keys);
        return NULL;
    }
    return keys;
}

void jwt_keys_free(struct jwt_keys *keys) {
    if (keys == NULL) {
        return;
    }
    for (unsigned i = 0; i < keys->count; i++) {
        EVP_PKEY_free(keys->keys[i].pkey);
    }
    OPENSSL_cleanse(keys, sizeof *keys);
    free(keys);
}

unsigned jwt_keys_count(const struct jwt_keys *keys) {
    return keys->count;
}

/* ---- verifying ---- */

static bool verify_secret(const struct jwt_key *key, const EVP_MD *digest, struct slice text,
                          struct slice signature) {
    unsigned char own[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    return HMAC(digest, key->secret, (int)key->secret_bytes, (const unsigned char *)text.data,
                text.len, own, &len) != NULL &&
           signature.len == len && CRYPTO_memcmp(own, signature.data, len) == 0;
}

/* JOSE writes r and s side by side (RFC 7518 §3.4), OpenSSL reads DER. */
static int ecdsa_der(struct slice signature, size_t half, unsigned char **der) {
    const unsigned char *bytes = (const unsigned char *)signature.data;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes, (int)half, NULL), *s = BN_bin2bn(bytes + half, (int)half, NULL);
    int len = -1;
    if (pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL; /* the pair's now */
        len = i2d_ECDSA_SIG(pair, der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return len;
}

static bool verify_public(const struct jwt_key *key, const EVP_MD *digest, struct slice text,
                          const unsigned char *signature, size_t bytes) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        context != NULL && EVP_DigestVerifyInit(context, NULL, digest, NULL, key->pkey) == 1 &&
        EVP_DigestVerify(context, signature, bytes, (const unsigned char *)text.data, text.len) ==
            1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

static bool verify_curve(const struct jwt_key *key, enum jwt_algorithm algorithm, struct slice text,
                         struct slice signature) {
    size_t half = algorithm == JWT_ES384 ? P384_HALF_BYTES : P256_HALF_BYTES;
    unsigned char *der = NULL;
    if (signature.len != 2 * half) {
        return false;
    }
    int len = ecdsa_der(signature, half, &der);
    bool good = len > 0 && verify_public(key, digest_of(algorithm), text, der, (size_t)len);
    OPENSSL_free(der);
    return good;
}

static bool verify(const struct jwt_key *key, enum jwt_algorithm algorithm, struct slice text,
                   struct slice signature) {
    if (key->pkey == NULL) {
        return verify_secret(key, digest_of(algorithm), text, signature);
    }
    if (algorithm == JWT_ES256 || algorithm == JWT_ES384) {
        return verify_curve(key, algorithm, text, signature);
    }
    return verify_public(key, digest_of(algorithm), text, (const unsigned char *)signature.data,
                         signature.len);
}

static bool is_meant(const struct jwt_key *key, enum jwt_algorithm algorithm, struct slice key_id) {
    bool id_fits =
        key_id.len == 0 || key->id_len == 0 || slice_equal(key_id, slice_of(key->id, key->id_len));
    return id_fits && (key->algorithms & BIT(algorithm)) != 0;
}

bool jwt_keys_verify(const struct jwt_keys *keys, enum jwt_algorithm algorithm, struct slice key_id,
                     struct slice text, struct slice signature, bool *known) {
    bool good = false;
    *known = false;
    for (unsigned i = 0; i < keys->count && !good; i++) {
        if (is_meant(&keys->keys[i], algorithm, key_id)) {
            *known = true;
            good = verify(&keys->keys[i], algorithm, text, signature);
        }
    }
    return good;
}
