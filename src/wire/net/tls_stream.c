/* The filter below a socket: what the loop received is decrypted before on_data sees it, what is
 * sent is encrypted into the socket's pending blocks. No bytes are held while nothing happens:
 * OpenSSL gives its record buffers back, and ours are the loop's. With TLS 1.3 a server's OPEN and
 * what follows it are ours (tls_record.h): then OpenSSL's objects are gone.
 *
 *   HANDSHAKE ──▶ OPEN ──▶ ENDED (close_notify came; we may still send)
 *        └──────────┴────▶ BROKEN (nothing more in either direction)
 *
 * What waits to be encrypted is at most one record; it is sealed when it is full or when the turn
 * ends, so that a head and its body share a record, as they share a write. */
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "wire/net/tls_internal.h"

#define UNASKED_PENDING_BYTES_MAX 65536 /* answers to a peer that only makes us answer */

/* What a block holds of a record: OpenSSL's plaintext, or a whole record of ours. */
#define OPENSSL_TEXT_BYTES 16384
#define OWN_TEXT_BYTES (LOOP_BLOCK_BYTES - TLS_RECORD_HEAD_BYTES - TLS_RECORD_TAIL_BYTES)
_Static_assert(LOOP_BLOCK_BYTES >= OPENSSL_TEXT_BYTES &&
                   LOOP_BLOCK_BYTES <= TLS_RECORD_TEXT_BYTES_MAX,
               "a block is a record");
_Static_assert(TLS_PLAIN_BYTES >= LOOP_RECEIVE_BYTES + TLS_RECORD_OPEN_ROOM, "a record's room");

/* ---- what OpenSSL reads and writes ---- */

static int bio_read(BIO *bio, char *out, int size) {
    struct tls *tls = BIO_get_data(bio);
    size_t taken = tls->in.len < (size_t)size ? tls->in.len : (size_t)size;
    BIO_clear_retry_flags(bio);
    if (taken == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, tls->in.data, taken);
    tls->in = slice_skip(tls->in, taken);
    return (int)taken;
}

static int bio_write(BIO *bio, const char *data, int size) {
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    return loop_socket_append(tls->socket, slice_of(data, (size_t)size)) ? size : -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static int bio_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

static const BIO_METHOD *bio_method(void) {
    static BIO_METHOD *method;
    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket blocks");
        if (method != NULL) {
            BIO_meth_set_read(method, bio_read);
            BIO_meth_set_write(method, bio_write);
            BIO_meth_set_ctrl(method, bio_control);
            BIO_meth_set_create(method, bio_create);
        }
    }
    return method;
}

struct tls *tls_of(const SSL *ssl) {
    return SSL_get_app_data(ssl);
}

/* ---- begin and end ---- */

struct tls *tls_attach(struct socket *socket, SSL_CTX *context) {
    struct loop *loop = socket->loop;
    if (loop->plain == NULL) {
        loop->plain = malloc(TLS_PLAIN_BYTES);
    }
    struct tls *tls = loop->plain == NULL ? NULL : calloc(1, sizeof *tls);
    BIO *bio = tls == NULL || bio_method() == NULL ? NULL : BIO_new(bio_method());
    SSL *ssl = bio == NULL ? NULL : SSL_new(context);
    if (ssl == NULL) {
        BIO_free(bio);
        free(tls);
        ERR_clear_error();
        return NULL;
    }
    BIO_set_data(bio, tls);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, tls);
    tls->ssl = ssl;
    tls->socket = socket;
    return tls;
}

bool socket_start_tls(struct socket *socket, struct tls_server *server) {
    assert(socket->tls == NULL);
    struct tls *tls = tls_attach(socket, server->choices[0].context);
    if (tls == NULL) {
        return false;
    }
    SSL_set_accept_state(tls->ssl);
    tls_watch_secrets(tls->ssl);
    tls->server = tls_server_hold(server);
    socket->tls = tls;
    return true;
}

