/* Which answers are compressed, and how their heads then read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "act/proxy/compression.h"

#define FIELDS_MAX 16

static const struct compression_policy policy = {
    .order = { HTTP_CODING_ZSTD, HTTP_CODING_BROTLI, HTTP_CODING_GZIP },
    .order_count = 3,
    .min_bytes = 1024,
    .types = { { "text/*", 6 },
               { "application/json", 16 },
               { "application/*+json", 18 },
               { "application/*", 13 },
               { "image/svg+xml", 13 } },
    .type_count = 5,
};

/* "name: value" lines into the head. */
static void add_fields(struct http_head *head, const char *lines) {
    struct slice rest = slice_from(lines), line, name;
    while (rest.len > 0 && slice_cut(&rest, '\n', &line)) {
        slice_cut(&line, ':', &name);
        assert_true(http_head_add(head, name, slice_trim(line)));
    }
}

#define NO_LENGTH UINT64_MAX
#define LARGE 5000

static const struct {
    const char *name;
    uint16_t status;
    uint64_t length;
    const char *response; /* fields beside Content-Type */
    const char *type;     /* NULL: no Content-Type */
    const char *accept;   /* Accept-Encoding; NULL: none */
    enum compression_reason reason;
    enum http_coding coding;
    bool varies;
} cases[] = {
#define CODED_AS(coding) COMPRESSION_DONE, HTTP_CODING_##coding, true
#define NOT(reason, varies) COMPRESSION_##reason, HTTP_CODING_IDENTITY, varies
    { "a page", 200, LARGE, "", "text/html", "gzip, br", CODED_AS(BROTLI) },
    { "of unknown length", 200, NO_LENGTH, "", "text/html", "gzip", CODED_AS(GZIP) },
    { "with a charset", 200, LARGE, "", "text/html; charset=utf-8", "gzip", CODED_AS(GZIP) },
    { "with blanks", 200, LARGE, "", "text/html ;charset=utf-8", "gzip", CODED_AS(GZIP) },
    { "in capitals", 200, LARGE, "", "TEXT/HTML", "gzip", CODED_AS(GZIP) },
    { "JSON", 200, LARGE, "", "application/json", "zstd", CODED_AS(ZSTD) },
    { "a suffix", 200, LARGE, "", "application/problem+json", "gzip", CODED_AS(GZIP) },
    { "SVG", 200, LARGE, "", "image/svg+xml", "gzip", CODED_AS(GZIP) },
    { "an error page", 404, LARGE, "", "text/html", "gzip", CODED_AS(GZIP) },
    { "a failure", 500, LARGE, "", "text/html", "gzip", CODED_AS(GZIP) },
    { "created", 201, LARGE, "", "application/json", "gzip", CODED_AS(GZIP) },
    { "nobody accepts a coding", 200, LARGE, "", "text/html", NULL, NOT(NOT_ACCEPTED, true) },
    { "identity is preferred", 200, LARGE, "", "text/html", "identity, gzip;q=0.5",
      NOT(NOT_ACCEPTED, true) },
    { "an image", 200, LARGE, "", "image/png", "gzip", NOT(TYPE, false) },
    { "no type", 200, LARGE, "", NULL, "gzip", NOT(TYPE, false) },
    { "an empty type", 200, LARGE, "", "", "gzip", NOT(TYPE, false) },
    { "a longer type", 200, LARGE, "", "image/svg+xml2", "gzip", NOT(TYPE, false) },
    { "a shorter type", 200, LARGE, "", "text", "gzip", NOT(TYPE, false) },
    { "events", 200, NO_LENGTH, "", "text/event-stream", "gzip", NOT(TYPE, false) },
    { "events with a charset", 200, NO_LENGTH, "", "text/event-stream; charset=utf-8", "gzip",
      NOT(TYPE, false) },
    { "gRPC", 200, NO_LENGTH, "", "application/grpc", "gzip", NOT(TYPE, false) },
    { "gRPC with a suffix", 200, NO_LENGTH, "", "application/grpc+proto", "gzip",
      NOT(TYPE, false) },
    { "coded already", 200, LARGE, "Content-Encoding: gzip", "text/html", "gzip",
      NOT(CODED, false) },
    { "coded as we would not", 200, LARGE, "Content-Encoding: deflate", "text/html", "gzip",
      NOT(CODED, false) },
    { "said to be identity", 200, LARGE, "Content-Encoding: identity", "text/html", "gzip",
      NOT(CODED, false) },
    { "a part", 206, LARGE, "Content-Range: bytes 0-4999/9999", "text/html", "gzip",
      NOT(PART, false) },
    { "a part without its range", 206, LARGE, "", "text/html", "gzip", NOT(PART, false) },
    { "a range with another status", 200, LARGE, "Content-Range: bytes 0-1/2", "text/html", "gzip",
      NOT(PART, false) },
    { "an unsatisfiable range", 416, LARGE, "Content-Range: bytes */2", "text/html", "gzip",
      NOT(PART, false) },
    { "one byte below", 200, 1023, "", "text/html", "gzip", NOT(SMALL, false) },
    { "exactly large enough", 200, 1024, "", "text/html", "gzip", CODED_AS(GZIP) },
    { "small, but identity is refused", 200, 10, "", "text/html", "gzip, identity;q=0",
      CODED_AS(GZIP) },
    { "small, and everything is refused", 200, 10, "", "text/html", "*;q=0",
      NOT(NOT_ACCEPTED, false) },
    { "empty", 200, 0, "", "text/html", "gzip, identity;q=0", NOT(NO_BODY, false) },
    { "no content", 204, NO_LENGTH, "", "text/html", "gzip", NOT(NO_BODY, false) },
    { "reset content", 205, NO_LENGTH, "", "text/html", "gzip", NOT(NO_BODY, false) },
    { "not modified", 304, LARGE, "", "text/html", "gzip", NOT(NO_BODY, false) },
    { "the service forbids it", 200, LARGE, "Cache-Control: no-transform", "text/html", "gzip",
      NOT(NO_TRANSFORM, false) },
    { "among others", 200, LARGE, "Cache-Control: public, No-Transform,max-age=3", "text/html",
      "gzip", NOT(NO_TRANSFORM, false) },
    { "in a second field", 200, LARGE, "Cache-Control: public\nCache-Control: no-transform",
      "text/html", "gzip", NOT(NO_TRANSFORM, false) },
    { "something like it", 200, LARGE, "Cache-Control: no-transformation", "text/html", "gzip",
      CODED_AS(GZIP) },
};

