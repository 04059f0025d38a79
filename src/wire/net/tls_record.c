#include "wire/net/tls_record.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#define TAG_BYTES 16
#define IV_BYTES 12
#define ALERT_BYTES 2
#define MESSAGE_KEY_UPDATE 24

/* ---- suites ---- */

struct tls_suite {
    uint16_t number;
    uint8_t key_bytes, secret_bytes;
    const char *cipher, *digest;
};

static const struct tls_suite suites[] = {
    { 0x1301, 16, 32, "AES-128-GCM", "SHA256" },
    { 0x1302, 32, 48, "AES-256-GCM", "SHA384" },
    { 0x1303, 32, 32, "ChaCha20-Poly1305", "SHA256" },
};
#define SUITES (sizeof suites / sizeof suites[0])

/* What EVP makes of a suite, once a process. A context holds the key of the last who used it. */
static struct engine {
    EVP_CIPHER_CTX *contexts[2]; /* open, seal */
    uint64_t key_ids[2];         /* 0: nobody's */
    EVP_MAC_CTX *mac;
} engines[SUITES];

static struct engine *engine_of(const struct tls_suite *suite) {
    return &engines[suite - suites];
}

static EVP_CIPHER_CTX *make_cipher(const struct tls_suite *suite, bool sealing) {
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, suite->cipher, NULL);
    EVP_CIPHER_CTX *context = cipher == NULL ? NULL : EVP_CIPHER_CTX_new();
    if (context != NULL && EVP_CipherInit_ex(context, cipher, NULL, NULL, NULL, sealing) != 1) {
        EVP_CIPHER_CTX_free(context);
        context = NULL;
    }
    EVP_CIPHER_free(cipher); /* the context holds it */
    return context;
}

static EVP_MAC_CTX *make_mac(const struct tls_suite *suite) {
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)suite->digest,
                                         0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    if (context != NULL && EVP_MAC_CTX_set_params(context, params) != 1) {
        EVP_MAC_CTX_free(context);
        context = NULL;
    }
    EVP_MAC_free(mac);
    return context;
}

static bool make_engine(const struct tls_suite *suite) {
    struct engine made = { { make_cipher(suite, false), make_cipher(suite, true) },
                           { 0, 0 },
                           make_mac(suite) };
    if (made.contexts[0] == NULL || made.contexts[1] == NULL || made.mac == NULL) {
        EVP_CIPHER_CTX_free(made.contexts[0]);
        EVP_CIPHER_CTX_free(made.contexts[1]);
        EVP_MAC_CTX_free(made.mac);
        ERR_clear_error();
        return false;
    }
    *engine_of(suite) = made;
    return true;
}

const struct tls_suite *tls_suite_find(uint16_t number) {
    for (const struct tls_suite *s = suites; s < suites + SUITES; s++) {
        if (s->number == number) {
            return engine_of(s)->mac != NULL || make_engine(s) ? s : NULL;
        }
    }
    return NULL;
}

/* ---- keys ---- */

/* HKDF-Expand-Label (RFC 8446 7.1) without a context; `len` is at most one round of HKDF, so it is
 * one HMAC (RFC 5869 2.3). */
static bool expand(const struct tls_suite *suite, const uint8_t *secret, const char *label,
                   uint8_t *out, size_t len) {
    EVP_MAC_CTX *mac = engine_of(suite)->mac;
    uint8_t info[32], full[EVP_MAX_MD_SIZE];
    size_t label_len = strlen(label), at = 0, full_len = 0;
    assert(len <= suite->secret_bytes && label_len < 16);
    info[at++] = 0;
    info[at++] = (uint8_t)len;
    info[at++] = (uint8_t)(6 + label_len);
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, label_len);
    at += 6 + label_len;
    info[at++] = 0; /* no context */
    info[at++] = 1; /* of HKDF's rounds the first */
    bool good = EVP_MAC_init(mac, secret, suite->secret_bytes, NULL) == 1 &&
                EVP_MAC_update(mac, info, at) == 1 &&
                EVP_MAC_final(mac, full, &full_len, sizeof full) == 1 &&
                full_len == suite->secret_bytes;
    if (good) {
        memcpy(out, full, len);
    }
    OPENSSL_cleanse(full, sizeof full);
    return good;
}

