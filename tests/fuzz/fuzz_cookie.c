/* Any bytes as Cookie fields (lines), and the first line as the name that is looked for. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/http/cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct http_field fields[16];
    struct http_head head;
    struct slice rest = slice_of(data, size), line, name = SLICE("sid"), value;
    http_head_init(&head, fields, 16);
    slice_cut(&rest, '\n', &name);
    while (slice_cut(&rest, '\n', &line) && http_head_add(&head, SLICE("cookie"), line)) {
    }
    if (cookie_find(&head, name, &value)) {
        /* It lies behind "name=" in one of the fields. */
        bool inside = false;
        for (size_t i = 0; i < head.field_count; i++) {
            struct slice field = fields[i].value;
            inside = inside || (value.data >= field.data + name.len + 1 &&
                                value.data + value.len <= field.data + field.len);
        }
        assert(inside);
    }
    return 0;
}