static struct compression_wish wish_of(const char *accept) {
    struct http_field fields[1];
    struct http_head request;
    http_head_init(&request, fields, 1);
    if (accept != NULL) {
        http_head_add(&request, SLICE("accept-encoding"), slice_from(accept));
    }
    return (struct compression_wish){ .accepted = http_accept_encoding(&request), .on = true };
}

static void response_init(struct http_head *head, struct http_field fields[FIELDS_MAX],
                          uint16_t status, uint64_t length) {
    http_head_init(head, fields, FIELDS_MAX);
    head->status = status;
    head->framing = length == NO_LENGTH ? HTTP_BODY_CHUNKED : HTTP_BODY_LENGTH;
    head->has_content_length = length != NO_LENGTH;
    head->content_length = length == NO_LENGTH ? 0 : length;
}

static void decides(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_field fields[FIELDS_MAX];
        struct http_head head;
        response_init(&head, fields, cases[i].status, cases[i].length);
        if (cases[i].type != NULL) {
            http_head_add(&head, SLICE("content-type"), slice_from(cases[i].type));
        }
        add_fields(&head, cases[i].response);
        struct compression_wish wish = wish_of(cases[i].accept);
        struct compression_decision d = compression_decide(&policy, &wish, &head);
        if (d.reason != cases[i].reason || d.coding != cases[i].coding ||
            d.varies != cases[i].varies) {
            fail_msg("%s: %s, %.*s, %s", cases[i].name, compression_reason_name(d.reason),
                     SLICE_ARG(http_coding_name(d.coding)), d.varies ? "varies" : "is the same");
        }
    }
}

static struct compression_decision decide_page(struct compression_wish wish, enum http_framing f) {
    struct http_field fields[FIELDS_MAX];
    struct http_head head;
    response_init(&head, fields, 200, LARGE);
    head.framing = f;
    add_fields(&head, "Content-Type: text/html");
    return compression_decide(&policy, &wish, &head);
}

