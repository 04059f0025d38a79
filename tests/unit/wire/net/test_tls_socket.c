/* A server's TLS below a socket, against OpenSSL's client in the same process: who carries it when
 * the handshake is done, and how it ends. */
#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../tls_fixture.h"
#include "probe.h"
#include "wire/net/tls_internal.h"

#define ALERT(ssl_ad) (SSL_AD_REASON_OFFSET + (ssl_ad))

static struct tls_server *server;

static int make_server(void **state) {
    static struct pem_pair pem;
    static struct tls_tickets tickets = { .count = 1 };
    struct error err;
    (void)state;
    make_pair(&pem, false, "DNS:shop.test");
    assert_true(tls_ticket_key_make(&tickets.keys[0]));
    struct tls_pair pair = { slice_from(pem.chain), slice_from(pem.key), { "", 0 } };
    struct tls_server_options options = {
        .pairs = &pair, .pair_count = 1, .alpn = SLICE("\2h2\10http/1.1"), .tickets = &tickets
    };
    server = tls_server_new(&options, NULL, &err);
    assert_non_null(server);
    return 0;
}

static int free_server(void **state) {
    (void)state;
    tls_server_free(server);
    return 0;
}

/* ---- a client, pumped by hand ---- */

struct client {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out; /* what it reads and has written; its own */
    SSL_SESSION *session;
};