static bool derive_keys(const struct tls_suite *suite, struct tls_flow *flow) {
    static const uint8_t nobody[EVP_MAX_MD_SIZE];
    static uint64_t last_id;
    flow->key_id = ++last_id;
    bool good = expand(suite, flow->secret, "key", flow->key, suite->key_bytes) &&
                expand(suite, flow->secret, "iv", flow->iv, IV_BYTES);
    /* The shared context forgets the secret. */
    return EVP_MAC_init(engine_of(suite)->mac, nobody, suite->secret_bytes, NULL) == 1 && good;
}

/* RFC 8446 7.2. */
static bool next_keys(const struct tls_suite *suite, struct tls_flow *flow) {
    uint8_t next[sizeof flow->secret];
    bool good = expand(suite, flow->secret, "traffic upd", next, suite->secret_bytes);
    if (good) {
        memcpy(flow->secret, next, suite->secret_bytes);
        flow->sequence = 0;
        good = derive_keys(suite, flow);
    }
    OPENSSL_cleanse(next, sizeof next);
    return good;
}

bool tls_record_begin(struct tls_record *r, const struct tls_suite *suite) {
    r->suite = suite;
    return r->in.secret_len == suite->secret_bytes && r->out.secret_len == suite->secret_bytes &&
           derive_keys(suite, &r->in) && derive_keys(suite, &r->out);
}

static void forget_key(const struct tls_suite *suite, const struct tls_flow *flow, bool sealing) {
    static const uint8_t nobody[32 + IV_BYTES];
    struct engine *e = engine_of(suite);
    if (flow->key_id != 0 && e->key_ids[sealing] == flow->key_id) {
        e->key_ids[sealing] = 0;
        EVP_CipherInit_ex(e->contexts[sealing], NULL, NULL, nobody, nobody, sealing);
    }
}

static void drop_part(struct tls_record *r) {
    free(r->part);
    r->part = NULL;
    r->part_len = r->part_bytes = 0;
}

void tls_record_fini(struct tls_record *r) {
    if (r->suite != NULL) {
        forget_key(r->suite, &r->in, false);
        forget_key(r->suite, &r->out, true);
    }
    drop_part(r);
    OPENSSL_cleanse(r, sizeof *r);
}

/* ---- one record through the cipher ---- */

/* The shared context with the flow's key and the nonce of its next record (RFC 8446 5.3). NULL: no
 * sequence number is left, or EVP fails. */
static EVP_CIPHER_CTX *cipher_for(const struct tls_suite *suite, const struct tls_flow *flow,
                                  bool sealing) {
    struct engine *e = engine_of(suite);
    uint8_t nonce[IV_BYTES];
    if (flow->sequence == UINT64_MAX) {
        return NULL;
    }
    memcpy(nonce, flow->iv, IV_BYTES);
    for (unsigned i = 0; i < 8; i++) {
        nonce[IV_BYTES - 1 - i] ^= (uint8_t)(flow->sequence >> (8 * i));
    }
    const uint8_t *key = e->key_ids[sealing] == flow->key_id ? NULL : flow->key;
    e->key_ids[sealing] = 0;
    if (EVP_CipherInit_ex(e->contexts[sealing], NULL, NULL, key, nonce, sealing) != 1) {
        return NULL;
    }
    e->key_ids[sealing] = flow->key_id;
    return e->contexts[sealing];
}

static const unsigned char *bytes_of(const char *text) {
    return (const unsigned char *)text;
}

/* Decrypts a whole record; its length is at least a tag's. */
static bool open_body(struct tls_record *r, struct slice whole, char *out, size_t *len) {
    EVP_CIPHER_CTX *c = cipher_for(r->suite, &r->in, false);
    size_t body = whole.len - TLS_RECORD_HEAD_BYTES - TAG_BYTES;
    const char *text = whole.data + TLS_RECORD_HEAD_BYTES;
    unsigned char *plain = (unsigned char *)out;
    int n = 0, m = 0;
    bool good = c != NULL &&
                EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES,
                                    (void *)(uintptr_t)(text + body)) == 1 &&
                EVP_DecryptUpdate(c, NULL, &n, bytes_of(whole.data), TLS_RECORD_HEAD_BYTES) == 1 &&
                EVP_DecryptUpdate(c, plain, &n, bytes_of(text), (int)body) == 1 &&
                EVP_DecryptFinal_ex(c, plain + n, &m) == 1 && (size_t)n + (size_t)m == body;
    if (!good) {
        ERR_clear_error();
        return false;
    }
    r->in.sequence++;
    *len = body;
    return true;
}

