/* Responses: what a service may answer, and where its body ends (RFC 9112 section 6.3). */
#include "h1_dump.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define TE "Transfer-Encoding: chunked\r\n"

struct response_case {
    const char *section, *name;
    enum http_method method; /* of the request */
    struct slice input;
    const char *expected; /* the dump, or a part of the reason */
};

/* One case a line: clang-format would make four of it. */
/* clang-format off */
static const struct response_case accepted[] = {
    { "4", "with a reason", HTTP_GET, SLICE("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "404 length:0 keep" },
    { "4", "with another reason", HTTP_GET, SLICE("HTTP/1.1 200 Fein \xc3\xbc\r\nContent-Length: 0\r\n\r\n"), "200 length:0 keep" },
    { "4", "with an empty reason", HTTP_GET, SLICE("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), "200 length:0 keep" },
    { "4", "without the blank before it", HTTP_GET, SLICE("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), "200 length:0 keep" },
    { "4", "a status of 599", HTTP_GET, SLICE("HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n"), "599 length:0 keep" },
    { "6.3", "a body by length", HTTP_GET, SLICE(OK "Content-Length: 5\r\n\r\nhello"), "200 length:5 keep" },
    { "6.3", "a chunked body", HTTP_GET, SLICE(OK TE "\r\n"), "200 chunked keep" },
    { "6.3", "a body until the end", HTTP_GET, SLICE(OK "\r\n"), "200 until-close close" },
    { "6.3", "a body until the end, whatever it promises", HTTP_GET, SLICE(OK "Connection: keep-alive\r\n\r\n"), "200 until-close close" },
    { "6.3 1", "HEAD with a length", HTTP_HEAD, SLICE(OK "Content-Length: 5\r\n\r\n"), "200 none:5 keep" },
    { "6.3 1", "HEAD without a length", HTTP_HEAD, SLICE(OK "\r\n"), "200 none keep" },
    { "6.3 1", "HEAD and chunked", HTTP_HEAD, SLICE(OK TE "\r\n"), "200 none keep" },
    { "6.3 1", "304 with a length", HTTP_GET, SLICE("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), "304 none:5 keep" },
    { "6.3 1", "304 without a length", HTTP_GET, SLICE("HTTP/1.1 304 Not Modified\r\n\r\n"), "304 none keep" },
    { "6.3 1", "304 and chunked", HTTP_GET, SLICE("HTTP/1.1 304 Not Modified\r\n" TE "\r\n"), "304 none keep" },
    { "6.3 1", "204", HTTP_GET, SLICE("HTTP/1.1 204 No Content\r\n\r\n"), "204 none keep" },
    { "9110 8.6", "204 with a length of 0", HTTP_GET, SLICE("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), "204 none keep" },
    { "6.3 1", "100", HTTP_POST, SLICE("HTTP/1.1 100 Continue\r\n\r\n"), "100 none keep" },
    { "6.3 1", "103 with fields", HTTP_GET, SLICE("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"), "103 none keep [Link=</a.css>]" },
    { "9110 15.2.2", "101", HTTP_GET, SLICE("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), "101 none keep upgrade=websocket" },
    { "9.3", "close", HTTP_GET, SLICE(OK "Connection: close\r\nContent-Length: 1\r\n\r\n"), "200 length:1 close" },
    { "9.3", "HTTP/1.0", HTTP_GET, SLICE("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"), "200 1.0 length:1 close" },
    { "9.3", "HTTP/1.0 with keep-alive", HTTP_GET, SLICE("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n"), "200 1.0 length:1 keep" },
    { "9.3", "HTTP/1.0 until the end", HTTP_GET, SLICE("HTTP/1.0 200 OK\r\n\r\n"), "200 1.0 until-close close" },
    { "2.3", "HTTP/1.3", HTTP_GET, SLICE("HTTP/1.3 200 OK\r\nContent-Length: 1\r\n\r\n"), "200 length:1 keep" },
    { "5", "fields", HTTP_GET, SLICE(OK "Content-Length: 0\r\nSet-Cookie: a=1\r\nX:  1 \r\nX: 2\r\n\r\n"), "200 length:0 keep [X=1] [X=2]" },
    { "5.1", "blanks before the colon", HTTP_GET, SLICE(OK "Content-Length : 5\r\nX \t : a\r\n\r\n"), "200 length:5 keep [X=a]" },
    { "5.1", "underscores are letters of another name", HTTP_GET, SLICE(OK "Content-Length: 0\r\nCache_Control: a\r\nContent_Length: 9\r\n\r\n"), "200 length:0 keep [Cache_Control=a] [Content_Length=9]" },
    { "4", "no fields but HEAD", HTTP_HEAD, SLICE("HTTP/1.1 200\r\n\r\n"), "200 none keep" },
};

static const struct response_case refused[] = {
    { "4", "not HTTP", HTTP_GET, SLICE("SSH-2.0-OpenSSH_9\r\n\r\n"), "status line" },
    { "4", "no status", HTTP_GET, SLICE("HTTP/1.1\r\n\r\n"), "status line" },
    { "4", "two digits", HTTP_GET, SLICE("HTTP/1.1 20 OK\r\n\r\n"), "status" },
    { "4", "two digits and the end", HTTP_GET, SLICE("HTTP/1.1 20\r\n\r\n"), "status line" },
    { "4", "four digits", HTTP_GET, SLICE("HTTP/1.1 2000 OK\r\n\r\n"), "status line" },
    { "4", "letters", HTTP_GET, SLICE("HTTP/1.1 2x0 OK\r\n\r\n"), "three digits" },
    { "4", "a sign", HTTP_GET, SLICE("HTTP/1.1 +20 OK\r\n\r\n"), "three digits" },
    { "9110 15", "below 100", HTTP_GET, SLICE("HTTP/1.1 099 x\r\n\r\n"), "status line" },
    { "9110 15", "above 599", HTTP_GET, SLICE("HTTP/1.1 600 x\r\n\r\n"), "status line" },
    { "4", "two blanks before the status", HTTP_GET, SLICE("HTTP/1.1  200 OK\r\n\r\n"), "status line" },
    { "4", "a control byte in the reason", HTTP_GET, SLICE("HTTP/1.1 200 O\x01K\r\n\r\n"), "status line" },
    { "4", "NUL in the reason", HTTP_GET, SLICE("HTTP/1.1 200 O\0K\r\n\r\n"), "status line" },
    { "2.3", "HTTP/2", HTTP_GET, SLICE("HTTP/2.0 200 OK\r\n\r\n"), "HTTP/1" },
    { "2.3", "lower case", HTTP_GET, SLICE("http/1.1 200 OK\r\n\r\n"), "version" },
    { "2.2", "an empty line before", HTTP_GET, SLICE("\r\n" OK "\r\n"), "status line" },
    { "2.2", "bare LF", HTTP_GET, SLICE("HTTP/1.1 200 OK\n\n"), "LF without CR" },
    { "2.2", "bare CR", HTTP_GET, SLICE(OK "X: a\rb\r\n\r\n"), "CR without LF" },
    { "2.2", "bare CR in the reason", HTTP_GET, SLICE("HTTP/1.1 200 O\rK\r\n\r\n"), "CR without LF" },
    { "5.2", "a folded line", HTTP_GET, SLICE(OK "X: a\r\n b\r\n\r\n"), "folded" },
    { "5.1", "a blank inside of a name", HTTP_GET, SLICE(OK "X Y: a\r\n\r\n"), "name" },
    { "5.1", "a blank instead of a colon", HTTP_GET, SLICE(OK "X \r\n\r\n"), "name" },
    { "5.1", "a blank and no name", HTTP_GET, SLICE(OK " : a\r\n\r\n"), "folded" },
    { "6.1", "both lengths, one behind a blank", HTTP_GET, SLICE(OK "Content-Length : 1\r\n" TE "\r\n"), "together" },
    { "6.3", "two lengths", HTTP_GET, SLICE(OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"), "more than once" },
    { "6.3", "a list of lengths", HTTP_GET, SLICE(OK "Content-Length: 1, 1\r\n\r\n"), "not a number" },
    { "6.3", "a negative length", HTTP_GET, SLICE(OK "Content-Length: -1\r\n\r\n"), "not a number" },
    { "6.3", "a bad length with HEAD", HTTP_HEAD, SLICE(OK "Content-Length: x\r\n\r\n"), "not a number" },
    { "6.1", "both lengths", HTTP_GET, SLICE(OK "Content-Length: 1\r\n" TE "\r\n"), "together" },
    { "6.1", "a coding that we do not know", HTTP_GET, SLICE(OK "Transfer-Encoding: gzip, chunked\r\n\r\n"), "transfer coding" },
    { "6.1", "Transfer-Encoding in HTTP/1.0", HTTP_GET, SLICE("HTTP/1.0 200 OK\r\n" TE "\r\n"), "HTTP/1.0" },
    { "9110 8.6", "204 with a body", HTTP_GET, SLICE("HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n"), "1xx or 204" },
    { "6.1", "204 chunked", HTTP_GET, SLICE("HTTP/1.1 204 No Content\r\n" TE "\r\n"), "1xx or 204" },
    { "6.1", "1xx chunked", HTTP_GET, SLICE("HTTP/1.1 100 Continue\r\n" TE "\r\n"), "1xx or 204" },
    { "9110 8.6", "1xx with a length", HTTP_GET, SLICE("HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\n"), "1xx or 204" },
};
/* clang-format on */

struct outcome {
    enum h1_result result;
    size_t consumed;
    struct dump dump;
};

static void parse(const struct response_case *c, size_t len, struct h1_scan *scan,
                  struct outcome *out) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    struct h1_problem problem = { 0 };
    char *copy = exact_copy(slice_sub(c->input, 0, len));
    http_head_init(&head, fields, HTTP_FIELDS_MAX);
    out->consumed = 0;
    out->result = h1_parse_response(slice_of(copy, len), &h1_limits_default, scan, c->method, &head,
                                    &out->consumed, &problem);
    out->dump.len = 0;
    if (out->result == H1_DONE) {
        dump_response(&out->dump, &head);
    } else if (out->result == H1_BAD) {
        dump_add(&out->dump, "%s", problem.reason);
    }
    free(copy);
}

static void parse_both_ways(const struct response_case *c, struct outcome *whole) {
    struct h1_scan scan = { 0 };
    struct outcome dribbled = { .result = H1_MORE };
    parse(c, c->input.len, &scan, whole);
    scan = (struct h1_scan){ 0 };
    for (size_t len = 0; len <= c->input.len && dribbled.result == H1_MORE; len++) {
        parse(c, len, &scan, &dribbled);
    }
    if (dribbled.result != whole->result || dribbled.consumed != whole->consumed ||
        strcmp(dribbled.dump.text, whole->dump.text) != 0) {
        fail_msg("%s (%s): whole '%s', byte by byte '%s'", c->name, c->section, whole->dump.text,
                 dribbled.dump.text);
    }
}

static void accepts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        const struct response_case *c = &accepted[i];
        struct outcome out;
        parse_both_ways(c, &out);
        if (out.result != H1_DONE || strcmp(out.dump.text, c->expected) != 0) {
            fail_msg("%s (%s): '%s', not '%s'", c->name, c->section, out.dump.text, c->expected);
        }
    }
}

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct response_case *c = &refused[i];
        struct outcome out;
        parse_both_ways(c, &out);
        if (out.result != H1_BAD || strstr(out.dump.text, c->expected) == NULL) {
            fail_msg("%s (%s): result %d '%s', not '%s'", c->name, c->section, out.result,
                     out.dump.text, c->expected);
        }
    }
}

/* 27 bytes: at the limit, and one over it; whole, and without the end. */
static void is_exact_at_the_limit(void **state) {
    static const struct slice input = SLICE("HTTP/1.1 200 OK\r\nX: 1234\r\n\r\n");
    (void)state;
    for (size_t part = 0; part < 2; part++) {
        for (uint32_t limit = (uint32_t)input.len - 1; limit <= input.len; limit++) {
            struct h1_limits limits = { .head_bytes = limit - (uint32_t)part, .fields = 9 };
            struct http_field fields[9];
            struct http_head head;
            struct h1_scan scan = { 0 };
            struct h1_problem problem;
            size_t consumed;
            http_head_init(&head, fields, 9);
            enum h1_result expected = limit < input.len ? H1_BAD : part == 1 ? H1_MORE : H1_DONE;
            assert_int_equal(h1_parse_response(slice_sub(input, 0, input.len - part), &limits,
                                               &scan, HTTP_HEAD, &head, &consumed, &problem),
                             expected);
        }
    }
}

static void holds_the_limit(void **state) {
    static const struct h1_limits limits = { .head_bytes = 64, .fields = 2, .target_bytes = 1 };
    static const struct slice too_large[] = {
        SLICE(OK "X: 0123456789012345678901234567890123456789012345678901234567890\r\n\r\n"),
        SLICE(OK "X: 01234567890123456789012345678901234567890123456789012345678901"),
        SLICE(OK "A: 1\r\nB: 2\r\nC: 3\r\n\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
        struct http_field fields[HTTP_FIELDS_MAX];
        struct http_head head;
        struct h1_scan scan = { 0 };
        struct h1_problem problem = { 0 };
        size_t consumed;
        http_head_init(&head, fields, HTTP_FIELDS_MAX);
        assert_int_equal(
            h1_parse_response(too_large[i], &limits, &scan, HTTP_GET, &head, &consumed, &problem),
            H1_BAD);
        assert_non_null(strstr(problem.reason, "limits."));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
        cmocka_unit_test(is_exact_at_the_limit),
        cmocka_unit_test(holds_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
