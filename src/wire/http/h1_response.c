#include "wire/http/h1_lines.h"

/* "HTTP/1.1 200 OK"; the reason may be empty, and the blank before it missing (RFC 9112 4). */
static bool parse_status_line(struct slice line, struct http_head *head,
                              struct h1_problem *problem) {
    if (line.len < 12 || line.data[8] != ' ' || (line.len > 12 && line.data[12] != ' ')) {
        return h1_refuse(problem, 502, "not a status line (RFC 9112 4)");
    }
    if (!h1_parse_version(slice_sub(line, 0, 8), head, problem)) {
        return false;
    }
    unsigned status = 0;
    for (int i = 9; i < 12; i++) {
        unsigned digit = (unsigned)line.data[i] - '0';
        if (digit > 9) {
            return h1_refuse(problem, 502, "a status that is not three digits (RFC 9112 4)");
        }
        status = status * 10 + digit;
    }
    if (status < 100 || status > 599 || !http_is_field_value(slice_skip(line, 12))) {
        return h1_refuse(problem, 502, "not a status line (RFC 9112 4)");
    }
    head->status = (uint16_t)status;
    return true;
}

/* RFC 9112 6.3, rules 1 to 8. */
static bool read_body(enum http_method request_method, struct http_head *head,
                      struct h1_problem *problem) {
    bool chunked;
    if (!h1_read_framing(head, &chunked, problem)) {
        return false;
    }
    bool bodyless = head->status < 200 || head->status == 204 || head->status == 304 ||
                    request_method == HTTP_HEAD;
    if (head->status < 200 || head->status == 204) {
        if (chunked || head->content_length > 0) {
            return h1_refuse(problem, 502, "1xx or 204 with a body (RFC 9110 8.6)");
        }
        head->has_content_length = false;
    }
    if (bodyless) {
        head->framing = HTTP_BODY_NONE;
    } else if (chunked) {
        head->framing = HTTP_BODY_CHUNKED;
    } else if (head->has_content_length) {
        head->framing = HTTP_BODY_LENGTH;
    } else {
        head->framing = HTTP_BODY_UNTIL_CLOSE;
        head->keep_alive = false;
    }
    return true;
}

enum h1_result h1_parse_response(struct slice input, const struct h1_limits *limits,
                                 struct h1_scan *scan, enum http_method request_method,
                                 struct http_head *head, size_t *consumed,
                                 struct h1_problem *problem) {
    size_t end;
    enum h1_result found = h1_find_end(input, scan, &end, problem);
    if (found == H1_MORE && input.len <= limits->head_bytes) {
        return H1_MORE;
    }
    if (found == H1_BAD) {
        return H1_BAD;
    }
    if (found == H1_MORE || end > limits->head_bytes) {
        h1_refuse(problem, 502, "the head of the answer is too large (limits.head)");
        return H1_BAD;
    }
    struct slice rest = slice_sub(input, 0, end), line;
    if (!h1_take_line(&rest, &line, problem) || !parse_status_line(line, head, problem) ||
        !h1_parse_fields(&rest, limits, head, problem)) {
        return H1_BAD;
    }
    h1_read_connection(head);
    if (!read_body(request_method, head, problem)) {
        return H1_BAD;
    }
    *consumed = end;
    return H1_DONE;
}
