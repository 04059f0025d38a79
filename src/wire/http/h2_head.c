/* Heads that go out (RFC 9113 §8.3). What is meant for the connection only has been stripped by
 * who forwards; framing and pseudo-fields are written anew from the head. */
#include <string.h>

#include "wire/http/h2_internal.h"

#define NV_MAX (HTTP_FIELDS_MAX + 8)
#define DIGITS_BYTES 20

struct lines {
    nghttp2_nv nv[NV_MAX];
    size_t count;
    char status[3], length[DIGITS_BYTES];
};

static void add(struct lines *l, struct slice name, struct slice value) {
    if (l->count < NV_MAX) {
        l->nv[l->count++] =
            (nghttp2_nv){ (uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)value.data,
                          name.len, value.len, 0 };
    }
}

static void add_length(struct lines *l, const struct http_head *head) {
    uint64_t value = head->content_length;
    size_t first = DIGITS_BYTES;
    if (!head->has_content_length) {
        return;
    }
    do {
        l->length[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    add(l, SLICE("content-length"), slice_of(l->length + first, DIGITS_BYTES - first));
}

static bool is_dropped(const struct http_field *field, bool tunnel) {
    switch (field->id) {
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE:
    case HTTP_FIELD_HTTP2_SETTINGS:
    case HTTP_FIELD_EXPECT:
        return true;
    case HTTP_FIELD_OTHER: /* the handshake of RFC 6455 is HTTP/1's (RFC 8441 5) */
        return tunnel && (slice_equal_fold(field->name, SLICE("sec-websocket-key")) ||
                          slice_equal_fold(field->name, SLICE("sec-websocket-accept")));
    default:
        return false;
    }
}

static void add_fields(struct lines *l, const struct http_head *head, bool tunnel) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (!is_dropped(&head->fields[i], tunnel)) {
            add(l, head->fields[i].name, head->fields[i].value);
        }
    }
}

/* ---- responses ---- */

static void begin_response(struct lines *l, uint16_t status) {
    l->count = 0;
    l->status[0] = (char)('0' + status / 100);
    l->status[1] = (char)('0' + status / 10 % 10);
    l->status[2] = (char)('0' + status % 10);
    add(l, SLICE(":status"), slice_of(l->status, 3));
}

void h2_send_response(struct h2_stream *s, const struct http_head *head) {
    struct lines l;
    int wrong;
    if (s->h2 == NULL || s->reset || s->out_ended) {
        return;
    }
    bool tunnel = head->status == 101;
    begin_response(&l, tunnel ? 200 : head->status);
    if (head->status < 200 && !tunnel) {
        add_fields(&l, head, false);
        wrong = nghttp2_submit_headers(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NULL, l.nv,
                                       l.count, NULL);
    } else {
        nghttp2_data_provider provider = h2_stream_provider(s);
        s->out_ended =
            !tunnel && (head->framing == HTTP_BODY_NONE ||
                        (head->framing == HTTP_BODY_LENGTH && head->content_length == 0));
        if (!tunnel) {
            add_length(&l, head);
        }
        add_fields(&l, head, tunnel);
        wrong = nghttp2_submit_response(s->h2->session, s->id, l.nv, l.count,
                                        s->out_ended ? NULL : &provider);
    }
    if (wrong != 0) {
        h2_reset(s, H2_INTERNAL_ERROR); /* memory */
    }
}

/* ---- requests ---- */

static struct slice path_of(const struct http_head *head) {
    if (!head->has_query) {
        return head->path;
    }
    /* Path and query were one text when they came, and still are, unless somebody rewrote them. */
    return slice_of(head->path.data, head->path.len + 1 + head->query.len);
}

static bool is_one_text(const struct http_head *head) {
    return !head->has_query || (head->query.data == head->path.data + head->path.len + 1 &&
                                head->path.data[head->path.len] == '?');
}

bool h2_send_request(struct h2 *h2, struct h2_stream *s, const struct http_head *head, bool ended) {
    struct lines l = { .count = 0 };
    struct buffer joined;
    bool tunnel = head->upgrade && h2_peer_allows_connect(h2);
    struct slice path = path_of(head);
    buffer_init(&joined, SIZE_MAX / 2);
    if (!is_one_text(head)) {
        if (!buffer_append(&joined, head->path) || !buffer_append_byte(&joined, '?') ||
            !buffer_append(&joined, head->query)) {
            buffer_fini(&joined);
            return false;
        }
        path = buffer_slice(&joined);
    }
    add(&l, SLICE(":method"), tunnel ? SLICE("CONNECT") : head->method_text);
    if (tunnel) {
        add(&l, SLICE(":protocol"), head->upgrade_to);
    }
    add(&l, SLICE(":scheme"), head->scheme.len > 0 ? head->scheme : SLICE("http"));
    add(&l, SLICE(":authority"), head->authority);
    add(&l, SLICE(":path"), path);
    add_length(&l, head);
    if (head->expect_continue) {
        add(&l, SLICE("expect"), SLICE("100-continue"));
    }
    add_fields(&l, head, tunnel);
    h2_stream_open(h2, s, 0);
    nghttp2_data_provider provider = h2_stream_provider(s);
    s->id = nghttp2_submit_request(h2->session, NULL, l.nv, l.count,
                                   ended && !tunnel ? NULL : &provider, s);
    buffer_fini(&joined);
    if (s->id < 0) {
        h2_stream_closed(s);
        return false;
    }
    s->method = head->method;
    s->tunnel = tunnel;
    s->unsent_head = true;
    s->out_ended = ended && !tunnel;
    return true;
}
