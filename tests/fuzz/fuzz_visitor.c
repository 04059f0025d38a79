/* The first line is X-Forwarded-For, the second Forwarded: whom they name is trusted or the answer.
 */
#include <assert.h>
#include <string.h>

#include "wire/http/visitor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool trusts(void *self, const uint8_t ip[16]) {
    *(unsigned *)self += 1;
    return ip[12] == 10 || ip[0] == 0x20;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice rest = slice_of(data, size), line;
    struct http_field fields[8];
    struct http_head head;
    http_head_init(&head, fields, 8);
    for (unsigned i = 0; i < 8 && slice_cut(&rest, '\n', &line); i++) {
        http_head_add(&head, i % 2 == 0 ? SLICE("x-forwarded-for") : SLICE("forwarded"), line);
    }
    for (unsigned i = 0; i < 2; i++) {
        unsigned asked = 0;
        uint8_t ip[16];
        const struct visitor_trust trust = { &asked, trusts };
        bool found = visitor_find(&head, i == 0 ? HTTP_FIELD_X_FORWARDED_FOR : HTTP_FIELD_FORWARDED,
                                  &trust, ip);
        assert(asked <= VISITOR_HOPS_MAX && (!found || asked > 0));
    }
    return 0;
}
