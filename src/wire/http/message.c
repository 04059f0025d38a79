#include "wire/http/message.h"

#include <string.h>

#include "wire/http/block.h"

static const struct slice methods[HTTP_METHODS] = {
    [HTTP_GET] = { "GET", 3 },         [HTTP_HEAD] = { "HEAD", 4 },
    [HTTP_POST] = { "POST", 4 },       [HTTP_PUT] = { "PUT", 3 },
    [HTTP_DELETE] = { "DELETE", 6 },   [HTTP_CONNECT] = { "CONNECT", 7 },
    [HTTP_OPTIONS] = { "OPTIONS", 7 }, [HTTP_TRACE] = { "TRACE", 5 },
    [HTTP_PATCH] = { "PATCH", 5 },
};

enum http_method http_method_of(struct slice text) {
    for (enum http_method method = HTTP_GET; method < HTTP_METHODS; method++) {
        if (slice_equal(text, methods[method])) {
            return method;
        }
    }
    return HTTP_METHOD_OTHER;
}

const char *http_method_name(enum http_method method) {
    return method == HTTP_METHOD_OTHER || method >= HTTP_METHODS ? "OTHER" : methods[method].data;
}

bool http_method_is_idempotent(enum http_method method) {
    return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_PUT ||
           method == HTTP_DELETE || method == HTTP_OPTIONS || method == HTTP_TRACE;
}

/* A hash over length, first and last letter, which are never '-' or '_'. The unit test says how few
 * known names share a slot. */
#define FIELD_SLOTS 256

static unsigned field_slot(struct slice name) {
    unsigned first = (unsigned char)name.data[0] | 0x20;
    unsigned last = (unsigned char)name.data[name.len - 1] | 0x20;
    return (first * 7 + last * 31 + (unsigned)name.len * 13) % FIELD_SLOTS;
}

static const struct slice field_names[HTTP_FIELD_IDS] = {
#define HTTP_FIELD_NAME(id, name) [HTTP_FIELD_##id] = { name, sizeof(name) - 1 },
    HTTP_KNOWN_FIELDS(HTTP_FIELD_NAME)
#undef HTTP_FIELD_NAME
};

/* Open addressing, filled once before main: each slot holds an id or 0. */
static unsigned char field_table[FIELD_SLOTS];

__attribute__((constructor)) static void fill_field_table(void) {
    for (unsigned id = 1; id < HTTP_FIELD_IDS; id++) {
        unsigned slot = field_slot(field_names[id]);
        while (field_table[slot] != 0) {
            slot = (slot + 1) % FIELD_SLOTS;
        }
        field_table[slot] = (unsigned char)id;
    }
}

/* Of token bytes only letters change by |0x20 into what stands in a known name. What differs from
 * '-' by UNDERSCORE is '_'. */
#define UNDERSCORE (('_' | 0x20) ^ '-')

static uint64_t differs_8(const char *token, const char *known) {
    uint64_t a, b;
    memcpy(&a, token, sizeof a);
    memcpy(&b, known, sizeof b);
    return (a | 0x2020202020202020) ^ b;
}

static uint32_t differs_4(const char *token, const char *known) {
    uint32_t a, b;
    memcpy(&a, token, sizeof a);
    memcpy(&b, known, sizeof b);
    return (a | 0x20202020) ^ b;
}

/* The last word may overlap the one before it. */
static bool is_same(struct slice token, struct slice known) {
    uint64_t differs = 0;
    size_t at = 0, len = known.len;
    if (len >= 8) {
        for (; at + 8 < len; at += 8) {
            differs |= differs_8(token.data + at, known.data + at);
        }
        return (differs | differs_8(token.data + len - 8, known.data + len - 8)) == 0;
    }
    if (len >= 4) {
        return (differs_4(token.data, known.data) |
                differs_4(token.data + len - 4, known.data + len - 4)) == 0;
    }
    for (; at < len; at++) {
        differs |= (unsigned char)((token.data[at] | 0x20) ^ known.data[at]);
    }
    return differs == 0;
}

static bool is_mistakable(struct slice token, struct slice known) {
    for (size_t i = 0; i < known.len; i++) {
        unsigned char differs = (unsigned char)((token.data[i] | 0x20) ^ known.data[i]);
        if (differs != 0 && (known.data[i] != '-' || differs != UNDERSCORE)) {
            return false;
        }
    }
    return true;
}

