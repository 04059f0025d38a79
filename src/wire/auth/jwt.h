/* JSON Web Tokens (RFC 7519) in their signed compact form (RFC 7515): is it for us, of whom it
 * says, and valid now? After RFC 8725: the algorithm must be one that the key is for, "none" is
 * none, what is critical and not understood is refused, nothing is believed before the signature is
 * good. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "wire/auth/jwt_keys.h"

#define JWT_BYTES_MAX 8192

enum jwt_result {
    JWT_GOOD,
    JWT_MALFORMED, /* no JWS of three parts, or not JSON inside */
    JWT_OTHER_ALGORITHM,
    JWT_UNKNOWN_KEY,
    JWT_BAD_SIGNATURE,
    JWT_NO_EXPIRY,
    JWT_EXPIRED,
    JWT_TOO_EARLY,
    JWT_OTHER_ISSUER,
    JWT_OTHER_AUDIENCE,
    JWT_RESULTS,
};

struct jwt_policy {
    const struct jwt_keys *keys;
    uint32_t algorithms;           /* a bit each; 0: all that the keys allow */
    struct slice issuer, audience; /* empty: any */
    int64_t leeway_s;              /* for clocks that differ */
};

struct jwt {
    json_t *claims; /* an object */
};

/* `out` needs jwt_fini only after JWT_GOOD. */
enum jwt_result jwt_verify(struct slice token, const struct jwt_policy *policy, int64_t now_s,
                           struct jwt *out);
void jwt_fini(struct jwt *jwt);

/* A claim as text: a text itself, a number, true or false, or a list of texts joined by commas
 * (none may hold one). False when there is none, it is something else, does not fit, or could not
 * stand in a header field. */
bool jwt_claim(const struct jwt *jwt, struct slice name, char *out, size_t out_bytes, size_t *len);

const char *jwt_result_text(enum jwt_result result);
