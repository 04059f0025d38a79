/* The record layer of TLS 1.3 by itself: against the trace of RFC 8448, against OpenSSL through
 * memory, and against a client that does what it may not. */
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../tls_fixture.h"
#include "base/rand.h"
#include "wire/net/tls_internal.h"

#define ROOM (TLS_PLAIN_BYTES)
#define WIRE_BYTES (4 << 20)

static char plain[ROOM], wire[WIRE_BYTES];

static size_t from_hex(const char *text, void *out) {
    uint8_t *bytes = out;
    size_t len = 0;
    for (unsigned byte; *text != '\0';) {
        if (*text == ' ') {
            text++;
            continue;
        }
        assert_int_equal(sscanf(text, "%2x", &byte), 1);
        bytes[len++] = (uint8_t)byte;
        text += 2;
    }
    return len;
}

/* ---- RFC 8448, 3: simple 1-RTT handshake ---- */

#define CLIENT_SECRET "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
#define SERVER_SECRET "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"

static void begin(struct tls_record *r, uint16_t suite, const char *in, const char *out) {
    *r = (struct tls_record){ 0 };
    r->in.secret_len = (uint8_t)from_hex(in, r->in.secret);
    r->out.secret_len = (uint8_t)from_hex(out, r->out.secret);
    assert_true(tls_record_begin(r, tls_suite_find(suite)));
}

static void begin_both(struct tls_record *server, struct tls_record *client) {
    begin(server, 0x1301, CLIENT_SECRET, SERVER_SECRET);
    begin(client, 0x1301, SERVER_SECRET, CLIENT_SECRET);
}

static void reads_and_writes_the_records_of_rfc8448(void **state) {
    static const char from_client[] =
        "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea"
        "42 f9 14 aa 66 bc ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b"
        "62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d ea e6 3a ee bb 21 69 49 15 e4"
        "17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e fd 6d b6 d0 b0 e3";
    static const char from_server[] =
        "17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc"
        "32 25 d0 5f 82 aa 1b 36 e3 0e fa f9 7d 90 e6 df fc 60 2d cb 50 1a 59 a8"
        "fc c4 9c 4b f2 e5 f0 a2 1c 00 47 c2 ab f3 32 54 0d d0 32 e1 67 c2 95 5d"
        "17 03 03 00 13 b5 8f d6 71 66 eb f5 99 d2 47 20 cf be 7e fa 7a 88 64 a9";
    struct tls_record server;
    uint8_t expected[128];
    char payload[50], close_notify[2] = { 1, 0 };
    size_t len = 0;
    (void)state;
    for (size_t i = 0; i < sizeof payload; i++) {
        payload[i] = (char)i;
    }
    begin(&server, 0x1301, CLIENT_SECRET, SERVER_SECRET);
    from_hex("17422dda596ed5d9acd890e3c63f5051 5b78923dee08579033e523d9", expected);
    assert_memory_equal(server.in.key, expected, 16);
    assert_memory_equal(server.in.iv, expected + 16, 12);
    from_hex("9f02283b6c9c07efc26bb9f2ac92e356 cf782b88dd83549aadf1e984", expected);
    assert_memory_equal(server.out.key, expected, 16);
    assert_memory_equal(server.out.iv, expected + 16, 12);

    struct slice in = slice_of(wire, from_hex(from_client, wire));
    assert_int_equal(tls_record_open(&server, &in, plain, &len), TLS_OPEN_DONE);
    assert_int_equal(len, sizeof payload);
    assert_memory_equal(plain, payload, sizeof payload);
    assert_int_equal(tls_record_open(&server, &in, plain, &len), TLS_OPEN_ENDED);
    assert_int_equal(in.len, 0);

    server.out.sequence = 1; /* the ticket was the first */
    assert_true(tls_record_seal(&server, TLS_CONTENT_DATA, payload, sizeof payload, wire));
    assert_true(tls_record_seal(&server, TLS_CONTENT_ALERT, close_notify, 2, wire + 72));
    assert_int_equal(from_hex(from_server, expected), 72 + 24);
    assert_memory_equal(wire, expected, 72 + 24);
    tls_record_fini(&server);
}

/* ---- a client that may do anything: records made by EVP, not by what is tested ---- */