static int on_ticket(SSL *ssl, SSL_SESSION *session) {
    struct client *c = SSL_get_app_data(ssl);
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void client_begin(struct client *c, int version, SSL_SESSION *session) {
    *c = (struct client){ .context = SSL_CTX_new(TLS_client_method()) };
    SSL_CTX_set_max_proto_version(c->context, version);
    SSL_CTX_set_session_cache_mode(c->context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(c->context, on_ticket);
    c->ssl = SSL_new(c->context);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_app_data(c->ssl, c);
    SSL_set_alpn_protos(c->ssl, (const unsigned char *)"\10http/1.1", 9);
    SSL_set_connect_state(c->ssl);
    if (session != NULL) {
        SSL_set_session(c->ssl, session);
    }
}

static void client_end(struct client *c) {
    SSL_SESSION_free(c->session);
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
}

/* What the client has written, in pieces of `step` bytes; then what it gets. */
static void pump(struct fixture *f, struct client *c, size_t step) {
    static char bytes[1 << 18];
    int len = BIO_read(c->out, bytes, sizeof bytes);
    for (size_t at = 0; len > 0 && at < (size_t)len; at += step) {
        size_t part = step < (size_t)len - at ? step : (size_t)len - at;
        assert_int_equal(write(f->peer, bytes + at, part), part);
        turns(f, 1);
    }
    turns(f, 2);
    for (ssize_t n; (n = recv(f->peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;) {
        BIO_write(c->in, bytes, (int)n);
        turns(f, 1);
    }
}

static void shake_hands(struct fixture *f, struct client *c, size_t step) {
    assert_true(socket_start_tls(&f->probe->socket, server));
    for (unsigned i = 0; i < 4 && SSL_do_handshake(c->ssl) != 1; i++) {
        pump(f, c, step);
    }
    assert_true(SSL_is_init_finished(c->ssl));
}

static void expect_heard(struct client *c, const char *text) {
    char heard[64];
    assert_int_equal(SSL_read(c->ssl, heard, sizeof heard), strlen(text));
    assert_memory_equal(heard, text, strlen(text));
}

static void expect_got(const struct fixture *f, const char *text) {
    assert_int_equal(f->probe->got_len, strlen(text));
    assert_memory_equal(f->probe->got, text, strlen(text));
}

/* ---- cases ---- */

static void what_follows_the_handshake_at_once_is_not_lost(void **state) {
    struct fixture *f = *state;
    for (unsigned version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct client c;
        client_begin(&c, (int)version, NULL);
        shake_hands(f, &c, SIZE_MAX);
        assert_int_equal(SSL_write(c.ssl, "hello", 5), 5); /* behind the Finished, in one piece */
        pump(f, &c, SIZE_MAX);
        assert_true(f->probe->connected);
        expect_got(f, "hello");
        assert_true(slice_equal(socket_protocol(&f->probe->socket), SLICE("http/1.1")));
        assert_false(socket_tls_resumed(&f->probe->socket));
        /* OpenSSL's objects are gone where ours take over. */
        assert_int_equal(f->probe->socket.tls->ssl == NULL, version == TLS1_3_VERSION);
        assert_true(socket_send_slice(&f->probe->socket, SLICE("welcome")));
        pump(f, &c, SIZE_MAX);
        expect_heard(&c, "welcome");
        client_end(&c);
        tear_down(state);
        set_up(state);
        f = *state;
    }
}

static void a_ticket_resumes_byte_by_byte(void **state) {
    struct fixture *f = *state;
    struct client first, second;
    client_begin(&first, TLS1_3_VERSION, NULL);
    shake_hands(f, &first, SIZE_MAX);
    pump(f, &first, SIZE_MAX);
    char none;
    assert_int_equal(SSL_read(first.ssl, &none, 1), -1); /* the tickets */
    assert_non_null(first.session);
    tear_down(state);
    set_up(state);
    f = *state;
    client_begin(&second, TLS1_3_VERSION, first.session);
    shake_hands(f, &second, 1);
    assert_int_equal(SSL_session_reused(second.ssl), 1);
    assert_int_equal(SSL_write(second.ssl, "again", 5), 5);
    pump(f, &second, 1);
    assert_true(socket_tls_resumed(&f->probe->socket));
    expect_got(f, "again");
    assert_true(socket_send_slice(&f->probe->socket, SLICE("welcome back")));
    pump(f, &second, SIZE_MAX);
    expect_heard(&second, "welcome back");
    client_end(&first);
    client_end(&second);
}

static void large_answers_and_small_ones_keep_their_order(void **state) {
    static char big[300000], heard[sizeof big];
    struct fixture *f = *state;
    struct client c;
    client_begin(&c, TLS1_3_VERSION, NULL);
    shake_hands(f, &c, SIZE_MAX);
    pump(f, &c, SIZE_MAX);
    for (size_t i = 0; i < sizeof big; i++) {
        big[i] = (char)(i * 31 >> 3);
    }
    size_t at = 0, got = 0;
    for (size_t part = 1; at < sizeof big; part = part * 5 % 40009 + 1) {
        size_t len = part < sizeof big - at ? part : sizeof big - at;
        assert_true(socket_send_slice(&f->probe->socket, slice_of(big + at, len)));
        at += len;
        if (part % 3 == 0) {
            turns(f, 1);
        }
    }
    while (got < sizeof big) {
        pump(f, &c, SIZE_MAX);
        for (int n; (n = SSL_read(c.ssl, heard + got, (int)(sizeof heard - got))) > 0;) {
            got += (size_t)n;
        }
        assert_int_equal(f->probe->failed_errno, 0);
    }
    assert_memory_equal(heard, big, sizeof big);
    assert_int_equal(socket_pending(&f->probe->socket), 0);
    client_end(&c);
}

static void a_peer_that_does_not_read_makes_no_block_for_each_byte(void **state) {
    struct fixture *f = *state;
    struct client c;
    client_begin(&c, TLS1_3_VERSION, NULL);
    shake_hands(f, &c, SIZE_MAX);
    pump(f, &c, SIZE_MAX);
    for (unsigned i = 0; i < 4000; i++) { /* nobody takes them */
        if (i % 100 == 0) {
            assert_true(socket_send_slice(&f->probe->socket, slice_of((char[4096]){ 0 }, 4096)));
        }
        assert_true(socket_send_slice(&f->probe->socket, SLICE("x")));
        turns(f, 1);
    }
    size_t blocks = 0;
    for (const struct socket_block *b = f->probe->socket.out_first; b != NULL; b = b->next) {
        blocks++;
    }
    assert_true(blocks > 0);
    assert_true(blocks * LOOP_BLOCK_BYTES <=
                4 * f->probe->socket.pending_bytes + 4 * LOOP_BLOCK_BYTES);
    client_end(&c);
}

/* While much waits to be read, as an answer does; that is no peer that only makes us answer. */
static void a_record_may_come_in_pieces_whatever_waits(void **state) {
    struct fixture *f = *state;
    struct client c;
    char record[64];
    client_begin(&c, TLS1_3_VERSION, NULL);
    shake_hands(f, &c, SIZE_MAX);
    pump(f, &c, SIZE_MAX);
    while (f->probe->socket.pending_bytes < 200000) {
        assert_true(socket_send_slice(&f->probe->socket, slice_of((char[4096]){ 0 }, 4096)));
        turns(f, 1);
    }
    assert_int_equal(SSL_write(c.ssl, "hello", 5), 5);
    int len = BIO_read(c.out, record, sizeof record);
    for (int i = 0; i < len; i++) {
        assert_int_equal(write(f->peer, record + i, 1), 1);
        turns(f, 1);
    }
    expect_got(f, "hello");
    assert_int_equal(f->probe->failed_errno, 0);
    client_end(&c);
}

static void a_new_key_when_the_client_asks(void **state) {
    struct fixture *f = *state;
    struct client c;
    client_begin(&c, TLS1_3_VERSION, NULL);
    shake_hands(f, &c, SIZE_MAX);
    pump(f, &c, SIZE_MAX);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t key = f->probe->socket.tls->record.out.key_id;
        assert_int_equal(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(c.ssl, "a", 1), 1);
        pump(f, &c, 3);
        assert_true(socket_send_slice(&f->probe->socket, SLICE("b")));
        pump(f, &c, SIZE_MAX);
        expect_heard(&c, "b");
        assert_true(f->probe->socket.tls->record.out.key_id > key);
    }
    expect_got(f, "aaa");
    client_end(&c);
}

static void a_forged_record_is_told_and_ends_it(void **state) {
    struct fixture *f = *state;
    struct client c;
    char record[64], none;
    client_begin(&c, TLS1_3_VERSION, NULL);
    shake_hands(f, &c, SIZE_MAX);
    pump(f, &c, SIZE_MAX);
    assert_int_equal(SSL_write(c.ssl, "hello", 5), 5);
    int len = BIO_read(c.out, record, sizeof record);
    record[len - 1] ^= 1;
    BIO_write(c.out, record, len);
    pump(f, &c, SIZE_MAX);
    assert_int_equal(f->probe->got_len, 0);
    assert_int_equal(f->probe->failed_errno, EPROTO);
    assert_true(SSL_read(c.ssl, &none, 1) <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), ALERT(SSL_AD_BAD_RECORD_MAC));
    ERR_clear_error();
    client_end(&c);
}

static void an_end_is_told_both_ways(void **state) {
    struct fixture *f = *state;
    struct client c;
    char none;
    client_begin(&c, TLS1_3_VERSION, NULL);
    shake_hands(f, &c, SIZE_MAX);
    assert_int_equal(SSL_write(c.ssl, "last", 4), 4);
    assert_int_equal(SSL_shutdown(c.ssl), 0);
    pump(f, &c, SIZE_MAX);
    expect_got(f, "last");
    assert_true(f->probe->ended);
    assert_true(socket_send_slice(&f->probe->socket, SLICE("bye"))); /* our side is open still */
    socket_finish(&f->probe->socket);
    pump(f, &c, SIZE_MAX);
    expect_heard(&c, "bye");
    assert_int_equal(SSL_read(c.ssl, &none, 1), 0);
    assert_int_equal(SSL_get_error(c.ssl, 0), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(f->probe->failed_errno, 0);
    client_end(&c);
}

static void an_end_that_tls_did_not_tell_is_a_failure(void **state) {
    struct fixture *f = *state;
    struct client c;
    client_begin(&c, TLS1_3_VERSION, NULL);
    shake_hands(f, &c, SIZE_MAX);
    assert_int_equal(SSL_write(c.ssl, "cut", 3), 3);
    pump(f, &c, SIZE_MAX);
    shutdown(f->peer, SHUT_WR);
    turns(f, 3);
    assert_false(f->probe->ended);
    assert_int_equal(f->probe->failed_errno, ECONNRESET);
    client_end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(what_follows_the_handshake_at_once_is_not_lost),
        CASE(a_ticket_resumes_byte_by_byte),
        CASE(large_answers_and_small_ones_keep_their_order),
        CASE(a_peer_that_does_not_read_makes_no_block_for_each_byte),
        CASE(a_record_may_come_in_pieces_whatever_waits),
        CASE(a_new_key_when_the_client_asks),
        CASE(a_forged_record_is_told_and_ends_it),
        CASE(an_end_is_told_both_ways),
        CASE(an_end_that_tls_did_not_tell_is_a_failure),
    };
    return cmocka_run_group_tests(tests, make_server, free_server);
}
