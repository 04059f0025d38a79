#include <string.h>

#include "wire/http/h1.h"
#include "wire/http/status.h"

#define LINE_BYTES 64 /* framing, Connection and digits, more than they can need */

/* Like slice_put without looking at a limit: the caller has reserved enough. */
static char *put_field(char *at, struct slice name, struct slice value) {
    at = slice_put(at, name);
    at = slice_put(at, SLICE(": "));
    at = slice_put(at, value);
    return slice_put(at, SLICE("\r\n"));
}

/* The fields that the serialiser writes itself. */
#define WRITTEN_ANEW                                                                               \
    (HTTP_FIELD_BIT(HOST) | HTTP_FIELD_BIT(CONTENT_LENGTH) | HTTP_FIELD_BIT(TRANSFER_ENCODING) |   \
     HTTP_FIELD_BIT(CONNECTION) | HTTP_FIELD_BIT(UPGRADE) | HTTP_FIELD_BIT(EXPECT))

static size_t fields_bytes(const struct http_head *head) {
    size_t bytes = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        bytes += head->fields[i].name.len + head->fields[i].value.len + 4;
    }
    return bytes;
}

static char *put_fields(char *at, const struct http_head *head) {
    for (size_t i = 0; i < head->field_count; i++) {
        if ((WRITTEN_ANEW >> head->fields[i].id & 1) == 0) {
            at = put_field(at, head->fields[i].name, head->fields[i].value);
        }
    }
    return at;
}

/* Of three digits. */
static char *put_status(char *at, unsigned status) {
    *at++ = (char)('0' + status / 100 % 10);
    *at++ = (char)('0' + status / 10 % 10);
    *at++ = (char)('0' + status % 10);
    return at;
}

static char *put_framing(char *at, const struct http_head *head) {
    if (head->framing == HTTP_BODY_CHUNKED) {
        return slice_put(at, SLICE("transfer-encoding: chunked\r\n"));
    }
    if (head->has_content_length || head->framing == HTTP_BODY_LENGTH) {
        at = slice_put(at, SLICE("content-length: "));
        at = slice_put_uint(at, head->content_length);
        return slice_put(at, SLICE("\r\n"));
    }
    return at;
}

/* TE is for the next hop only, so Connection names it (RFC 9110 10.1.4). */
static char *put_connection(char *at, const struct http_head *head, bool te) {
    if (head->keep_alive && !head->upgrade && !te) {
        return at;
    }
    struct slice first = head->upgrade      ? SLICE("upgrade")
                         : head->keep_alive ? SLICE("")
                                            : SLICE("close");
    at = slice_put(at, SLICE("connection: "));
    at = slice_put(at, first);
    if (te) {
        at = slice_put(at, first.len > 0 ? SLICE(", te") : SLICE("te"));
    }
    at = slice_put(at, SLICE("\r\n"));
    return head->upgrade ? put_field(at, SLICE("upgrade"), head->upgrade_to) : at;
}

bool h1_write_request_head(struct buffer *out, const struct http_head *head) {
    size_t bytes = head->method_text.len + head->path.len + head->query.len + head->authority.len +
                   head->upgrade_to.len + fields_bytes(head) + 4 * (size_t)LINE_BYTES;
    char *start = buffer_reserve(out, bytes);
    if (start == NULL) {
        return false;
    }
    char *at = slice_put(start, head->method_text);
    at = slice_put(at, SLICE(" "));
    at = slice_put(at, head->path);
    if (head->has_query) {
        at = slice_put(at, SLICE("?"));
        at = slice_put(at, head->query);
    }
    at = slice_put(at, SLICE(" HTTP/1.1\r\n"));
    at = put_field(at, SLICE("host"), head->authority);
    at = put_framing(at, head);
    at = put_connection(at, head, http_head_find(head, HTTP_FIELD_TE) != NULL);
    if (head->expect_continue) {
        at = put_field(at, SLICE("expect"), SLICE("100-continue"));
    }
    at = put_fields(at, head);
    at = slice_put(at, SLICE("\r\n"));
    buffer_commit(out, (size_t)(at - start));
    return true;
}

bool h1_write_response_head(struct buffer *out, const struct http_head *head) {
    struct slice reason = http_status_reason(head->status);
    size_t bytes = reason.len + head->upgrade_to.len + fields_bytes(head) + 4 * (size_t)LINE_BYTES;
    char *start = buffer_reserve(out, bytes);
    if (start == NULL) {
        return false;
    }
    char *at = slice_put(start, SLICE("HTTP/1.1 "));
    at = put_status(at, head->status);
    at = slice_put(at, SLICE(" "));
    at = slice_put(at, reason);
    at = slice_put(at, SLICE("\r\n"));
    if (head->status >= 200) {
        at = put_framing(at, head);
    }
    if (head->status >= 200 || head->status == 101) {
        at = put_connection(at, head, false);
    }
    at = put_fields(at, head);
    at = slice_put(at, SLICE("\r\n"));
    buffer_commit(out, (size_t)(at - start));
    return true;
}

size_t h1_chunk_head(char out[H1_CHUNK_HEAD_BYTES], uint64_t bytes) {
    static const char digits[] = "0123456789abcdef";
    char text[16];
    size_t first = sizeof text;
    do {
        text[--first] = digits[bytes & 15];
        bytes >>= 4;
    } while (bytes > 0);
    size_t len = sizeof text - first;
    memcpy(out, text + first, len);
    memcpy(out + len, "\r\n", 2);
    return len + 2;
}

bool h1_write_last_chunk(struct buffer *out, const struct http_head *trailers) {
    size_t bytes = 8 + (trailers == NULL ? 0 : fields_bytes(trailers));
    char *start = buffer_reserve(out, bytes);
    if (start == NULL) {
        return false;
    }
    char *at = slice_put(start, SLICE("0\r\n"));
    if (trailers != NULL) {
        at = put_fields(at, trailers);
    }
    at = slice_put(at, SLICE("\r\n"));
    buffer_commit(out, (size_t)(at - start));
    return true;
}