enum http_field_id http_field_id_look_up(struct slice name, bool *mistakable) {
    *mistakable = false;
    if (name.len == 0) {
        return HTTP_FIELD_OTHER;
    }
    for (unsigned slot = field_slot(name); field_table[slot] != 0;
         slot = (slot + 1) % FIELD_SLOTS) {
        struct slice known = field_names[field_table[slot]];
        if (name.len != known.len) {
            continue;
        }
        if (is_same(name, known)) {
            return (enum http_field_id)field_table[slot];
        }
        *mistakable = *mistakable || is_mistakable(name, known);
    }
    return HTTP_FIELD_OTHER;
}

enum http_field_id http_field_id_of(struct slice name) {
    bool mistakable;
    return http_field_id_look_up(name, &mistakable);
}

void http_head_init(struct http_head *head, struct http_field *fields, size_t capacity) {
    *head = (struct http_head){ .fields = fields, .field_capacity = capacity };
}

const struct http_field *http_head_find(const struct http_head *head, enum http_field_id id) {
    if (!http_head_may_have(head, id)) {
        return NULL;
    }
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == id) {
            return &head->fields[i];
        }
    }
    return NULL;
}

const struct http_field *http_head_find_name(const struct http_head *head, struct slice name) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (slice_equal_fold(head->fields[i].name, name)) {
            return &head->fields[i];
        }
    }
    return NULL;
}

bool http_head_add(struct http_head *head, struct slice name, struct slice value) {
    if (head->field_count == head->field_capacity) {
        return false;
    }
    http_head_append(head, (struct http_field){ name, value, http_field_id_of(name) });
    return true;
}

bool http_head_add_known(struct http_head *head, enum http_field_id id, struct slice value) {
    if (head->field_count == head->field_capacity) {
        return false;
    }
    http_head_append(head, (struct http_field){ field_names[id], value, id });
    return true;
}

void http_head_remove(struct http_head *head, enum http_field_id id) {
    size_t kept = 0;
    if (!http_head_may_have(head, id)) {
        return;
    }
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id != id) {
            head->fields[kept++] = head->fields[i];
        }
    }
    head->field_count = kept;
    head->ids &= ~(UINT64_C(1) << id);
}

bool http_list_has(struct slice value, struct slice token) {
    struct slice item;
    while (slice_cut(&value, ',', &item)) {
        if (slice_equal_fold(slice_trim(item), token)) {
            return true;
        }
    }
    return false;
}

#define HOP_BY_HOP                                                                                 \
    (HTTP_FIELD_BIT(CONNECTION) | HTTP_FIELD_BIT(KEEP_ALIVE) | HTTP_FIELD_BIT(PROXY_CONNECTION) |  \
     HTTP_FIELD_BIT(TRANSFER_ENCODING) | HTTP_FIELD_BIT(UPGRADE) |                                 \
     HTTP_FIELD_BIT(HTTP2_SETTINGS) | HTTP_FIELD_BIT(EXPECT) |                                     \
     HTTP_FIELD_BIT(PROXY_AUTHENTICATE) | HTTP_FIELD_BIT(PROXY_AUTHORIZATION))

static bool is_hop_by_hop(enum http_field_id id) {
    return (HOP_BY_HOP >> id & 1) != 0;
}

/* What a sender cannot talk us into removing. */
static bool is_end_to_end(enum http_field_id id) {
    return id == HTTP_FIELD_HOST || id == HTTP_FIELD_CONTENT_LENGTH ||
           id == HTTP_FIELD_CONTENT_TYPE || id == HTTP_FIELD_CONTENT_ENCODING ||
           id == HTTP_FIELD_COOKIE || id == HTTP_FIELD_SET_COOKIE ||
           id == HTTP_FIELD_AUTHORIZATION || id == HTTP_FIELD_FORWARDED ||
           id == HTTP_FIELD_X_FORWARDED_FOR || id == HTTP_FIELD_X_FORWARDED_HOST ||
           id == HTTP_FIELD_X_FORWARDED_PROTO || id == HTTP_FIELD_VIA ||
           id == HTTP_FIELD_TRACEPARENT || id == HTTP_FIELD_IDEMPOTENCY_KEY;
}

static bool is_nominated(const struct http_head *head, struct slice name) {
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (field->id == HTTP_FIELD_CONNECTION && http_list_has(field->value, name)) {
            return true;
        }
    }
    return false;
}