static size_t craft(struct tls_flow *flow, const void *inner, size_t len, char *out) {
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t nonce[12], *record = (uint8_t *)out;
    int n = 0;
    memcpy(nonce, flow->iv, 12);
    for (unsigned i = 0; i < 8; i++) {
        nonce[11 - i] ^= (uint8_t)(flow->sequence >> (8 * i));
    }
    flow->sequence++;
    memcpy(record, (uint8_t[]){ 23, 3, 3, (uint8_t)((len + 16) >> 8), (uint8_t)(len + 16) }, 5);
    assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, flow->key, nonce), 1);
    assert_int_equal(EVP_EncryptUpdate(c, NULL, &n, record, 5), 1);
    assert_int_equal(EVP_EncryptUpdate(c, record + 5, &n, inner, (int)len), 1);
    assert_int_equal(EVP_EncryptFinal_ex(c, record + 5 + len, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, record + 5 + len), 1);
    EVP_CIPHER_CTX_free(c);
    return len + 21;
}

/* Opens all; the last result, and what came of data. */
static enum tls_open open_all(struct tls_record *r, struct slice in, size_t *len) {
    enum tls_open come;
    *len = 0;
    while ((come = tls_record_open(r, &in, plain, len)) == TLS_OPEN_DONE) {
    }
    return come;
}

#define NOTHING TLS_ALERT_CLOSE_NOTIFY /* in `alert` below: no error */
#define INNER(text)                                                                                \
    { "" text, sizeof(text) - 1 }