static void respects_who_asks(void **state) {
    struct compression_wish wish = wish_of("gzip");
    (void)state;
    wish.no_transform = true;
    struct compression_decision d = decide_page(wish, HTTP_BODY_LENGTH);
    assert_int_equal(d.reason, COMPRESSION_NO_TRANSFORM);
    assert_true(d.varies); /* others would get it coded */
    wish = wish_of("gzip");
    assert_int_equal(decide_page(wish, HTTP_BODY_NONE).reason, COMPRESSION_NO_BODY);
    wish.head = true;
    assert_int_equal(decide_page(wish, HTTP_BODY_NONE).coding, HTTP_CODING_GZIP);
}

/* ---- heads ---- */

static const char *text_of(const struct http_head *head) {
    static char text[1024];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < head->field_count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s: %.*s", i > 0 ? "\n" : "",
                                SLICE_ARG(head->fields[i].name), SLICE_ARG(head->fields[i].value));
    }
    return text;
}

static void rewrites_heads(void **state) {
    static const struct {
        const char *name, *before, *after;
    } heads[] = {
        { "says so", "", "vary: accept-encoding\ncontent-encoding: gzip" },
        { "the length goes", "Content-Length: 5000",
          "vary: accept-encoding\ncontent-encoding: gzip" },
        { "ranges go", "Accept-Ranges: bytes", "vary: accept-encoding\ncontent-encoding: gzip" },
        { "digests go",
          "Content-MD5: Q2hlY2sh\nContent-Digest: sha-256=:AA==:\nRepr-Digest: sha-256=:AA==:\n"
          "Digest: sha-256=AA==\nETag: W/\"1\"",
          "ETag: W/\"1\"\nvary: accept-encoding\ncontent-encoding: gzip" },
        { "a strong tag becomes weak", "ETag: \"v1\"",
          "ETag: W/\"v1\"\nvary: accept-encoding\ncontent-encoding: gzip" },
        { "a weak one stays", "ETag: W/\"v1\"",
          "ETag: W/\"v1\"\nvary: accept-encoding\ncontent-encoding: gzip" },
        { "Vary is merged", "Vary: Cookie",
          "Vary: Cookie, accept-encoding\ncontent-encoding: gzip" },
        { "Vary has it", "Vary: Origin, Accept-Encoding",
          "Vary: Origin, Accept-Encoding\ncontent-encoding: gzip" },
        { "Vary is everything", "Vary: *", "Vary: *\ncontent-encoding: gzip" },
        { "an empty Vary", "Vary:", "Vary: \nvary: accept-encoding\ncontent-encoding: gzip" },
        { "two of Vary", "Vary: Cookie\nVary: Origin",
          "Vary: Cookie\nVary: Origin, accept-encoding\ncontent-encoding: gzip" },
        { "the second has it", "Vary: Cookie\nVary: accept-encoding",
          "Vary: Cookie\nVary: accept-encoding\ncontent-encoding: gzip" },
        { "something like it", "Vary: X-Accept-Encoding",
          "Vary: X-Accept-Encoding, accept-encoding\ncontent-encoding: gzip" },
        { "the rest stays", "Last-Modified: yesterday\nSet-Cookie: a=1\nLink: </x>",
          "Last-Modified: yesterday\nSet-Cookie: a=1\nLink: </x>\nvary: accept-encoding\n"
          "content-encoding: gzip" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct http_field fields[FIELDS_MAX];
        struct http_head head;
        struct arena arena;
        arena_init(&arena, 4096);
        response_init(&head, fields, 200, LARGE);
        add_fields(&head, heads[i].before);
        assert_true(compression_rewrite_head(&head, HTTP_CODING_GZIP, &arena));
        if (strcmp(text_of(&head), heads[i].after) != 0) {
            fail_msg("%s:\n%s", heads[i].name, text_of(&head));
        }
        assert_int_equal(head.framing, HTTP_BODY_CHUNKED);
        assert_false(head.has_content_length);
        arena_fini(&arena);
    }
}

static void the_answer_to_head_gets_no_body(void **state) {
    struct http_field fields[FIELDS_MAX];
    struct http_head head;
    struct arena arena;
    (void)state;
    arena_init(&arena, 4096);
    response_init(&head, fields, 200, LARGE);
    head.framing = HTTP_BODY_NONE;
    assert_true(compression_rewrite_head(&head, HTTP_CODING_GZIP, &arena));
    assert_int_equal(head.framing, HTTP_BODY_NONE);
    assert_false(head.has_content_length);
    arena_fini(&arena);
}

/* Without room for what must be said it must not be compressed. */
static void needs_room(void **state) {
    struct http_field fields[3];
    struct http_head head;
    struct arena arena, none;
    (void)state;
    arena_init(&arena, 4096);
    arena_init(&none, 0);
    http_head_init(&head, fields, 3);
    add_fields(&head, "A: 1\nB: 2");
    assert_false(compression_rewrite_head(&head, HTTP_CODING_GZIP, &arena));
    assert_string_equal(text_of(&head), "A: 1\nB: 2");
    http_head_init(&head, fields, 3);
    add_fields(&head, "ETag: \"1\"");
    assert_false(compression_rewrite_head(&head, HTTP_CODING_GZIP, &none));
    assert_string_equal(text_of(&head), "ETag: \"1\"");
    http_head_init(&head, fields, 3);
    add_fields(&head, "Vary: Cookie");
    assert_false(compression_rewrite_head(&head, HTTP_CODING_GZIP, &none));
    assert_string_equal(text_of(&head), "Vary: Cookie");
    arena_fini(&arena);
}

static void gives_back_weak_tags(void **state) {
    static const struct {
        const char *name, *asked, *before, *after;
    } tags[] = {
        { "ours", "W/\"v1\"", "ETag: \"v1\"", "ETag: W/\"v1\"\nvary: accept-encoding" },
        { "ours among others", "\"x\", W/\"a,b\" , W/\"v1\"", "ETag: \"v1\"",
          "ETag: W/\"v1\"\nvary: accept-encoding" },
        { "with commas in it", "W/\"a,b\"", "ETag: \"a,b\"",
          "ETag: W/\"a,b\"\nvary: accept-encoding" },
        { "a strong one", "\"v1\"", "ETag: \"v1\"", "ETag: \"v1\"" },
        { "another one", "W/\"v2\"", "ETag: \"v1\"", "ETag: \"v1\"" },
        { "the service's own weak one", "W/\"v1\"", "ETag: W/\"v1\"", "ETag: W/\"v1\"" },
        { "none", "", "ETag: \"v1\"", "ETag: \"v1\"" },
        { "a star", "*", "ETag: \"v1\"", "ETag: \"v1\"" },
        { "no tag in the answer", "W/\"v1\"", "Date: now", "Date: now" },
        { "cut off", "W/\"v1", "ETag: \"v1\"", "ETag: \"v1\"" },
        { "only a quote", "\"", "ETag: \"\"", "ETag: \"\"" },
        { "small w is not weak", "w/\"v1\"", "ETag: \"v1\"", "ETag: \"v1\"" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        struct http_field fields[FIELDS_MAX], asked[1];
        struct http_head head, request;
        struct arena arena;
        arena_init(&arena, 4096);
        http_head_init(&request, asked, 1);
        http_head_add(&request, SLICE("if-none-match"), slice_from(tags[i].asked));
        response_init(&head, fields, 304, NO_LENGTH);
        add_fields(&head, tags[i].before);
        compression_rewrite_not_modified(&head, &request, &arena);
        if (strcmp(text_of(&head), tags[i].after) != 0) {
            fail_msg("%s:\n%s", tags[i].name, text_of(&head));
        }
        arena_fini(&arena);
    }
}

static void names_reasons(void **state) {
    (void)state;
    for (int i = 0; i < COMPRESSION_REASON_COUNT; i++) {
        assert_true(strlen(compression_reason_name((enum compression_reason)i)) > 0);
    }
    assert_string_equal(compression_reason_name(COMPRESSION_REASON_COUNT), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides),        cmocka_unit_test(respects_who_asks),
        cmocka_unit_test(rewrites_heads), cmocka_unit_test(the_answer_to_head_gets_no_body),
        cmocka_unit_test(needs_room),     cmocka_unit_test(gives_back_weak_tags),
        cmocka_unit_test(names_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
