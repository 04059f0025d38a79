#include "tool/load/cookie_jar.h"

#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "wire/http/date.h"
#include "wire/http/message.h"

static struct slice name_of(const struct cookie_pair *pair) {
    return slice_of(pair->text, pair->name_len);
}

static struct cookie_pair *find(struct cookie_jar *jar, struct slice name) {
    for (size_t i = 0; i < jar->count; i++) {
        if (slice_equal(name_of(&jar->pairs[i]), name)) {
            return &jar->pairs[i];
        }
    }
    return NULL;
}

void cookie_jar_fini(struct cookie_jar *jar) {
    for (size_t i = 0; i < jar->count; i++) {
        free(jar->pairs[i].text);
    }
    jar->count = 0;
}

void cookie_jar_remove(struct cookie_jar *jar, struct slice name) {
    struct cookie_pair *pair = find(jar, name);
    if (pair != NULL) {
        free(pair->text);
        *pair = jar->pairs[--jar->count];
    }
}

bool cookie_jar_put(struct cookie_jar *jar, struct slice name, struct slice value) {
    size_t len = name.len + 1 + value.len;
    struct cookie_pair *pair = find(jar, name);
    if (len > COOKIE_PAIR_BYTES_MAX || (pair == NULL && jar->count == COOKIE_JAR_MAX)) {
        return false;
    }
    char *text = malloc(len);
    if (text == NULL) {
        return false;
    }
    memcpy(text, name.data, name.len);
    text[name.len] = '=';
    if (value.len > 0) {
        memcpy(text + name.len + 1, value.data, value.len);
    }
    if (pair == NULL) {
        pair = &jar->pairs[jar->count++];
    } else {
        free(pair->text);
    }
    pair->text = text;
    pair->name_len = (uint16_t)name.len;
    pair->len = (uint16_t)len;
    return true;
}

/* Whether the attributes say that the cookie is over; Max-Age goes before Expires (§5.3). */
static bool is_over(struct slice attributes, int64_t now_unix_s) {
    bool over = false;
    struct slice attribute;
    while (slice_cut(&attributes, ';', &attribute)) {
        struct slice value = attribute, name;
        int64_t number;
        slice_cut(&value, '=', &name);
        name = slice_trim(name);
        value = slice_trim(value);
        if (slice_equal_fold(name, SLICE("max-age")) && parse_int(value, &number)) {
            return number <= 0;
        }
        if (slice_equal_fold(name, SLICE("expires")) && http_date_parse(value, &number)) {
            over = number <= now_unix_s;
        }
    }
    return over;
}

bool cookie_jar_take(struct cookie_jar *jar, struct slice set_cookie, int64_t now_unix_s) {
    struct slice rest = set_cookie, pair;
    if (!slice_cut(&rest, ';', &pair)) {
        return false;
    }
    size_t equals = slice_find(pair, '=');
    if (equals == SLICE_NONE) {
        return false;
    }
    struct slice name = slice_trim(slice_sub(pair, 0, equals));
    struct slice value = slice_trim(slice_skip(pair, equals + 1));
    if (!http_is_token(name) || !http_is_field_value(value)) {
        return false;
    }
    if (is_over(rest, now_unix_s)) {
        cookie_jar_remove(jar, name);
        return true;
    }
    return cookie_jar_put(jar, name, value);
}

bool cookie_jar_write(const struct cookie_jar *jar, struct buffer *out) {
    for (size_t i = 0; i < jar->count; i++) {
        const struct cookie_pair *pair = &jar->pairs[i];
        if ((i > 0 && !buffer_append_text(out, "; ")) ||
            !buffer_append(out, slice_of(pair->text, pair->len))) {
            return false;
        }
    }
    return true;
}
