/* What the HTTP/2 tests share: frames made by hand (fields through HPACK without any check), and a
 * connection whose events become one line of text. */
#pragma once
#include <nghttp2/nghttp2.h>

#include "h1_dump.h"
#include "wire/http/h2.h"

#define WIRE_BYTES 262144
#define FIELDS_MAX 300

static const struct h2_limits wire_limits = {
    .head_bytes = 32768, .fields = 100, .target_bytes = 8192, .streams = 128
};

enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

struct wire {
    uint8_t bytes[WIRE_BYTES];
    size_t len;
    nghttp2_hd_deflater *hpack;
};

static inline void wire_init(struct wire *w, bool preface) {
    w->len = 0;
    assert_int_equal(nghttp2_hd_deflate_new(&w->hpack, 4096), 0);
    if (preface) {
        memcpy(w->bytes, H2_PREFACE.data, H2_PREFACE.len);
        w->len = H2_PREFACE.len;
    }
}

static inline void wire_fini(struct wire *w) {
    nghttp2_hd_deflate_del(w->hpack);
}

static inline void wire_frame(struct wire *w, uint8_t type, uint8_t flags, uint32_t stream,
                              const void *payload, size_t len) {
    uint8_t head[9] = { (uint8_t)(len >> 16),
                        (uint8_t)(len >> 8),
                        (uint8_t)len,
                        type,
                        flags,
                        (uint8_t)(stream >> 24),
                        (uint8_t)(stream >> 16),
                        (uint8_t)(stream >> 8),
                        (uint8_t)stream };
    assert_true(w->len + 9 + len <= sizeof w->bytes);
    memcpy(w->bytes + w->len, head, 9);
    if (len > 0) {
        memcpy(w->bytes + w->len + 9, payload, len);
    }
    w->len += 9 + len;
}

/* `text` is "name=value|name=value"; a name may begin with ":". `extra` more fields "xN=y". */
static inline void wire_head(struct wire *w, uint32_t stream, const char *text, unsigned extra,
                             bool end_stream) {
    static nghttp2_nv fields[FIELDS_MAX + 32];
    static char names[FIELDS_MAX][8];
    static uint8_t block[WIRE_BYTES];
    size_t count = 0;
    struct slice rest = slice_from(text), item;
    while (slice_cut(&rest, '|', &item)) {
        size_t mark = slice_find(item, '=');
        assert_true(mark != SLICE_NONE);
        fields[count++] = (nghttp2_nv){ (uint8_t *)(uintptr_t)item.data,
                                        (uint8_t *)(uintptr_t)item.data + mark + 1, mark,
                                        item.len - mark - 1, 0 };
    }
    for (unsigned i = 0; i < extra; i++) {
        int len = snprintf(names[i], sizeof names[i], "x%u", i);
        fields[count++] =
            (nghttp2_nv){ (uint8_t *)names[i], (uint8_t *)(uintptr_t) "y", (size_t)len, 1, 0 };
    }
    ssize_t len = nghttp2_hd_deflate_hd(w->hpack, block, sizeof block, fields, count);
    assert_true(len > 0);
    wire_frame(w, NGHTTP2_HEADERS, (uint8_t)(END_HEADERS | (end_stream ? END_STREAM : 0)), stream,
               block, (size_t)len);
}

/* ---- a connection that writes down what it hears ---- */

#define LISTENER_STREAMS 256

struct listener {
    struct h2 *h2;
    enum h2_role role;
    struct h2_stream streams[LISTENER_STREAMS];
    unsigned opened;
    struct dump said;
    size_t data_end; /* of `said`, when data was the last event: pieces are one */
    bool pausing;    /* data is not taken */
    uint64_t now_us;
};

static inline struct listener *listener_of(struct h2_stream *s) {
    return h2_owner(s->h2);
}

static inline void say_fields(struct dump *d, const struct http_head *head) {
    for (size_t i = 0; i < head->field_count; i++) {
        dump_add(d, " [%.*s=%.*s]", SLICE_ARG(head->fields[i].name),
                 SLICE_ARG(head->fields[i].value));
    }
}

static inline struct h2_stream *listen_open(struct h2 *h2) {
    struct listener *l = h2_owner(h2);
    return l->opened == LISTENER_STREAMS ? NULL : &l->streams[l->opened++];
}

