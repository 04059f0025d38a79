/* Any bytes as what a client (first byte even) or a service (odd) sends on an HTTP/2 connection;
 * the second byte says how they are cut and what we do meanwhile. Whatever they are: no event comes
 * twice or out of turn, every stream that is opened is closed or still open, what is queued is
 * counted, and a request that is taken becomes one that HTTP/1 reads as the same request. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/http/h2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 64

struct one {
    struct h2_stream h2; /* first */
    bool open, headed, ended;
    unsigned paused_for; /* events */
};

static struct {
    struct h2 *h2;
    struct one streams[STREAMS];
    unsigned open;
    uint8_t ways;
} fuzz;

static const struct h2_limits limits = {
    .head_bytes = 16384, .fields = 100, .target_bytes = 4096, .streams = 32
};

/* ---- what is taken must be one request for everybody ---- */

static void check_as_h1(struct http_head *head) {
    static const struct h1_limits wide = { .head_bytes = 1u << 20,
                                           .fields = HTTP_FIELDS_MAX,
                                           .target_bytes = 1u << 20 };
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head again;
    struct h1_scan scan = { 0 };
    struct h1_problem problem;
    struct buffer out;
    size_t consumed = 0;
    buffer_init(&out, 1u << 20);
    http_strip_hop_by_hop(head);
    assert(h1_write_request_head(&out, head));
    http_head_init(&again, fields, HTTP_FIELDS_MAX);
    assert(h1_parse_request(buffer_slice(&out), &wide, &scan, &again, &consumed, &problem) ==
           H1_DONE);
    assert(consumed == buffer_len(&out));
    assert(again.framing == head->framing || head->framing == HTTP_BODY_NONE);
    assert(again.method == head->method && slice_equal(again.path, head->path));
    assert(slice_equal(again.authority, head->authority));
    assert(again.content_length == head->content_length);
    assert(again.upgrade == (head->upgrade && !http_list_has(head->upgrade_to, SLICE("h2c"))));
    buffer_fini(&out);
}

static void answer(struct h2_stream *s, enum http_framing framing) {
    struct http_field fields[2];
    struct http_head head;
    http_head_init(&head, fields, 2);
    head.status = 200;
    head.framing = framing;
    http_head_add(&head, SLICE("x"), SLICE("y"));
    h2_send_response(s, &head);
    h2_send_data(s, SLICE("some bytes"));
    h2_send_end(s, fuzz.ways & 4 ? &head : NULL);
}

/* ---- events ---- */

static struct one *of(struct h2_stream *s) {
    return (struct one *)s;
}

static struct h2_stream *on_open(struct h2 *h2) {
    (void)h2;
    for (unsigned i = 0; i < STREAMS; i++) {
        struct one *o = &fuzz.streams[i];
        if (!o->open) {
            *o = (struct one){ .h2.out = o->h2.out, .open = true };
            fuzz.open++;
            return &o->h2;
        }
    }
    return NULL;
}

static void read_request(struct h2_stream *s, bool ended) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    struct h1_problem problem = { 0 };
    struct slice raw;
    http_head_init(&head, fields, HTTP_FIELDS_MAX);
    switch (h2_read_request(s, ended, &head, &raw, &problem)) {
    case H2_READ:
        check_as_h1(&head);
        if (ended || fuzz.ways & 1) {
            answer(s, HTTP_BODY_CHUNKED);
        }
        break;
    case H2_REFUSED:
        assert(problem.status >= 405 && problem.reason != NULL);
        answer(s, HTTP_BODY_NONE);
        h2_stop_request(s);
        break;
    case H2_MALFORMED:
        assert(s->reset);
        break;
    }
}

static void read_response(struct h2_stream *s, bool ended) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    struct buffer out;
    http_head_init(&head, fields, HTTP_FIELDS_MAX);
    if (h2_read_response(s, ended, &head) != H2_READ) {
        assert(s->reset);
        return;
    }
    buffer_init(&out, 1u << 20);
    http_strip_hop_by_hop(&head);
    assert(h1_write_response_head(&out, &head));
    buffer_fini(&out);
}