static void refuses_with_the_right_alert(void **state) {
    static const struct {
        const char *name;
        struct slice inner[3]; /* one record each */
        enum tls_open result;
        uint8_t alert;
        const char *data;
    } cases[] = {
        { "data", { INNER("hello\x17") }, TLS_OPEN_MORE, NOTHING, "hello" },
        { "padding",
          { INNER("a\x17\0\0\0"), INNER("\x17\0"), INNER("b\x17") },
          TLS_OPEN_MORE,
          NOTHING,
          "ab" },
        { "only padding", { INNER("\0\0\0") }, TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE, "" },
        { "ChangeCipherSpec inside",
          { INNER("\1\x14") },
          TLS_OPEN_BAD,
          TLS_ALERT_UNEXPECTED_MESSAGE,
          "" },
        { "heartbeat", { INNER("\1\x18") }, TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE, "" },
        { "no handshake", { INNER("\x16") }, TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE, "" },
        { "ClientHello",
          { INNER("\1\0\0\0\x16") },
          TLS_OPEN_BAD,
          TLS_ALERT_UNEXPECTED_MESSAGE,
          "" },
        { "a ticket", { INNER("\4\0\0\1\0\x16") }, TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE, "" },
        { "Certificate",
          { INNER("\x0b\0\0\0\x16") },
          TLS_OPEN_BAD,
          TLS_ALERT_UNEXPECTED_MESSAGE,
          "" },
        { "KeyUpdate too long",
          { INNER("\x18\0\0\2\0\x16") },
          TLS_OPEN_BAD,
          TLS_ALERT_DECODE_ERROR,
          "" },
        { "KeyUpdate of nothing",
          { INNER("\x18\0\0\0\x16") },
          TLS_OPEN_BAD,
          TLS_ALERT_DECODE_ERROR,
          "" },
        { "KeyUpdate unknown",
          { INNER("\x18\0\0\1\2\x16") },
          TLS_OPEN_BAD,
          TLS_ALERT_ILLEGAL_PARAMETER,
          "" },
        { "behind KeyUpdate",
          { INNER("\x18\0\0\1\0\x18\x16") },
          TLS_OPEN_BAD,
          TLS_ALERT_UNEXPECTED_MESSAGE,
          "" },
        { "data in KeyUpdate",
          { INNER("\x18\0\x16"), INNER("a\x17") },
          TLS_OPEN_BAD,
          TLS_ALERT_UNEXPECTED_MESSAGE,
          "" },
        { "an end in KeyUpdate",
          { INNER("\x18\0\x16"), INNER("\1\0\x15") },
          TLS_OPEN_BAD,
          TLS_ALERT_UNEXPECTED_MESSAGE,
          "" },
        { "half an alert", { INNER("\1\x15") }, TLS_OPEN_BAD, TLS_ALERT_DECODE_ERROR, "" },
        { "two alerts", { INNER("\1\0\1\0\x15") }, TLS_OPEN_BAD, TLS_ALERT_DECODE_ERROR, "" },
        { "no alert", { INNER("\x15") }, TLS_OPEN_BAD, TLS_ALERT_DECODE_ERROR, "" },
        { "the end",
          { INNER("a\x17"), INNER("\1\0\x15"), INNER("b\x17") },
          TLS_OPEN_ENDED,
          NOTHING,
          "a" },
        { "the end, fatally", { INNER("\2\0\x15") }, TLS_OPEN_ENDED, NOTHING, "" },
        { "user_canceled",
          { INNER("\1\x5a\x15"), INNER("\1\0\x15") },
          TLS_OPEN_ENDED,
          NOTHING,
          "" },
        { "a warning", { INNER("\1\x64\x15") }, TLS_OPEN_ALERTED, NOTHING, "" },
        { "bad_record_mac", { INNER("\2\x14\x15") }, TLS_OPEN_ALERTED, NOTHING, "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tls_record server, client;
        size_t len = 0, sent = 0;
        begin_both(&server, &client);
        for (unsigned j = 0; j < 3 && cases[i].inner[j].len > 0; j++) {
            sent += craft(&client.out, cases[i].inner[j].data, cases[i].inner[j].len, wire + sent);
        }
        enum tls_open result = open_all(&server, slice_of(wire, sent), &len);
        if (result != cases[i].result || server.alert != cases[i].alert ||
            len != strlen(cases[i].data) || memcmp(plain, cases[i].data, len) != 0) {
            fail_msg("%s: result %d, alert %u, %zu bytes", cases[i].name, result, server.alert,
                     len);
        }
        tls_record_fini(&server);
        tls_record_fini(&client);
    }
}

static void refuses_heads(void **state) {
    static const struct {
        const char *name;
        struct slice record;
        uint8_t alert;
    } cases[] = {
        { "a plain alert", INNER("\x15\3\3\0\2\1\0"), TLS_ALERT_UNEXPECTED_MESSAGE },
        { "ChangeCipherSpec", INNER("\x14\3\3\0\1\1"), TLS_ALERT_UNEXPECTED_MESSAGE },
        { "a plain ClientHello", INNER("\x16"), TLS_ALERT_UNEXPECTED_MESSAGE },
        { "text", INNER("GET / HTTP/1.1\r\n"), TLS_ALERT_UNEXPECTED_MESSAGE },
        { "too long", INNER("\x17\3\3\x41\1"), TLS_ALERT_RECORD_OVERFLOW },
        { "far too long", INNER("\x17\3\3\xff\xff"), TLS_ALERT_RECORD_OVERFLOW },
        { "too short for a tag", INNER("\x17\3\3\0\xf"), TLS_ALERT_BAD_RECORD_MAC },
        { "empty", INNER("\x17\3\3\0\0"), TLS_ALERT_BAD_RECORD_MAC },
        { "a tag of zeroes", INNER("\x17\3\3\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
          TLS_ALERT_BAD_RECORD_MAC },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned step = 1; step <= 64; step += 63) {
            struct tls_record server, client;
            size_t len = 0;
            enum tls_open result = TLS_OPEN_MORE;
            begin_both(&server, &client);
            for (size_t at = 0; at < cases[i].record.len && result == TLS_OPEN_MORE; at += step) {
                struct slice part = slice_sub(cases[i].record, at, step);
                result = tls_record_open(&server, &part, plain, &len);
            }
            if (result != TLS_OPEN_BAD || server.alert != cases[i].alert || len != 0) {
                fail_msg("%s: result %d, alert %u", cases[i].name, result, server.alert);
            }
            tls_record_fini(&server);
            tls_record_fini(&client);
        }
    }
}

static void knows_the_sizes(void **state) {
    static char inner[TLS_RECORD_BODY_BYTES_MAX];
    static const struct {
        size_t text, padding;
        enum tls_open result;
        uint8_t alert;
    } cases[] = {
        { 16384, 0, TLS_OPEN_MORE, NOTHING },
        { 16000, 384, TLS_OPEN_MORE, NOTHING },
        { 16385, 0, TLS_OPEN_BAD, TLS_ALERT_RECORD_OVERFLOW },
        { 1, 16384, TLS_OPEN_BAD, TLS_ALERT_RECORD_OVERFLOW },
        { 16384 + 239, 0, TLS_OPEN_BAD, TLS_ALERT_RECORD_OVERFLOW },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tls_record server, client;
        size_t len = 0;
        begin_both(&server, &client);
        memset(inner, 0, sizeof inner);
        memset(inner, 'a', cases[i].text);
        inner[cases[i].text] = TLS_CONTENT_DATA;
        size_t sent = craft(&client.out, inner, cases[i].text + 1 + cases[i].padding, wire);
        assert_int_equal(open_all(&server, slice_of(wire, sent), &len), cases[i].result);
        assert_int_equal(server.alert, cases[i].alert);
        assert_int_equal(len, cases[i].alert == NOTHING ? cases[i].text : 0);
        tls_record_fini(&server);
        tls_record_fini(&client);
    }
}

static void no_byte_can_be_changed(void **state) {
    static const char text[] = "GET /cart HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    struct tls_record server, client;
    uint8_t *flipped = (uint8_t *)wire;
    (void)state;
    begin_both(&server, &client);
    assert_true(tls_record_seal(&client, TLS_CONTENT_DATA, text, sizeof text, wire));
    size_t bytes = TLS_RECORD_HEAD_BYTES + sizeof text + TLS_RECORD_TAIL_BYTES;
    for (size_t at = 0; at < bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct tls_record one = server;
            size_t len = 0;
            flipped[at] ^= (uint8_t)(1u << bit);
            memset(wire + bytes, 0, 65536); /* the length may have grown */
            enum tls_open result = open_all(&one, slice_of(wire, bytes + 65536), &len);
            assert_int_equal(result, TLS_OPEN_BAD);
            assert_int_equal(len, 0);
            flipped[at] ^= (uint8_t)(1u << bit);
            free(one.part);
        }
    }
    size_t len = 0;
    assert_int_equal(open_all(&server, slice_of(wire, bytes), &len), TLS_OPEN_MORE);
    assert_int_equal(len, sizeof text);
    /* Neither can it be said again, nor left out. */
    assert_int_equal(open_all(&server, slice_of(wire, bytes), &len), TLS_OPEN_BAD);
    assert_int_equal(server.alert, TLS_ALERT_BAD_RECORD_MAC);
    tls_record_fini(&server);
    begin(&server, 0x1301, CLIENT_SECRET, SERVER_SECRET);
    assert_true(tls_record_seal(&client, TLS_CONTENT_DATA, text, sizeof text, wire));
    assert_int_equal(open_all(&server, slice_of(wire, bytes), &len), TLS_OPEN_BAD);
    tls_record_fini(&server);
    tls_record_fini(&client);
}

