/* Any bytes as a URL, and as what a redirect says. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(struct slice whole, struct slice part) {
    assert(part.len == 0 ||
           (part.data >= whole.data && part.data + part.len <= whole.data + whole.len));
    for (size_t i = 0; i < part.len; i++) {
        assert((unsigned char)part.data[i] > ' ' && (unsigned char)part.data[i] < 0x7f);
    }
}

static void check_parsed(struct slice text) {
    struct url u;
    if (url_parse(text, &u)) {
        assert(text.len < URL_BYTES_MAX && u.host.len > 0 && u.port > 0);
        assert(memchr(u.authority.data, '@', u.authority.len) == NULL);
        assert(u.path.len == 0 || u.path.data[0] == '/');
        check_part(text, u.origin);
        check_part(text, u.authority);
        check_part(text, u.host);
        check_part(text, u.path);
        check_part(text, u.query);
        assert(url_same_origin(&u, &u));
    }
}

static void check_followed(const char *from, struct slice location) {
    char out[URL_BYTES_MAX];
    struct url base;
    assert(url_parse(slice_from(from), &base));
    if (url_follow(&base, location, out, sizeof out)) {
        check_parsed(slice_from(out));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size > 0 ? size : 1);
    assert(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    check_parsed(slice_of(copy, size));
    check_followed("https://shop.example/a/b?c", slice_of(copy, size));
    check_followed("http://[::1]:8080", slice_of(copy, size));
    free(copy);
    return 0;
}
