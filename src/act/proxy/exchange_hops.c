/* Max-Forwards of OPTIONS (RFC 9110 7.6.2): how many intermediaries it may still pass. TRACE, the
 * other method it is for, is not served at all. */
#include "act/proxy/exchange_internal.h"
#include "base/parse.h"

#define MAX_FORWARDS_MOST 255 /* "the recipient's maximum supported value" */

/* False: it is not one number. Beyond 64 bits it is still a number. */
static bool parse_hops(struct slice text, uint64_t *hops) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
    }
    if (!parse_uint(text, hops)) {
        *hops = UINT64_MAX;
    }
    return text.len > 0;
}

/* The number that the next hop is told; data is NULL when the arena is full. */
static struct slice hops_text(struct exchange *x, uint64_t hops) {
    char digits[3];
    size_t first = sizeof digits;
    for (uint64_t rest = hops; rest > 0 || first == sizeof digits; rest /= 10) {
        digits[--first] = (char)('0' + rest % 10);
    }
    return arena_copy(&x->arena, slice_of(digits + first, sizeof digits - first));
}

static bool refuse(struct exchange *x) {
    x->record.flags |= RECORD_BAD_REQUEST;
    exchange_answer_and_close(x, 400, REASON_BAD_REQUEST, "Max-Forwards is not a number.");
    return true;
}

/* The field, if there is exactly one. */
static struct http_field *find_limit(struct exchange *x, bool *repeated) {
    struct http_field *limit = NULL;
    *repeated = false;
    for (size_t i = 0; i < x->request.field_count; i++) {
        if (x->request.fields[i].id == HTTP_FIELD_MAX_FORWARDS) {
            *repeated = limit != NULL;
            limit = &x->request.fields[i];
        }
    }
    return limit;
}

bool exchange_ends_here(struct exchange *x) {
    bool repeated;
    uint64_t hops;
    struct http_field *limit = x->request.method == HTTP_OPTIONS ? find_limit(x, &repeated) : NULL;
    if (limit == NULL) {
        return false;
    }
    if (repeated || !parse_hops(limit->value, &hops)) {
        return refuse(x);
    }
    if (hops == 0) {
        exchange_answer_options(x);
        return true;
    }
    struct slice less = hops_text(x, hops > MAX_FORWARDS_MOST ? MAX_FORWARDS_MOST : hops - 1);
    if (less.data == NULL) {
        return refuse(x);
    }
    limit->value = less;
    return false;
}
