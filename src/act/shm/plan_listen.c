/* The plan's listeners: addresses, certificates, whom they trust. */
#include <string.h>
#include <xxhash.h>

#include "act/shm/plan.h"
#include "wire/net/network.h"

bool plan_add_certificate(struct plan *plan, const struct tls_pair *pair, uint64_t source) {
    struct plan_certificate *c = &plan->certificates[plan->certificate_count];
    if (plan->certificate_count == PLAN_CERTIFICATES_MAX) {
        return false;
    }
    *c = (struct plan_certificate){ .source = source };
    if (!plan_add_text(plan, pair->chain, &c->chain) || !plan_add_text(plan, pair->key, &c->key) ||
        !plan_add_text(plan, pair->ocsp, &c->ocsp)) {
        return false;
    }
    plan->certificate_count++;
    return true;
}

static uint64_t mix(uint64_t digest, struct slice text) {
    return XXH3_64bits_withSeed(text.data, text.len, digest + text.len);
}

/* The address is in it: who may come in here may not come in there with the same ticket. */
static uint64_t context_of(const struct plan *plan, const struct plan_listener *l) {
    char address[ADDRESS_TEXT_BYTES];
    address_format(&l->address, address);
    uint64_t digest = mix(l->verify, slice_from(address));
    digest = mix(digest, plan_slice(plan, l->client_ca));
    return mix(digest, plan_slice(plan, l->client_crl));
}

static uint64_t digest_of(const struct plan *plan, const struct plan_listener *l) {
    uint64_t digest =
        mix(l->context + (l->tls ? 1 : 0) + (l->only_1_3 ? 2 : 0), plan_slice(plan, l->ciphers));
    for (unsigned i = 0; i < l->certificate_count; i++) {
        const struct plan_certificate *c = &plan->certificates[l->certificate_first + i];
        digest = mix(digest, plan_slice(plan, c->chain));
        digest = mix(digest, plan_slice(plan, c->key));
        digest = mix(digest, plan_slice(plan, c->ocsp));
    }
    return digest;
}

bool plan_add_listener(struct plan *plan, const struct plan_listener *listener) {
    if (plan->listener_count == PLAN_LISTENERS_MAX) {
        return false;
    }
    const struct plan_listener *before =
        plan->listener_count == 0 ? NULL : &plan->listeners[plan->listener_count - 1];
    struct plan_listener *l = &plan->listeners[plan->listener_count++];
    *l = *listener;
    l->certificate_first =
        before == NULL ? 0 : (uint16_t)(before->certificate_first + before->certificate_count);
    l->certificate_count = (uint16_t)(plan->certificate_count - l->certificate_first);
    l->context = context_of(plan, l);
    l->digest = digest_of(plan, l);
    return true;
}

bool plan_finish_service(struct plan *plan, unsigned index, const struct tls_pair *own,
                         uint64_t source) {
    struct plan_service *s = &plan->services[index];
    if (own->chain.len > 0) {
        if (!plan_add_certificate(plan, own, source)) {
            return false;
        }
        s->tls_certificate = (uint16_t)plan->certificate_count;
    }
    uint64_t digest =
        mix((s->tls ? 1 : 0) + (s->tls_verify ? 2 : 0), plan_slice(plan, s->tls_name));
    digest = mix(digest, plan_slice(plan, s->tls_ca));
    digest = mix(digest, own->chain);
    s->tls_digest = mix(digest, own->key);
    return true;
}

/* "Any" may have become any of IPv4 where the kernel has no IPv6. */
static bool same_place(const struct address *a, const struct address *b) {
    return address_equal(a, b) || (address_is_any(a) && address_is_any(b) &&
                                   address_port(a) == address_port(b) && address_port(a) != 0);
}

const struct plan_listener *plan_find_listener(const struct plan *plan,
                                               const struct address *address) {
    for (unsigned i = 0; i < plan->listener_count; i++) {
        if (same_place(&plan->listeners[i].address, address)) {
            return &plan->listeners[i];
        }
    }
    return NULL;
}

static bool is_among(const struct plan_network *networks, uint32_t count, const uint8_t ip[16]) {
    for (uint32_t i = 0; i < count; i++) {
        struct network network = { .bits = networks[i].bits };
        memcpy(network.ip, networks[i].ip, sizeof network.ip);
        if (network_contains(&network, ip)) {
            return true;
        }
    }
    return false;
}

bool plan_trusts(const struct plan *plan, const uint8_t ip[16]) {
    return is_among(plan->trusted, plan->trusted_count, ip);
}

bool plan_sets_no_limit(const struct plan *plan, const uint8_t ip[16]) {
    return plan_trusts(plan, ip) || is_among(plan->unlimited, plan->unlimited_count, ip);
}
