/* Any bytes as an authority and as a path. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(struct slice path) {
    char *out = malloc(path.len + 1), *again = malloc(path.len + 1);
    struct slice once, twice;
    assert(out != NULL && again != NULL);
    if (uri_normalise_path(path, out, path.len, &once) && path.len > 0 && path.data[0] == '/') {
        assert(once.len > 0 && once.len <= path.len && once.data[0] == '/');
        assert(slice_find_slice(once, SLICE("/../")) == SLICE_NONE);
        assert(slice_find_slice(once, SLICE("/./")) == SLICE_NONE);
        assert(!slice_ends_with(once, SLICE("/..")) && !slice_ends_with(once, SLICE("/.")));
        assert(uri_normalise_path(once, again, once.len, &twice) && slice_equal(once, twice));
    }
    free(out);
    free(again);
}

static void check_authority(struct slice text) {
    struct slice host = uri_host(text);
    assert(host.len <= text.len);
    if (uri_is_authority(text)) {
        assert(host.len > 0 && uri_is_authority(host));
        assert(memchr(text.data, '/', text.len) == NULL &&
               memchr(text.data, '@', text.len) == NULL);
        assert(memchr(text.data, ' ', text.len) == NULL &&
               memchr(text.data, '"', text.len) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size > 0 ? size : 1);
    assert(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    check_path(slice_of(copy, size));
    check_authority(slice_of(copy, size));
    free(copy);
    return 0;
}
