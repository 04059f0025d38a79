/* TLS towards a service: whom we believe, whom we name, and the sessions to be resumed. */
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "wire/net/tls_internal.h"

/* A session that may be resumed has come: with TLS 1.3 at any time. */
static int on_session(SSL *ssl, SSL_SESSION *session) {
    const struct tls *tls = tls_of(ssl);
    SSL_SESSION **place = &tls->client->sessions[tls->peer];
    SSL_SESSION_free(*place);
    *place = session;
    return 1; /* it is ours now */
}

static bool set_own(SSL_CTX *context, const struct tls_pair *own, struct error *err) {
    struct tls_parsed *p = own == NULL ? NULL : tls_parsed_new(own, err);
    if (own != NULL && p == NULL) {
        return false;
    }
    bool good = p == NULL || SSL_CTX_use_cert_and_key(context, p->leaf, p->key, p->chain, 1) == 1;
    tls_parsed_free(p);
    return good || tls_error(err, "the certificate is unusable");
}

static bool set_trust(SSL_CTX *context, const struct tls_client_options *o, struct error *err) {
    if (!o->verify) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        return true;
    }
    SSL_CTX_set_verify_depth(context, TLS_CHAIN_MAX);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (o->ca_of_system) {
        return SSL_CTX_set_default_verify_paths(context) == 1 ||
               tls_error(err, "the system's authorities cannot be read");
    }
    STACK_OF(X509) *authorities = tls_read_certificates(o->ca, TLS_AUTHORITIES_MAX, err);
    if (authorities == NULL) {
        return error_wrap(err, "ca");
    }
    for (int i = 0; i < sk_X509_num(authorities); i++) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), sk_X509_value(authorities, i));
    }
    sk_X509_pop_free(authorities, X509_free);
    return true;
}

static bool set_rules(SSL_CTX *context, const struct tls_client_options *o) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, on_session);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, TLS_CIPHERS_DEFAULT) == 1 &&
           SSL_CTX_set1_groups_list(context, TLS_GROUPS) == 1 &&
           (o->alpn.len == 0 ||
            SSL_CTX_set_alpn_protos(context, (const unsigned char *)o->alpn.data,
                                    (unsigned)o->alpn.len) == 0);
}

struct tls_client *tls_client_new(const struct tls_client_options *o, struct error *err) {
    struct tls_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for TLS");
        return NULL;
    }
    c->references = 1;
    c->verify = o->verify;
    c->context = SSL_CTX_new(TLS_client_method());
    ERR_clear_error();
    if (o->name != NULL && !slice_copy_text(slice_from(o->name), c->name, sizeof c->name)) {
        error_set(err, ERROR_INVALID, "the name is too long");
    } else if (c->context == NULL || !set_rules(c->context, o)) {
        tls_error(err, "OpenSSL refuses the settings");
    } else if (set_own(c->context, o->own, err) && set_trust(c->context, o, err)) {
        return c;
    }
    tls_client_free(c);
    return NULL;
}

struct tls_client *tls_client_hold(struct tls_client *client) {
    client->references++;
    return client;
}

void tls_client_free(struct tls_client *c) {
    if (c == NULL || --c->references > 0) {
        return;
    }
    for (unsigned i = 0; i < TLS_CLIENT_PEERS; i++) {
        SSL_SESSION_free(c->sessions[i]);
    }
    SSL_CTX_free(c->context);
    free(c);
}

/* An IP address is compared with those of the certificate and never sent as a name (RFC 6066 3). */
static bool expect_name(SSL *ssl, const struct tls_client *c) {
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (c->name[0] == '\0') {
        return true;
    }
    if (X509_VERIFY_PARAM_set1_ip_asc(param, c->name) == 1) {
        return true;
    }
    ERR_clear_error();
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, (void *)(uintptr_t)c->name) == 1 &&
           (!c->verify || SSL_set1_host(ssl, c->name) == 1);
}

bool socket_start_tls_client(struct socket *socket, struct tls_client *client, unsigned peer) {
    assert(socket->tls == NULL && peer < TLS_CLIENT_PEERS);
    struct tls *tls = tls_attach(socket, client->context);
    if (tls == NULL) {
        return false;
    }
    tls->client = tls_client_hold(client);
    tls->peer = peer;
    socket->tls = tls;
    SSL_set_connect_state(tls->ssl);
    if (!expect_name(tls->ssl, client)) {
        ERR_clear_error();
        return false; /* the owner closes the socket, and with it this */
    }
    if (client->sessions[peer] != NULL) {
        SSL_set_session(tls->ssl, client->sessions[peer]);
    }
    tls_begin(tls);
    return !socket->failed;
}