static void on_head_server(struct h2_stream *s, bool ended) {
    struct one *o = of(s);
    assert(o->open && !o->headed);
    o->headed = true;
    o->ended = ended;
    read_request(s, ended);
    if (fuzz.ways & 2) {
        h2_pause(s);
        o->paused_for = 3;
    }
}

static void on_head_client(struct h2_stream *s, bool ended) {
    struct one *o = of(s);
    assert(o->open && !o->ended);
    o->headed = true;
    o->ended = ended;
    read_response(s, ended);
}

static void on_data(struct h2_stream *s, struct slice data) {
    struct one *o = of(s);
    assert(o->open && o->headed && !o->ended && data.len > 0);
    if (o->paused_for > 0 && --o->paused_for == 0) {
        h2_resume(s);
    }
    if (fuzz.ways & 8) {
        h2_reset(s, H2_CANCEL);
    }
}

static void on_end(struct h2_stream *s, const struct http_head *trailers) {
    struct one *o = of(s);
    assert(o->open && o->headed && !o->ended);
    assert(trailers == NULL || trailers->field_count > 0);
    o->ended = true;
    answer(s, HTTP_BODY_CHUNKED);
}

static void on_sent(struct h2_stream *s) {
    assert(of(s)->open);
}

static void on_close(struct h2_stream *s, uint32_t code) {
    struct one *o = of(s);
    (void)code;
    assert(o->open && s->h2 == NULL && buffer_len(&s->out) == 0);
    o->open = false;
    fuzz.open--;
}

static const struct h2_handler server_events = {
    .on_open = on_open,
    .on_head = on_head_server,
    .on_data = on_data,
    .on_end = on_end,
    .on_sent = on_sent,
    .on_close = on_close,
};
static const struct h2_handler client_events = {
    .on_head = on_head_client,
    .on_data = on_data,
    .on_end = on_end,
    .on_sent = on_sent,
    .on_close = on_close,
};

/* ---- a connection ---- */

static void ask(void) {
    struct http_field fields[2];
    struct http_head head;
    for (unsigned i = 0; i < 4; i++) {
        struct h2_stream *s = on_open(fuzz.h2);
        http_head_init(&head, fields, 2);
        head.method = i == 1 ? HTTP_HEAD : HTTP_GET;
        head.method_text = i == 1 ? SLICE("HEAD") : SLICE("GET");
        head.authority = SLICE("a");
        head.path = SLICE("/");
        head.upgrade = i == 2;
        head.upgrade_to = SLICE("websocket");
        assert(s != NULL && h2_send_request(fuzz.h2, s, &head, i != 3));
    }
}

static void check_counts(void) {
    size_t unsent = 0;
    unsigned count = 0;
    LIST_EACH(h2_streams(fuzz.h2), link, saved) {
        unsent += h2_stream_unsent(LIST_ITEM(link, struct h2_stream, link));
        count++;
    }
    assert(unsent == h2_unsent(fuzz.h2) && count == h2_stream_count(fuzz.h2));
    assert(count == fuzz.open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t steps[] = { 1, 7, 64, SIZE_MAX / 2 };
    struct buffer out;
    if (size < 2) {
        return 0;
    }
    bool client = data[0] & 1;
    size_t step = steps[data[1] >> 6];
    fuzz.ways = data[1] & 0x3f;
    fuzz.open = 0;
    buffer_init(&out, 64u << 20);
    fuzz.h2 = h2_new(client ? H2_CLIENT : H2_SERVER, &limits,
                     client ? &client_events : &server_events, NULL);
    assert(fuzz.h2 != NULL);
    if (client) {
        ask();
    }
    bool alive = h2_output(fuzz.h2, &out, 65536, 1000000);
    uint64_t now_us = 1000000;
    for (size_t at = 2; at < size && alive; at += step, now_us += 1000) {
        size_t len = size - at < step ? size - at : step;
        alive = h2_receive(fuzz.h2, slice_of(data + at, len), now_us);
        buffer_clear(&out);
        assert(h2_output(fuzz.h2, &out, 65536, now_us));
        check_counts();
    }
    h2_free(fuzz.h2);
    for (unsigned i = 0; i < STREAMS; i++) {
        h2_stream_fini(&fuzz.streams[i].h2);
        fuzz.streams[i] = (struct one){ 0 };
    }
    buffer_fini(&out);
    return 0;
}
