#include <string.h>

#include "base/parse.h"
#include "wire/http/block.h"
#include "wire/http/h1_lines.h"
#include "wire/http/uri.h"

/* What is not printable ASCII, and the fragment's "#": not in a request target. */
static block target_faults(block b) {
    return (block)(b <= 0x20) | (block)(b >= 0x7f) | (block)(b == '#');
}

static bool is_target(struct slice text) {
    uint32_t faults = 0;
    for (size_t at = 0; at < text.len; at += BLOCK_BYTES) {
        struct slice rest = { text.data + at, text.len - at };
        faults |= block_mask(target_faults(block_load_padded(rest, '/')));
    }
    return faults == 0;
}

static void split_query(struct slice path_and_query, struct http_head *head) {
    size_t mark = slice_find(path_and_query, '?');
    head->path = path_and_query;
    if (mark != SLICE_NONE) {
        head->path = slice_sub(path_and_query, 0, mark);
        head->query = slice_skip(path_and_query, mark + 1);
        head->has_query = true;
    }
}

/* absolute-form: its authority replaces Host (RFC 9112 3.2.2). */
static bool parse_absolute(struct slice target, struct http_head *head,
                           struct h1_problem *problem) {
    struct slice scheme = slice_sub(target, 0, slice_find(target, ':'));
    struct slice rest = slice_skip(target, scheme.len);
    bool known =
        slice_equal_fold(scheme, SLICE("http")) || slice_equal_fold(scheme, SLICE("https"));
    if (!known || !slice_starts_with(rest, SLICE("://"))) {
        return h1_refuse(problem, 400, "a request target of no known form (RFC 9112 3.2)");
    }
    rest = slice_skip(rest, 3);
    size_t end = 0;
    while (end < rest.len && rest.data[end] != '/' && rest.data[end] != '?') {
        end++;
    }
    head->scheme = scheme;
    head->authority = slice_sub(rest, 0, end);
    split_query(slice_skip(rest, end), head);
    if (head->path.len == 0) { /* of OPTIONS it means the whole server (RFC 9112 3.2.4) */
        bool server = head->method == HTTP_OPTIONS && !head->has_query;
        head->path = server ? SLICE("*") : SLICE("/");
    }
    return true;
}

static bool parse_target(struct slice target, struct http_head *head, struct h1_problem *problem) {
    if (target.len == 0 || !is_target(target)) {
        return h1_refuse(problem, 400, "a byte that no request target holds (RFC 9112 3.2)");
    }
    if (head->method == HTTP_CONNECT) {
        return h1_refuse(problem, 405, "CONNECT is not served here (RFC 9110 9.3.6)");
    }
    if (target.data[0] == '/') {
        split_query(target, head);
        return true;
    }
    if (slice_equal(target, SLICE("*"))) {
        head->path = target;
        return head->method == HTTP_OPTIONS ||
               h1_refuse(problem, 400, "* is a target of OPTIONS only (RFC 9112 3.2.4)");
    }
    return parse_absolute(target, head, problem);
}

static bool parse_request_line(struct slice line, const struct h1_limits *limits,
                               struct http_head *head, struct h1_problem *problem) {
    size_t first = slice_find(line, ' ');
    if (first == SLICE_NONE) {
        return h1_refuse(problem, 400, "not a request line (RFC 9112 3)");
    }
    struct slice rest = slice_skip(line, first + 1);
    size_t second = slice_find(rest, ' ');
    head->method_text = slice_sub(line, 0, first);
    head->method = http_method_of(head->method_text);
    bool known = head->method != HTTP_METHOD_OTHER;
    if (second == SLICE_NONE || !(known || http_is_token(head->method_text))) {
        return h1_refuse(problem, 400, "not a request line (RFC 9112 3)");
    }
    struct slice target = slice_sub(rest, 0, second);
    if (target.len > limits->target_bytes) {
        return h1_refuse(problem, 414, "the request target is too long (limits.target)");
    }
    /* The version first: "PRI * HTTP/2.0" is 505, not a bad target. */
    return h1_parse_version(slice_skip(rest, second + 1), head, problem) &&
           parse_target(target, head, problem);
}

