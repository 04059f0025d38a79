#include "wire/http/coding.h"

#define WEIGHT_FULL 1000
#define WEIGHT_LEAST 1
#define NOT_SAID UINT16_MAX

static const struct slice names[HTTP_CODINGS] = {
    [HTTP_CODING_IDENTITY] = { "identity", 8 },
    [HTTP_CODING_GZIP] = { "gzip", 4 },
    [HTTP_CODING_BROTLI] = { "br", 2 },
    [HTTP_CODING_ZSTD] = { "zstd", 4 },
};

struct slice http_coding_name(enum http_coding coding) {
    return names[coding];
}

/* `0`, `0.5`, `1.000` (RFC 9110 12.4.2) in thousandths. */
static bool parse_weight(struct slice text, uint16_t *weight) {
    bool dot = text.len > 1 && text.data[1] == '.';
    if (text.len == 0 || text.len > 5 || (text.data[0] != '0' && text.data[0] != '1') ||
        (text.len > 1 && !dot)) {
        return false;
    }
    unsigned value = text.data[0] == '1' ? WEIGHT_FULL : 0, unit = 100;
    for (size_t i = 2; i < text.len; i++, unit /= 10) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9) {
            return false;
        }
        value += digit * unit;
    }
    *weight = (uint16_t)value;
    return value <= WEIGHT_FULL;
}

/* `token [OWS ";" OWS "q=" weight]`; anything else is malformed. */
static bool parse_item(struct slice item, struct slice *name, uint16_t *weight) {
    size_t semicolon = slice_find(item, ';');
    *weight = WEIGHT_FULL;
    if (semicolon != SLICE_NONE) {
        struct slice parameter = slice_trim(slice_skip(item, semicolon + 1));
        if (!slice_equal_fold(slice_sub(parameter, 0, 2), SLICE("q=")) ||
            !parse_weight(slice_skip(parameter, 2), weight)) {
            return false;
        }
        item = slice_sub(item, 0, semicolon);
    }
    *name = slice_trim(item);
    return http_is_token(*name);
}

/* HTTP_CODINGS: "*". False: one that we do not know. */
static bool find_coding(struct slice name, unsigned *index) {
    if (name.len == 1 && name.data[0] == '*') {
        *index = HTTP_CODINGS;
        return true;
    }
    for (unsigned i = 0; i < HTTP_CODINGS; i++) {
        if (slice_equal_fold(name, names[i])) {
            *index = i;
            return true;
        }
    }
    *index = HTTP_CODING_GZIP;
    return slice_equal_fold(name, SLICE("x-gzip")); /* RFC 9110 8.4.1.3 */
}

static void read_field(struct slice list, unsigned *items, uint16_t said[HTTP_CODINGS + 1]) {
    struct slice item, name;
    uint16_t weight;
    unsigned index;
    while (*items < HTTP_ACCEPT_ITEMS_MAX && slice_cut(&list, ',', &item)) {
        ++*items;
        if (parse_item(slice_trim(item), &name, &weight) && find_coding(name, &index) &&
            weight < said[index]) {
            said[index] = weight;
        }
    }
}

struct http_acceptance http_accept_encoding(const struct http_head *request) {
    struct http_acceptance accepted = { 0 };
    uint16_t said[HTTP_CODINGS + 1];
    unsigned items = 0;
    for (unsigned i = 0; i <= HTTP_CODINGS; i++) {
        said[i] = NOT_SAID;
    }
    for (size_t i = 0; i < request->field_count; i++) {
        if (request->fields[i].id == HTTP_FIELD_ACCEPT_ENCODING) {
            read_field(request->fields[i].value, &items, said);
        }
    }
    for (unsigned i = 0; i < HTTP_CODINGS; i++) {
        uint16_t unsaid = said[HTTP_CODINGS] != NOT_SAID ? said[HTTP_CODINGS]
                          : i == HTTP_CODING_IDENTITY    ? WEIGHT_LEAST
                                                         : 0;
        accepted.weight[i] = said[i] != NOT_SAID ? said[i] : unsaid;
    }
    accepted.identity_refused = accepted.weight[HTTP_CODING_IDENTITY] == 0;
    return accepted;
}

enum http_coding http_coding_choose(const struct http_acceptance *accepted,
                                    const enum http_coding *order, size_t count) {
    enum http_coding best = HTTP_CODING_IDENTITY;
    uint16_t weight = accepted->weight[HTTP_CODING_IDENTITY];
    for (size_t i = 0; i < count; i++) {
        uint16_t other = accepted->weight[order[i]];
        bool better = other > weight || (other == weight && best == HTTP_CODING_IDENTITY);
        if (other > 0 && better) {
            best = order[i];
            weight = other;
        }
    }
    return best;
}
