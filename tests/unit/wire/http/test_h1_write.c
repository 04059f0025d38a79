/* Heads and chunks as they are written, and that what is written is read back as the same. */
#include "base/rand.h"
#include "h1_dump.h"

static struct buffer out;

static void parse_request(struct slice input, struct http_head *head, struct http_field *fields) {
    struct h1_scan scan = { 0 };
    struct h1_problem problem = { 0 };
    size_t consumed;
    http_head_init(head, fields, HTTP_FIELDS_MAX);
    if (h1_parse_request(input, &h1_limits_default, &scan, head, &consumed, &problem) != H1_DONE) {
        fail_msg("%s: %.*s", problem.reason, SLICE_ARG(input));
    }
    assert_int_equal(consumed, input.len);
}

/* Each request as it comes, and as it goes on after its hop-by-hop fields are gone. */
static void writes_requests(void **state) {
    static const struct {
        const char *name;
        struct slice in, out;
    } cases[] = {
        { "the smallest", SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
          SLICE("GET / HTTP/1.1\r\nhost: a\r\n\r\n") },
        { "query and fields", SLICE("GET /a?b HTTP/1.1\r\nHost: a:1\r\nX:  1 \r\nx: 2\r\n\r\n"),
          SLICE("GET /a?b HTTP/1.1\r\nhost: a:1\r\nX: 1\r\nx: 2\r\n\r\n") },
        { "an empty query", SLICE("GET /a? HTTP/1.1\r\nHost: a\r\n\r\n"),
          SLICE("GET /a? HTTP/1.1\r\nhost: a\r\n\r\n") },
        { "absolute-form becomes origin-form", SLICE("GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n"),
          SLICE("GET /x HTTP/1.1\r\nhost: b\r\n\r\n") },
        { "OPTIONS of the whole server", SLICE("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n"),
          SLICE("OPTIONS * HTTP/1.1\r\nhost: b\r\n\r\n") },
        { "1.0 goes on as 1.1",
          SLICE("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"),
          SLICE("GET / HTTP/1.1\r\nhost: a\r\n\r\n") },
        { "close", SLICE("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
          SLICE("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n") },
        { "nominated fields go",
          SLICE("GET / HTTP/1.1\r\nHost: a\r\nX-Hop: 1\r\nY: 2\r\n"
                "Connection: x-hop\r\nKeep-Alive: 5\r\n\r\n"),
          SLICE("GET / HTTP/1.1\r\nhost: a\r\nY: 2\r\n\r\n") },
        { "TE is named", SLICE("GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers\r\n\r\n"),
          SLICE("GET / HTTP/1.1\r\nhost: a\r\nconnection: te\r\nTE: trailers\r\n\r\n") },
        { "TE and close",
          SLICE("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n"
                "Connection: close, TE\r\n\r\n"),
          SLICE("GET / HTTP/1.1\r\nhost: a\r\nconnection: close, te\r\nTE: trailers\r\n\r\n") },
        { "TE without trailers goes", SLICE("GET / HTTP/1.1\r\nHost: a\r\nTE: gzip\r\n\r\n"),
          SLICE("GET / HTTP/1.1\r\nhost: a\r\n\r\n") },
        { "length", SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n"),
          SLICE("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\n") },
        { "length of 0", SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
          SLICE("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n") },
        { "chunked", SLICE("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nHost: a\r\n\r\n"),
          SLICE("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n") },
        { "expectation",
          SLICE("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
                "Content-Length: 1\r\n\r\n"),
          SLICE(
              "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n") },
        { "upgrade",
          SLICE("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
                "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"),
          SLICE("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                "Sec-WebSocket-Key: x\r\n\r\n") },
        { "h2c goes no further",
          SLICE("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n"
                "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n\r\n"),
          SLICE("GET / HTTP/1.1\r\nhost: a\r\n\r\n") },
    };
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parse_request(cases[i].in, &head, fields);
        http_strip_hop_by_hop(&head);
        buffer_clear(&out);
        assert_true(h1_write_request_head(&out, &head));
        if (!slice_equal(buffer_slice(&out), cases[i].out)) {
            fail_msg("%s:\n%.*s\nnot\n%.*s", cases[i].name, SLICE_ARG(buffer_slice(&out)),
                     SLICE_ARG(cases[i].out));
        }
    }
}

static void writes_responses(void **state) {
    static const struct {
        const char *name;
        struct http_head head;
        struct slice out;
    } cases[] = {
        { "length",
          { .status = 200,
            .framing = HTTP_BODY_LENGTH,
            .content_length = 5,
            .has_content_length = true,
            .keep_alive = true },
          SLICE("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n") },
        { "chunked and close",
          { .status = 404, .framing = HTTP_BODY_CHUNKED },
          SLICE("HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\nconnection: "
                "close\r\n\r\n") },
        { "until the end",
          { .status = 200, .framing = HTTP_BODY_UNTIL_CLOSE },
          SLICE("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n") },
        { "the length in the answer to HEAD",
          { .status = 200,
            .content_length = 18446744073709551615u,
            .has_content_length = true,
            .keep_alive = true },
          SLICE("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n") },
        { "304",
          { .status = 304, .keep_alive = true },
          SLICE("HTTP/1.1 304 Not Modified\r\n\r\n") },
        { "100 says nothing of the connection",
          { .status = 100 },
          SLICE("HTTP/1.1 100 Continue\r\n\r\n") },
        { "101",
          { .status = 101, .upgrade = true, .upgrade_to = SLICE("websocket") },
          SLICE("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
                "upgrade: websocket\r\n\r\n") },
        { "a status without a phrase",
          { .status = 299, .keep_alive = true },
          SLICE("HTTP/1.1 299 \r\n\r\n") },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buffer_clear(&out);
        assert_true(h1_write_response_head(&out, &cases[i].head));
        if (!slice_equal(buffer_slice(&out), cases[i].out)) {
            fail_msg("%s: %.*s", cases[i].name, SLICE_ARG(buffer_slice(&out)));
        }
    }
}

/* What the framing says is written once, whatever fields stand in the head. */
static void writes_its_own_fields_once(void **state) {
    static const char *const own[] = { "Host",       "Content-Length", "Transfer-Encoding",
                                       "Connection", "Upgrade",        "Expect" };
    struct http_field fields[8];
    struct http_head head;
    (void)state;
    http_head_init(&head, fields, 8);
    head.keep_alive = true;
    head.status = 200;
    head.method_text = SLICE("GET");
    head.path = SLICE("/");
    head.authority = SLICE("a");
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        assert_true(http_head_add(&head, slice_from(own[i]), SLICE("evil")));
    }
    buffer_clear(&out);
    assert_true(h1_write_response_head(&out, &head));
    assert_true(slice_equal(buffer_slice(&out), SLICE("HTTP/1.1 200 OK\r\n\r\n")));
    buffer_clear(&out);
    assert_true(h1_write_request_head(&out, &head));
    assert_true(slice_equal(buffer_slice(&out), SLICE("GET / HTTP/1.1\r\nhost: a\r\n\r\n")));
}

static void writes_chunks(void **state) {
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = { { 1, "1\r\n" },
                  { 15, "f\r\n" },
                  { 16, "10\r\n" },
                  { 65536, "10000\r\n" },
                  { UINT64_MAX, "ffffffffffffffff\r\n" } };
    char text[H1_CHUNK_HEAD_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice written = slice_of(text, h1_chunk_head(text, cases[i].bytes));
        assert_true(slice_equal(written, slice_from(cases[i].text)));
    }
    buffer_clear(&out);
    assert_true(h1_write_last_chunk(&out, NULL));
    assert_true(slice_equal(buffer_slice(&out), SLICE("0\r\n\r\n")));
}

static void writes_trailers(void **state) {
    struct http_field fields[4];
    struct http_head trailers;
    (void)state;
    http_head_init(&trailers, fields, 4);
    assert_true(http_head_add(&trailers, SLICE("x-sum"), SLICE("1")));
    assert_true(http_head_add(&trailers, SLICE("content-length"), SLICE("9"))); /* never */
    buffer_clear(&out);
    assert_true(h1_write_last_chunk(&out, &trailers));
    assert_true(slice_equal(buffer_slice(&out), SLICE("0\r\nx-sum: 1\r\n\r\n")));
}

static void respects_the_limit(void **state) {
    struct buffer small;
    struct http_head head = { .method_text = SLICE("GET"), .path = SLICE("/") };
    (void)state;
    buffer_init(&small, 64);
    assert_false(h1_write_request_head(&small, &head));
    head.status = 200;
    assert_false(h1_write_response_head(&small, &head));
    assert_int_equal(buffer_len(&small), 0);
    buffer_fini(&small);
}

/* ---- round trip ---- */

static struct slice random_text(struct rand *r, struct arena *arena, const char *alphabet,
                                size_t least, size_t most) {
    size_t len = least + rand_below(r, (uint32_t)(most - least + 1)), kinds = strlen(alphabet);
    char *text = arena_alloc(arena, len + 1);
    for (size_t i = 0; i < len; i++) {
        text[i] = alphabet[rand_below(r, (uint32_t)kinds)];
    }
    return slice_of(text, len);
}

static void random_head(struct rand *r, struct arena *arena, struct http_head *head,
                        struct http_field *fields) {
    static const char *const hosts[] = { "a", "shop.test:8080", "[::1]", "192.0.2.1" };
    http_head_init(head, fields, HTTP_FIELDS_MAX);
    head->version = 11;
    head->method_text = random_text(r, arena, "ABCGETPUX!#", 1, 8);
    head->authority = slice_from(hosts[rand_below(r, 4)]);
    struct slice tail = random_text(r, arena, "abc/.%:;=@&~", 0, 40);
    char *path = arena_alloc(arena, tail.len + 2);
    path[0] = '/';
    memcpy(path + 1, tail.data, tail.len);
    head->path = slice_of(path, tail.len + 1);
    head->has_query = rand_below(r, 2) == 0;
    head->query = head->has_query ? random_text(r, arena, "abc?/%&=", 0, 30) : SLICE("");
    head->keep_alive = rand_below(r, 2) == 0;
    head->framing = (enum http_framing)rand_below(r, 3);
    head->has_content_length = head->framing == HTTP_BODY_LENGTH;
    head->content_length = head->has_content_length ? rand_next(r) >> 1 : 0;
    head->expect_continue = rand_below(r, 4) == 0;
    head->upgrade = head->keep_alive && rand_below(r, 4) == 0;
    head->upgrade_to = head->upgrade ? SLICE("websocket") : SLICE("");
    for (uint32_t count = rand_below(r, 20); count > 0; count--) {
        struct slice name = random_text(r, arena, "qQzZ-_019", 1, 25);
        struct slice value = slice_trim(random_text(r, arena, "ab \t,;=\"\\\xc3\xbc()", 0, 60));
        assert_true(http_head_add(head, name, value));
    }
}

static void reads_what_it_wrote(void **state) {
    struct rand r;
    struct arena arena;
    (void)state;
    rand_init(&r, 20260127);
    arena_init(&arena, 1u << 20);
    for (int round = 0; round < 3000; round++) {
        struct http_field fields[HTTP_FIELDS_MAX], fields_again[HTTP_FIELDS_MAX];
        struct http_head head, again;
        struct dump before, after;
        random_head(&r, &arena, &head, fields);
        buffer_clear(&out);
        assert_true(h1_write_request_head(&out, &head));
        parse_request(buffer_slice(&out), &again, fields_again);
        dump_request(&before, &head);
        dump_request(&after, &again);
        assert_string_equal(before.text, after.text);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

static void reads_responses_it_wrote(void **state) {
    struct rand r;
    struct arena arena;
    (void)state;
    rand_init(&r, 7041);
    arena_init(&arena, 1u << 20);
    for (int round = 0; round < 3000; round++) {
        struct http_field fields[HTTP_FIELDS_MAX], fields_again[HTTP_FIELDS_MAX];
        struct http_head head, again;
        struct dump before, after;
        struct h1_scan scan = { 0 };
        struct h1_problem problem = { 0 };
        size_t consumed;
        random_head(&r, &arena, &head, fields);
        head.expect_continue = false;
        head.status = (uint16_t)(205 + rand_below(&r, 90));
        if (head.framing == HTTP_BODY_NONE) {
            head.framing = HTTP_BODY_UNTIL_CLOSE;
            head.keep_alive = head.upgrade = false;
        }
        buffer_clear(&out);
        assert_true(h1_write_response_head(&out, &head));
        http_head_init(&again, fields_again, HTTP_FIELDS_MAX);
        assert_int_equal(h1_parse_response(buffer_slice(&out), &h1_limits_default, &scan, HTTP_GET,
                                           &again, &consumed, &problem),
                         H1_DONE);
        dump_response(&before, &head);
        dump_response(&after, &again);
        assert_string_equal(before.text, after.text);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_requests),
        cmocka_unit_test(writes_responses),
        cmocka_unit_test(writes_its_own_fields_once),
        cmocka_unit_test(writes_chunks),
        cmocka_unit_test(writes_trailers),
        cmocka_unit_test(respects_the_limit),
        cmocka_unit_test(reads_what_it_wrote),
        cmocka_unit_test(reads_responses_it_wrote),
    };
    buffer_init(&out, 1u << 16);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_fini(&out);
    return failed;
}
