/* Heads that come in: field lines are collected while they are decoded, then mapped to a head
 * (RFC 9113 §8.2 and §8.3). nghttp2 has seen to it that names are lower-case tokens, values hold no
 * control bytes, pseudo-fields come first, once, and those that are needed are there, and that
 * fields of the connection are not; what a proxy must know beyond is looked at here. */
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "wire/http/h2_internal.h"
#include "wire/http/uri.h"

#define LINE_OVERHEAD_BYTES 32 /* RFC 9113 §6.5.2 */
/* A head past its limit is decoded on, or the tables of HPACK would be lost, but not for ever: a
 * byte of it can stand for 4 KB (CVE-2016-6581). */
#define BOMB_FACTOR 8

bool h2_block_begin(struct h2 *h2) {
    struct h2_block *b = h2->block;
    if (b == NULL) {
        b = h2->block = malloc(sizeof *b);
        if (b == NULL) {
            return false;
        }
        buffer_init(&b->text, (size_t)h2->limits.head_bytes * 2 + 1);
    }
    buffer_clear(&b->text);
    b->count = b->list_bytes = 0;
    b->too_large = b->too_many = b->starved = false;
    h2->in_head = true;
    return true;
}

bool h2_block_is_whole(const struct h2_block *b) {
    return !b->too_large && !b->too_many && !b->starved;
}

void h2_block_free(struct h2 *h2) {
    if (h2->block != NULL) {
        buffer_fini(&h2->block->text);
        free(h2->block);
        h2->block = NULL;
    }
}

bool h2_block_add(struct h2 *h2, struct slice name, struct slice value) {
    struct h2_block *b = h2->block;
    b->list_bytes += name.len + value.len + LINE_OVERHEAD_BYTES;
    b->too_large = b->too_large || b->list_bytes > h2->limits.head_bytes;
    b->too_many = b->too_many || b->count == H2_LINES_MAX;
    if (!h2_block_is_whole(b)) {
        if (b->list_bytes > (size_t)h2->limits.head_bytes * BOMB_FACTOR) {
            h2->abused = true;
            h2->trouble = "a head far beyond the limit (limits.head)";
            return false;
        }
        return true;
    }
    uint32_t at = (uint32_t)buffer_len(&b->text);
    struct h2_line *line = &b->lines[b->count];
    *line =
        (struct h2_line){ at, (uint32_t)name.len, at + (uint32_t)name.len, (uint32_t)value.len };
    if (!buffer_append(&b->text, name) || !buffer_append(&b->text, value)) {
        b->starved = true; /* its limit is twice that of a head */
        return true;
    }
    b->count++;
    return true;
}

static struct slice name_of(const struct h2_block *b, const struct h2_line *line) {
    return slice_of(buffer_slice(&b->text).data + line->name, line->name_len);
}

static struct slice value_of(const struct h2_block *b, const struct h2_line *line) {
    return slice_of(buffer_slice(&b->text).data + line->value, line->value_len);
}

static bool is_cookie(const struct h2_block *b, const struct h2_line *line) {
    return slice_equal(name_of(b, line), SLICE("cookie"));
}

/* Crumbs of the cookie become one field again (RFC 9113 8.2.3), behind the other lines. */
static bool join_cookies(struct h2_block *b) {
    size_t crumbs = 0, kept = 0;
    for (size_t i = 0; i < b->count; i++) {
        crumbs += is_cookie(b, &b->lines[i]);
    }
    if (crumbs < 2) {
        return true;
    }
    if (buffer_reserve(&b->text, buffer_len(&b->text) + 2 * crumbs) == NULL) {
        return false;
    }
    struct h2_line joined = { 0 };
    for (size_t i = 0; i < b->count; i++) {
        struct h2_line *line = &b->lines[i];
        if (!is_cookie(b, line)) {
            b->lines[kept++] = *line;
            continue;
        }
        if (joined.name_len == 0) {
            joined = *line;
            joined.value = (uint32_t)buffer_len(&b->text);
        } else {
            (void)buffer_append(&b->text, SLICE("; "));
        }
        (void)buffer_append(&b->text, value_of(b, line)); /* room was reserved above */
        joined.value_len = (uint32_t)buffer_len(&b->text) - joined.value;
    }
    b->lines[kept++] = joined;
    b->count = kept;
    return true;
}

/* ---- fields ---- */

static bool refuse(struct h1_problem *problem, uint16_t status, const char *reason) {
    *problem = (struct h1_problem){ status, reason };
    return false;
}

/* The pseudo-fields of one head. */
struct pseudo {
    struct slice method, scheme, authority, path, protocol, status;
    bool has_authority;
};

