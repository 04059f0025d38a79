/* A peer (the first byte says which kind) sends the other lines as fields of a request, by turns
 * X-Forwarded-For, Forwarded, grpc-timeout and Sec-WebSocket-Key. What we write for the next hop
 * are fields again, and of a peer that is not trusted nothing is left that it has said itself. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/http/forwarded.h"
#include "wire/http/grpc.h"
#include "wire/http/visitor.h"
#include "wire/http/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool trusts_nobody(void *self, const uint8_t ip[16]) {
    (void)self, (void)ip;
    return false;
}

static void check_written(const struct http_head *head, bool trusted) {
    unsigned count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        if (f->id == HTTP_FIELD_X_FORWARDED_FOR || f->id == HTTP_FIELD_FORWARDED) {
            assert(http_is_field_value(f->value));
            count++;
        }
    }
    assert(count >= 2);
    if (!trusted) { /* whoever believes us comes to the peer, whatever that has said */
        static const uint8_t peer[16] = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 };
        const struct visitor_trust nobody = { NULL, trusts_nobody };
        for (unsigned i = 0; i < 2; i++) {
            uint8_t ip[16];
            enum http_field_id id = i == 0 ? HTTP_FIELD_X_FORWARDED_FOR : HTTP_FIELD_FORWARDED;
            assert(count == 2 && visitor_find(head, id, &nobody, ip));
            assert(memcmp(ip, peer, sizeof ip) == 0);
        }
    }
}

static void set(struct http_head *head, uint8_t ways) {
    struct arena arena;
    struct forwarded_peer peer = {
        .address = SLICE("192.0.2.1"),
        .scheme = ways & 1 ? SLICE("https") : SLICE("http"),
        .trusted = ways & 2,
        .speaks_forwarded = ways & 4,
        .visitor = ways & 8 ? SLICE("2001:db8::1") : SLICE("198.51.100.7"),
        .visitor_is_v6 = ways & 8,
    };
    arena_init(&arena, ways & 16 ? 256 : 1u << 20);
    if (forwarded_set(head, &peer, &arena)) {
        check_written(head, peer.trusted);
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct http_field fields[24];
    struct http_head head;
    struct slice rest, line;
    uint64_t us;
    char accept[WEBSOCKET_ACCEPT_LEN];
    if (size == 0) {
        return 0;
    }
    http_head_init(&head, fields, 24);
    head.authority = SLICE("shop.test");
    rest = slice_of(data + 1, size - 1);
    for (unsigned i = 0; i < 12 && slice_cut(&rest, '\n', &line); i++) {
        struct slice value = slice_trim(line);
        if (i % 4 == 2 && grpc_timeout_us(value, &us)) {
            assert(value.len >= 2 && value.len <= 9);
        } else if (i % 4 == 3) {
            websocket_accept(value, accept);
            assert(accept[WEBSOCKET_ACCEPT_LEN - 1] == '=');
        } else if (i % 4 < 2 && http_is_field_value(value)) {
            http_head_add_known(
                &head, i % 4 == 0 ? HTTP_FIELD_X_FORWARDED_FOR : HTTP_FIELD_FORWARDED, value);
        }
    }
    set(&head, data[0]);
    return 0;
}
