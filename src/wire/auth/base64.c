#include "wire/auth/base64.h"

static int digit(char c, bool url) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == (url ? '-' : '+') ? 62 : c == (url ? '_' : '/') ? 63 : -1;
}

/* `text` without padding. */
static bool decode(struct slice text, bool url, uint8_t *out, size_t out_bytes, size_t *len) {
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t used = 0;
    if (text.len % 4 == 1) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        int value = digit(text.data[i], url);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            if (used == out_bytes) {
                return false;
            }
            out[used++] = (uint8_t)(bits >> bit_count);
            bits &= (1u << bit_count) - 1;
        }
    }
    *len = used;
    return bits == 0;
}

bool base64_decode(struct slice text, uint8_t *out, size_t out_bytes, size_t *len) {
    if (text.len % 4 != 0) {
        return false;
    }
    for (int i = 0; i < 2 && text.len > 0 && text.data[text.len - 1] == '='; i++) {
        text.len--;
    }
    return decode(text, false, out, out_bytes, len);
}

bool base64url_decode(struct slice text, uint8_t *out, size_t out_bytes, size_t *len) {
    return decode(text, true, out, out_bytes, len);
}