/* Most messages say nothing, "keep-alive" or "close": then nothing else can be nominated. */
static bool nominates_something(const struct http_head *head) {
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (field->id == HTTP_FIELD_CONNECTION &&
            !slice_equal_fold(field->value, SLICE("keep-alive")) &&
            !slice_equal_fold(field->value, SLICE("close"))) {
            return true;
        }
    }
    return false;
}

static bool stays(const struct http_head *head, const struct http_field *field, bool nominating) {
    if (is_hop_by_hop(field->id)) {
        return false;
    }
    if (field->id == HTTP_FIELD_TE) {
        return http_list_has(field->value, SLICE("trailers"));
    }
    return is_end_to_end(field->id) || !nominating || !is_nominated(head, field->name);
}

void http_strip_hop_by_hop(struct http_head *head) {
    if ((head->ids & (HOP_BY_HOP | HTTP_FIELD_BIT(TE))) == 0) {
        return; /* without Connection nothing else can be meant either */
    }
    bool nominating = nominates_something(head), all = true;
    bool keep[HTTP_FIELDS_MAX];
    for (size_t i = 0; i < head->field_count && i < HTTP_FIELDS_MAX; i++) {
        keep[i] = stays(head, &head->fields[i], nominating);
        all = all && keep[i] && head->fields[i].id != HTTP_FIELD_TE;
    }
    if (all) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < head->field_count && i < HTTP_FIELDS_MAX; i++) {
        if (!keep[i]) {
            continue;
        }
        head->fields[kept] = head->fields[i];
        if (head->fields[kept].id == HTTP_FIELD_TE) {
            head->fields[kept].value = SLICE("trailers");
        }
        kept++;
    }
    head->field_count = kept;
}

/* RFC 9110 6.5.1: what delimits, routes, modifies or authenticates the message, says how to answer
 * or how to read the content. */
bool http_field_forbidden_in_trailer(enum http_field_id id) {
    static const bool forbidden[HTTP_FIELD_IDS] = {
        [HTTP_FIELD_ACCEPT_ENCODING] = true,
        [HTTP_FIELD_AGE] = true,
        [HTTP_FIELD_CACHE_CONTROL] = true,
        [HTTP_FIELD_CONTENT_RANGE] = true,
        [HTTP_FIELD_DATE] = true,
        [HTTP_FIELD_EXPIRES] = true,
        [HTTP_FIELD_IF_MATCH] = true,
        [HTTP_FIELD_IF_MODIFIED_SINCE] = true,
        [HTTP_FIELD_IF_NONE_MATCH] = true,
        [HTTP_FIELD_IF_RANGE] = true,
        [HTTP_FIELD_IF_UNMODIFIED_SINCE] = true,
        [HTTP_FIELD_LOCATION] = true,
        [HTTP_FIELD_MAX_FORWARDS] = true,
        [HTTP_FIELD_PRAGMA] = true,
        [HTTP_FIELD_RANGE] = true,
        [HTTP_FIELD_RETRY_AFTER] = true,
        [HTTP_FIELD_TE] = true,
        [HTTP_FIELD_TRAILER] = true,
        [HTTP_FIELD_VARY] = true,
        [HTTP_FIELD_WARNING] = true,
        [HTTP_FIELD_WWW_AUTHENTICATE] = true,
    };
    return is_hop_by_hop(id) || is_end_to_end(id) || forbidden[id];
}

/* clang-format off */
static const unsigned char token_bytes[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
    ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1,
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};
/* clang-format on */

const char *http_token_end(struct slice text) {
    const char *at = text.data + block_name_len(text), *end = text.data + text.len;
    while (at < end && token_bytes[(unsigned char)*at]) {
        at++;
    }
    return at;
}

static block value_faults(block b) {
    return (block)((b < ' ') & (b != '\t')) | (block)(b == 0x7f);
}

const char *http_value_end(struct slice text) {
    uint32_t faults;
    /* The filler stops the search one byte behind the text. */
    while ((faults = block_mask(value_faults(block_load_padded(text, '\0')))) == 0) {
        text = (struct slice){ text.data + BLOCK_BYTES, text.len - BLOCK_BYTES };
    }
    return text.data + __builtin_ctz(faults);
}

bool http_is_token(struct slice text) {
    return text.len > 0 && http_token_end(text) == text.data + text.len;
}

bool http_is_field_value(struct slice text) {
    return text.len == 0 || http_value_end(text) == text.data + text.len;
}
