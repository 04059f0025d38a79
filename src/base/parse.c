#include "base/parse.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES_MAX 64

bool parse_uint(struct slice text, uint64_t *value) {
    uint64_t number = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)digit, &number)) {
            return false;
        }
    }
    *value = number;
    return true;
}

bool parse_int(struct slice text, int64_t *value) {
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t magnitude;
    if (text.len > 0 && (negative || text.data[0] == '+')) {
        text = slice_skip(text, 1);
    }
    if (!parse_uint(text, &magnitude) || magnitude > (uint64_t)INT64_MAX) {
        return false;
    }
    *value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool parse_hex(struct slice text, uint64_t *value) {
    uint64_t number = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_digit(text.data[i]);
        if (digit < 0 || number >> 60 != 0) {
            return false;
        }
        number = number << 4 | (uint64_t)digit;
    }
    *value = number;
    return true;
}

bool parse_double(struct slice text, double *value) {
    char copy[NUMBER_BYTES_MAX];
    if (text.len == 0 || !slice_copy_text(text, copy, sizeof copy)) {
        return false;
    }
    /* strtod would also take "inf", "nan", "0x1p3" and leading blanks. */
    if (strspn(copy, "0123456789+-.eE") != text.len || isspace((unsigned char)copy[0])) {
        return false;
    }
    char *end;
    double number = strtod_l(copy, &end, newlocale(LC_ALL_MASK, "C", NULL)); /* static: no leak */
    if (*end != '\0' || !isfinite(number)) {
        return false;
    }
    *value = number;
    return true;
}