bool tls_record_seal(struct tls_record *r, enum tls_content type, const char *data, size_t len,
                     char *out) {
    EVP_CIPHER_CTX *c = cipher_for(r->suite, &r->out, true);
    unsigned char *head = (unsigned char *)out, *body = head + TLS_RECORD_HEAD_BYTES;
    unsigned char inner = (unsigned char)type;
    size_t body_len = len + TLS_RECORD_TAIL_BYTES;
    int n = 0, m = 0, k = 0;
    assert(len <= TLS_RECORD_TEXT_BYTES_MAX);
    head[0] = TLS_CONTENT_DATA;
    head[1] = head[2] = 3;
    head[3] = (unsigned char)(body_len >> 8);
    head[4] = (unsigned char)body_len;
    bool good = c != NULL && EVP_EncryptUpdate(c, NULL, &n, head, TLS_RECORD_HEAD_BYTES) == 1;
    n = 0;
    good = good && (len == 0 || EVP_EncryptUpdate(c, body, &n, bytes_of(data), (int)len) == 1) &&
           EVP_EncryptUpdate(c, body + n, &m, &inner, 1) == 1 &&
           EVP_EncryptFinal_ex(c, body + n + m, &k) == 1 &&
           (size_t)n + (size_t)m + (size_t)k == len + 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, body + len + 1) == 1;
    if (!good) {
        ERR_clear_error();
        return false;
    }
    r->out.sequence++;
    return true;
}

bool tls_record_update_due(const struct tls_record *r) {
    return r->update_owed || r->out.sequence >= TLS_RECORDS_PER_KEY;
}

bool tls_record_seal_update(struct tls_record *r, char out[TLS_RECORD_UPDATE_BYTES]) {
    static const char message[5] = { MESSAGE_KEY_UPDATE, 0, 0, 1, 0 }; /* update_not_requested */
    r->update_owed = false;
    return tls_record_seal(r, TLS_CONTENT_HANDSHAKE, message, sizeof message, out) &&
           next_keys(r->suite, &r->out);
}

/* ---- what comes ---- */

static enum tls_open bad(struct tls_record *r, enum tls_alert alert) {
    r->alert = (uint8_t)alert;
    return TLS_OPEN_BAD;
}

static size_t body_bytes(const char *head) {
    return (size_t)(uint8_t)head[3] << 8 | (uint8_t)head[4];
}

/* How much of a record has to be there to go on, of which these bytes have come; 0: there is an
 * error in its head. The version is not looked at (RFC 8446 5.1), but the tag covers it. */
static size_t record_bytes(struct tls_record *r, struct slice come) {
    if (come.len > 0 && come.data[0] != TLS_CONTENT_DATA) {
        bad(r, TLS_ALERT_UNEXPECTED_MESSAGE);
        return 0;
    }
    if (come.len < TLS_RECORD_HEAD_BYTES) {
        return TLS_RECORD_HEAD_BYTES;
    }
    size_t body = body_bytes(come.data);
    if (body > TLS_RECORD_BODY_BYTES_MAX || body < TAG_BYTES) {
        bad(r, body < TAG_BYTES ? TLS_ALERT_BAD_RECORD_MAC : TLS_ALERT_RECORD_OVERFLOW);
        return 0;
    }
    return TLS_RECORD_HEAD_BYTES + body;
}

static bool room_for_part(struct tls_record *r, size_t bytes) {
    if (bytes > r->part_bytes) {
        char *larger = realloc(r->part, bytes);
        if (larger == NULL) {
            return false;
        }
        r->part = larger;
        r->part_bytes = (uint32_t)bytes;
    }
    return true;
}

/* The next record, whole: where it lies in `in`, or put together in `part`. */
static enum tls_open whole_record(struct tls_record *r, struct slice *in, struct slice *whole) {
    size_t bytes = r->part_len > 0 ? 0 : record_bytes(r, *in);
    if (r->part_len == 0 && bytes == 0) {
        return TLS_OPEN_BAD;
    }
    if (r->part_len == 0 && in->len >= bytes) {
        *whole = slice_sub(*in, 0, bytes);
        *in = slice_skip(*in, bytes);
        return TLS_OPEN_DONE;
    }
    while ((bytes = record_bytes(r, slice_of(r->part, r->part_len))) > r->part_len) {
        size_t taken = bytes - r->part_len < in->len ? bytes - r->part_len : in->len;
        if (taken == 0) {
            return TLS_OPEN_MORE;
        }
        if (!room_for_part(r, bytes)) {
            return bad(r, TLS_ALERT_INTERNAL_ERROR);
        }
        memcpy(r->part + r->part_len, in->data, taken);
        r->part_len += (uint32_t)taken;
        *in = slice_skip(*in, taken);
    }
    *whole = slice_of(r->part, r->part_len);
    return bytes == 0 ? TLS_OPEN_BAD : TLS_OPEN_DONE;
}

