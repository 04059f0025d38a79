#include "wire/http/h1_lines.h"

#include <assert.h>
#include <string.h>

#include "base/parse.h"
#include "wire/http/block.h"

const struct h1_limits h1_limits_default = {
    .head_bytes = H1_HEAD_BYTES_DEFAULT,
    .fields = H1_FIELDS_DEFAULT,
    .target_bytes = H1_TARGET_BYTES_DEFAULT,
    .trailer_bytes = H1_TRAILER_BYTES_DEFAULT,
};

bool h1_refuse(struct h1_problem *problem, uint16_t status, const char *reason) {
    *problem = (struct h1_problem){ status, reason };
    return false;
}

enum h1_result h1_find_end(struct slice input, struct h1_scan *scan, size_t *end,
                           struct h1_problem *problem) {
    size_t line_start = scan->line_start;
    for (size_t at = scan->scanned; at < input.len; at += BLOCK_BYTES) {
        struct slice rest = { input.data + at, input.len - at };
        uint32_t feeds = block_mask((block)(block_load_padded(rest, ' ') == '\n'));
        for (; feeds != 0; feeds &= feeds - 1) {
            size_t feed = at + (size_t)__builtin_ctz(feeds);
            if (feed == line_start || input.data[feed - 1] != '\r') {
                h1_refuse(problem, 400, "a line ends in LF without CR (RFC 9112 2.2)");
                return H1_BAD;
            }
            if (feed - 1 == line_start) {
                *end = feed + 1;
                return H1_DONE;
            }
            line_start = feed + 1;
        }
    }
    /* More than 4 GiB of a head were refused long before. */
    *scan = (struct h1_scan){ .scanned = (uint32_t)input.len, .line_start = (uint32_t)line_start };
    return H1_MORE;
}

bool h1_take_line(struct slice *rest, struct slice *line, struct h1_problem *problem) {
    /* h1_find_end looked for LF, this looks for CR: together they see each that stands alone. */
    const char *end = memchr(rest->data, '\r', rest->len);
    assert(end != NULL);
    if (end[1] != '\n') {
        return h1_refuse(problem, 400, "a CR without LF (RFC 9112 2.2)");
    }
    *line = (struct slice){ rest->data, (size_t)(end - rest->data) };
    *rest = (struct slice){ end + 2, rest->len - line->len - 2 };
    return true;
}

/* Why the text before `at`, where no token byte stands, is not the name of a field. */
static bool refuse_name(struct slice line, const char *at, struct h1_problem *problem) {
    if (line.data[0] == ' ' || line.data[0] == '\t') {
        return h1_refuse(problem, 400, "a folded line (RFC 9112 5.2)");
    }
    if (*at == '\r') {
        return h1_refuse(problem, 400, "a field line without a colon (RFC 9112 5)");
    }
    return h1_refuse(problem, 400, "a field name that is not a token (RFC 9112 5.1)");
}

/* The name off the front of `rest`, and its colon. Blanks before it are refused in a request and
 * taken away from a response (RFC 9112 5.1). */
static bool take_name(struct slice *rest, bool response, struct http_field *field,
                      struct h1_problem *problem) {
    const char *at = http_token_end(*rest), *colon = at; /* the line's CR at the latest */
    size_t len = (size_t)(at - rest->data);
    while (response && len > 0 && (*colon == ' ' || *colon == '\t')) {
        colon++;
    }
    if (*colon != ':' || len == 0) {
        return refuse_name(*rest, at, problem);
    }
    bool mistakable;
    field->name = (struct slice){ rest->data, len };
    field->id = http_field_id_look_up(field->name, &mistakable);
    *rest = (struct slice){ colon + 1, rest->len - (size_t)(colon + 1 - rest->data) };
    return !mistakable || response || /* it is a service that takes one for the other */
           h1_refuse(problem, 400, "an underscore in the name of a known field (RFC 9112 11.2)");
}

/* The value off the front of `rest`, without the blanks around it, and its CRLF. */
static bool take_value(struct slice *rest, struct http_field *field, struct h1_problem *problem) {
    const char *start = rest->data, *end = http_value_end(*rest);
    if (*end != '\r') {
        return h1_refuse(problem, 400, "a control byte in a field value (RFC 9110 5.5)");
    }
    if (end[1] != '\n') {
        return h1_refuse(problem, 400, "a CR without LF (RFC 9112 2.2)");
    }
    *rest = (struct slice){ end + 2, rest->len - (size_t)(end + 2 - start) };
    while (start < end && (*start == ' ' || *start == '\t')) {
        start++;
    }
    while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    field->value = (struct slice){ start, (size_t)(end - start) };
    return true;
}

