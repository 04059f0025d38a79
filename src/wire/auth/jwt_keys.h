/* Keys against which tokens are verified, out of one file: a JWK set or a single JWK (RFC 7517),
 * PEM (public keys or certificates), or a bare secret. What a key may verify follows from what it
 * is, never from what a token says: a public RSA key is not a secret for HS256. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

#define JWT_KEYS_BYTES_MAX 65536
#define JWT_KEYS_MAX 32
#define JWT_SECRET_BYTES_MAX 512
#define JWT_SECRET_BYTES_MIN 32 /* RFC 7518 §3.2: as many as the digest, of HS256 */
#define JWT_RSA_BITS_MIN 2048   /* RFC 7518 §3.3 */
#define JWT_RSA_BITS_MAX 8192   /* a larger one would hold up everybody else */
#define JWT_KEY_ID_BYTES 128

/* In the order of the names. */
enum jwt_algorithm {
    JWT_HS256,
    JWT_HS384,
    JWT_HS512,
    JWT_RS256,
    JWT_RS384,
    JWT_RS512,
    JWT_ES256,
    JWT_ES384,
    JWT_ALGORITHMS,
};

struct jwt_keys;

/* NULL with *err set: which key, what is wrong. Keys for other uses or of other kinds in a set are
 * passed over, as long as one is left. */
struct jwt_keys *jwt_keys_new(struct slice file, struct error *err);
void jwt_keys_free(struct jwt_keys *keys);
unsigned jwt_keys_count(const struct jwt_keys *keys);

/* JWT_ALGORITHMS: none of them. */
enum jwt_algorithm jwt_algorithm_of(struct slice name);

/* Whether one of the keys that may (by algorithm, and by `key_id` if the token and the key have
 * one) says that the signature is good. *known: there was such a key. */
bool jwt_keys_verify(const struct jwt_keys *keys, enum jwt_algorithm algorithm, struct slice key_id,
                     struct slice text, struct slice signature, bool *known);