/* RFC 8446 4.6.3: new keys begin with a new record. */
static enum tls_open take_handshake(struct tls_record *r, struct slice text) {
    if (text.len == 0 || text.len > sizeof r->message - r->message_len ||
        (r->message_len == 0 && text.data[0] != MESSAGE_KEY_UPDATE)) {
        return bad(r, TLS_ALERT_UNEXPECTED_MESSAGE);
    }
    memcpy(r->message + r->message_len, text.data, text.len);
    r->message_len += (uint8_t)text.len;
    static const uint8_t one_byte[3] = { 0, 0, 1 };
    if (r->message_len >= 4 && memcmp(r->message + 1, one_byte, sizeof one_byte) != 0) {
        return bad(r, TLS_ALERT_DECODE_ERROR);
    }
    if (r->message_len < sizeof r->message) {
        return TLS_OPEN_DONE;
    }
    if (r->message[4] > 1) {
        return bad(r, TLS_ALERT_ILLEGAL_PARAMETER);
    }
    r->message_len = 0;
    r->update_owed |= r->message[4] == 1;
    return next_keys(r->suite, &r->in) ? TLS_OPEN_DONE : bad(r, TLS_ALERT_INTERNAL_ERROR);
}

/* The level says nothing any more (RFC 8446 6). */
static enum tls_open take_alert(struct tls_record *r, struct slice text) {
    if (text.len != ALERT_BYTES) {
        return bad(r, TLS_ALERT_DECODE_ERROR);
    }
    switch ((uint8_t)text.data[1]) {
    case TLS_ALERT_CLOSE_NOTIFY:
        return TLS_OPEN_ENDED;
    case TLS_ALERT_USER_CANCELED:
        return TLS_OPEN_DONE; /* close_notify is to follow */
    default:
        return TLS_OPEN_ALERTED;
    }
}

static enum tls_open take(struct tls_record *r, uint8_t type, struct slice text) {
    if (type == TLS_CONTENT_DATA && text.len > 0) {
        r->idle = 0;
    } else if (++r->idle == TLS_RECORDS_IDLE_MAX) {
        return bad(r, TLS_ALERT_UNEXPECTED_MESSAGE);
    }
    if (type != TLS_CONTENT_HANDSHAKE && r->message_len > 0) {
        return bad(r, TLS_ALERT_UNEXPECTED_MESSAGE); /* within a message (RFC 8446 5.1) */
    }
    switch (type) {
    case TLS_CONTENT_DATA:
        return TLS_OPEN_DONE;
    case TLS_CONTENT_HANDSHAKE:
        return take_handshake(r, text);
    case TLS_CONTENT_ALERT:
        return take_alert(r, text);
    default:
        return bad(r, TLS_ALERT_UNEXPECTED_MESSAGE);
    }
}

enum tls_open tls_record_open(struct tls_record *r, struct slice *in, char *out, size_t *len) {
    struct slice whole;
    char *text = out + *len;
    size_t inner = 0;
    enum tls_open come = whole_record(r, in, &whole);
    if (come != TLS_OPEN_DONE) {
        return come;
    }
    bool good = open_body(r, whole, text, &inner);
    drop_part(r);
    if (!good) {
        return bad(r, TLS_ALERT_BAD_RECORD_MAC);
    }
    if (inner > TLS_RECORD_TEXT_BYTES_MAX + 1) { /* with the type, and padding (5.4) */
        return bad(r, TLS_ALERT_RECORD_OVERFLOW);
    }
    while (inner > 0 && text[inner - 1] == 0) {
        inner--;
    }
    if (inner == 0) { /* nothing but padding */
        return bad(r, TLS_ALERT_UNEXPECTED_MESSAGE);
    }
    uint8_t type = (uint8_t)text[inner - 1];
    come = take(r, type, slice_of(text, inner - 1));
    if (come == TLS_OPEN_DONE && type == TLS_CONTENT_DATA) {
        *len += inner - 1;
    }
    return come;
}
