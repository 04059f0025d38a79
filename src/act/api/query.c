#include "act/api/query.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"

bool query_decode(struct slice text, char *out, size_t out_bytes) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t byte = (unsigned char)text.data[i];
        if (byte == '%') {
            struct slice digits = slice_sub(text, i + 1, 2);
            if (digits.len < 2 || !parse_hex(digits, &byte)) {
                return false;
            }
            i += 2;
        } else if (byte == '+') {
            byte = ' ';
        }
        if (byte < 0x20 || byte == 0x7f || len + 1 >= out_bytes) {
            return false;
        }
        out[len++] = (char)byte;
    }
    out[len] = '\0';
    return true;
}

static bool read_value(struct query_parameter *p, struct error *err) {
    struct slice text = slice_from(p->text);
    uint64_t value;
    switch (p->type) {
    case QUERY_TEXT:
        return true;
    case QUERY_UINT:
        if (!parse_uint(text, &value) || value > INT64_MAX) {
            return error_set(err, ERROR_INVALID, "%s: '%s' is not a whole number", p->name,
                             p->text);
        }
        p->number = (int64_t)value;
        return true;
    case QUERY_TIME:
        if (!clock_parse_iso8601(text, &p->number)) {
            return error_set(err, ERROR_INVALID,
                             "%s: '%s' is not a time; expected ISO 8601 or epoch seconds", p->name,
                             p->text);
        }
        return true;
    }
    return false;
}

static struct query_parameter *find(struct query_parameter *parameters, unsigned count,
                                    struct slice name) {
    for (unsigned i = 0; i < count; i++) {
        if (slice_equal(name, slice_from(parameters[i].name))) {
            return &parameters[i];
        }
    }
    return NULL;
}

static bool unknown(const struct query_parameter *parameters, unsigned count, struct slice name,
                    struct error *err) {
    char known[128] = "";
    for (unsigned i = 0; i < count; i++) {
        size_t len = strlen(known);
        if (len + strlen(parameters[i].name) + 3 < sizeof known) {
            snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "",
                     parameters[i].name);
        }
    }
    return error_set(err, ERROR_INVALID, "'%.*s' is no parameter here; expected %s",
                     (int)(name.len > 64 ? 64 : name.len), name.data,
                     known[0] == '\0' ? "none" : known);
}

bool query_parse(struct slice query, struct query_parameter *parameters, unsigned count,
                 struct error *err) {
    struct slice pair;
    while (slice_cut(&query, '&', &pair)) {
        size_t equals = slice_find(pair, '=');
        struct slice name = slice_sub(pair, 0, equals);
        struct slice value =
            equals == SLICE_NONE ? (struct slice){ "", 0 } : slice_skip(pair, equals + 1);
        if (pair.len == 0) {
            continue;
        }
        struct query_parameter *p = find(parameters, count, name);
        if (p == NULL) {
            return unknown(parameters, count, name, err);
        }
        if (p->given) {
            return error_set(err, ERROR_INVALID, "%s is given twice", p->name);
        }
        if (!query_decode(value, p->text, sizeof p->text)) {
            return error_set(err, ERROR_INVALID, "%s is longer than %d bytes or badly encoded",
                             p->name, QUERY_VALUE_BYTES - 1);
        }
        p->given = true;
        if (!read_value(p, err)) {
            return false;
        }
    }
    return true;
}
