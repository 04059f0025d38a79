/* Any bytes as a request: whole and in pieces it must be understood alike; what is accepted must be
 * read back as the same after it was written for the next hop. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum h1_result result;
    size_t consumed;
    struct h1_problem problem;
    struct http_head head;
    struct http_field fields[HTTP_FIELDS_MAX];
};

static const struct h1_limits next_hop = {
    .head_bytes = 1u << 20,
    .fields = HTTP_FIELDS_MAX,
    .target_bytes = 1u << 20,
};

static void parse(struct slice input, const struct h1_limits *limits, struct h1_scan *scan,
                  struct outcome *o) {
    http_head_init(&o->head, o->fields, HTTP_FIELDS_MAX);
    o->consumed = 0;
    o->problem = (struct h1_problem){ 0 };
    o->result = h1_parse_request(input, limits, scan, &o->head, &o->consumed, &o->problem);
    assert(o->result != H1_BAD || (o->problem.status >= 400 && o->problem.reason != NULL));
    assert(o->result != H1_DONE || (o->consumed > 0 && o->consumed <= input.len));
}

/* In pieces whose sizes come from the input itself, each in memory that ends with it. */
static void parse_in_pieces(struct slice input, unsigned seed, struct outcome *o) {
    struct h1_scan scan = { 0 };
    char *copy = NULL;
    size_t len = 0;
    do {
        seed = seed * 1103515245 + 12345;
        size_t step = 1 + (seed >> 16) % 61;
        len = input.len - len < step ? input.len : len + step;
        free(copy);
        copy = malloc(len > 0 ? len : 1);
        assert(copy != NULL);
        if (len > 0) {
            memcpy(copy, input.data, len);
        }
        parse(slice_of(copy, len), &h1_limits_default, &scan, o);
    } while (o->result == H1_MORE && len < input.len);
    free(copy); /* the slices of o->head are not looked at */
}

static bool is_forwarded(const struct http_field *f) {
    return f->id != HTTP_FIELD_HOST && f->id != HTTP_FIELD_CONTENT_LENGTH &&
           f->id != HTTP_FIELD_CONNECTION && f->id != HTTP_FIELD_UPGRADE &&
           f->id != HTTP_FIELD_TRANSFER_ENCODING && f->id != HTTP_FIELD_EXPECT;
}

static void check_fields(const struct http_head *a, const struct http_head *b) {
    size_t j = 0;
    for (size_t i = 0; i < a->field_count; i++) {
        assert(http_head_may_have(a, a->fields[i].id));
        if (!is_forwarded(&a->fields[i])) {
            continue;
        }
        while (j < b->field_count && !is_forwarded(&b->fields[j])) {
            j++;
        }
        assert(j < b->field_count);
        assert(slice_equal(a->fields[i].name, b->fields[j].name));
        assert(slice_equal(a->fields[i].value, b->fields[j].value));
        j++;
    }
    for (; j < b->field_count; j++) {
        assert(!is_forwarded(&b->fields[j]));
    }
}

static void check_next_hop(struct http_head *head) {
    static struct outcome again; /* large for a stack */
    struct buffer out;
    struct h1_scan scan = { 0 };
    if (head->authority.len == 0) {
        return; /* HTTP/1.0: the exchange answers it or sets a host */
    }
    buffer_init(&out, 1u << 20);
    http_strip_hop_by_hop(head);
    assert(h1_write_request_head(&out, head));
    parse(buffer_slice(&out), &next_hop, &scan, &again);
    assert(again.result == H1_DONE && again.consumed == buffer_len(&out));
    assert(slice_equal(head->method_text, again.head.method_text));
    assert(slice_equal(head->authority, again.head.authority));
    assert(slice_equal(head->path, again.head.path) && slice_equal(head->query, again.head.query));
    assert(head->has_query == again.head.has_query && head->framing == again.head.framing);
    assert(head->content_length == again.head.content_length);
    assert(head->upgrade == again.head.upgrade);
    assert(slice_equal(head->upgrade_to, again.head.upgrade_to));
    check_fields(head, &again.head);
    buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct outcome whole, pieces;
    struct slice input = slice_of(data, size);
    struct h1_scan scan = { 0 };
    parse(input, &h1_limits_default, &scan, &whole);
    parse_in_pieces(input, size > 0 ? data[size / 2] : 0, &pieces);
    assert(whole.result == pieces.result && whole.consumed == pieces.consumed);
    assert(whole.problem.status == pieces.problem.status);
    assert(whole.problem.reason == pieces.problem.reason);
    if (whole.result == H1_DONE) {
        assert(whole.head.framing == pieces.head.framing);
        assert(whole.head.field_count == pieces.head.field_count);
        check_next_hop(&whole.head);
    }
    return 0;
}
