/* What a client may send when the handshake is done. Two bytes choose the suite and how the stream
 * is cut; then comes a script: each step is a kind, a length and that many bytes, which are sealed
 * as a record's inner text under the client's key (even kinds), or sent as they are (odd ones).
 * Whatever comes: no more is read than was there, all data that is handed on was sealed by the
 * client, in its order, and an error is final. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/net/tls_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 64
#define STEP_BYTES_MAX 255

static char wire[STEPS_MAX * (STEP_BYTES_MAX + 32)], sealed[STEPS_MAX * STEP_BYTES_MAX];
static char plain[TLS_PLAIN_BYTES];

static void begin(struct tls_record *r, const struct tls_suite *suite, uint8_t len, char in,
                  char out) {
    *r = (struct tls_record){ 0 };
    r->in.secret_len = r->out.secret_len = len;
    memset(r->in.secret, in, len);
    memset(r->out.secret, out, len);
    assert(tls_record_begin(r, suite));
}

static void copy(char *to, struct slice from) {
    if (from.len > 0) { /* an empty one may point nowhere */
        memcpy(to, from.data, from.len);
    }
}

/* The last byte of a step is its record's type; of padding more data could come than was sealed. */
static size_t write_script(struct tls_record *client, struct slice script, size_t *sealed_len) {
    size_t len = 0;
    for (unsigned i = 0; i < STEPS_MAX && script.len >= 2; i++) {
        uint8_t kind = (uint8_t)script.data[0];
        struct slice step = slice_sub(script, 2, (uint8_t)script.data[1]);
        script = slice_skip(script, 2 + step.len);
        if (kind & 1) {
            copy(wire + len, step);
            len += step.len;
            continue;
        }
        enum tls_content type = kind & 2 ? TLS_CONTENT_DATA : kind >> 2;
        assert(tls_record_seal(client, type, step.data, step.len, wire + len));
        len += TLS_RECORD_HEAD_BYTES + step.len + TLS_RECORD_TAIL_BYTES;
        copy(sealed + *sealed_len, step);
        *sealed_len += step.len;
    }
    return len;
}

/* Each byte that came out was sealed, in this order; types and padding were sealed, too. */
static void check_order(const char *text, size_t len, size_t sealed_len) {
    size_t at = 0;
    for (size_t i = 0; i < len; i++, at++) {
        while (at < sealed_len && sealed[at] != text[i]) {
            at++;
        }
        assert(at < sealed_len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t secret_bytes[] = { 32, 48, 32 };
    if (size < 2) {
        return 0;
    }
    struct tls_record server, client;
    unsigned which = data[0] % 3;
    size_t step = 1 + data[1], sealed_len = 0, got = 0;
    const struct tls_suite *suite = tls_suite_find((uint16_t)(0x1301 + which));
    begin(&server, suite, secret_bytes[which], 'c', 's');
    begin(&client, suite, secret_bytes[which], 's', 'c');
    size_t len = write_script(&client, slice_of(data + 2, size - 2), &sealed_len);
    enum tls_open come = TLS_OPEN_MORE;
    for (size_t at = 0; at < len && come == TLS_OPEN_MORE; at += step) {
        struct slice in = slice_sub(slice_of(wire, len), at, step);
        do {
            size_t before = in.len, got_before = got;
            come = tls_record_open(&server, &in, plain, &got);
            assert(in.len <= before && got >= got_before && got <= sealed_len);
            assert(come == TLS_OPEN_DONE || got == got_before);
            assert(come != TLS_OPEN_MORE || in.len == 0);
            assert((come == TLS_OPEN_BAD) == (server.alert != 0));
        } while (come == TLS_OPEN_DONE);
        assert(server.part_len <= TLS_RECORD_HEAD_BYTES + TLS_RECORD_BODY_BYTES_MAX);
    }
    check_order(plain, got, sealed_len);
    tls_record_fini(&server);
    tls_record_fini(&client);
    return 0;
}
