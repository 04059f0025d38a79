/* TLS 1.2 and 1.3 by OpenSSL 3: what a listener offers (struct tls_server) and what a service is
 * asked for (struct tls_client), made from PEM texts, without a file. How a connection speaks it is
 * below the socket: socket_start_tls (wire/net/socket.h).
 *
 * A server chooses its certificate by the name that the client asks for (SNI): exact, then a
 * wildcard of one label, then the first of the list; among those of one name RSA, ECDSA and Ed25519
 * stand side by side and the client's wish decides. Compression, renegotiation and early data are
 * off. Sessions are resumed by tickets only, under keys that all workers share. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

#define TLS_CERTIFICATES_MAX 256 /* of one listener */
#define TLS_NAMES_MAX 100        /* of one certificate; further ones do not count */
#define TLS_NAME_BYTES 256
#define TLS_CHAIN_MAX 10        /* certificates of one file; of a client's authorities 200 */
#define TLS_AUTHORITIES_MAX 200 /* of client_ca or ca */
#define TLS_PEM_BYTES_MAX 262144

/* Mozilla's "intermediate" without the DHE suites. */
#define TLS_CIPHERS_DEFAULT                                                                        \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
/* Of 1.3, in Mozilla's order: AES-128 first, whose SHA-256 modern CPUs have in hardware. */
#define TLS_SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define TLS_GROUPS ((char *)(uintptr_t) "X25519:P-256:P-384") /* OpenSSL takes a char pointer */

/* First of all, before anything of OpenSSL is used: keys leave no trace where they were read. */
void tls_init(void);
/* Loads the library with its configuration (openssl.cnf): for a process that opens no file later.
 */
void tls_prepare(void);

/* ---- certificates ---- */

struct tls_pair {
    struct slice chain; /* PEM: the certificate, then those it needs */
    struct slice key;   /* PEM, not encrypted */
    struct slice ocsp;  /* DER of an OCSP response; empty: none */
};

struct tls_certificate_info {
    char name[TLS_NAME_BYTES]; /* the first it is for */
    const char *kind;          /* "rsa", "ecdsa", "ed25519", "other" */
    int64_t not_before_ms, not_after_ms;
    int64_t ocsp_until_ms; /* 0: no response, or one without an end */
};

/* Whether the pair can be offered: both parse, belong together, are no certificate of an authority
 * only by name. What was `now` not yet or no more valid is no error. `info` may be NULL. */
bool tls_pair_check(const struct tls_pair *pair, struct tls_certificate_info *info,
                    struct error *err);
/* Whether it is a list of certificates, of revocation lists, of ciphers. */
bool tls_authorities_check(struct slice pem, struct error *err);
bool tls_revocations_check(struct slice pem, struct error *err);
bool tls_ciphers_check(const char *ciphers, struct error *err);

/* ---- tickets ---- */

#define TLS_TICKET_KEYS 3 /* the first seals, all open */

struct tls_ticket_key {
    uint8_t name[16], cipher[32], mac[32]; /* AES-256-CBC, HMAC-SHA-256 */
};

struct tls_tickets {
    uint32_t count; /* 0: none are given, none are taken */
    struct tls_ticket_key keys[TLS_TICKET_KEYS];
};

/* A fresh random key. */
bool tls_ticket_key_make(struct tls_ticket_key *key);

/* ---- a listener ---- */

enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_OPTIONAL, TLS_VERIFY_REQUIRED };

struct tls_server_options {
    const struct tls_pair *pairs;
    size_t pair_count;
    bool only_1_3;                      /* else 1.2 too */
    const char *ciphers;                /* of 1.2; NULL: TLS_CIPHERS_DEFAULT */
    struct slice client_ca, client_crl; /* PEM; empty: none */
    enum tls_verify verify;
    struct slice alpn;                 /* offered, as on the wire, preferred first; empty: none */
    const struct tls_tickets *tickets; /* looked at in each handshake: outlives the server */
    uint64_t context_id;               /* tickets of another number are not taken */
};

/* Counted: each connection in its handshake holds it too. */
struct tls_server;

/* Pairs that are equal to some of `previous` (may be NULL) are taken over from there. */
struct tls_server *tls_server_new(const struct tls_server_options *options,
                                  const struct tls_server *previous, struct error *err);
struct tls_server *tls_server_hold(struct tls_server *server);
void tls_server_free(struct tls_server *server); /* lets go of it */

/* ---- a service ---- */

#define TLS_CLIENT_PEERS 512 /* of each the newest session is kept, to be resumed */

struct tls_client_options {
    struct slice ca;            /* PEM; who may have signed its certificate */
    bool ca_of_system;          /* instead: those that OpenSSL finds on this machine */
    bool verify;                /* else anybody may answer */
    const char *name;           /* asked for (SNI) and checked, a host or an IP; NULL: neither */
    const struct tls_pair *own; /* shown when it asks for one; NULL: none */
    struct slice alpn;          /* as on the wire; empty: none */
};

/* Counted, as tls_server. TLS 1.2 and 1.3. */
struct tls_client;
struct tls_client *tls_client_new(const struct tls_client_options *options, struct error *err);
struct tls_client *tls_client_hold(struct tls_client *client);
void tls_client_free(struct tls_client *client);

/* ---- how a handshake ended, for counters ---- */

#define TLS_FAILURES(X)                                                                            \
    X(NONE, "none")                                                                                \
    X(TIMEOUT, "timeout")                         /* it was not done in time */                    \
    X(CLOSED, "closed")                           /* the peer left in its middle */                \
    X(NOT_TLS, "not_tls")                         /* what came is no TLS */                        \
    X(VERSION, "version")                         /* too old */                                    \
    X(CIPHER, "cipher")                           /* nothing in common */                          \
    X(PROTOCOL, "protocol")                       /* ALPN: nothing in common */                    \
    X(CERTIFICATE_MISSING, "certificate_missing") /* mTLS: none was shown */                       \
    X(CERTIFICATE_REFUSED, "certificate_refused") /* mTLS, or a service's */                       \
    X(REFUSED_BY_PEER, "refused_by_peer") /* it sent an alert: it does not trust us, … */        \
    X(OTHER, "other")

enum tls_failure {
#define TLS_FAILURE_ENUM(name, text) TLS_FAILURE_##name,
    TLS_FAILURES(TLS_FAILURE_ENUM)
#undef TLS_FAILURE_ENUM
        TLS_FAILURE_COUNT,
};
const char *tls_failure_name(enum tls_failure failure);