static inline void listen_request(struct listener *l, struct h2_stream *s, bool ended) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    struct h1_problem problem;
    struct slice raw;
    http_head_init(&head, fields, HTTP_FIELDS_MAX);
    switch (h2_read_request(s, ended, &head, &raw, &problem)) {
    case H2_READ:
        dump_add(&l->said, "%.*s %.*s %.*s%s%.*s", SLICE_ARG(head.method_text),
                 SLICE_ARG(head.authority), SLICE_ARG(head.path), head.has_query ? "?" : "",
                 SLICE_ARG(head.query));
        dump_rest(&l->said, &head);
        dump_add(&l->said, ";");
        break;
    case H2_REFUSED:
        dump_add(&l->said, "refused %u;", problem.status);
        break;
    case H2_MALFORMED:
        break; /* the stream closes; whether nghttp2 or we have seen it does not matter */
    }
}

static inline void listen_response(struct listener *l, struct h2_stream *s, bool ended) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    http_head_init(&head, fields, HTTP_FIELDS_MAX);
    if (h2_read_response(s, ended, &head) != H2_READ) {
        return;
    }
    dump_add(&l->said, "%u", head.status);
    dump_rest(&l->said, &head);
    dump_add(&l->said, ";");
}

static inline void listen_head(struct h2_stream *s, bool ended) {
    struct listener *l = listener_of(s);
    if (l->role == H2_SERVER) {
        listen_request(l, s, ended);
    } else {
        listen_response(l, s, ended);
    }
    if (l->pausing) {
        h2_pause(s);
    }
}

static inline void listen_data(struct h2_stream *s, struct slice data) {
    struct listener *l = listener_of(s);
    if (data.len <= 16) {
        bool more = l->data_end > 0 && l->said.len == l->data_end;
        l->said.len -= more;
        dump_add(&l->said, "%s%.*s;", more ? "" : "data ", SLICE_ARG(data));
        l->data_end = l->said.len;
    }
}

static inline void listen_end(struct h2_stream *s, const struct http_head *trailers) {
    struct listener *l = listener_of(s);
    dump_add(&l->said, "end");
    if (trailers != NULL) {
        say_fields(&l->said, trailers);
    }
    dump_add(&l->said, ";");
}

static inline void listen_sent(struct h2_stream *s) {
    (void)s;
}

/* The stream knows its connection no more: the array does. */
static struct listener *closing_listener;

static inline void listen_close(struct h2_stream *s, uint32_t code) {
    (void)s;
    dump_add(&closing_listener->said, "close %u;", code);
}

static inline void listen_goaway(struct h2 *h2) {
    struct listener *l = h2_owner(h2);
    dump_add(&l->said, "goaway;");
}

static inline void listen_ping(struct h2 *h2) {
    struct listener *l = h2_owner(h2);
    dump_add(&l->said, "ping;");
}

static const struct h2_handler listening = {
    .on_open = listen_open,
    .on_head = listen_head,
    .on_data = listen_data,
    .on_end = listen_end,
    .on_sent = listen_sent,
    .on_close = listen_close,
    .on_goaway = listen_goaway,
    .on_ping_answered = listen_ping,
};

static inline void listener_init(struct listener *l, enum h2_role role,
                                 const struct h2_limits *limits) {
    memset(l, 0, sizeof *l);
    l->role = role;
    l->now_us = 100000000;
    l->h2 = h2_new(role, limits, &listening, l);
    assert_non_null(l->h2);
    closing_listener = l;
}

static inline void listener_fini(struct listener *l) {
    h2_free(l->h2);
    for (unsigned i = 0; i < LISTENER_STREAMS; i++) {
        h2_stream_fini(&l->streams[i]);
    }
}

/* In pieces of `step` bytes; false when the connection broke. What is to be sent goes into `out`.
 */
static inline bool listener_hear(struct listener *l, const struct wire *w, size_t step,
                                 struct buffer *out) {
    bool alive = true;
    for (size_t at = 0; at < w->len && alive; at += step) {
        size_t len = w->len - at < step ? w->len - at : step;
        alive = h2_receive(l->h2, slice_of(w->bytes + at, len), l->now_us);
        assert_true(h2_output(l->h2, out, SIZE_MAX / 2, l->now_us));
    }
    return alive;
}

/* The first frame of this type in what was sent, from `from` on: its payload; false: none. */
static inline bool find_frame(const struct buffer *out, uint8_t type, uint32_t *stream,
                              struct slice *payload, size_t *from) {
    struct slice all = buffer_slice(out);
    while (*from + 9 <= all.len) {
        const uint8_t *head = (const uint8_t *)all.data + *from;
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        *payload = slice_sub(all, *from + 9, len);
        *stream =
            (uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
        *from += 9 + len;
        if (head[3] == type) {
            return true;
        }
    }
    return false;
}

static inline uint32_t read_u32(struct slice at) {
    const uint8_t *b = (const uint8_t *)at.data;
    if (b == NULL || at.len < 4) {
        fail_msg("expected four bytes");
        return 0;
    }
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
