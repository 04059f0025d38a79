/* Bodies: by length, in chunks, until the end; whole, byte by byte and in random pieces. */
#include "base/rand.h"
#include "h1_dump.h"

#define SIZE_15 "000000000000005"

struct body_case {
    const char *section, *name;
    struct slice input;
    const char
        *expected; /* the data, "[name=value]" of each trailer, "|" at the end; or "!" reason */
    size_t left;   /* bytes behind the end: those of the next message */
};

/* One case a line: clang-format would make four of it. */
/* clang-format off */
static const struct body_case chunked_cases[] = {
    { "7.1", "one chunk", SLICE("5\r\nhello\r\n0\r\n\r\n"), "hello|", 0 },
    { "7.1", "two chunks", SLICE("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), "hello world|", 0 },
    { "7.1", "no data", SLICE("0\r\n\r\n"), "|", 0 },
    { "7.1", "capital digits", SLICE("A\r\n0123456789\r\n0\r\n\r\n"), "0123456789|", 0 },
    { "7.1", "small digits", SLICE("a\r\n0123456789\r\n0\r\n\r\n"), "0123456789|", 0 },
    { "7.1", "zeros before the size", SLICE(SIZE_15 "\r\nhello\r\n000\r\n\r\n"), "hello|", 0 },
    { "7.1", "line ends in the data", SLICE("4\r\n\r\n\r\n\r\n0\r\n\r\n"), "\r\n\r\n|", 0 },
    { "7.1", "data that look like the end", SLICE("5\r\n0\r\n\r\n\r\n0\r\n\r\n"), "0\r\n\r\n|", 0 },
    { "9.3", "the next request stays", SLICE("1\r\nx\r\n0\r\n\r\nGET /"), "x|", 5 },
    { "7.1.1", "an extension", SLICE("5;a=b\r\nhello\r\n0;c\r\n\r\n"), "hello|", 0 },
    { "7.1.1", "a quoted extension", SLICE("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"), "hello|", 0 },
    { "7.1.2", "a trailer", SLICE("1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n"), "x[X-Sum=1]|", 0 },
    { "7.1.2", "two trailers", SLICE("0\r\nA: 1\r\nB: 2\r\n\r\nrest"), "[A=1][B=2]|", 4 },
    { "9110 6.5.1", "forbidden trailers are dropped", SLICE("0\r\nContent-Length: 3\r\nHost: b\r\nTransfer-Encoding: chunked\r\nConnection: x\r\nAuthorization: x\r\nTrailer: y\r\nX: 1\r\n\r\n"), "[X=1]|", 0 },
    { "9110 6.5.1", "only forbidden trailers", SLICE("0\r\nContent-Length: 3\r\n\r\n"), "|", 0 },
    { "7.1", "no size", SLICE("\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1", "not hexadecimal", SLICE("g\r\n"), "!chunk size", 0 },
    { "7.1", "0x", SLICE("0x5\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1", "a minus sign", SLICE("-5\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1", "a plus sign", SLICE("+5\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1", "a blank before the size", SLICE(" 5\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1.1", "a blank behind the size", SLICE("5 \r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1.1", "a blank before the extension", SLICE("5 ;a\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1", "a tab behind the size", SLICE("5\t\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1", "16 digits", SLICE("0" SIZE_15 "\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1", "2^64 + 5", SLICE("10000000000000005\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1", "2^64 - 1", SLICE("ffffffffffffffff\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "2.2", "bare LF behind the size", SLICE("5\nhello\r\n0\r\n\r\n"), "!LF without CR", 0 },
    { "2.2", "bare LF for the size line", SLICE("\n"), "!LF without CR", 0 },
    { "2.2", "bare CR in the size line", SLICE("5\rx\r\nhello\r\n0\r\n\r\n"), "!chunk size", 0 },
    { "7.1.1", "bare CR in an extension", SLICE("5;a\rb\r\nhello\r\n0\r\n\r\n"), "!extension", 0 },
    { "7.1.1", "NUL in an extension", SLICE("5;a\0b\r\nhello\r\n0\r\n\r\n"), "!extension", 0 },
    { "7.1.1", "bare LF in an extension", SLICE("5;a\nb\r\nhello\r\n0\r\n\r\n"), "!LF without CR", 0 },
    { "7.1", "data longer than the size", SLICE("4\r\nhello\r\n0\r\n\r\n"), "hell!longer", 0 },
    { "7.1", "data shorter than the size", SLICE("6\r\nhello\r\n0\r\n\r\n"), "hello\r!longer", 0 },
    { "7.1", "bare LF behind the data", SLICE("5\r\nhello\n0\r\n\r\n"), "hello!longer", 0 },
    { "7.1", "bare CR behind the data", SLICE("5\r\nhello\r0\r\n\r\n"), "hello!longer", 0 },
    { "7.1.2", "bare LF for the last line", SLICE("0\r\n\n"), "!LF without CR", 0 },
    { "7.1.2", "bare LF behind a trailer", SLICE("0\r\nX: 1\n\r\n"), "!LF without CR", 0 },
    { "7.1.2", "bare CR in a trailer", SLICE("0\r\nX: 1\r2\r\n\r\n"), "!CR without LF", 0 },
    { "7.1.2", "a folded trailer", SLICE("0\r\nX: 1\r\n 2\r\n\r\n"), "!folded", 0 },
    { "7.1.2", "a blank before a trailer's colon", SLICE("0\r\nX : 1\r\n\r\n"), "!name", 0 },
    { "7.1.2", "a trailer without a colon", SLICE("0\r\nGET / HTTP/1.1\r\n\r\n"), "!name", 0 },
};
/* clang-format on */

static struct h1_body body_of(enum http_framing framing, uint64_t length) {
    struct http_head head = { .framing = framing, .content_length = length };
    struct h1_limits limits = h1_limits_default;
    struct h1_body body;
    limits.trailer_bytes = 200;
    h1_body_init(&body, &head, &limits);
    return body;
}

/* Reads on from what is there; true when nothing more can come of the body. */
static bool read_some(struct h1_body *body, struct slice input, size_t *used, struct dump *d) {
    struct http_field fields[8];
    struct http_head trailers;
    http_head_init(&trailers, fields, 8);
    char *copy = exact_copy(input);
    bool over = false;
    *used = 0;
    for (bool more = false; !more && !over;) {
        struct slice rest = { copy + *used, input.len - *used };
        struct h1_body_event event = h1_body_next(body, rest, &trailers);
        assert_true(event.consumed <= rest.len);
        *used += event.consumed;
        switch (event.kind) {
        case H1_BODY_MORE:
            more = true;
            break;
        case H1_BODY_DATA:
            assert_true(event.data.len > 0);
            dump_add(d, "%.*s", SLICE_ARG(event.data));
            break;
        case H1_BODY_TRAILERS:
            assert_true(trailers.field_count > 0);
            for (size_t i = 0; i < trailers.field_count; i++) {
                dump_add(d, "[%.*s=%.*s]", SLICE_ARG(fields[i].name), SLICE_ARG(fields[i].value));
            }
            break;
        case H1_BODY_END:
            assert_true(h1_body_done(body));
            dump_add(d, "|");
            over = true;
            break;
        case H1_BODY_BAD:
            dump_add(d, "!%s", event.reason);
            over = true;
            break;
        }
    }
    free(copy);
    return over;
}

/* The body in pieces of at most `piece_bytes`, or of random sizes; what is unread stays. */
static size_t read_in_pieces(struct h1_body body, struct slice input, size_t piece_bytes,
                             struct rand *r, struct dump *d) {
    size_t from = 0, to = 0, used;
    d->len = 0;
    d->text[0] = '\0';
    for (;;) {
        size_t step = r == NULL ? piece_bytes : 1 + rand_below(r, 7);
        to = input.len - to < step ? input.len : to + step;
        bool over = read_some(&body, slice_sub(input, from, to - from), &used, d);
        from += used;
        if (over || to == input.len) {
            return input.len - from;
        }
    }
}

static bool is_expected(const char *got, const char *expected) {
    const char *reason = strchr(expected, '!');
    if (reason == NULL) {
        return strcmp(got, expected) == 0;
    }
    size_t same = (size_t)(reason + 1 - expected);
    return strncmp(got, expected, same) == 0 && strstr(got + same, reason + 1) != NULL;
}

static void reads_chunks(void **state) {
    struct rand r;
    (void)state;
    rand_init(&r, 7041);
    for (size_t i = 0; i < sizeof chunked_cases / sizeof *chunked_cases; i++) {
        const struct body_case *c = &chunked_cases[i];
        struct h1_body body = body_of(HTTP_BODY_CHUNKED, 0);
        struct dump d;
        size_t left = read_in_pieces(body, c->input, SIZE_MAX, NULL, &d);
        if (!is_expected(d.text, c->expected) || (strchr(d.text, '|') != NULL && left != c->left)) {
            fail_msg("%s (%s): '%s' with %zu left, not '%s' with %zu", c->name, c->section, d.text,
                     left, c->expected, c->left);
        }
        for (size_t round = 0; round < 20; round++) {
            read_in_pieces(body, c->input, 1, round == 0 ? NULL : &r, &d);
            if (!is_expected(d.text, c->expected)) {
                fail_msg("%s (%s), in pieces: '%s'", c->name, c->section, d.text);
            }
        }
    }
}

static void says_what_is_missing(void **state) {
    static const char *const parts[] = { "",
                                         "5",
                                         "5\r",
                                         "5\r\n",
                                         "5\r\nhel",
                                         "5\r\nhello",
                                         "5\r\nhello\r",
                                         "5\r\nhello\r\n",
                                         "5\r\nhello\r\n0\r\n",
                                         "5\r\nhello\r\n0\r\nX: 1\r\n" };
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct h1_body body = body_of(HTTP_BODY_CHUNKED, 0);
        struct dump d = { .len = 0 };
        size_t used;
        assert_false(read_some(&body, slice_from(parts[i]), &used, &d));
        assert_false(h1_body_done(&body));
    }
}

static void reads_by_length(void **state) {
    struct dump d;
    (void)state;
    for (size_t piece = 1; piece < 8; piece++) {
        struct h1_body body = body_of(HTTP_BODY_LENGTH, 5);
        assert_int_equal(read_in_pieces(body, SLICE("helloGET /"), piece, NULL, &d),
                         read_in_pieces(body, SLICE("helloGET /"), piece, NULL, &d));
        assert_string_equal(d.text, "hello|");
        read_in_pieces(body, SLICE("hell"), piece, NULL, &d);
        assert_string_equal(d.text, "hell");
    }
    assert_int_equal(
        read_in_pieces(body_of(HTTP_BODY_LENGTH, 5), SLICE("helloGET /"), 10, NULL, &d), 5);
}

static void knows_when_there_is_none(void **state) {
    struct h1_body none = body_of(HTTP_BODY_NONE, 7), empty = body_of(HTTP_BODY_LENGTH, 0);
    (void)state;
    assert_true(h1_body_done(&none));
    assert_true(h1_body_done(&empty));
    struct h1_body_event event = h1_body_next(&none, SLICE("GET /"), NULL);
    assert_int_equal(event.kind, H1_BODY_END);
    assert_int_equal(event.consumed, 0);
}

static void reads_until_the_end(void **state) {
    struct dump d;
    (void)state;
    read_in_pieces(body_of(HTTP_BODY_UNTIL_CLOSE, 0), SLICE("0\r\n\r\n and more"), 3, NULL, &d);
    assert_string_equal(d.text, "0\r\n\r\n and more");
}

static void holds_limits(void **state) {
    struct dump d;
    char text[600];
    (void)state;
    /* A size line that never ends. */
    memset(text, '0', sizeof text);
    read_in_pieces(body_of(HTTP_BODY_CHUNKED, 0), slice_of(text, sizeof text), 1, NULL, &d);
    assert_non_null(strstr(d.text, "too long"));
    read_in_pieces(body_of(HTTP_BODY_CHUNKED, 0), slice_of(text, H1_CHUNK_LINE_BYTES_MAX), 600,
                   NULL, &d);
    assert_non_null(strstr(d.text, "too long"));
    read_in_pieces(body_of(HTTP_BODY_CHUNKED, 0), slice_of(text, H1_CHUNK_LINE_BYTES_MAX - 1), 600,
                   NULL, &d);
    assert_string_equal(d.text, "");
    text[0] = '5';
    text[1] = ';';
    read_in_pieces(body_of(HTTP_BODY_CHUNKED, 0), slice_of(text, sizeof text), 600, NULL, &d);
    assert_non_null(strstr(d.text, "too long"));
    /* Trailers that never end: 200 bytes are the limit of these tests. */
    memcpy(text, "0\r\nX: ", 6);
    read_in_pieces(body_of(HTTP_BODY_CHUNKED, 0), slice_of(text, 204), 600, NULL, &d);
    assert_string_equal(d.text, "!the trailers are too large (RFC 9112 7.1.2)");
    read_in_pieces(body_of(HTTP_BODY_CHUNKED, 0), slice_of(text, 203), 600, NULL, &d);
    assert_string_equal(d.text, "");
    memcpy(text + 199, "\r\n\r\n", 4); /* 200 bytes with their end are just small enough */
    read_in_pieces(body_of(HTTP_BODY_CHUNKED, 0), slice_of(text, 203), 600, NULL, &d);
    assert_true(d.len > 190 && d.text[d.len - 1] == '|');
    /* More trailers than the array holds. */
    read_in_pieces(body_of(HTTP_BODY_CHUNKED, 0),
                   SLICE("0\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\nH:\r\nI:\r\n\r\n"), 600,
                   NULL, &d);
    assert_non_null(strstr(d.text, "too many fields"));
}

/* Each chunk's extension is small, all of them are not. */
static void bounds_all_extensions(void **state) {
    struct h1_body body = body_of(HTTP_BODY_CHUNKED, 0);
    char chunk[256];
    int len = snprintf(chunk, sizeof chunk, "1;%0200d\r\nx\r\n", 0);
    struct slice input = slice_of(chunk, (size_t)len);
    struct dump d = { .len = 0 };
    size_t used, chunks = 0;
    (void)state;
    while (!read_some(&body, input, &used, &d)) {
        chunks++;
    }
    assert_int_equal(chunks, H1_EXTENSION_BYTES_MAX / 201);
    assert_non_null(strstr(d.text, "extension"));
}

static void drops_trailers_nobody_asks_for(void **state) {
    struct h1_body body = body_of(HTTP_BODY_CHUNKED, 0);
    struct slice input = SLICE("0\r\nX: 1\r\n\r\n");
    (void)state;
    assert_int_equal(h1_body_next(&body, input, NULL).consumed, input.len);
    assert_true(h1_body_done(&body));
    body = body_of(HTTP_BODY_CHUNKED, 0);
    assert_int_equal(h1_body_next(&body, SLICE("0\r\nX\r\n\r\n"), NULL).kind, H1_BODY_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_chunks),          cmocka_unit_test(says_what_is_missing),
        cmocka_unit_test(reads_by_length),       cmocka_unit_test(knows_when_there_is_none),
        cmocka_unit_test(reads_until_the_end),   cmocka_unit_test(holds_limits),
        cmocka_unit_test(bounds_all_extensions), cmocka_unit_test(drops_trailers_nobody_asks_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
