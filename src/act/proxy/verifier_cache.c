#include "act/proxy/verifier_cache.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#define MESSAGE_BYTES (BASIC_HASH_BYTES + BASIC_CREDENTIALS_BYTES_MAX + 2)

bool verifier_cache_init(struct verifier_cache *cache) {
    memset(cache, 0, sizeof *cache);
    return RAND_bytes(cache->key, sizeof cache->key) == 1;
}

static bool digest(const struct verifier_cache *cache, const void *text, size_t bytes,
                   uint8_t out[EVP_MAX_MD_SIZE]) {
    unsigned len = 0;
    return HMAC(EVP_sha256(), cache->key, sizeof cache->key, text, bytes, out, &len) != NULL;
}

/* hash, user, 0, password: none holds a 0. */
bool verifier_digest_of(const struct verifier_cache *cache, const struct verifier_question *q,
                        struct verifier_digest *out) {
    char message[MESSAGE_BYTES], *at = message;
    uint8_t whole[EVP_MAX_MD_SIZE];
    const struct slice parts[] = { q->hash, q->credentials.user, SLICE("\0"),
                                   q->credentials.password };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].len > (size_t)(message + sizeof message - at)) {
            return false;
        }
        if (parts[i].len > 0) {
            memcpy(at, parts[i].data, parts[i].len);
        }
        at += parts[i].len;
    }
    bool good = digest(cache, message, (size_t)(at - message), whole);
    if (good) {
        memcpy(out->bytes, whole, sizeof out->bytes);
    }
    OPENSSL_cleanse(message, sizeof message);
    return good;
}

static size_t place_of(const uint8_t *digest, size_t places) {
    uint64_t number;
    memcpy(&number, digest, sizeof number);
    return (size_t)(number & (places - 1));
}

bool verifier_cache_find(const struct verifier_cache *cache, const struct verifier_digest *d,
                         uint64_t now_us, bool *good) {
    const struct verifier_answer *a = &cache->answers[place_of(d->bytes, VERIFIER_ANSWERS)];
    if (a->until_us <= now_us || CRYPTO_memcmp(a->digest, d->bytes, sizeof a->digest) != 0) {
        return false;
    }
    *good = a->good;
    return true;
}

void verifier_cache_add(struct verifier_cache *cache, const struct verifier_digest *d, bool good,
                        uint64_t now_us) {
    struct verifier_answer *a = &cache->answers[place_of(d->bytes, VERIFIER_ANSWERS)];
    /* A stranger's wrong guess does not push out what is known to be good. */
    if (!good && a->good && a->until_us > now_us) {
        return;
    }
    memcpy(a->digest, d->bytes, sizeof a->digest);
    a->good = good;
    a->until_us = now_us + (good ? VERIFIER_GOOD_US : VERIFIER_BAD_US);
}