static void has_limits(void **state) {
    struct tls_record server, client;
    size_t len, sent = 0;
    (void)state;
    begin_both(&server, &client);
    for (unsigned i = 0; i < TLS_RECORDS_IDLE_MAX - 1; i++) {
        sent += craft(&client.out, "\x17", 1, wire + sent);
    }
    sent += craft(&client.out, "a\x17", 2, wire + sent);
    assert_int_equal(open_all(&server, slice_of(wire, sent), &len), TLS_OPEN_MORE);
    assert_int_equal(len, 1);
    for (unsigned i = sent = 0; i < TLS_RECORDS_IDLE_MAX; i++) {
        sent += craft(&client.out, "\x17", 1, wire + sent);
    }
    assert_int_equal(open_all(&server, slice_of(wire, sent), &len), TLS_OPEN_BAD);
    assert_int_equal(server.alert, TLS_ALERT_UNEXPECTED_MESSAGE);
    tls_record_fini(&server);

    begin(&server, 0x1301, CLIENT_SECRET, SERVER_SECRET); /* a key for so many records */
    server.out.sequence = client.in.sequence = TLS_RECORDS_PER_KEY - 1;
    assert_false(tls_record_update_due(&server));
    assert_true(tls_record_seal(&server, TLS_CONTENT_DATA, "a", 1, wire));
    assert_true(tls_record_update_due(&server));
    assert_true(tls_record_seal_update(&server, wire + 23));
    assert_false(tls_record_update_due(&server));
    assert_true(
        tls_record_seal(&server, TLS_CONTENT_DATA, "b", 1, wire + 23 + TLS_RECORD_UPDATE_BYTES));
    sent = 23 + TLS_RECORD_UPDATE_BYTES + 23;
    assert_int_equal(open_all(&client, slice_of(wire, sent), &len), TLS_OPEN_MORE);
    assert_int_equal(len, 2);
    assert_memory_equal(plain, "ab", 2);
    assert_false(client.update_owed);

    server.out.sequence = UINT64_MAX; /* never zero again */
    assert_false(tls_record_seal(&server, TLS_CONTENT_DATA, "a", 1, wire));
    server.in.sequence = client.out.sequence = UINT64_MAX;
    sent = craft(&client.out, "a\x17", 2, wire);
    assert_int_equal(open_all(&server, slice_of(wire, sent), &len), TLS_OPEN_BAD);
    assert_int_equal(len, 0);
    tls_record_fini(&server);
    tls_record_fini(&client);
}