static void take_pseudo(struct pseudo *p, struct slice name, struct slice value) {
    struct slice *place = slice_equal(name, SLICE(":method"))     ? &p->method
                          : slice_equal(name, SLICE(":scheme"))   ? &p->scheme
                          : slice_equal(name, SLICE(":path"))     ? &p->path
                          : slice_equal(name, SLICE(":protocol")) ? &p->protocol
                          : slice_equal(name, SLICE(":status"))   ? &p->status
                                                                  : &p->authority;
    p->has_authority = p->has_authority || place == &p->authority;
    *place = value;
}

/* False: a name that other readers take for a known one (RFC 9112 11.2), or too many. */
static bool read_lines(const struct h2 *h2, struct http_head *head, struct pseudo *pseudo,
                       struct h1_problem *problem) {
    const struct h2_block *b = h2->block;
    size_t most =
        head->field_capacity < h2->limits.fields ? head->field_capacity : h2->limits.fields;
    for (size_t i = 0; i < b->count; i++) {
        struct slice name = name_of(b, &b->lines[i]), value = value_of(b, &b->lines[i]);
        if (name.len > 0 && name.data[0] == ':') {
            take_pseudo(pseudo, name, value);
            continue;
        }
        if (head->field_count >= most) {
            return refuse(problem, 431, "too many fields (limits.fields)");
        }
        bool mistakable;
        enum http_field_id id = http_field_id_look_up(name, &mistakable);
        if (mistakable || !http_is_token(name) || !http_is_field_value(value)) {
            return refuse(problem, 400,
                          "a field that others may read differently (RFC 9113 8.2.1)");
        }
        http_head_append(head, (struct http_field){ name, slice_trim(value), id });
    }
    return true;
}

/* nghttp2 has checked that it is a number and that there is one; more than that is not said. */
static bool read_length(struct http_head *head) {
    const struct http_field *length = http_head_find(head, HTTP_FIELD_CONTENT_LENGTH);
    if (length == NULL) {
        return true;
    }
    head->has_content_length = true;
    return parse_uint(length->value, &head->content_length) &&
           head->content_length <= (uint64_t)INT64_MAX;
}

/* ---- requests ---- */

/* Printable ASCII without "#" (RFC 9113 8.3.1, RFC 3986 3.3). */
static bool is_path(struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= 0x20 || c >= 0x7f || c == '#') {
            return false;
        }
    }
    return text.len > 0;
}

static bool read_target(const struct h2 *h2, struct http_head *head, const struct pseudo *p,
                        struct h1_problem *problem) {
    if (p->path.len > h2->limits.target_bytes) {
        return refuse(problem, 414, "the request target is too long (limits.target)");
    }
    bool asterisk = slice_equal(p->path, SLICE("*"));
    if (!is_path(p->path) || (asterisk ? head->method != HTTP_OPTIONS : p->path.data[0] != '/')) {
        return refuse(problem, 400, ":path is not a path (RFC 9113 8.3.1)");
    }
    size_t mark = slice_find(p->path, '?');
    head->path = p->path;
    if (mark != SLICE_NONE) {
        head->path = slice_sub(p->path, 0, mark);
        head->query = slice_skip(p->path, mark + 1);
        head->has_query = true;
    }
    return true;
}

static bool read_authority(struct http_head *head, const struct pseudo *p,
                           struct h1_problem *problem) {
    const struct http_field *host = NULL;
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id != HTTP_FIELD_HOST) {
            continue;
        }
        if (host != NULL) {
            return refuse(problem, 400, "Host more than once (RFC 9110 7.2)");
        }
        host = &head->fields[i];
    }
    if (p->has_authority && host != NULL && !slice_equal_fold(host->value, p->authority)) {
        return refuse(problem, 400, "Host and :authority differ (RFC 9113 8.3.1)");
    }
    head->authority = p->has_authority ? p->authority : host != NULL ? host->value : SLICE("");
    return uri_is_authority(head->authority) ||
           refuse(problem, 400, "no authority that is a host (RFC 9113 8.3.1)");
}

/* An extended CONNECT (RFC 8441 4) reads like the Upgrade that it stands for. */
static bool read_method(struct h2_stream *s, struct http_head *head, const struct pseudo *p,
                        struct h1_problem *problem) {
    head->method_text = p->method;
    head->method = http_method_of(p->method);
    if (!http_is_token(p->method)) {
        return refuse(problem, 400, ":method is not a token (RFC 9113 8.3.1)");
    }
    if (head->method != HTTP_CONNECT) {
        return true;
    }
    if (p->protocol.len == 0) {
        return refuse(problem, 405, "CONNECT is not served here (RFC 9110 9.3.6)");
    }
    if (!http_is_token(p->protocol) || head->has_content_length) {
        return refuse(problem, 400, "not an extended CONNECT (RFC 8441 4)");
    }
    s->tunnel = true;
    head->method = HTTP_GET;
    head->method_text = SLICE("GET");
    head->upgrade = true;
    head->upgrade_to = p->protocol;
    return true;
}

