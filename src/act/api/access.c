#include "act/api/access.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#define SECRET_BYTES 32
#define PREFIX "tg_"
#define ID_DIGITS (STORE_TOKEN_ID_BYTES - 1)

static const char *const role_names[ROLE_COUNT] = { "none", "viewer", "operator", "admin" };

const char *access_role_name(enum access_role role) {
    return role < ROLE_COUNT ? role_names[role] : "none";
}

bool access_role_parse(const char *name, enum access_role *role) {
    for (unsigned i = ROLE_VIEWER; i < ROLE_COUNT; i++) {
        if (strcmp(name, role_names[i]) == 0) {
            *role = (enum access_role)i;
            return true;
        }
    }
    return false;
}

static bool random_bytes(void *out, size_t bytes) {
    return getrandom(out, bytes, 0) == (ssize_t)bytes;
}

bool access_init(struct access *a) {
    *a = (struct access){ 0 };
    return random_bytes(a->key, sizeof a->key);
}

void access_fini(struct access *a) {
    OPENSSL_cleanse(a, sizeof *a);
}

/* ---- guesses: a bucket that empties by one every ACCESS_GUESS_EVERY_US ---- */

static uint64_t *bucket_of(struct access *a, const uint8_t ip[16]) {
    static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
    uint8_t place[sizeof a->key + 16] = { 0 };
    memcpy(place, a->key, sizeof a->key);
    memcpy(place + sizeof a->key, ip, memcmp(ip, v4_prefix, sizeof v4_prefix) == 0 ? 16 : 8);
    return &a->guesses_until_us[XXH3_64bits(place, sizeof place) % ACCESS_NETWORKS];
}

static bool take_guess(uint64_t *until, uint64_t now_us) {
    uint64_t from = *until > now_us ? *until : now_us;
    if (from - now_us > (ACCESS_GUESSES_MAX - 1) * (uint64_t)ACCESS_GUESS_EVERY_US) {
        return false;
    }
    *until = from + ACCESS_GUESS_EVERY_US;
    return true;
}

/* ---- tokens ---- */

static bool hash_of(const char *secret, uint8_t hash[STORE_HASH_BYTES]) {
    return EVP_Digest(secret, strlen(secret), hash, NULL, EVP_sha256(), NULL) == 1;
}

struct store_token *access_by_id(struct access *a, const char *id) {
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->tokens[i].id, id) == 0) {
            return &a->tokens[i];
        }
    }
    return NULL;
}

/* The one with this hash. The id is not secret and finds the place; the hash is compared in a time
 * that does not depend on where it differs. */
static struct store_token *token_of(struct access *a, const char *secret, int64_t now_ms) {
    const size_t prefix = sizeof PREFIX - 1;
    char id[STORE_TOKEN_ID_BYTES] = "";
    uint8_t hash[STORE_HASH_BYTES];
    if (strlen(secret) != ACCESS_TOKEN_BYTES - 4 || strncmp(secret, PREFIX, prefix) != 0) {
        return NULL;
    }
    memcpy(id, secret + prefix, ID_DIGITS);
    struct store_token *token = access_by_id(a, id);
    bool good = token != NULL && hash_of(secret, hash) &&
                CRYPTO_memcmp(hash, token->hash, sizeof hash) == 0;
    return good && (token->expires_ms == 0 || now_ms < token->expires_ms) ? token : NULL;
}

enum access_verdict access_find(struct access *a, const char *secret, const uint8_t ip[16],
                                int64_t now_ms, uint64_t now_us, struct store_token **found) {
    uint64_t *until = bucket_of(a, ip), before = *until;
    if (!take_guess(until, now_us)) {
        a->refused_total++;
        return ACCESS_TOO_OFTEN;
    }
    *found = token_of(a, secret, now_ms);
    if (*found == NULL) {
        a->refused_total++;
        return ACCESS_WRONG;
    }
    *until = before; /* it was no guess */
    return ACCESS_GOOD;
}

static void print_hex(const uint8_t *bytes, size_t count, char *out) {
    for (size_t i = 0; i < count; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

struct store_token *access_create(struct access *a, const char *name, enum access_role role,
                                  int64_t now_ms, int64_t expires_ms,
                                  char secret[ACCESS_TOKEN_BYTES]) {
    uint8_t bytes[ID_DIGITS / 2 + SECRET_BYTES];
    char digits[2 * SECRET_BYTES + 1];
    struct store_token fresh = { .created_ms = now_ms, .expires_ms = expires_ms };
    if (a->count == ACCESS_TOKENS_MAX || !random_bytes(bytes, sizeof bytes)) {
        return NULL;
    }
    print_hex(bytes, ID_DIGITS / 2, fresh.id);
    print_hex(bytes + ID_DIGITS / 2, SECRET_BYTES, digits);
    snprintf(secret, ACCESS_TOKEN_BYTES, PREFIX "%s_%s", fresh.id, digits);
    snprintf(fresh.name, sizeof fresh.name, "%s", name);
    snprintf(fresh.role, sizeof fresh.role, "%s", access_role_name(role));
    bool made = access_by_id(a, fresh.id) == NULL && hash_of(secret, fresh.hash);
    OPENSSL_cleanse(bytes, sizeof bytes);
    OPENSSL_cleanse(digits, sizeof digits);
    if (!made) {
        OPENSSL_cleanse(secret, ACCESS_TOKEN_BYTES);
        return NULL;
    }
    a->tokens[a->count] = fresh;
    return &a->tokens[a->count++];
}

void access_remove(struct access *a, struct store_token *token) {
    size_t at = (size_t)(token - a->tokens);
    memmove(token, token + 1, (a->count - at - 1) * sizeof *token);
    a->count--;
    OPENSSL_cleanse(&a->tokens[a->count], sizeof a->tokens[0]);
}
