/* Any bytes as a response; the first one says what the request was. What is accepted must be read
 * back as the same after it was written for the visitor. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum h1_result result;
    size_t consumed;
    struct http_head head;
    struct http_field fields[HTTP_FIELDS_MAX];
};

static void parse(struct slice input, const struct h1_limits *limits, enum http_method method,
                  struct h1_scan *scan, struct outcome *o) {
    struct h1_problem problem = { 0 };
    http_head_init(&o->head, o->fields, HTTP_FIELDS_MAX);
    o->consumed = 0;
    o->result = h1_parse_response(input, limits, scan, method, &o->head, &o->consumed, &problem);
    assert(o->result != H1_BAD || problem.reason != NULL);
    assert(o->result != H1_DONE || (o->consumed > 0 && o->consumed <= input.len));
}

static void check_next_hop(struct http_head *head, enum http_method method) {
    static const struct h1_limits limits = { .head_bytes = 1u << 20, .fields = HTTP_FIELDS_MAX };
    static struct outcome again; /* large for a stack */
    struct buffer out;
    struct h1_scan scan = { 0 };
    http_strip_hop_by_hop(head);
    buffer_init(&out, 1u << 20);
    assert(h1_write_response_head(&out, head));
    parse(buffer_slice(&out), &limits, method, &scan, &again);
    assert(again.result == H1_DONE && again.consumed == buffer_len(&out));
    assert(again.head.status == head->status && again.head.framing == head->framing);
    assert(again.head.content_length == head->content_length);
    buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct outcome whole, part;
    if (size == 0) {
        return 0;
    }
    enum http_method method = (enum http_method)(data[0] % HTTP_METHODS);
    struct slice input = slice_of(data + 1, size - 1);
    struct h1_scan scan = { 0 };
    parse(input, &h1_limits_default, method, &scan, &whole);
    scan = (struct h1_scan){ 0 };
    for (size_t len = input.len % 7;; len = input.len - len < 7 ? input.len : len + 7) {
        parse(slice_sub(input, 0, len), &h1_limits_default, method, &scan, &part);
        if (part.result != H1_MORE || len == input.len) {
            break;
        }
    }
    assert(whole.result == part.result && whole.consumed == part.consumed);
    if (whole.result == H1_DONE) {
        check_next_hop(&whole.head, method);
    }
    return 0;
}
