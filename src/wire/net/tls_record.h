/* The record layer of TLS 1.3 (RFC 8446 5, 4.6.3, 6 and 7) behind a handshake that somebody else
 * has made: from the application traffic secrets on, what kTLS does in the kernel. Bytes in, bytes
 * out, no I/O; the ciphers are OpenSSL's (EVP). It holds some 300 bytes, and a record that has come
 * in part.
 *
 * We are the server. Of handshake messages only KeyUpdate is taken: nothing else may come from a
 * client that was not asked for a certificate again (RFC 8446 4.6). Every error is final and closes
 * the connection; a record whose tag is wrong is the same error whatever else is wrong with it.
 *
 * The cipher contexts are shared by all connections of the process (one thread) and keyed when
 * another key's turn comes: a new key costs 0.14 us, a pair of contexts for each 2.3 KB. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define TLS_RECORD_HEAD_BYTES 5
#define TLS_RECORD_TAIL_BYTES 17                       /* content type, tag; we do not pad */
#define TLS_RECORD_TEXT_BYTES_MAX 16384                /* 2^14 (RFC 8446 5.1) */
#define TLS_RECORD_BODY_BYTES_MAX (16384 + 256)        /* encrypted (5.2) */
#define TLS_RECORD_OPEN_ROOM TLS_RECORD_BODY_BYTES_MAX /* that tls_record_open may write over */
#define TLS_RECORD_UPDATE_BYTES (TLS_RECORD_HEAD_BYTES + 5 + TLS_RECORD_TAIL_BYTES)
#define TLS_RECORDS_PER_KEY (1u << 23) /* sent; AES-GCM allows 2^24.5 full ones (5.5) */
#define TLS_RECORDS_IDLE_MAX 32 /* in a row without a byte for the owner; BoringSSL's number */

enum tls_content { TLS_CONTENT_ALERT = 21, TLS_CONTENT_HANDSHAKE = 22, TLS_CONTENT_DATA = 23 };

/* RFC 8446 6. */
enum tls_alert {
    TLS_ALERT_CLOSE_NOTIFY = 0,
    TLS_ALERT_UNEXPECTED_MESSAGE = 10,
    TLS_ALERT_BAD_RECORD_MAC = 20,
    TLS_ALERT_RECORD_OVERFLOW = 22,
    TLS_ALERT_ILLEGAL_PARAMETER = 47,
    TLS_ALERT_DECODE_ERROR = 50,
    TLS_ALERT_INTERNAL_ERROR = 80,
    TLS_ALERT_USER_CANCELED = 90,
};

struct tls_suite;

/* By its number (0x1301 …); NULL: not one of TLS_SUITES, or EVP does not have it. */
const struct tls_suite *tls_suite_find(uint16_t number);

/* One direction. */
struct tls_flow {
    uint64_t sequence; /* of the next record */
    uint64_t key_id;   /* each key's own, never used again */
    uint8_t secret[48], key[32], iv[12];
    uint8_t secret_len;
};

struct tls_record {
    const struct tls_suite *suite;
    struct tls_flow in, out;
    char *part; /* of a record that has not come whole; malloc */
    uint32_t part_len, part_bytes;
    uint8_t message[5], message_len; /* of a KeyUpdate, as far as it has come */
    uint8_t idle;                    /* < TLS_RECORDS_IDLE_MAX */
    uint8_t alert;                   /* after TLS_OPEN_BAD: to be sent */
    bool update_owed;                /* the peer has asked for our new key */
};

/* Begins with `secret` and `secret_len` of both flows, and the sequence numbers that the handshake
 * has come to. False when the secrets are not of the suite, or EVP fails; then only _fini. */
bool tls_record_begin(struct tls_record *record, const struct tls_suite *suite);
/* Wipes it; also what was never begun. */
void tls_record_fini(struct tls_record *record);

enum tls_open {
    TLS_OPEN_DONE,    /* one record was taken; there may be a further one */
    TLS_OPEN_MORE,    /* the rest of a record is awaited; what came of it is held */
    TLS_OPEN_ENDED,   /* close_notify: what follows is not to be read */
    TLS_OPEN_ALERTED, /* the peer has given up */
    TLS_OPEN_BAD,     /* we give up; `alert` says why */
};

/* Takes a record off the front of `in` and adds its application data, maybe none, to
 * out[*len]; behind them TLS_RECORD_OPEN_ROOM bytes are the function's, whatever it returns. */
enum tls_open tls_record_open(struct tls_record *record, struct slice *in, char *out, size_t *len);

/* Makes a record of len <= TLS_RECORD_TEXT_BYTES_MAX bytes in out[TLS_RECORD_HEAD_BYTES + len +
 * TLS_RECORD_TAIL_BYTES]; `data` lies elsewhere, or at out + TLS_RECORD_HEAD_BYTES. False: no
 * sequence number is left, or EVP fails; nothing may be sent any more. */
bool tls_record_seal(struct tls_record *record, enum tls_content type, const char *data, size_t len,
                     char *out);
/* Whether a KeyUpdate has to go before further application data; makes it. */
bool tls_record_update_due(const struct tls_record *record);
bool tls_record_seal_update(struct tls_record *record, char out[TLS_RECORD_UPDATE_BYTES]);
