/* HTTP/2: what heads mean, what is malformed, and that a connection holds its bounds. Every case is
 * given whole and byte by byte: both must say the same. Sections are of RFC 9113 where nothing else
 * is said. */
#include "h2_wire.h"

#define GET ":method=GET|:scheme=http|:authority=a|:path=/"
#define POST ":method=POST|:scheme=http|:authority=a|:path=/"
#define CONNECT ":method=CONNECT|:protocol=websocket|:scheme=http|:authority=a|:path=/"

struct h2_case {
    const char *section, *name, *fields;
    const char *body;     /* NULL: the head ends the stream */
    const char *trailers; /* NULL: the body ends it */
    const char *expected;
    unsigned extra;
};

/* clang-format off */
static const struct h2_case requests[] = {
    { "8.3.1", "the smallest", GET, NULL, NULL, "GET a / none keep;", 0 },
    { "8.3.1", "in any order", ":path=/|:authority=a|:scheme=http|:method=GET", NULL, NULL, "GET a / none keep;", 0 },
    { "8.3.1", "https", ":method=GET|:scheme=https|:authority=a|:path=/", NULL, NULL, "GET a / none keep;", 0 },
    { "8.3.1", "a query", ":method=GET|:scheme=http|:authority=a|:path=/b?c=d&e", NULL, NULL, "GET a /b?c=d&e none keep;", 0 },
    { "8.3.1", "an empty query is kept", ":method=GET|:scheme=http|:authority=a|:path=/b?", NULL, NULL, "GET a /b? none keep;", 0 },
    { "8.3.1", "a port and IPv6", ":method=GET|:scheme=http|:authority=[::1]:80|:path=/", NULL, NULL, "GET [::1]:80 / none keep;", 0 },
    { "8.3.1", "OPTIONS of the server", ":method=OPTIONS|:scheme=http|:authority=a|:path=*", NULL, NULL, "OPTIONS a * none keep;", 0 },
    { "8.3.1", "host in place of :authority", ":method=GET|:scheme=http|:path=/|host=b", NULL, NULL, "GET b / none keep;", 0 },
    { "8.3.1", "host that says the same", GET "|host=A", NULL, NULL, "GET a / none keep;", 0 },
    { "8.3.1", "an unknown method", ":method=BREW|:scheme=http|:authority=a|:path=/", NULL, NULL, "BREW a / none keep;", 0 },
    { "8.1", "a body without a length", POST, "abc", NULL, "POST a / chunked keep;data abc;end;", 0 },
    { "8.1", "a body with a length", POST "|content-length=3", "abc", NULL, "POST a / length:3 keep;data abc;end;", 0 },
    { "8.1", "an empty body with a length", POST "|content-length=0", NULL, NULL, "POST a / length:0 keep;", 0 },
    { "8.1", "trailers", POST, "abc", "x-sum=7", "POST a / chunked keep;data abc;end [x-sum=7];", 0 },
    { "9110 6.5.1", "what must not be a trailer is dropped", POST, "abc", "authorization=x|trailer=y|x-sum=7", "POST a / chunked keep;data abc;end [x-sum=7];", 0 },
    { "8.2.3", "cookie crumbs", GET "|cookie=a=1|x=y|cookie=b=2", NULL, NULL, "GET a / none keep [x=y];", 0 },
    { "8.2.1", "a value of other bytes", GET "|x=\xc3\xbc", NULL, NULL, "GET a / none keep [x=\xc3\xbc];", 0 },
    { "8.2.1", "an empty value", GET "|x=", NULL, NULL, "GET a / none keep [x=];", 0 },
    { "8.2.2", "te: trailers", GET "|te=trailers|x=y", NULL, NULL, "GET a / none keep [x=y];", 0 },
    { "9110 10.1.1", "expect", POST "|expect=100-continue", "", NULL, "POST a / chunked keep continue;end;", 0 },
    { "8441 4", "an extended CONNECT", CONNECT, "", NULL, "GET a / none keep upgrade=websocket;end;", 0 },

    { "8.2.1", "an upper-case name", GET "|Xx=y", NULL, NULL, "close 1;", 0 },
    { "8.2.1", "a blank in a name", GET "|x y=z", NULL, NULL, "close 1;", 0 },
    { "8.2.1", "a colon in a name", GET "|x:y=z", NULL, NULL, "close 1;", 0 },
    { "8.2.1", "an empty name", GET "|=z", NULL, NULL, "close 1;", 0 },
    { "8.2.1", "CR in a value", GET "|x=a\rb", NULL, NULL, "close 1;", 0 },
    { "8.2.1", "LF in a value", GET "|x=a\nb", NULL, NULL, "close 1;", 0 },
    { "8.2.1", "a blank before a value", GET "|x= y", NULL, NULL, "close 1;", 0 },
    { "8.2.1", "a blank behind a value", GET "|x=y ", NULL, NULL, "close 1;", 0 },
    { "9112 11.2", "an underscore in a known name", GET "|content_length=3", NULL, NULL, "close 1;", 0 },
    { "9112 11.2", "an underscore in another known name", GET "|x_forwarded_for=1.2.3.4", NULL, NULL, "close 1;", 0 },
    { "8.2.2", "connection", GET "|connection=close", NULL, NULL, "close 1;", 0 },
    { "8.2.2", "keep-alive", GET "|keep-alive=1", NULL, NULL, "close 1;", 0 },
    { "8.2.2", "proxy-connection", GET "|proxy-connection=close", NULL, NULL, "close 1;", 0 },
    { "8.2.2", "transfer-encoding", GET "|transfer-encoding=chunked", NULL, NULL, "close 1;", 0 },
    { "8.2.2", "upgrade", GET "|upgrade=websocket", NULL, NULL, "close 1;", 0 },
    { "8.2.2", "te of something else", GET "|te=gzip", NULL, NULL, "close 1;", 0 },
    { "8.3", "an unknown pseudo-field", GET "|:x=y", NULL, NULL, "close 1;", 0 },
    { "8.3", "a pseudo-field of responses", GET "|:status=200", NULL, NULL, "close 1;", 0 },
    { "8.3", "a pseudo-field behind a field", ":method=GET|:scheme=http|:authority=a|x=y|:path=/", NULL, NULL, "close 1;", 0 },
    { "8.3", "a pseudo-field twice", GET "|:path=/b", NULL, NULL, "close 1;", 0 },
    { "8.3", "a pseudo-field in trailers", POST, "abc", ":path=/", "POST a / chunked keep;data abc;close 1;", 0 },
    { "8.3.1", "no :method", ":scheme=http|:authority=a|:path=/", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "no :scheme", ":method=GET|:authority=a|:path=/", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "no :path", ":method=GET|:scheme=http|:authority=a", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "no authority at all", ":method=GET|:scheme=http|:path=/", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "an empty :path", ":method=GET|:scheme=http|:authority=a|:path=", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "an absolute URI in :path", ":method=GET|:scheme=http|:authority=a|:path=http://b/", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "* of GET", ":method=GET|:scheme=http|:authority=a|:path=*", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "a blank in :path", ":method=GET|:scheme=http|:authority=a|:path=/ HTTP/1.1", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "a fragment in :path", ":method=GET|:scheme=http|:authority=a|:path=/#b", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "a high byte in :path", ":method=GET|:scheme=http|:authority=a|:path=/\xff", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "another scheme", ":method=GET|:scheme=ftp|:authority=a|:path=/", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "userinfo", ":method=GET|:scheme=http|:authority=u@a|:path=/", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "an empty :authority", ":method=GET|:scheme=http|:authority=|:path=/", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "a path in :authority", ":method=GET|:scheme=http|:authority=a/b|:path=/", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "host differs", GET "|host=b", NULL, NULL, "close 1;", 0 },
    { "9110 7.2", "two hosts", ":method=GET|:scheme=http|:path=/|host=a|host=a", NULL, NULL, "close 1;", 0 },
    { "8.3.1", "a method that is no token", ":method=G T|:scheme=http|:authority=a|:path=/", NULL, NULL, "close 1;", 0 },
    { "8.1.1", "a body shorter than its length", POST "|content-length=4", "abc", NULL, "POST a / length:4 keep;data abc;close 1;", 0 },
    { "8.1.1", "a length and no body", POST "|content-length=2", NULL, NULL, "close 1;", 0 },
    { "8.1.1", "two lengths", POST "|content-length=3|content-length=3", "abc", NULL, "close 1;", 0 },
    { "8.1.1", "a length with a sign", POST "|content-length=+3", "abc", NULL, "close 1;", 0 },
    { "8.1.1", "a length past all bounds", POST "|content-length=99999999999999999999", "abc", NULL, "close 1;", 0 },
    { "8441 4", "an extended CONNECT without :path", ":method=CONNECT|:protocol=websocket|:scheme=http|:authority=a", "", NULL, "close 1;", 0 },
    { "8441 4", ":protocol of GET", GET "|:protocol=websocket", NULL, NULL, "close 1;", 0 },

    { "8.5", "CONNECT", ":method=CONNECT|:authority=a:1", "", NULL, "refused 405;end;", 0 },
    { "9110 10.1.1", "an expectation that we do not know", POST "|expect=x", "", NULL, "refused 417;end;", 0 },
    { "10.5.1", "more fields than allowed", GET, NULL, NULL, "refused 431;", 101 },
    { "10.5.1", "more fields than are kept", GET, NULL, NULL, "refused 431;", 290 },
};

