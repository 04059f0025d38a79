#include "wire/http/grpc.h"

#include "base/parse.h"

#define TIMEOUT_DIGITS_MAX 8

bool grpc_is_request(const struct http_head *head) {
    const struct slice type = SLICE("application/grpc");
    const struct http_field *field = http_head_find(head, HTTP_FIELD_CONTENT_TYPE);
    if (head->version < 20 || field == NULL || field->value.len < type.len ||
        !slice_equal_fold(slice_sub(field->value, 0, type.len), type)) {
        return false;
    }
    if (field->value.len == type.len) {
        return true;
    }
    char next = field->value.data[type.len];
    return next == ';' || next == '+' || next == ' '; /* not application/grpc-web */
}

bool grpc_timeout_us(struct slice text, uint64_t *us) {
    uint64_t value;
    if (text.len < 2 || text.len > TIMEOUT_DIGITS_MAX + 1 ||
        !parse_uint(slice_sub(text, 0, text.len - 1), &value)) {
        return false;
    }
    switch (text.data[text.len - 1]) {
    case 'H':
        *us = value * 3600000000;
        return true;
    case 'M':
        *us = value * 60000000;
        return true;
    case 'S':
        *us = value * 1000000;
        return true;
    case 'm':
        *us = value * 1000;
        return true;
    case 'u':
        *us = value;
        return true;
    case 'n':
        *us = (value + 999) / 1000;
        return true;
    default:
        return false;
    }
}

struct slice grpc_timeout_text(uint64_t us, char text[GRPC_TIMEOUT_BYTES]) {
    static const struct {
        uint64_t us;
        char unit;
    } units[] = { { 1, 'u' }, { 1000, 'm' }, { 1000000, 'S' }, { 3600000000, 'H' } };
    const uint64_t most = 99999999; /* TIMEOUT_DIGITS_MAX digits */
    size_t unit = 0, first = GRPC_TIMEOUT_BYTES;
    while (unit < 3 && us / units[unit].us > most) {
        unit++;
    }
    uint64_t value = us / units[unit].us;
    value = value < 1 ? 1 : value > most ? most : value;
    text[--first] = units[unit].unit;
    for (; value > 0; value /= 10) {
        text[--first] = (char)('0' + value % 10);
    }
    return slice_of(text + first, GRPC_TIMEOUT_BYTES - first);
}

enum grpc_status grpc_status_of(uint16_t http_status) {
    switch (http_status) {
    case 400:
    case 405:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 408:
    case 504:
        return GRPC_DEADLINE_EXCEEDED;
    case 413:
    case 431:
        return GRPC_RESOURCE_EXHAUSTED;
    case 429:
    case 502:
    case 503:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}