void tls_drop_waiting(struct tls *tls) {
    if (tls->plain != NULL) {
        loop_block_return(tls->socket->loop, tls->plain);
        tls->plain = NULL;
    }
}

/* Said its end or not: a session must not be thought broken because we were in a hurry. */
void tls_drop_ssl(struct tls *tls) {
    if (tls->ssl != NULL) {
        SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN);
        SSL_free(tls->ssl);
        tls->ssl = NULL;
    }
}

void tls_free(struct tls *tls) {
    if (tls == NULL) {
        return;
    }
    tls_drop_waiting(tls);
    tls_drop_ssl(tls);
    tls_record_fini(&tls->record);
    tls_server_free(tls->server);
    tls_client_free(tls->client);
    free(tls);
}

bool socket_tls_resumed(const struct socket *socket) {
    return socket->tls != NULL && socket->tls->resumed;
}

bool socket_is_securing(const struct socket *socket) {
    return socket->tls != NULL && socket->tls->state == TLS_HANDSHAKE;
}

struct slice socket_protocol(const struct socket *socket) {
    return socket->tls == NULL ? (struct slice){ "", 0 }
                               : slice_of(socket->tls->alpn, socket->tls->alpn_len);
}

enum tls_failure socket_tls_failure(const struct socket *socket) {
    return socket->tls == NULL ? TLS_FAILURE_NONE : (enum tls_failure)socket->tls->failure;
}

/* ---- failing ---- */

static enum tls_failure failure_of(unsigned long code) {
    switch (ERR_GET_REASON(code)) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_BAD_PACKET_LENGTH:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_LENGTH_MISMATCH:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_BAD_RECORD_TYPE:
        return TLS_FAILURE_NOT_TLS;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_UNKNOWN_PROTOCOL:
        return TLS_FAILURE_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_GROUPS:
        return TLS_FAILURE_CIPHER;
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return TLS_FAILURE_PROTOCOL;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return TLS_FAILURE_CERTIFICATE_MISSING;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return TLS_FAILURE_CERTIFICATE_REFUSED;
    default:
        return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET
                   ? TLS_FAILURE_REFUSED_BY_PEER
                   : TLS_FAILURE_OTHER;
    }
}

/* The alert that says why goes out at once: the owner is about to close. */
static void broken_by(struct tls *tls, enum tls_failure failure) {
    struct socket *socket = tls->socket;
    tls->failure = (uint8_t)failure;
    tls->state = TLS_BROKEN;
    tls->in = (struct slice){ "", 0 };
    loop_socket_push(socket);
    loop_socket_failed(socket, EPROTO);
}

static void broken(struct tls *tls) {
    enum tls_failure failure = failure_of(ERR_peek_error());
    ERR_clear_error();
    broken_by(tls, failure);
}

/* Of our own records: into the pending blocks. */
static bool send_alert(struct tls *tls, enum tls_alert alert) {
    const char text[] = { alert == TLS_ALERT_CLOSE_NOTIFY ? 1 : 2, (char)alert };
    char record[TLS_RECORD_HEAD_BYTES + sizeof text + TLS_RECORD_TAIL_BYTES];
    return tls_record_seal(&tls->record, TLS_CONTENT_ALERT, text, sizeof text, record) &&
           loop_socket_append(tls->socket, slice_of(record, sizeof record));
}

/* ---- receiving ---- */

static void handshake_done(struct tls *tls) {
    struct socket *socket = tls->socket;
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    SSL_get0_alpn_selected(tls->ssl, &alpn, &alpn_len);
    if (alpn_len > 0 && alpn_len <= sizeof tls->alpn) {
        memcpy(tls->alpn, alpn, alpn_len);
        tls->alpn_len = (uint8_t)alpn_len;
    }
    tls->resumed = SSL_session_reused(tls->ssl) == 1;
    tls->state = TLS_OPEN;
    (void)tls_take_over(tls);
    tls_server_free(tls->server);
    tls->server = NULL;
    loop_socket_secured(socket);
}