bool h1_parse_fields(struct slice *rest, const struct h1_limits *limits, struct http_head *head,
                     struct h1_problem *problem) {
    size_t most = head->field_capacity < limits->fields ? head->field_capacity : limits->fields;
    while (rest->data[0] != '\r') {
        if (head->field_count >= most) {
            return h1_refuse(problem, 431, "too many fields (limits.fields)");
        }
        struct http_field *field = &head->fields[head->field_count];
        if (!take_name(rest, head->status > 0, field, problem) ||
            !take_value(rest, field, problem)) {
            return false;
        }
        http_head_count(head, field->id);
    }
    if (rest->data[1] != '\n') {
        return h1_refuse(problem, 400, "a CR without LF (RFC 9112 2.2)");
    }
    *rest = slice_skip(*rest, 2);
    return true;
}

bool h1_parse_version(struct slice text, struct http_head *head, struct h1_problem *problem) {
    if (text.len != 8 || memcmp(text.data, "HTTP/", 5) != 0 || text.data[6] != '.' ||
        text.data[5] < '0' || text.data[5] > '9' || text.data[7] < '0' || text.data[7] > '9') {
        return h1_refuse(problem, 400, "not an HTTP version (RFC 9112 2.3)");
    }
    if (text.data[5] != '1') {
        return h1_refuse(problem, 505, "not HTTP/1 (RFC 9112 2.3)");
    }
    head->version = text.data[7] == '0' ? 10 : 11;
    return true;
}

struct connection_options {
    bool close, keep_alive, upgrade;
};

static void read_options(struct slice list, struct connection_options *options) {
    struct slice item;
    if (slice_equal_fold(list, SLICE("keep-alive"))) { /* what nearly everybody sends */
        options->keep_alive = true;
        return;
    }
    while (slice_cut(&list, ',', &item)) {
        item = slice_trim(item);
        options->close = options->close || slice_equal_fold(item, SLICE("close"));
        options->keep_alive = options->keep_alive || slice_equal_fold(item, SLICE("keep-alive"));
        options->upgrade = options->upgrade || slice_equal_fold(item, SLICE("upgrade"));
    }
}

void h1_read_connection(struct http_head *head) {
    struct connection_options options = { 0 };
    struct slice upgrade_to = { 0 };
    unsigned upgrades = 0;
    if (!http_head_may_have(head, HTTP_FIELD_CONNECTION)) { /* as most of HTTP/1.1 do not */
        head->keep_alive = head->version >= 11;
        head->upgrade = false;
        return;
    }
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == HTTP_FIELD_CONNECTION) {
            read_options(head->fields[i].value, &options);
        } else if (head->fields[i].id == HTTP_FIELD_UPGRADE) {
            upgrade_to = head->fields[i].value;
            upgrades++;
        }
    }
    head->keep_alive = !options.close && (head->version >= 11 || options.keep_alive);
    /* h2c would hide what follows from us, and browsers do not use it (RFC 9113 3.1). */
    head->upgrade = options.upgrade && upgrades == 1 && upgrade_to.len > 0 && head->version >= 11 &&
                    !http_list_has(upgrade_to, SLICE("h2c"));
    if (head->upgrade) {
        head->upgrade_to = upgrade_to;
    }
}

bool h1_read_framing(struct http_head *head, bool *chunked, struct h1_problem *problem) {
    const struct http_field *length = NULL, *encoding = NULL;
    *chunked = false;
    if ((head->ids & (HTTP_FIELD_BIT(CONTENT_LENGTH) | HTTP_FIELD_BIT(TRANSFER_ENCODING))) == 0) {
        return true;
    }
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (field->id == HTTP_FIELD_CONTENT_LENGTH) {
            if (length != NULL) {
                return h1_refuse(problem, 400, "Content-Length more than once (RFC 9112 6.3)");
            }
            length = field;
        } else if (field->id == HTTP_FIELD_TRANSFER_ENCODING) {
            if (encoding != NULL) {
                return h1_refuse(problem, 400, "Transfer-Encoding more than once (RFC 9112 6.1)");
            }
            encoding = field;
        }
    }
    if (encoding != NULL) {
        if (length != NULL) {
            return h1_refuse(problem, 400,
                             "Transfer-Encoding and Content-Length together (RFC 9112 6.1)");
        }
        if (head->version < 11) {
            return h1_refuse(problem, 400, "Transfer-Encoding in HTTP/1.0 (RFC 9112 6.1)");
        }
        if (!slice_equal_fold(encoding->value, SLICE("chunked"))) {
            return h1_refuse(problem, 501, "a transfer coding other than chunked (RFC 9112 6.1)");
        }
        *chunked = true;
    }
    if (length != NULL) {
        if (!parse_uint(length->value, &head->content_length) ||
            head->content_length > (uint64_t)INT64_MAX) {
            return h1_refuse(problem, 400, "Content-Length is not a number (RFC 9112 6.3)");
        }
        head->has_content_length = true;
    }
    return true;
}