static bool read_host(struct http_head *head, struct h1_problem *problem) {
    const struct http_field *host = NULL;
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id != HTTP_FIELD_HOST) {
            continue;
        }
        if (host != NULL) {
            return h1_refuse(problem, 400, "Host more than once (RFC 9112 3.2)");
        }
        host = &head->fields[i];
    }
    if (host == NULL && head->version >= 11) {
        return h1_refuse(problem, 400, "no Host (RFC 9112 3.2)");
    }
    if (host != NULL && !uri_is_authority(host->value)) {
        return h1_refuse(problem, 400, "Host is not a host (RFC 9112 3.2)");
    }
    if (head->scheme.len > 0) {
        return uri_is_authority(head->authority) ||
               h1_refuse(problem, 400, "the target's authority is not a host (RFC 9112 3.2.2)");
    }
    if (host != NULL) {
        head->authority = host->value;
    }
    return true;
}

static bool read_expect(struct http_head *head, struct h1_problem *problem) {
    if (!http_head_may_have(head, HTTP_FIELD_EXPECT) || head->version < 11) {
        return true; /* a 1.0 client's is ignored (RFC 9110 10.1.1) */
    }
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (field->id != HTTP_FIELD_EXPECT) {
            continue;
        }
        if (!slice_equal_fold(field->value, SLICE("100-continue"))) {
            return h1_refuse(problem, 417,
                             "an expectation that is not 100-continue (RFC 9110 10.1.1)");
        }
        head->expect_continue = true;
    }
    return true;
}

static bool read_fields(struct http_head *head, struct h1_problem *problem) {
    bool chunked;
    if (!read_host(head, problem) || !h1_read_framing(head, &chunked, problem) ||
        !read_expect(head, problem)) {
        return false;
    }
    h1_read_connection(head);
    if (chunked) {
        head->framing = HTTP_BODY_CHUNKED;
    } else if (head->has_content_length) {
        head->framing = HTTP_BODY_LENGTH;
    }
    return true;
}

/* One empty line before a request is forgiven (RFC 9112 2.2): old clients sent it after a POST. */
static size_t leading_empty_line(struct slice input) {
    return input.len >= 2 && input.data[0] == '\r' && input.data[1] == '\n' ? 2 : 0;
}

static enum h1_result too_long(struct slice input, const struct h1_limits *limits,
                               struct h1_problem *problem) {
    if (input.len <= limits->head_bytes) {
        return H1_MORE;
    }
    bool in_first_line = slice_find(input, '\n') == SLICE_NONE;
    h1_refuse(problem, in_first_line ? 414 : 431,
              in_first_line ? "the request line is too long (limits.target)"
                            : "the head is too large (limits.head)");
    return H1_BAD;
}

enum h1_result h1_parse_request(struct slice input, const struct h1_limits *limits,
                                struct h1_scan *scan, struct http_head *head, size_t *consumed,
                                struct h1_problem *problem) {
    size_t skipped = leading_empty_line(input), end;
    if (input.len == 1 && input.data[0] == '\r') {
        return H1_MORE;
    }
    struct slice rest = slice_skip(input, skipped);
    enum h1_result found = h1_find_end(rest, scan, &end, problem);
    if (found != H1_DONE) {
        return found == H1_MORE ? too_long(rest, limits, problem) : H1_BAD;
    }
    if (end > limits->head_bytes) {
        return too_long(slice_sub(rest, 0, end), limits, problem);
    }
    rest = slice_sub(rest, 0, end);
    struct slice line;
    if (!h1_take_line(&rest, &line, problem)) {
        return H1_BAD;
    }
    if (line.len == 0) {
        h1_refuse(problem, 400, "an empty request line (RFC 9112 3)");
        return H1_BAD;
    }
    if (!parse_request_line(line, limits, head, problem) ||
        !h1_parse_fields(&rest, limits, head, problem) || !read_fields(head, problem)) {
        return H1_BAD;
    }
    *consumed = skipped + end;
    return H1_DONE;
}
