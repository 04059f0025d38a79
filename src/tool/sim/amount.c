#include "tool/sim/amount.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST 1e24 /* longer ones have no room with their commas */

const char *amount_text(double value, unsigned decimals, char out[AMOUNT_BYTES]) {
    char plain[AMOUNT_BYTES];
    assert(decimals <= 6);
    if (!isfinite(value) || fabs(value) >= MOST) {
        memcpy(out, "–", sizeof "–");
        return out;
    }
    int len = snprintf(plain, sizeof plain, "%.*f", (int)decimals, fabs(value));
    int whole = len - (decimals > 0 ? (int)decimals + 1 : 0);
    char *next = out;
    if (value < 0 && strspn(plain, "0.") < (size_t)len) {
        *next++ = '-';
    }
    for (int i = 0; i < len; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0) {
            *next++ = ',';
        }
        *next++ = plain[i];
    }
    *next = '\0';
    return out;
}
