/* What a listener offers: OpenSSL's contexts, and what they ask us during a handshake. */
#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "wire/net/tls_internal.h"

void tls_prepare(void) {
    unsigned char byte;
    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
                         OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                     NULL);
    (void)RAND_bytes(&byte, 1);
}

/* ---- asked during a handshake ---- */

/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL says the signature */
static int on_name(SSL *ssl, int *alert, void *self) {
    (void)alert, (void)self;
    const struct tls *tls = tls_of(ssl);
    const struct tls_choice *choice =
        tls_names_find(tls->server, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    if (SSL_get_SSL_CTX(ssl) != choice->context) {
        SSL_set_SSL_CTX(ssl, choice->context);
    }
    return SSL_TLSEXT_ERR_OK;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *self) {
    (void)self;
    const struct tls_server *server = tls_of(ssl)->server;
    unsigned char *chosen = NULL;
    if (server->alpn_len == 0) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    if (SSL_select_next_proto(&chosen, out_len, server->alpn, server->alpn_len, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 */
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int on_status(SSL *ssl, void *self) {
    (void)self;
    const struct tls_server *server = tls_of(ssl)->server;
    const X509 *leaf = SSL_get_certificate(ssl);
    for (size_t i = 0; i < server->pair_count; i++) {
        const struct tls_parsed *p = server->pairs[i];
        if (p->leaf == leaf && p->ocsp != NULL) {
            unsigned char *copy = OPENSSL_memdup(p->ocsp, p->ocsp_len);
            if (copy == NULL) {
                break;
            }
            SSL_set_tlsext_status_ocsp_resp(ssl, copy, (int)p->ocsp_len);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* Looked up once: with each ticket it would take OpenSSL's locks. */
static const EVP_CIPHER *ticket_cipher(void) {
    static EVP_CIPHER *cipher;
    if (cipher == NULL) {
        cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    }
    return cipher;
}

static bool start_mac(EVP_MAC_CTX *mac, const struct tls_ticket_key *key) {
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac,
                                          sizeof key->mac),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* Returns 1: done; 2: done, and the client should get a newer ticket; 0: no ticket; -1: broken. */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing) {
    const struct tls_tickets *tickets = tls_of(ssl)->server->tickets;
    uint32_t count = tickets == NULL ? 0 : tickets->count;
    if (sealing) {
        const struct tls_ticket_key *key = &tickets->keys[0];
        if (count == 0) {
            return 0;
        }
        memcpy(name, key->name, sizeof key->name);
        return RAND_bytes(iv, 16) == 1 &&
                       EVP_EncryptInit_ex(cipher, ticket_cipher(), NULL, key->cipher, iv) == 1 &&
                       start_mac(mac, key)
                   ? 1
                   : -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct tls_ticket_key *key = &tickets->keys[i];
        if (memcmp(name, key->name, sizeof key->name) == 0) {
            bool good = EVP_DecryptInit_ex(cipher, ticket_cipher(), NULL, key->cipher, iv) == 1 &&
                        start_mac(mac, key);
            return !good ? -1 : i == 0 ? 1 : 2;
        }
    }
    return 0;
}

/* ---- making ---- */

static bool set_clients(SSL_CTX *context, const struct tls_server_options *o, struct error *err) {
    if (o->verify == TLS_VERIFY_NONE) {
        return true;
    }
    STACK_OF(X509) *authorities = tls_read_certificates(o->client_ca, TLS_AUTHORITIES_MAX, err);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    if (authorities == NULL) {
        return error_wrap(err, "client_ca");
    }
    for (int i = 0; i < sk_X509_num(authorities); i++) {
        X509_STORE_add_cert(store, sk_X509_value(authorities, i));
        SSL_CTX_add_client_CA(context, sk_X509_value(authorities, i));
    }
    sk_X509_pop_free(authorities, X509_free);
    if (o->client_crl.len > 0) {
        STACK_OF(X509_CRL) *revoked = tls_read_revocations(o->client_crl, err);
        if (revoked == NULL) {
            return error_wrap(err, "client_crl");
        }
        for (int i = 0; i < sk_X509_CRL_num(revoked); i++) {
            X509_STORE_add_crl(store, sk_X509_CRL_value(revoked, i));
        }
        sk_X509_CRL_pop_free(revoked, X509_CRL_free);
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    }
    SSL_CTX_set_verify_depth(context, TLS_CHAIN_MAX);
    SSL_CTX_set_verify(context,
                       SSL_VERIFY_PEER |
                           (o->verify == TLS_VERIFY_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       NULL);
    return true;
}

static bool set_rules(SSL_CTX *context, const struct tls_server_options *o) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* The chain is sent as it was configured: looking for a better one costs a sixth of a
     * handshake. */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(context, 0);
    return SSL_CTX_set_min_proto_version(context, o->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) &&
           SSL_CTX_set_cipher_list(context,
                                   o->ciphers != NULL ? o->ciphers : TLS_CIPHERS_DEFAULT) &&
           SSL_CTX_set_ciphersuites(context, TLS_SUITES) &&
           SSL_CTX_set1_groups_list(context, TLS_GROUPS) &&
           SSL_CTX_set_session_id_context(context, (const unsigned char *)&o->context_id,
                                          sizeof o->context_id);
}

static bool set_pairs(SSL_CTX *context, const struct tls_server *s, const struct tls_choice *c) {
    for (unsigned kind = 0; kind < TLS_KINDS; kind++) {
        const struct tls_parsed *p = c->pairs[kind] < 0 ? NULL : s->pairs[c->pairs[kind]];
        if (p != NULL && SSL_CTX_use_cert_and_key(context, p->leaf, p->key, p->chain, 1) != 1) {
            return false;
        }
    }
    return true;
}

static SSL_CTX *make_context(const struct tls_server *s, const struct tls_choice *choice,
                             const struct tls_server_options *o, struct error *err) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    ERR_clear_error();
    if (context == NULL || !set_rules(context, o) || !set_pairs(context, s, choice)) {
        SSL_CTX_free(context);
        tls_error(err, "OpenSSL refuses the settings");
        return NULL;
    }
    if (!set_clients(context, o, err)) {
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_tlsext_servername_callback(context, on_name);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
    SSL_CTX_set_tlsext_status_cb(context, on_status);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    return context;
}

static struct tls_parsed *take_pair(const struct tls_pair *pair, const struct tls_server *previous,
                                    struct error *err) {
    uint64_t digest = tls_pair_digest(pair);
    for (size_t i = 0; previous != NULL && i < previous->pair_count; i++) {
        if (previous->pairs[i]->digest == digest) {
            previous->pairs[i]->references++;
            return previous->pairs[i];
        }
    }
    return tls_parsed_new(pair, err);
}

static bool same_pairs(const struct tls_server *a, const struct tls_choice *x,
                       const struct tls_server *b, const struct tls_choice *y) {
    for (unsigned kind = 0; kind < TLS_KINDS; kind++) {
        const struct tls_parsed *p = x->pairs[kind] < 0 ? NULL : a->pairs[x->pairs[kind]];
        const struct tls_parsed *q = y->pairs[kind] < 0 ? NULL : b->pairs[y->pairs[kind]];
        if (p != q) {
            return false;
        }
    }
    return true;
}

/* The one of `previous`, when it would be the same. */
static SSL_CTX *take_context(const struct tls_server *s, const struct tls_choice *choice,
                             const struct tls_server *previous) {
    if (previous == NULL || previous->settings != s->settings) {
        return NULL;
    }
    for (size_t i = 0; i < previous->choice_count; i++) {
        if (same_pairs(s, choice, previous, &previous->choices[i])) {
            SSL_CTX_up_ref(previous->choices[i].context);
            return previous->choices[i].context;
        }
    }
    return NULL;
}

static uint64_t settings_digest(const struct tls_server_options *o) {
    const char *ciphers = o->ciphers != NULL ? o->ciphers : TLS_CIPHERS_DEFAULT;
    uint64_t parts[] = { XXH3_64bits(ciphers, strlen(ciphers)),
                         XXH3_64bits(o->client_ca.data, o->client_ca.len),
                         XXH3_64bits(o->client_crl.data, o->client_crl.len),
                         o->context_id,
                         (uint64_t)o->verify,
                         o->only_1_3 };
    return XXH3_64bits(parts, sizeof parts);
}

static bool fill(struct tls_server *s, const struct tls_server_options *o,
                 const struct tls_server *previous, struct error *err) {
    size_t names = 0;
    for (size_t i = 0; i < o->pair_count; i++) {
        s->pairs[i] = take_pair(&o->pairs[i], previous, err);
        if (s->pairs[i] == NULL) {
            return error_wrap(err, "certificate %zu", i + 1);
        }
        s->pair_count++;
        names += s->pairs[i]->name_count;
    }
    if (names > TLS_SERVER_NAMES_MAX) {
        return error_set(err, ERROR_LIMIT, "the certificates are for %zu names, %d at most", names,
                         TLS_SERVER_NAMES_MAX);
    }
    if (!tls_names_build(s)) {
        return error_set(err, ERROR_LIMIT, "no memory for certificates");
    }
    for (size_t i = 0; i < s->choice_count; i++) {
        struct tls_choice *choice = &s->choices[i];
        choice->context = take_context(s, choice, previous);
        if (choice->context == NULL) {
            choice->context = make_context(s, choice, o, err);
        }
        if (choice->context == NULL) {
            return false;
        }
    }
    return true;
}

struct tls_server *tls_server_new(const struct tls_server_options *o,
                                  const struct tls_server *previous, struct error *err) {
    assert(o->pair_count > 0 && o->pair_count <= TLS_CERTIFICATES_MAX);
    struct tls_server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for certificates");
        return NULL;
    }
    s->references = 1;
    s->tickets = o->tickets;
    s->settings = settings_digest(o);
    s->pairs = calloc(o->pair_count, sizeof *s->pairs);
    s->alpn = malloc(o->alpn.len + 1);
    if (s->pairs == NULL || s->alpn == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for certificates");
        tls_server_free(s);
        return NULL;
    }
    if (o->alpn.len > 0) {
        memcpy(s->alpn, o->alpn.data, o->alpn.len);
    }
    s->alpn_len = (unsigned)o->alpn.len;
    if (!fill(s, o, previous, err)) {
        tls_server_free(s);
        return NULL;
    }
    return s;
}

struct tls_server *tls_server_hold(struct tls_server *server) {
    server->references++;
    return server;
}

void tls_server_free(struct tls_server *s) {
    if (s == NULL || --s->references > 0) {
        return;
    }
    for (size_t i = 0; i < s->choice_count; i++) {
        SSL_CTX_free(s->choices[i].context);
    }
    for (size_t i = 0; i < s->pair_count; i++) {
        tls_parsed_free(s->pairs[i]);
    }
    free(s->choices);
    free(s->names);
    free(s->pairs);
    free(s->alpn);
    free(s);
}
