/* query_parse: whatever comes, texts are terminated and hold no control byte. */
#include <stdlib.h>
#include <string.h>

#include "act/api/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct query_parameter p[] = { { .name = "service", .type = QUERY_TEXT },
                                   { .name = "limit", .type = QUERY_UINT },
                                   { .name = "from", .type = QUERY_TIME } };
    struct error err;
    if (!query_parse(slice_of(data, size), p, 3, &err)) {
        return 0;
    }
    for (int i = 0; i < 3; i++) {
        size_t len = strnlen(p[i].text, sizeof p[i].text);
        if (len == sizeof p[i].text) {
            abort();
        }
        for (size_t k = 0; k < len; k++) {
            if ((unsigned char)p[i].text[k] < 0x20) {
                abort();
            }
        }
    }
    return 0;
}
