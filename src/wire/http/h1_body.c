#include <assert.h>
#include <string.h>

#include "base/parse.h"
#include "wire/http/h1_lines.h"

#define CHUNK_SIZE_DIGITS_MAX 15 /* below 2^60: sums cannot overflow */

void h1_body_init(struct h1_body *body, const struct http_head *head,
                  const struct h1_limits *limits) {
    *body = (struct h1_body){
        .framing = head->framing,
        .state = H1_BODY_STATE_DATA,
        .remaining = head->content_length,
        .trailer_bytes_max = limits->trailer_bytes,
    };
    if (head->framing == HTTP_BODY_CHUNKED) {
        body->state = H1_BODY_STATE_CHUNK_SIZE;
    } else if (head->framing == HTTP_BODY_NONE ||
               (head->framing == HTTP_BODY_LENGTH && head->content_length == 0)) {
        body->state = H1_BODY_STATE_END;
    }
}

bool h1_body_done(const struct h1_body *body) {
    return body->state == H1_BODY_STATE_END;
}

uint64_t h1_body_left(const struct h1_body *body) {
    bool counted = body->framing == HTTP_BODY_LENGTH && body->state == H1_BODY_STATE_DATA;
    return counted ? body->remaining : 0;
}

void h1_body_skip(struct h1_body *body, uint64_t bytes) {
    assert(bytes <= h1_body_left(body));
    body->remaining -= bytes;
    if (body->remaining == 0) {
        body->state = H1_BODY_STATE_END;
    }
}

static struct h1_body_event more(void) {
    return (struct h1_body_event){ .kind = H1_BODY_MORE };
}

static struct h1_body_event bad(const char *reason) {
    return (struct h1_body_event){ .kind = H1_BODY_BAD, .reason = reason };
}

static struct h1_body_event next_data(struct h1_body *body, struct slice input) {
    size_t len = input.len;
    if (body->framing != HTTP_BODY_UNTIL_CLOSE) {
        if (len > body->remaining) {
            len = (size_t)body->remaining;
        }
        body->remaining -= len;
        if (body->remaining == 0) {
            body->state =
                body->framing == HTTP_BODY_CHUNKED ? H1_BODY_STATE_CHUNK_END : H1_BODY_STATE_END;
        }
    }
    return (struct h1_body_event){ .kind = H1_BODY_DATA,
                                   .consumed = len,
                                   .data = slice_sub(input, 0, len) };
}

/* `1a2b;name=value CRLF` (RFC 9112 7.1): extensions are checked and dropped. */
static bool parse_chunk_line(struct h1_body *body, struct slice line, const char **reason) {
    size_t semicolon = slice_find(line, ';');
    struct slice size = semicolon == SLICE_NONE ? line : slice_sub(line, 0, semicolon);
    if (size.len > CHUNK_SIZE_DIGITS_MAX || !parse_hex(size, &body->remaining)) {
        *reason = "a chunk size that is not a hexadecimal number (RFC 9112 7.1)";
        return false;
    }
    if (semicolon != SLICE_NONE) {
        struct slice extension = slice_skip(line, semicolon);
        body->extension_bytes += (uint32_t)extension.len;
        if (!http_is_field_value(extension) || body->extension_bytes > H1_EXTENSION_BYTES_MAX) {
            *reason = "a bad or endless chunk extension (RFC 9112 7.1.1)";
            return false;
        }
    }
    return true;
}

static struct h1_body_event next_chunk(struct h1_body *body, struct slice input) {
    size_t newline = slice_find(slice_sub(input, 0, H1_CHUNK_LINE_BYTES_MAX), '\n');
    if (newline == SLICE_NONE) {
        return input.len < H1_CHUNK_LINE_BYTES_MAX
                   ? more()
                   : bad("a chunk's size line is too long (RFC 9112 7.1)");
    }
    const char *reason = "a chunk's size line ends in LF without CR (RFC 9112 7.1)";
    if (newline == 0 || input.data[newline - 1] != '\r' ||
        !parse_chunk_line(body, slice_sub(input, 0, newline - 1), &reason)) {
        return bad(reason);
    }
    body->state = body->remaining > 0 ? H1_BODY_STATE_CHUNK_DATA : H1_BODY_STATE_TRAILERS;
    return (struct h1_body_event){ .kind = H1_BODY_DATA, .consumed = newline + 1 };
}

