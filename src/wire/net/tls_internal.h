/* Inside of TLS: the contexts (tls_context.c, tls_names.c, tls_pem.c) and the filter below a socket
 * (tls_stream.c). OpenSSL never sees a descriptor: it reads from what the loop received and writes
 * into the socket's pending blocks. Of a server's TLS 1.3 it makes the handshake only:
 * tls_secrets.c takes the keys over, and tls_record.c carries the connection from there. */
#pragma once
#include <openssl/ssl.h>

#include "wire/net/loop_internal.h"
#include "wire/net/tls.h"
#include "wire/net/tls_record.h"

#define TLS_KINDS 3                /* RSA, ECDSA, Ed25519 */
#define TLS_SERVER_NAMES_MAX 2048  /* of all pairs of a listener together */
#define TLS_RECORD_BYTES_MAX 18432 /* on the wire: 2^14 + 2048 (RFC 5246 6.2.3), and its head */
#define TLS_PLAIN_BYTES (LOOP_RECEIVE_BYTES + 2 * TLS_RECORD_BYTES_MAX)

/* One pair, parsed. Counted, because a new server takes over what has not changed. */
struct tls_parsed {
    unsigned references;
    uint64_t digest; /* of its texts */
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    unsigned char *ocsp; /* OPENSSL_malloc; NULL: none */
    size_t ocsp_len;
    unsigned kind; /* < TLS_KINDS */
    unsigned name_count;
    char **names; /* lower case, "*.shop.test" too */
};

struct tls_parsed *tls_parsed_new(const struct tls_pair *pair, struct error *err);
void tls_parsed_free(struct tls_parsed *parsed);
uint64_t tls_pair_digest(const struct tls_pair *pair);
/* Certificates of a PEM text; NULL with *err set. */
STACK_OF(X509) * tls_read_certificates(struct slice pem, unsigned most, struct error *err);
STACK_OF(X509_CRL) * tls_read_revocations(struct slice pem, struct error *err);
/* "<what>: <why OpenSSL says so>"; empties its queue. Returns false. */
bool tls_error(struct error *err, const char *what);
/* From now on this thread wipes what OpenSSL frees, or no more (tls_memory.c). */
void tls_wipe_freed(bool on);
/* Lower case; false when it is no name that a certificate could be for. */
bool tls_name_lower(const char *name, size_t len, char out[TLS_NAME_BYTES]);

/* A context for each set of pairs that some name needs. */
struct tls_choice {
    int pairs[TLS_KINDS]; /* index, -1: none */
    SSL_CTX *context;
};

struct tls_name {
    const char *name; /* of a pair */
    unsigned choice;
};

struct tls_server {
    unsigned references;
    struct tls_parsed **pairs;
    size_t pair_count;
    struct tls_choice *choices; /* the first is the default */
    size_t choice_count;
    struct tls_name *names; /* sorted */
    size_t name_count;
    const struct tls_tickets *tickets;
    uint64_t settings; /* digest of all but the pairs: equal ones may share contexts */
    unsigned char *alpn;
    unsigned alpn_len;
};

struct tls_client {
    unsigned references;
    SSL_CTX *context;
    bool verify;
    char name[TLS_NAME_BYTES]; /* empty: none */
    SSL_SESSION *sessions[TLS_CLIENT_PEERS];
};

/* Fills choices (without contexts) and names from the pairs; false when memory is out. */
bool tls_names_build(struct tls_server *server);
const struct tls_choice *tls_names_find(const struct tls_server *server, const char *name);

/* The filter of one socket. */
enum tls_state { TLS_HANDSHAKE, TLS_OPEN, TLS_ENDED, TLS_BROKEN };

struct tls {
    SSL *ssl; /* NULL: the handshake is done and `record` carries on */
    struct tls_record record;
    struct socket *socket;
    struct tls_client *client;  /* of a client: keeps the sessions */
    unsigned peer;              /* < TLS_CLIENT_PEERS: whose they are */
    struct tls_server *server;  /* of a server, until the handshake is done */
    struct slice in;            /* what came and OpenSSL has not read; only inside tls_receive */
    struct socket_block *plain; /* to be encrypted at the end of the turn */
    uint8_t state;              /* enum tls_state; ENDED: the peer has ended well */
    uint8_t failure;            /* enum tls_failure */
    bool resumed, end_sent;
    uint8_t alpn_len;
    char alpn[10];
};

struct tls *tls_of(const SSL *ssl);
struct tls *tls_attach(struct socket *socket, SSL_CTX *context);
/* Before a handshake that is to be taken over; and behind it. False: OpenSSL goes on carrying it,
 * as it does with TLS 1.2. */
void tls_watch_secrets(SSL *ssl);
bool tls_take_over(struct tls *tls);
void tls_drop_ssl(struct tls *tls);
/* The client speaks first. */
void tls_begin(struct tls *tls);

/* For socket.c. */

/* `data`: the socket's kept (decrypted) bytes, then what came. Returns the decrypted ones, kept
 * ones first, in the loop's second buffer. Tells the owner that the handshake is done or has
 * failed. */
struct slice tls_receive(struct socket *socket, struct slice data);
/* False when memory is out. */
bool tls_send(struct tls *tls, const struct slice *parts, size_t count);
/* Encrypts what waits for it; `finish`: and the end. */
bool tls_flush(struct tls *tls, bool finish);
size_t tls_waiting(const struct tls *tls); /* bytes to be encrypted */
void tls_drop_waiting(struct tls *tls);
/* The socket is about to be closed in order: says so to the peer if it still can. */
void tls_say_end(struct tls *tls);
void tls_free(struct tls *tls); /* NULL is fine */
