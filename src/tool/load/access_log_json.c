#include "tool/load/access_log_json.h"

#define DEPTH_MAX 16 /* of what is passed over */

struct reader {
    struct slice text;
    size_t at;
};

static char look(const struct reader *r) {
    if (r->at < r->text.len) {
        return r->text.data[r->at];
    }
    return '\0';
}

static void skip_blanks(struct reader *r) {
    while (look(r) == ' ' || look(r) == '\t') {
        r->at++;
    }
}

static bool take(struct reader *r, char c) {
    skip_blanks(r);
    bool is_there = look(r) == c;
    r->at += is_there;
    return is_there;
}

/* What stands between the quotes. */
static bool read_string(struct reader *r, struct slice *out) {
    if (!take(r, '"')) {
        return false;
    }
    for (size_t start = r->at; r->at < r->text.len; r->at++) {
        char c = r->text.data[r->at];
        if (c == '"') {
            *out = slice_sub(r->text, start, r->at - start);
            r->at++;
            return true;
        }
        r->at += c == '\\';
    }
    r->at = r->text.len;
    return false;
}

/* Numbers, true, false and null: what they are is not looked at. */
static bool read_word(struct reader *r, struct slice *out) {
    size_t start = r->at;
    while ((look(r) >= '0' && look(r) <= '9') || (look(r) >= 'a' && look(r) <= 'z') ||
           look(r) == '-' || look(r) == '+' || look(r) == '.' || look(r) == 'E') {
        r->at++;
    }
    *out = slice_sub(r->text, start, r->at - start);
    return out->len > 0;
}

/* An object or a list, up to its end. */
static bool skip_nested(struct reader *r) {
    unsigned depth = 0;
    struct slice text;
    do {
        char c = look(r);
        if (c == '"') {
            if (!read_string(r, &text)) {
                return false;
            }
            continue;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        r->at++;
    } while (depth > 0 && depth < DEPTH_MAX && r->at < r->text.len);
    return depth == 0;
}

static bool read_value(struct reader *r, struct slice *out) {
    skip_blanks(r);
    *out = SLICE("");
    char c = look(r);
    return c == '"'               ? read_string(r, out)
           : c == '{' || c == '[' ? skip_nested(r)
                                  : read_word(r, out);
}

static void keep(struct access_json *out, struct slice key, struct slice value) {
    struct {
        struct slice name;
        struct slice *to;
    } const wanted[] = { { SLICE("time"), &out->time },
                         { SLICE("method"), &out->method },
                         { SLICE("target"), &out->target },
                         { SLICE("status"), &out->status } };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (slice_equal(key, wanted[i].name)) {
            *wanted[i].to = value;
        }
    }
}

static bool read_members(struct reader *r, struct access_json *out) {
    struct slice key, value;
    if (take(r, '}')) {
        return true;
    }
    do {
        if (!read_string(r, &key) || !take(r, ':') || !read_value(r, &value)) {
            return false;
        }
        keep(out, key, value);
    } while (take(r, ','));
    return take(r, '}');
}

bool access_json_read(struct slice line, struct access_json *out, size_t *offset) {
    struct reader r = { .text = line };
    *out = (struct access_json){ 0 };
    bool good = take(&r, '{') && read_members(&r, out);
    skip_blanks(&r);
    *offset = r.at < line.len ? r.at : line.len;
    return good && r.at == line.len;
}
