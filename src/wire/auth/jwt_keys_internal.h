/* Inside of the keys. */
#pragma once
#include <openssl/types.h>

#include "wire/auth/jwt_keys.h"

struct jwt_key {
    uint32_t algorithms; /* a bit each: what it may verify */
    EVP_PKEY *pkey;      /* NULL: it is a secret */
    uint8_t secret[JWT_SECRET_BYTES_MAX];
    size_t secret_bytes;
    char id[JWT_KEY_ID_BYTES];
    size_t id_len; /* 0: it has none */
};

struct jwt_keys {
    unsigned count;
    struct jwt_key keys[JWT_KEYS_MAX];
};

/* A zeroed one more; NULL when there are JWT_KEYS_MAX. */
struct jwt_key *jwt_keys_add(struct jwt_keys *keys);
/* What it may verify, from what it is; key->pkey is set. */
bool jwt_key_set_public(struct jwt_key *key, struct error *err);
bool jwt_key_set_secret(struct jwt_key *key, const uint8_t *secret, size_t bytes,
                        struct error *err);

/* jwk.c: a JWK set or one JWK. */
bool jwt_keys_read_json(struct jwt_keys *keys, struct slice text, struct error *err);