static struct h1_body_event next_chunk_end(struct h1_body *body, struct slice input) {
    if (input.data[0] != '\r' || (input.len > 1 && input.data[1] != '\n')) {
        return bad("a chunk is longer than it said (RFC 9112 7.1)");
    }
    if (input.len < 2) {
        return more();
    }
    body->state = H1_BODY_STATE_CHUNK_SIZE;
    return (struct h1_body_event){ .kind = H1_BODY_DATA, .consumed = 2 };
}

static void drop_forbidden(struct http_head *trailers) {
    size_t kept = 0;
    for (size_t i = 0; i < trailers->field_count; i++) {
        if (!http_field_forbidden_in_trailer(trailers->fields[i].id)) {
            trailers->fields[kept++] = trailers->fields[i];
        }
    }
    trailers->field_count = kept;
}

static struct h1_body_event next_trailers(struct h1_body *body, struct slice input,
                                          struct http_head *trailers) {
    struct h1_scan scan = { 0 };
    struct h1_problem problem;
    size_t end;
    enum h1_result found = h1_find_end(input, &scan, &end, &problem);
    if (found == H1_BAD) {
        return bad(problem.reason);
    }
    if (found == H1_MORE ? input.len > body->trailer_bytes_max : end > body->trailer_bytes_max) {
        return bad("the trailers are too large (RFC 9112 7.1.2)");
    }
    if (found == H1_MORE) {
        return more();
    }
    body->state = H1_BODY_STATE_END;
    struct http_field dropped[HTTP_FIELDS_MAX];
    struct http_head unwanted;
    if (trailers == NULL) {
        http_head_init(&unwanted, dropped, HTTP_FIELDS_MAX);
        trailers = &unwanted;
    }
    struct slice rest = slice_sub(input, 0, end);
    struct h1_limits limits = { .fields = (uint32_t)trailers->field_capacity };
    if (!h1_parse_fields(&rest, &limits, trailers, &problem)) {
        return bad(problem.reason);
    }
    drop_forbidden(trailers);
    return (struct h1_body_event){ .kind =
                                       trailers->field_count > 0 ? H1_BODY_TRAILERS : H1_BODY_END,
                                   .consumed = end };
}

static struct h1_body_event next_event(struct h1_body *body, struct slice input,
                                       struct http_head *trailers) {
    switch (body->state) {
    case H1_BODY_STATE_DATA:
    case H1_BODY_STATE_CHUNK_DATA:
        return next_data(body, input);
    case H1_BODY_STATE_CHUNK_SIZE:
        return next_chunk(body, input);
    case H1_BODY_STATE_CHUNK_END:
        return next_chunk_end(body, input);
    case H1_BODY_STATE_TRAILERS:
        return next_trailers(body, input, trailers);
    case H1_BODY_STATE_END:
        break;
    }
    return (struct h1_body_event){ .kind = H1_BODY_END };
}

struct h1_body_event h1_body_next(struct h1_body *body, struct slice input,
                                  struct http_head *trailers) {
    size_t consumed = 0;
    for (;;) {
        struct slice rest = slice_skip(input, consumed);
        if (rest.len == 0 && body->state != H1_BODY_STATE_END) {
            return (struct h1_body_event){ .kind = H1_BODY_MORE, .consumed = consumed };
        }
        struct h1_body_event event = next_event(body, rest, trailers);
        consumed += event.consumed;
        /* Framing that carries no data is passed over: the caller sees pieces of the body only. */
        if (event.kind != H1_BODY_DATA || event.data.len > 0) {
            event.consumed = consumed;
            return event;
        }
    }
}