static const struct h2_case responses[] = {
    { "8.3.2", "the smallest", ":status=200", NULL, NULL, "200 length keep;", 0 },
    { "8.3.2", "a body", ":status=200", "abc", NULL, "200 chunked keep;data abc;end;close 0;", 0 },
    { "8.3.2", "a body with a length", ":status=200|content-length=3", "abc", NULL, "200 length:3 keep;data abc;end;close 0;", 0 },
    { "8.1", "trailers", ":status=200", "abc", "grpc-status=0", "200 chunked keep;data abc;end [grpc-status=0];close 0;", 0 },
    { "8.1", "a length of nothing, and trailers", ":status=200|content-length=0", "", "x=y", "200 chunked keep;end [x=y];close 0;", 0 },
    { "9110 15.4.5", "304 may have a length", ":status=304|content-length=9", NULL, NULL, "304 none:9 keep;", 0 },
    { "9110 15.3.5", "204", ":status=204", NULL, NULL, "204 none keep;", 0 },
    { "8.3.2", "no :status", "x=y", NULL, NULL, "close 1;", 0 },
    { "8.3.2", "a :status that is no number", ":status=2x0", NULL, NULL, "close 1;", 0 },
    { "8.3.2", "a :status of another length", ":status=2000", NULL, NULL, "close 1;", 0 },
    { "8.6", "101", ":status=101", "", NULL, "close 1;", 0 },
    { "8.3", "a pseudo-field of requests", ":status=200|:path=/", NULL, NULL, "close 1;", 0 },
    { "8.2.2", "connection", ":status=200|connection=close", NULL, NULL, "close 1;", 0 },
    { "8.1.1", "a body shorter than its length", ":status=200|content-length=4", "abc", NULL, "200 length:4 keep;data abc;close 1;", 0 },
    { "10.5.1", "more fields than allowed", ":status=200", NULL, NULL, "close 0;", 101 },
};
/* clang-format on */

