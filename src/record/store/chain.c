#include "record/store/chain.h"

#include <assert.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* Room for all fields of a decision at their longest, with names and lengths. */
#define TEXT_BYTES (sizeof(struct decision) + 512)

struct text {
    char data[TEXT_BYTES];
    size_t len;
};

static void add(struct text *t, const char *name, const char *value) {
    int len = snprintf(t->data + t->len, sizeof t->data - t->len, "%s %zu %s\n", name,
                       strlen(value), value);
    assert(len > 0 && (size_t)len < sizeof t->data - t->len);
    t->len += (size_t)len;
}

static void add_integer(struct text *t, const char *name, int64_t value) {
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)value);
    add(t, name, number);
}

static void add_number(struct text *t, const char *name, double value) {
    char number[40] = "";
    if (!isnan(value)) {
        snprintf(number, sizeof number, "%.17g", value);
    }
    add(t, name, number);
}

static bool hash_text(const uint8_t before[CHAIN_HASH_BYTES], const struct text *t,
                      uint8_t out[CHAIN_HASH_BYTES]) {
    uint8_t input[CHAIN_HASH_BYTES + TEXT_BYTES];
    unsigned len = 0;
    memcpy(input, before, CHAIN_HASH_BYTES);
    memcpy(input + CHAIN_HASH_BYTES, t->data, t->len);
    return EVP_Digest(input, CHAIN_HASH_BYTES + t->len, out, &len, EVP_sha256(), NULL) == 1 &&
           len == CHAIN_HASH_BYTES;
}

bool chain_hash_decision(const uint8_t before[CHAIN_HASH_BYTES], const struct decision *d,
                         uint8_t out[CHAIN_HASH_BYTES]) {
    struct text t = { .data = "decided\n", .len = strlen("decided\n") };
    add_integer(&t, "id", d->id);
    add_integer(&t, "time_ms", d->time_ms);
    add(&t, "kind", d->kind);
    add(&t, "service", d->service);
    add(&t, "subject", d->subject);
    add(&t, "action", d->action);
    add(&t, "reason", d->reason);
    add(&t, "evidence", d->evidence);
    add_number(&t, "worth", d->worth);
    add_number(&t, "noticed_ms", d->noticed_ms);
    add_number(&t, "healed_ms", d->healed_ms);
    return hash_text(before, &t, out);
}

bool chain_hash_healed(const uint8_t before[CHAIN_HASH_BYTES], const struct store_healed *healed,
                       uint8_t out[CHAIN_HASH_BYTES]) {
    struct text t = { .data = "healed\n", .len = strlen("healed\n") };
    add_integer(&t, "decision", healed->decision_id);
    add_number(&t, "noticed_ms", healed->noticed_ms);
    add_number(&t, "healed_ms", healed->healed_ms);
    return hash_text(before, &t, out);
}

void chain_hex(const uint8_t hash[CHAIN_HASH_BYTES], char out[CHAIN_HEX_BYTES]) {
    for (size_t i = 0; i < CHAIN_HASH_BYTES; i++) {
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    }
}
