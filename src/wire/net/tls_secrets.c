/* Takes a connection over from OpenSSL when its handshake is done (TLS 1.3, our side the server):
 * the traffic secrets come from the key log callback, the only way by which OpenSSL 3.0 tells them.
 * Nothing is logged: the line that it makes is read into struct tls_record, and wiped by OpenSSL.
 * The callback is set only while it is to come, because each line costs 2 us. */
#include <string.h>

#include "base/parse.h"
#include "wire/net/tls_internal.h"

#define CLIENT_RANDOM_DIGITS 64

/* "<label> <client random> <secret>", in hexadecimal digits (SSL_CTX_set_keylog_callback(3)). */
static bool read_secret(struct slice line, struct slice label, struct tls_flow *flow) {
    uint64_t byte;
    if (!slice_starts_with(line, label) || line.len < label.len + CLIENT_RANDOM_DIGITS + 1) {
        return false;
    }
    struct slice digits = slice_skip(line, label.len + CLIENT_RANDOM_DIGITS + 1);
    if (digits.len % 2 != 0 || digits.len / 2 > sizeof flow->secret) {
        return false;
    }
    for (size_t i = 0; i < digits.len / 2; i++) {
        if (!parse_hex(slice_sub(digits, 2 * i, 2), &byte)) {
            return false;
        }
        flow->secret[i] = (uint8_t)byte;
    }
    flow->secret_len = (uint8_t)(digits.len / 2);
    flow->sequence = 0;
    return true;
}

static void on_secret(const SSL *ssl, const char *text) {
    struct tls_record *record = &tls_of(ssl)->record;
    struct slice line = slice_from(text);
    if (read_secret(line, SLICE("SERVER_TRAFFIC_SECRET_0 "), &record->out) ||
        read_secret(line, SLICE("CLIENT_TRAFFIC_SECRET_0 "), &record->in)) {
        SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(ssl), NULL);
    }
}

/* Each side's secret comes behind its Finished; the records that follow are counted. */
static void on_message(int writing, int version, int type, const void *bytes, size_t len, SSL *ssl,
                       void *self) {
    struct tls_record *record = &tls_of(ssl)->record;
    (void)version, (void)self;
    if (type == SSL3_RT_HEADER) {
        (writing ? &record->out : &record->in)->sequence++;
    } else if (type == SSL3_RT_HANDSHAKE && len > 0 &&
               *(const unsigned char *)bytes == SSL3_MT_FINISHED &&
               SSL_version(ssl) == TLS1_3_VERSION) {
        SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(ssl), on_secret);
    }
}

void tls_watch_secrets(SSL *ssl) {
    SSL_set_msg_callback(ssl, on_message);
}

bool tls_take_over(struct tls *tls) {
    struct tls_record *record = &tls->record;
    const struct tls_suite *suite = NULL;
    /* The client's Finished was the last that OpenSSL has read, or it holds what is ours. */
    if (tls->client == NULL && SSL_version(tls->ssl) == TLS1_3_VERSION &&
        record->in.sequence == 0 && !SSL_has_pending(tls->ssl)) {
        suite = tls_suite_find(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(tls->ssl)));
    }
    if (suite == NULL || !tls_record_begin(record, suite)) {
        tls_record_fini(record);
        SSL_set_msg_callback(tls->ssl, NULL);
        return false;
    }
    tls_drop_ssl(tls);
    return true;
}