static void write_message(struct wire *w, const struct h2_case *c) {
    wire_head(w, 1, c->fields, c->extra, c->body == NULL);
    if (c->body != NULL) {
        wire_frame(w, NGHTTP2_DATA, c->trailers == NULL ? END_STREAM : 0, 1, c->body,
                   strlen(c->body));
    }
    if (c->trailers != NULL) {
        wire_head(w, 1, c->trailers, 0, true);
    }
}

static struct wire w;
static struct listener l;

static void run_request(const struct h2_case *c, size_t step) {
    struct buffer out;
    buffer_init(&out, SIZE_MAX / 2);
    wire_init(&w, true);
    listener_init(&l, H2_SERVER, &wire_limits);
    wire_frame(&w, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    write_message(&w, c);
    bool alive = listener_hear(&l, &w, step, &out);
    if (!alive || strcmp(l.said.text, c->expected) != 0) {
        fail_msg("%s %s, in steps of %zu: %s\nexpected %s", c->section, c->name, step, l.said.text,
                 c->expected);
    }
    listener_fini(&l);
    wire_fini(&w);
    buffer_fini(&out);
}

static void test_requests(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        run_request(&requests[i], 1);
        run_request(&requests[i], SIZE_MAX / 2);
    }
}

/* Of such a body the part that fits may have been given before the rest came: not alike. */
static void test_a_body_longer_than_its_length(void **state) {
    (void)state;
    for (size_t step = 1; step < WIRE_BYTES; step *= WIRE_BYTES / 2) {
        struct buffer out;
        buffer_init(&out, SIZE_MAX / 2);
        wire_init(&w, true);
        listener_init(&l, H2_SERVER, &wire_limits);
        wire_frame(&w, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
        wire_head(&w, 1, POST "|content-length=2", 0, false);
        wire_frame(&w, NGHTTP2_DATA, END_STREAM, 1, "abc", 3);
        assert_true(listener_hear(&l, &w, step, &out));
        assert_non_null(strstr(l.said.text, "close 1;")); /* 8.1.1 */
        assert_null(strstr(l.said.text, "end"));
        listener_fini(&l);
        wire_fini(&w);
        buffer_fini(&out);
    }
}

static struct http_field request_fields[8];

static struct http_head plain_request(void) {
    struct http_head head;
    http_head_init(&head, request_fields, 8);
    head.method = HTTP_GET;
    head.method_text = SLICE("GET");
    head.authority = SLICE("shop.test");
    head.path = SLICE("/a");
    return head;
}

static void run_response(const struct h2_case *c, size_t step) {
    struct buffer out;
    struct http_head head = plain_request();
    buffer_init(&out, SIZE_MAX / 2);
    wire_init(&w, false);
    listener_init(&l, H2_CLIENT, &wire_limits);
    assert_true(h2_send_request(l.h2, &l.streams[0], &head, true));
    assert_true(h2_output(l.h2, &out, SIZE_MAX / 2, l.now_us));
    wire_frame(&w, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    write_message(&w, c);
    bool alive = listener_hear(&l, &w, step, &out);
    bool ends = c->body == NULL && strstr(c->expected, "close") == NULL;
    char expected[256];
    snprintf(expected, sizeof expected, "%s%s", c->expected, ends ? "close 0;" : "");
    if (!alive || strcmp(l.said.text, expected) != 0) {
        fail_msg("%s %s, in steps of %zu: %s\nexpected %s", c->section, c->name, step, l.said.text,
                 expected);
    }
    listener_fini(&l);
    wire_fini(&w);
    buffer_fini(&out);
}

static void test_responses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof responses / sizeof responses[0]; i++) {
        run_response(&responses[i], 1);
        run_response(&responses[i], SIZE_MAX / 2);
    }
}