static bool read_expect(struct http_head *head, struct h1_problem *problem) {
    const struct http_field *expect = http_head_find(head, HTTP_FIELD_EXPECT);
    head->expect_continue = expect != NULL;
    return expect == NULL || slice_equal_fold(expect->value, SLICE("100-continue")) ||
           refuse(problem, 417, "an expectation that is not 100-continue (RFC 9110 10.1.1)");
}

static bool read_request(struct h2_stream *s, struct http_head *head, struct h1_problem *problem) {
    struct pseudo p = { 0 };
    const struct h2 *h2 = s->h2;
    if (h2->block->too_large || h2->block->too_many) {
        return refuse(problem, 431, "the head is too large (limits.head, limits.fields)");
    }
    if (h2->block->starved || !join_cookies(h2->block)) {
        return refuse(problem, 503, "no memory is left");
    }
    if (!read_lines(h2, head, &p, problem)) {
        return false;
    }
    bool web =
        slice_equal_fold(p.scheme, SLICE("http")) || slice_equal_fold(p.scheme, SLICE("https"));
    head->scheme = p.scheme;
    if (!read_length(head)) {
        return refuse(problem, 400, "Content-Length is not a number (RFC 9113 8.1.1)");
    }
    if (!read_method(s, head, &p, problem)) {
        return false;
    }
    if (!web) {
        return refuse(problem, 400, ":scheme is not one of the web's (RFC 9113 8.3.1)");
    }
    return read_target(h2, head, &p, problem) && read_authority(head, &p, problem) &&
           read_expect(head, problem);
}

enum h2_result h2_read_request(struct h2_stream *s, bool ended, struct http_head *head,
                               struct slice *raw, struct h1_problem *problem) {
    head->version = 20;
    head->keep_alive = true;
    if (!read_request(s, head, problem)) {
        s->method = head->method;
        if (problem->status == 400) { /* malformed: RFC 9113 8.1.1 */
            h2_reset(s, H2_PROTOCOL_ERROR);
            return H2_MALFORMED;
        }
        return H2_REFUSED;
    }
    s->method = head->method;
    bool empty = ended || s->tunnel;
    head->framing = head->has_content_length ? HTTP_BODY_LENGTH
                    : empty                  ? HTTP_BODY_NONE
                                             : HTTP_BODY_CHUNKED;
    *raw = buffer_slice(&s->h2->block->text);
    return H2_READ;
}

/* ---- responses ---- */

uint16_t h2_block_status(const struct h2 *h2) {
    const struct h2_block *b = h2->block;
    if (b->count == 0 || !slice_equal(name_of(b, &b->lines[0]), SLICE(":status"))) {
        return 0;
    }
    struct slice text = value_of(b, &b->lines[0]);
    uint64_t status;
    return text.len == 3 && parse_uint(text, &status) && status >= 100 && status <= 599
               ? (uint16_t)status
               : 0;
}

static void frame_response(struct h2_stream *s, bool ended, struct http_head *head) {
    bool bodyless =
        head->status < 200 || head->status == 204 || head->status == 304 || s->method == HTTP_HEAD;
    if (bodyless) {
        head->framing = HTTP_BODY_NONE;
        head->has_content_length =
            head->has_content_length && head->status >= 200 && head->status != 204;
    } else if (ended || (head->has_content_length && head->content_length > 0)) {
        head->framing = HTTP_BODY_LENGTH;
    } else {
        head->framing = HTTP_BODY_CHUNKED; /* empty perhaps, but trailers may come */
        head->has_content_length = false;
    }
}

enum h2_result h2_read_response(struct h2_stream *s, bool ended, struct http_head *head) {
    struct pseudo p = { 0 };
    struct h1_problem problem;
    struct h2 *h2 = s->h2;
    head->version = 20;
    head->keep_alive = true;
    head->status = h2_block_status(h2);
    bool good = head->status != 0 && head->status != 101 && h2_block_is_whole(h2->block) &&
                read_lines(h2, head, &p, &problem) && read_length(head);
    if (!good) {
        h2_reset(s, H2_PROTOCOL_ERROR);
        return H2_MALFORMED;
    }
    if (s->tunnel && head->status >= 200 && head->status < 300 && !ended) {
        head->status = 101; /* RFC 8441 5: what 101 says in HTTP/1 */
        head->upgrade = true;
        head->framing = HTTP_BODY_NONE;
        return H2_READ;
    }
    frame_response(s, ended, head);
    return H2_READ;
}

void h2_block_trailers(struct h2 *h2, struct http_head *head) {
    const struct h2_block *b = h2->block;
    for (size_t i = 0; i < b->count && head->field_count < head->field_capacity; i++) {
        struct slice name = name_of(b, &b->lines[i]), value = slice_trim(value_of(b, &b->lines[i]));
        enum http_field_id id = http_field_id_of(name);
        if (name.len > 0 && name.data[0] != ':' && !http_field_forbidden_in_trailer(id) &&
            http_is_token(name) && http_is_field_value(value)) {
            http_head_append(head, (struct http_field){ name, value, id });
        }
    }
}