static void leaves_nothing(void **state) {
    static const struct tls_record none;
    struct tls_record server, client;
    struct slice half;
    size_t len = 0;
    (void)state;
    begin_both(&server, &client);
    assert_true(tls_record_seal(&client, TLS_CONTENT_DATA, "abc", 3, wire));
    half = slice_of(wire, 7);
    assert_int_equal(tls_record_open(&server, &half, plain, &len), TLS_OPEN_MORE);
    tls_record_fini(&server);
    tls_record_fini(&client);
    assert_memory_equal(&server, &none, sizeof none);
    tls_record_fini(&client); /* also what is not begun */
    begin(&server, 0x1301, CLIENT_SECRET, SERVER_SECRET);
    server.in.secret_len = 48; /* not this suite's */
    assert_false(tls_record_begin(&server, tls_suite_find(0x1301)));
    tls_record_fini(&server);
    assert_null(tls_suite_find(0x1304));
}

/* ---- against OpenSSL, which has made the handshake ---- */

static SSL_CTX *client_context, *server_context;

static int make_contexts(void **state) {
    struct pem_pair pem;
    (void)state;
    make_pair(&pem, false, "DNS:shop.test");
    struct tls_pair pair = { slice_from(pem.chain), slice_from(pem.key), { "", 0 } };
    struct tls_parsed *parsed = tls_parsed_new(&pair, NULL);
    assert_non_null(parsed);
    server_context = SSL_CTX_new(TLS_server_method());
    client_context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_use_cert_and_key(server_context, parsed->leaf, parsed->key, NULL, 1),
                     1);
    tls_parsed_free(parsed);
    return 0;
}

static int free_contexts(void **state) {
    (void)state;
    SSL_CTX_free(server_context);
    SSL_CTX_free(client_context);
    return 0;
}

struct talk {
    SSL *client;
    BIO *to_server, *to_client; /* the client's ends are its own */
    struct tls server;
};

static void talk_begin(struct talk *t, const char *suite) {
    *t = (struct talk){ .client = SSL_new(client_context),
                        .to_server = BIO_new(BIO_s_mem()),
                        .to_client = BIO_new(BIO_s_mem()),
                        .server = { .ssl = SSL_new(server_context) } };
    BIO_up_ref(t->to_server);
    BIO_up_ref(t->to_client);
    SSL_set_bio(t->client, t->to_client, t->to_server);
    BIO_up_ref(t->to_server);
    BIO_up_ref(t->to_client);
    SSL_set_bio(t->server.ssl, t->to_server, t->to_client);
    SSL_set_app_data(t->server.ssl, &t->server);
    tls_watch_secrets(t->server.ssl);
    SSL_set_ciphersuites(t->client, suite);
    SSL_set_connect_state(t->client);
    SSL_set_accept_state(t->server.ssl);
    assert_int_equal(SSL_do_handshake(t->client), -1);
    assert_int_equal(SSL_do_handshake(t->server.ssl), -1);
    assert_int_equal(SSL_do_handshake(t->client), 1);
    assert_int_equal(SSL_do_handshake(t->server.ssl), 1);
    assert_true(tls_take_over(&t->server));
    assert_null(t->server.ssl);
    assert_null(SSL_CTX_get_keylog_callback(server_context));
}

static void talk_end(struct talk *t) {
    SSL_free(t->client);
    BIO_free(t->to_server);
    BIO_free(t->to_client);
    tls_record_fini(&t->server.record);
}

static char said[1 << 17], heard[1 << 17];

