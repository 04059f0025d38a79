#include "wire/http/query.h"

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Takes one decoded byte off the front; `text` is not empty. */
static char take_byte(struct slice *text) {
    char c = text->data[0];
    size_t taken = 1;
    if (c == '%' && text->len >= 3) {
        int high = hex_digit(text->data[1]), low = hex_digit(text->data[2]);
        if (high >= 0 && low >= 0) {
            c = (char)(high << 4 | low);
            taken = 3;
        }
    } else if (c == '+') {
        c = ' ';
    }
    *text = slice_skip(*text, taken);
    return c;
}

static bool decodes_to(struct slice text, struct slice wanted) {
    size_t at = 0;
    while (text.len > 0) {
        if (at == wanted.len || take_byte(&text) != wanted.data[at]) {
            return false;
        }
        at++;
    }
    return at == wanted.len;
}

static bool decode(struct slice text, char *room, size_t room_bytes, struct slice *value) {
    size_t len = 0;
    if (slice_find(text, '%') == SLICE_NONE && slice_find(text, '+') == SLICE_NONE) {
        *value = text;
        return text.len <= room_bytes; /* long is long, however it is written */
    }
    while (text.len > 0) {
        if (len == room_bytes) {
            return false;
        }
        room[len++] = take_byte(&text);
    }
    *value = slice_of(room, len);
    return true;
}

bool query_find(struct slice query, struct slice name, char *room, size_t room_bytes,
                struct slice *value, bool *too_long) {
    struct slice parameter;
    while (slice_cut(&query, '&', &parameter)) {
        size_t equals = slice_find(parameter, '=');
        struct slice its_name = equals == SLICE_NONE ? parameter : slice_sub(parameter, 0, equals);
        if (parameter.len > 0 && decodes_to(its_name, name)) {
            struct slice text = equals == SLICE_NONE ? slice_sub(parameter, parameter.len, 0)
                                                     : slice_skip(parameter, equals + 1);
            *too_long = !decode(text, room, room_bytes, value);
            *value = *too_long ? text : *value;
            return true;
        }
    }
    return false;
}