static void shake_hands(struct tls *tls) {
    ERR_clear_error();
    int done = SSL_do_handshake(tls->ssl);
    if (done == 1) {
        handshake_done(tls);
    } else if (SSL_get_error(tls->ssl, done) != SSL_ERROR_WANT_READ) {
        broken(tls);
    }
}

static size_t open_records(struct tls *tls, char *plain, size_t len) {
    for (;;) {
        assert(len + TLS_RECORD_OPEN_ROOM <= TLS_PLAIN_BYTES);
        switch (tls_record_open(&tls->record, &tls->in, plain, &len)) {
        case TLS_OPEN_DONE:
            continue;
        case TLS_OPEN_MORE:
            break;
        case TLS_OPEN_ENDED:
            tls->state = TLS_ENDED;
            break;
        case TLS_OPEN_ALERTED:
            broken_by(tls, TLS_FAILURE_REFUSED_BY_PEER);
            break;
        case TLS_OPEN_BAD:
            (void)send_alert(tls, tls->record.alert);
            broken_by(tls, TLS_FAILURE_OTHER);
            break;
        }
        return len;
    }
}

/* Appends to what is at plain[0, len); returns the new length. */
static size_t decrypt(struct tls *tls, char *plain, size_t len) {
    if (tls->state == TLS_OPEN && tls->ssl == NULL) {
        return open_records(tls, plain, len);
    }
    while (tls->state == TLS_OPEN) {
        ERR_clear_error();
        assert(len < TLS_PLAIN_BYTES);
        int n = SSL_read(tls->ssl, plain + len, (int)(TLS_PLAIN_BYTES - len));
        if (n > 0) {
            len += (size_t)n;
            continue;
        }
        int why = SSL_get_error(tls->ssl, n);
        if (why == SSL_ERROR_ZERO_RETURN) {
            tls->state = TLS_ENDED;
        } else if (why != SSL_ERROR_WANT_READ) {
            broken(tls);
        }
        break;
    }
    return len;
}

void tls_begin(struct tls *tls) {
    shake_hands(tls);
}

struct slice tls_receive(struct socket *socket, struct slice data) {
    struct tls *tls = socket->tls;
    char *plain = socket->loop->plain;
    size_t len = socket->kept_len;
    tls->in = slice_skip(data, len);
    if (tls->state == TLS_HANDSHAKE) {
        shake_hands(tls);
    }
    if (len > 0) {
        memcpy(plain, data.data, len);
    }
    if (!socket->closing && !socket->failed) {
        size_t before = len, pending_before = socket->pending_bytes;
        len = decrypt(tls, plain, len);
        bool answered = socket->pending_bytes > pending_before; /* to no data: to key updates */
        if (len == before && answered && socket->pending_bytes > UNASKED_PENDING_BYTES_MAX &&
            tls->state == TLS_OPEN) {
            broken(tls);
        }
    }
    tls->in = (struct slice){ "", 0 };
    return slice_of(plain, len);
}

/* ---- sending ---- */

static bool seal_failed(struct tls *tls) {
    ERR_clear_error();
    tls->state = TLS_BROKEN;
    return false;
}

static bool seal_openssl(struct tls *tls, const char *data, size_t len) {
    ERR_clear_error();
    return SSL_write(tls->ssl, data, (int)len) == (int)len || seal_failed(tls);
}

static bool update_keys(struct tls *tls) {
    char record[TLS_RECORD_UPDATE_BYTES];
    return tls_record_seal_update(&tls->record, record) &&
           loop_socket_append(tls->socket, slice_of(record, sizeof record));
}

