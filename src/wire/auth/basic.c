#include "wire/auth/basic.h"

#include "base/parse.h"
#include "wire/auth/base64.h"

bool basic_parse(struct slice authorization, char *room, struct basic_credentials *out) {
    size_t len;
    if (!slice_equal_fold(slice_sub(authorization, 0, 6), SLICE("basic "))) {
        return false;
    }
    struct slice text = slice_trim(slice_skip(authorization, 6));
    if (!base64_decode(text, (uint8_t *)room, BASIC_CREDENTIALS_BYTES_MAX, &len)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)room[i] < ' ' || room[i] == 0x7f) {
            return false;
        }
    }
    struct slice decoded = slice_of(room, len);
    size_t colon = slice_find(decoded, ':');
    if (colon == SLICE_NONE) {
        return false;
    }
    out->user = slice_sub(decoded, 0, colon);
    out->password = slice_skip(decoded, colon + 1);
    return true;
}

/* The next line with something in it; its end may be \r\n. */
static bool next_line(struct slice *rest, struct slice *line) {
    while (rest->data != NULL && slice_cut(rest, '\n', line)) {
        if (line->len > 0 && line->data[line->len - 1] == '\r') {
            line->len--;
        }
        if (line->len > 0 && line->data[0] != '#') {
            return true;
        }
    }
    return false;
}

static bool is_bcrypt(struct slice hash, uint64_t *cost) {
    bool kind = hash.len == BASIC_HASH_BYTES && hash.data[0] == '$' && hash.data[1] == '2' &&
                (hash.data[2] == 'y' || hash.data[2] == 'b' || hash.data[2] == 'a') &&
                hash.data[3] == '$' && hash.data[6] == '$' &&
                parse_uint(slice_sub(hash, 4, 2), cost);
    for (size_t i = 7; kind && i < hash.len; i++) {
        char c = hash.data[i];
        kind = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '.' && c <= '9');
    }
    return kind;
}

bool basic_check_users(struct slice file, struct error *err) {
    struct slice line, user, rest = file;
    unsigned users = 0;
    for (; next_line(&rest, &line); users++) {
        uint64_t cost = 0;
        struct slice hash = line;
        slice_cut(&hash, ':', &user);
        if (hash.data == NULL || user.len == 0 || !is_bcrypt(hash, &cost)) {
            return error_set(err, ERROR_INVALID,
                             "user %u: expected user:hash with a bcrypt hash, as `htpasswd -B` "
                             "writes it",
                             users + 1);
        }
        if (cost < 4 || cost > BASIC_COST_MAX) {
            return error_set(err, ERROR_INVALID,
                             "user '%.*s': expected a bcrypt cost of 4 to %d, found %d",
                             SLICE_ARG(user), BASIC_COST_MAX, (int)cost);
        }
    }
    return users > 0 || error_set(err, ERROR_INVALID, "expected at least one user");
}

bool basic_find_user(struct slice file, struct slice user, struct slice *hash) {
    struct slice line;
    while (next_line(&file, &line)) {
        if (line.len > user.len && line.data[user.len] == ':' && slice_starts_with(line, user)) {
            *hash = slice_skip(line, user.len + 1);
            return true;
        }
    }
    return false;
}

struct slice basic_any_hash(struct slice file) {
    struct slice line;
    if (!next_line(&file, &line)) {
        return (struct slice){ 0 };
    }
    size_t colon = slice_find(line, ':');
    return colon == SLICE_NONE ? slice_of(NULL, 0) : slice_skip(line, colon + 1);
}
