#include "act/proxy/template.h"

#include <string.h>

int template_highest(struct slice text) {
    int highest = TEMPLATE_NONE;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '\\') {
            continue;
        }
        char next = '\0';
        if (i + 1 < text.len) {
            next = text.data[i + 1];
        }
        if (next != '\\' && (next < '0' || next > '9')) {
            return TEMPLATE_BAD;
        }
        highest = next != '\\' && next - '0' > highest ? next - '0' : highest;
        i++;
    }
    return highest;
}

/* Writes it to `out`, or only measures it when that is NULL. */
static size_t expand(struct slice text, const struct slice *captures, char *out) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        struct slice piece = slice_sub(text, i, 1);
        if (piece.data[0] == '\\' && i + 1 < text.len) {
            char next = text.data[++i];
            piece = next == '\\' ? slice_sub(text, i, 1) : captures[(next - '0') % 10];
        }
        if (out != NULL && piece.len > 0) {
            memcpy(out + len, piece.data, piece.len);
        }
        len += piece.len;
    }
    return len;
}

struct slice template_expand(struct slice text, const struct slice *captures, struct arena *arena) {
    size_t len = expand(text, captures, NULL);
    char *out = arena_alloc(arena, len + 1);
    if (out == NULL) {
        return (struct slice){ 0 };
    }
    expand(text, captures, out);
    return slice_of(out, len);
}