/* ---- the connection ---- */

static void begin(enum h2_role role, struct buffer *out) {
    buffer_init(out, SIZE_MAX / 2);
    wire_init(&w, role == H2_SERVER);
    listener_init(&l, role, &wire_limits);
    wire_frame(&w, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

static void finish(struct buffer *out) {
    listener_fini(&l);
    wire_fini(&w);
    buffer_fini(out);
}

static bool hear(struct buffer *out) {
    bool alive = listener_hear(&l, &w, SIZE_MAX / 2, out);
    w.len = 0;
    return alive;
}

static uint32_t goaway_code(const struct buffer *out) {
    struct slice payload = { 0 };
    uint32_t stream;
    size_t from = 0;
    return find_frame(out, NGHTTP2_GOAWAY, &stream, &payload, &from)
               ? read_u32(slice_skip(payload, 4))
               : UINT32_MAX;
}

struct flood_case {
    const char *name;
    uint8_t type, flags;
    uint32_t stream;
    const char *payload;
    size_t payload_len;
    unsigned allowed; /* so many at once */
};

static void test_floods(void **state) {
    static const struct flood_case floods[] = {
        { "PING (10.5)", NGHTTP2_PING, 0, 0, "12345678", 8, 1000 },
        { "SETTINGS (10.5)", NGHTTP2_SETTINGS, 0, 0, "", 0, 99 },
        { "PRIORITY (10.5)", NGHTTP2_PRIORITY, 0, 5, "\0\0\0\1\1", 5, 2000 },
        { "WINDOW_UPDATE (10.5)", NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4, 4000 },
        { "empty DATA (10.5)", NGHTTP2_DATA, 0, 1, "", 0, 2000 },
        { "frames that nobody knows (5.5)", 0xfa, 0, 0, "", 0, 2000 },
        { "RST_STREAM of closed streams", NGHTTP2_RST_STREAM, 0, 3, "\0\0\0\x8", 4, 2000 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        const struct flood_case *c = &floods[i];
        struct buffer out;
        begin(H2_SERVER, &out);
        wire_head(&w, 1, POST, 0, false);
        wire_head(&w, 3, GET, 0, true);
        wire_frame(&w, NGHTTP2_RST_STREAM, 0, 3, "\0\0\0\x8", 4);
        assert_true(hear(&out));
        for (unsigned n = 0; n < c->allowed; n++) {
            wire_frame(&w, c->type, c->flags, c->stream, c->payload, c->payload_len);
            if (!hear(&out)) {
                fail_msg("%s: %u were too many: %s", c->name, n, h2_trouble(l.h2));
            }
        }
        l.now_us += 1000000; /* a second gives back a tenth */
        for (unsigned n = 0; n < c->allowed / 11; n++) {
            wire_frame(&w, c->type, c->flags, c->stream, c->payload, c->payload_len);
            assert_true(hear(&out));
        }
        bool alive = true;
        for (unsigned n = 0; n < c->allowed && alive; n++) {
            wire_frame(&w, c->type, c->flags, c->stream, c->payload, c->payload_len);
            alive = hear(&out);
        }
        if (alive || !h2_is_abused(l.h2) || goaway_code(&out) != H2_ENHANCE_YOUR_CALM) {
            fail_msg("%s: never too many", c->name);
        }
        finish(&out);
    }
}

static void test_rapid_reset(void **state) {
    struct buffer out;
    unsigned resets = 0;
    (void)state;
    begin(H2_SERVER, &out);
    for (uint32_t id = 1; id < 4000; id += 2, resets++) {
        l.opened = 0; /* the test's own memory */
        wire_head(&w, id, GET, 0, true);
        wire_frame(&w, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\x8", 4);
        l.said.len = 0;
        if (!hear(&out)) {
            break;
        }
    }
    assert_int_equal(resets, 400);
    assert_int_equal(goaway_code(&out), H2_ENHANCE_YOUR_CALM);
    finish(&out);
}

static void test_closed_streams(void **state) {
    static const struct {
        const char *name;
        uint8_t type;
        bool alive;
    } cases[] = {
        { "5.1 DATA", NGHTTP2_DATA, false },
        { "5.1 HEADERS", NGHTTP2_HEADERS, false },
        { "5.1 WINDOW_UPDATE is allowed for a while", NGHTTP2_WINDOW_UPDATE, true },
        { "5.1 RST_STREAM is allowed for a while", NGHTTP2_RST_STREAM, true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out;
        struct http_head head;
        struct http_field none[1];
        begin(H2_SERVER, &out);
        wire_head(&w, 1, GET, 0, true);
        assert_true(hear(&out));
        http_head_init(&head, none, 1);
        head.status = 204;
        h2_send_response(&l.streams[0], &head);
        assert_true(h2_output(l.h2, &out, SIZE_MAX / 2, l.now_us));
        assert_string_equal(l.said.text, "GET a / none keep;close 0;");
        if (cases[i].type == NGHTTP2_HEADERS) {
            wire_head(&w, 1, GET, 0, true);
        } else {
            wire_frame(&w, cases[i].type, 0, 1, "\0\0\0\1", 4);
        }
        bool alive = hear(&out);
        if (alive != cases[i].alive || (!alive && goaway_code(&out) != NGHTTP2_STREAM_CLOSED)) {
            fail_msg("%s", cases[i].name);
        }
        finish(&out);
    }
}

/* A stream that is paused gets no window, and the others go on; resumed, it gets it. */
static void test_windows_follow_what_was_taken(void **state) {
    static const char piece[16384];
    struct buffer out;
    struct slice payload = { 0 };
    uint32_t stream;
    bool connection = false;
    (void)state;
    begin(H2_SERVER, &out);
    l.pausing = true;
    assert_true(hear(&out));
    wire_frame(&w, NGHTTP2_SETTINGS, ACK, 0, NULL, 0); /* of our window */
    wire_head(&w, 1, POST, 0, false);
    assert_true(hear(&out));
    buffer_clear(&out);
    for (unsigned i = 0; i < H2_STREAM_WINDOW_BYTES / sizeof piece; i++) {
        wire_frame(&w, NGHTTP2_DATA, 0, 1, piece, sizeof piece);
        assert_true(hear(&out));
    }
    for (size_t from = 0; find_frame(&out, NGHTTP2_WINDOW_UPDATE, &stream, &payload, &from);) {
        assert_int_equal(stream, 0);
        connection = true;
    }
    assert_false(connection); /* less than half of it is used */
    h2_resume(&l.streams[0]);
    assert_true(h2_output(l.h2, &out, SIZE_MAX / 2, l.now_us));
    size_t from = 0;
    assert_true(find_frame(&out, NGHTTP2_WINDOW_UPDATE, &stream, &payload, &from));
    assert_int_equal(stream, 1);
    assert_int_equal(read_u32(payload), H2_STREAM_WINDOW_BYTES);
    /* One byte more than the window is an error of the peer's (6.9.1). */
    h2_pause(&l.streams[0]);
    for (unsigned i = 0; i <= H2_STREAM_WINDOW_BYTES / sizeof piece; i++) {
        wire_frame(&w, NGHTTP2_DATA, 0, 1, piece, sizeof piece);
        hear(&out);
    }
    assert_non_null(strstr(l.said.text, "close 3;"));
    finish(&out);
}

static void test_goaway_in_two_steps(void **state) {
    struct buffer out;
    struct slice payload = { 0 };
    uint32_t stream;
    size_t from = 0;
    (void)state;
    begin(H2_SERVER, &out);
    wire_head(&w, 1, GET, 0, true);
    assert_true(hear(&out));
    h2_announce_goaway(l.h2);
    assert_true(h2_output(l.h2, &out, SIZE_MAX / 2, l.now_us));
    assert_true(find_frame(&out, NGHTTP2_GOAWAY, &stream, &payload, &from));
    assert_int_equal(read_u32(payload), INT32_MAX);
    wire_head(&w, 3, GET, 0, true); /* it was on its way */
    wire_frame(&w, NGHTTP2_PING, ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    assert_true(hear(&out));
    assert_non_null(strstr(l.said.text, "ping;"));
    h2_goaway(l.h2, H2_NO_ERROR);
    assert_true(h2_output(l.h2, &out, SIZE_MAX / 2, l.now_us));
    assert_true(find_frame(&out, NGHTTP2_GOAWAY, &stream, &payload, &from));
    assert_int_equal(read_u32(payload), 3);
    assert_int_equal(l.opened, 2);
    wire_head(&w, 5, GET, 0, true); /* too late: not processed */
    assert_true(hear(&out));
    assert_int_equal(l.opened, 2);
    assert_false(h2_is_over(l.h2));
    finish(&out);
}

static void test_a_service_that_goes_away(void **state) {
    struct buffer out;
    struct http_head head = plain_request();
    (void)state;
    begin(H2_CLIENT, &out);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(h2_send_request(l.h2, &l.streams[i], &head, true));
    }
    assert_true(h2_output(l.h2, &out, SIZE_MAX / 2, l.now_us));
    wire_frame(&w, NGHTTP2_GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8);
    wire_head(&w, 1, ":status=200", 0, true);
    hear(&out);
    assert_string_equal(l.said.text, "goaway;close 7;close 7;200 length keep;close 0;");
    finish(&out);
}

/* What one side writes the other reads as it was meant. */
static void test_round_trip(void **state) {
    static struct listener client;
    struct buffer there, back;
    struct http_field fields[8];
    struct http_head head = plain_request();
    (void)state;
    buffer_init(&there, SIZE_MAX / 2);
    buffer_init(&back, SIZE_MAX / 2);
    listener_init(&client, H2_CLIENT, &wire_limits);
    listener_init(&l, H2_SERVER, &wire_limits);
    head.path = SLICE("/rewritten");
    head.has_query = true;
    head.query = SLICE("q=1"); /* not behind the path in memory */
    head.framing = HTTP_BODY_CHUNKED;
    http_head_add(&head, SLICE("Content-Type"), SLICE("text/plain"));
    http_head_add(&head, SLICE("X-Name"), SLICE("v"));
    assert_true(h2_send_request(client.h2, &client.streams[0], &head, false));
    h2_send_data(&client.streams[0], SLICE("abc"));
    struct http_head trailers;
    http_head_init(&trailers, fields, 8);
    http_head_add(&trailers, SLICE("X-Sum"), SLICE("7"));
    h2_send_end(&client.streams[0], &trailers);
    assert_true(h2_output(client.h2, &there, SIZE_MAX / 2, l.now_us));
    assert_true(h2_receive(l.h2, buffer_slice(&there), 1));
    assert_string_equal(l.said.text,
                        "GET shop.test /rewritten?q=1 chunked keep [x-name=v];data abc;"
                        "end [x-sum=7];");
    struct http_head answer;
    http_head_init(&answer, fields, 8);
    answer.status = 200;
    answer.framing = HTTP_BODY_LENGTH;
    answer.has_content_length = true;
    answer.content_length = 2;
    http_head_add(&answer, SLICE("Connection"), SLICE("close")); /* is not for this connection */
    h2_send_response(&l.streams[0], &answer);
    h2_send_data(&l.streams[0], SLICE("ok"));
    h2_send_end(&l.streams[0], NULL);
    assert_true(h2_output(l.h2, &back, SIZE_MAX / 2, l.now_us));
    closing_listener = &client;
    h2_receive(client.h2, buffer_slice(&back), 1);
    assert_string_equal(client.said.text, "200 length:2 keep;data ok;end;close 0;");
    listener_fini(&client);
    listener_fini(&l);
    buffer_fini(&there);
    buffer_fini(&back);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_a_body_longer_than_its_length),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_closed_streams),
        cmocka_unit_test(test_windows_follow_what_was_taken),
        cmocka_unit_test(test_goaway_in_two_steps),
        cmocka_unit_test(test_a_service_that_goes_away),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