/* Makes a record of `data` in the block, where `data` may lie already, and hands the block on. */
static bool seal_own(struct tls *tls, struct socket_block *block, const char *data, size_t len) {
    if ((tls_record_update_due(&tls->record) && !update_keys(tls)) ||
        !tls_record_seal(&tls->record, TLS_CONTENT_DATA, data, len, block->data)) {
        loop_block_return(tls->socket->loop, block);
        return seal_failed(tls);
    }
    block->start = 0;
    block->end = (uint32_t)(TLS_RECORD_HEAD_BYTES + len + TLS_RECORD_TAIL_BYTES);
    loop_socket_append_block(tls->socket, block);
    return true;
}

static size_t text_bytes(const struct tls *tls) {
    return tls->ssl == NULL ? OWN_TEXT_BYTES : OPENSSL_TEXT_BYTES;
}

/* One record's text that lies elsewhere. */
static bool seal(struct tls *tls, const char *data, size_t len) {
    if (tls->state == TLS_BROKEN) {
        return true;
    }
    if (tls->ssl != NULL) {
        return seal_openssl(tls, data, len);
    }
    struct socket_block *block = loop_block_take(tls->socket->loop);
    return block == NULL ? seal_failed(tls) : seal_own(tls, block, data, len);
}

static bool seal_block(struct tls *tls) {
    struct socket_block *block = tls->plain;
    tls->plain = NULL;
    if (block == NULL) {
        return true;
    }
    const char *text = block->data + block->start;
    size_t len = block->end - block->start;
    if (tls->ssl == NULL && tls->state != TLS_BROKEN) {
        return seal_own(tls, block, text, len);
    }
    bool good = seal(tls, text, len);
    loop_block_return(tls->socket->loop, block);
    return good;
}

static struct socket_block *plain_block(struct tls *tls) {
    if (tls->plain == NULL && (tls->plain = loop_block_take(tls->socket->loop)) != NULL) {
        tls->plain->start = tls->plain->end = tls->ssl == NULL ? TLS_RECORD_HEAD_BYTES : 0;
    }
    return tls->plain;
}

static bool send_part(struct tls *tls, struct slice part) {
    const size_t most = text_bytes(tls);
    while (part.len > 0) {
        if (tls->plain == NULL && part.len >= most) {
            if (!seal(tls, part.data, most)) {
                return false;
            }
            part = slice_skip(part, most);
            continue;
        }
        struct socket_block *block = plain_block(tls);
        if (block == NULL) {
            return false;
        }
        size_t room = most - (block->end - block->start);
        size_t taken = part.len < room ? part.len : room;
        memcpy(block->data + block->end, part.data, taken);
        block->end += (uint32_t)taken;
        part = slice_skip(part, taken);
        if (taken == room && !seal_block(tls)) {
            return false;
        }
    }
    return true;
}

bool tls_send(struct tls *tls, const struct slice *parts, size_t count) {
    assert(tls->state != TLS_HANDSHAKE);
    for (size_t i = 0; i < count; i++) {
        if (!send_part(tls, parts[i])) {
            return false;
        }
    }
    return true;
}

size_t tls_waiting(const struct tls *tls) {
    return tls->plain == NULL ? 0 : tls->plain->end - tls->plain->start;
}

bool tls_flush(struct tls *tls, bool finish) {
    if (!seal_block(tls)) {
        return false;
    }
    if (finish && !tls->end_sent) {
        tls->end_sent = true;
        if (tls->state != TLS_OPEN && tls->state != TLS_ENDED) {
            return true;
        }
        if (tls->ssl == NULL) {
            return send_alert(tls, TLS_ALERT_CLOSE_NOTIFY) || seal_failed(tls);
        }
        ERR_clear_error();
        SSL_shutdown(tls->ssl);
        ERR_clear_error();
    }
    return true;
}

void tls_say_end(struct tls *tls) {
    struct socket *socket = tls->socket;
    bool whole = socket->pending_bytes == 0 && tls->plain == NULL && socket->writable;
    if (whole && !socket->failed && !socket->connecting && tls_flush(tls, true)) {
        loop_socket_push(socket);
    }
}
