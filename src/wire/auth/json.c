#include "wire/auth/json.h"

#include <stdbool.h>

/* Brackets outside of texts: jansson recurses for each, so they are counted before. */
static bool is_shallow(struct slice text) {
    int depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (in_text && c == '\\') {
            i++;
        } else if (c == '"') {
            in_text = !in_text;
        } else if (!in_text && (c == '{' || c == '[')) {
            if (++depth > JSON_DEPTH_MAX) {
                return false;
            }
        } else if (!in_text && (c == '}' || c == ']')) {
            depth--;
        }
    }
    return true;
}

json_t *json_read_bounded(struct slice text) {
    json_error_t problem;
    if (!is_shallow(text)) {
        return NULL;
    }
    json_t *root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(root)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

struct slice json_member_text(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? slice_of(json_string_value(value), json_string_length(value))
                                 : (struct slice){ 0 };
}
