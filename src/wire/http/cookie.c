#include "wire/http/cookie.h"

static bool find_in(struct slice cookies, struct slice name, struct slice *value) {
    struct slice pair;
    while (slice_cut(&cookies, ';', &pair)) {
        pair = slice_trim(pair);
        if (pair.len <= name.len || pair.data[name.len] != '=' || !slice_starts_with(pair, name)) {
            continue;
        }
        struct slice found = slice_skip(pair, name.len + 1);
        if (found.len >= 2 && found.data[0] == '"' && found.data[found.len - 1] == '"') {
            found = slice_sub(found, 1, found.len - 2);
        }
        *value = found;
        return true;
    }
    return false;
}

bool cookie_find(const struct http_head *head, struct slice name, struct slice *value) {
    if (!http_head_may_have(head, HTTP_FIELD_COOKIE)) {
        return false;
    }
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == HTTP_FIELD_COOKIE &&
            find_in(head->fields[i].value, name, value)) {
            return true;
        }
    }
    return false;
}