/* The client has written `len` bytes of `said`: they come in pieces. */
static void server_hears(struct talk *t, struct rand *rng, size_t len) {
    size_t got = 0;
    char piece[40000];
    for (int n;
         (n = BIO_read(t->to_server, piece, (int)(1 + rand_below(rng, sizeof piece)))) > 0;) {
        struct slice in = slice_of(piece, (size_t)n);
        size_t fresh = 0;
        enum tls_open come;
        while ((come = tls_record_open(&t->server.record, &in, plain, &fresh)) == TLS_OPEN_DONE) {
        }
        assert_int_equal(come, TLS_OPEN_MORE);
        assert_int_equal(in.len, 0);
        assert_true(got + fresh <= len);
        memcpy(heard + got, plain, fresh);
        got += fresh;
    }
    assert_int_equal(got, len);
    assert_memory_equal(heard, said, len);
}

static void server_says(struct talk *t, struct rand *rng, size_t len) {
    static char record[TLS_RECORD_HEAD_BYTES + TLS_RECORD_TEXT_BYTES_MAX + TLS_RECORD_TAIL_BYTES];
    for (size_t at = 0, part; at < len; at += part) {
        part = 1 + rand_below(rng, TLS_RECORD_TEXT_BYTES_MAX);
        part = part < len - at ? part : len - at;
        if (tls_record_update_due(&t->server.record)) {
            assert_true(tls_record_seal_update(&t->server.record, record));
            BIO_write(t->to_client, record, TLS_RECORD_UPDATE_BYTES);
        }
        const char *text = said + at;
        if (rand_below(rng, 2) == 0) { /* in its place */
            text = memcpy(record + TLS_RECORD_HEAD_BYTES, text, part);
        }
        assert_true(tls_record_seal(&t->server.record, TLS_CONTENT_DATA, text, part, record));
        BIO_write(t->to_client, record,
                  (int)(TLS_RECORD_HEAD_BYTES + part + TLS_RECORD_TAIL_BYTES));
    }
    size_t got = 0;
    for (int n; got < len && (n = SSL_read(t->client, heard + got, (int)(len - got))) > 0;) {
        got += (size_t)n;
    }
    assert_int_equal(got, len);
    assert_memory_equal(heard, said, len);
}

static void talks_with_openssl(void **state) {
    static const char *const names[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256" };
    struct rand rng;
    (void)state;
    rand_init(&rng, 8446);
    for (unsigned round = 0; round < 30; round++) {
        struct talk t;
        talk_begin(&t, names[round % 3]);
        SSL_set_block_padding(t.client, rand_below(&rng, 2) == 0 ? 0 : 1 + rand_below(&rng, 600));
        for (unsigned step = 0; step < 20; step++) {
            size_t len = 1 + rand_below(&rng, rand_below(&rng, 4) == 0 ? sizeof said - 1 : 2000);
            for (size_t i = 0; i < len; i++) {
                said[i] = (char)rand_below(&rng, 256);
            }
            if (rand_below(&rng, 3) == 0) {
                bool asks = rand_below(&rng, 2) == 0;
                assert_int_equal(SSL_key_update(t.client, asks ? SSL_KEY_UPDATE_REQUESTED
                                                               : SSL_KEY_UPDATE_NOT_REQUESTED),
                                 1);
            }
            if (rand_below(&rng, 2) == 0) {
                assert_int_equal(SSL_write(t.client, said, (int)len), len);
                server_hears(&t, &rng, len);
            } else {
                t.server.record.update_owed |= rand_below(&rng, 4) == 0;
                server_says(&t, &rng, len);
            }
        }
        SSL_shutdown(t.client);
        struct slice in = slice_of(wire, (size_t)BIO_read(t.to_server, wire, WIRE_BYTES));
        size_t len = 0;
        enum tls_open come;
        while ((come = tls_record_open(&t.server.record, &in, plain, &len)) == TLS_OPEN_DONE) {
        }
        assert_int_equal(come, TLS_OPEN_ENDED);
        talk_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_the_records_of_rfc8448),
        cmocka_unit_test(refuses_with_the_right_alert),
        cmocka_unit_test(refuses_heads),
        cmocka_unit_test(knows_the_sizes),
        cmocka_unit_test(no_byte_can_be_changed),
        cmocka_unit_test(has_limits),
        cmocka_unit_test(leaves_nothing),
        cmocka_unit_test(talks_with_openssl),
    };
    return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
