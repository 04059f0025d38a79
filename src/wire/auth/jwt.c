#include "wire/auth/jwt.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wire/auth/base64.h"
#include "wire/auth/json.h"
#include "wire/http/message.h"

#define SIGNATURE_BYTES_MAX 1024 /* RSA of 8192 bits */
#define CLAIM_NAME_BYTES_MAX 128

struct parts {
    struct slice header, claims, signature;
    struct slice signed_text; /* header and claims with the dot */
};

static bool split(struct slice token, struct parts *p) {
    size_t first = slice_find(token, '.');
    if (first == SLICE_NONE || token.len > JWT_BYTES_MAX) {
        return false;
    }
    struct slice rest = slice_skip(token, first + 1);
    size_t second = slice_find(rest, '.');
    if (second == SLICE_NONE) {
        return false;
    }
    p->header = slice_sub(token, 0, first);
    p->claims = slice_sub(rest, 0, second);
    p->signature = slice_skip(rest, second + 1); /* a further dot is not base64url */
    p->signed_text = slice_sub(token, 0, first + 1 + second);
    return true;
}

static json_t *read_part(struct slice part) {
    uint8_t bytes[JWT_BYTES_MAX];
    size_t len;
    if (!base64url_decode(part, bytes, sizeof bytes, &len)) {
        return NULL;
    }
    return json_read_bounded(slice_of(bytes, len));
}

/* ---- signature ---- */

static enum jwt_result verify_signature(const struct parts *p, const struct jwt_policy *policy,
                                        const json_t *header) {
    uint8_t bytes[SIGNATURE_BYTES_MAX];
    size_t len;
    bool known;
    enum jwt_algorithm algorithm = jwt_algorithm_of(json_member_text(header, "alg"));
    if (json_object_get(header, "crit") != NULL ||
        !base64url_decode(p->signature, bytes, sizeof bytes, &len)) {
        return JWT_MALFORMED;
    }
    if (algorithm == JWT_ALGORITHMS ||
        (policy->algorithms != 0 && (policy->algorithms & 1u << algorithm) == 0)) {
        return JWT_OTHER_ALGORITHM;
    }
    bool good = jwt_keys_verify(policy->keys, algorithm, json_member_text(header, "kid"),
                                p->signed_text, slice_of(bytes, len), &known);
    return good ? JWT_GOOD : known ? JWT_BAD_SIGNATURE : JWT_UNKNOWN_KEY;
}

/* ---- claims ---- */

/* NaN: there is none; infinity: it is not a date, which never holds. */
static double date_of(const json_t *claims, const char *name) {
    const json_t *value = json_object_get(claims, name);
    return value == NULL           ? (double)NAN
           : json_is_number(value) ? json_number_value(value)
                                   : (double)INFINITY;
}

static bool audience_has(const json_t *claims, struct slice wanted) {
    const json_t *audience = json_object_get(claims, "aud"), *one;
    size_t i;
    if (json_is_string(audience)) {
        return slice_equal(json_member_text(claims, "aud"), wanted);
    }
    json_array_foreach (audience, i, one) {
        if (json_is_string(one) &&
            slice_equal(slice_of(json_string_value(one), json_string_length(one)), wanted)) {
            return true;
        }
    }
    return false;
}

static enum jwt_result check_claims(const json_t *claims, const struct jwt_policy *policy,
                                    int64_t now_s) {
    double now = (double)now_s, leeway = (double)policy->leeway_s;
    double expires = date_of(claims, "exp");
    if (isnan(expires) || isinf(expires)) {
        return JWT_NO_EXPIRY;
    }
    if (now >= expires + leeway) {
        return JWT_EXPIRED;
    }
    /* NaN compares false: what is not said does not bind. */
    if (date_of(claims, "nbf") > now + leeway || date_of(claims, "iat") > now + leeway) {
        return JWT_TOO_EARLY;
    }
    if (policy->issuer.len > 0 && !slice_equal(json_member_text(claims, "iss"), policy->issuer)) {
        return JWT_OTHER_ISSUER;
    }
    if (policy->audience.len > 0 && !audience_has(claims, policy->audience)) {
        return JWT_OTHER_AUDIENCE;
    }
    return JWT_GOOD;
}

enum jwt_result jwt_verify(struct slice token, const struct jwt_policy *policy, int64_t now_s,
                           struct jwt *out) {
    struct parts parts;
    if (!split(token, &parts)) {
        return JWT_MALFORMED;
    }
    json_t *header = read_part(parts.header);
    if (header == NULL) {
        return JWT_MALFORMED;
    }
    enum jwt_result result = verify_signature(&parts, policy, header);
    json_decref(header);
    if (result != JWT_GOOD) {
        return result;
    }
    json_t *claims = read_part(parts.claims);
    if (claims == NULL) {
        return JWT_MALFORMED;
    }
    result = check_claims(claims, policy, now_s);
    if (result != JWT_GOOD) {
        json_decref(claims);
        return result;
    }
    out->claims = claims;
    return JWT_GOOD;
}

void jwt_fini(struct jwt *jwt) {
    json_decref(jwt->claims);
    jwt->claims = NULL;
}

/* ---- claims as text ---- */

static bool append(char *out, size_t out_bytes, size_t *len, struct slice text) {
    if (text.len > out_bytes - *len || !http_is_field_value(text)) {
        return false;
    }
    if (text.len > 0) {
        memcpy(out + *len, text.data, text.len);
    }
    *len += text.len;
    return true;
}

static bool append_list(const json_t *list, char *out, size_t out_bytes, size_t *len) {
    const json_t *one;
    size_t i;
    json_array_foreach (list, i, one) {
        struct slice text = json_is_string(one)
                                ? slice_of(json_string_value(one), json_string_length(one))
                                : (struct slice){ 0 };
        if (!json_is_string(one) || slice_find(text, ',') != SLICE_NONE ||
            (i > 0 && !append(out, out_bytes, len, SLICE(","))) ||
            !append(out, out_bytes, len, text)) {
            return false;
        }
    }
    return true;
}

bool jwt_claim(const struct jwt *jwt, struct slice name, char *out, size_t out_bytes, size_t *len) {
    char key[CLAIM_NAME_BYTES_MAX], number[40];
    *len = 0;
    if (!slice_copy_text(name, key, sizeof key)) {
        return false;
    }
    const json_t *value = json_object_get(jwt->claims, key);
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_STRING:
        return append(out, out_bytes, len, json_member_text(jwt->claims, key));
    case JSON_INTEGER:
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        return append(out, out_bytes, len, slice_from(number));
    case JSON_REAL:
        snprintf(number, sizeof number, "%.17g", json_real_value(value));
        return append(out, out_bytes, len, slice_from(number));
    case JSON_TRUE:
        return append(out, out_bytes, len, SLICE("true"));
    case JSON_FALSE:
        return append(out, out_bytes, len, SLICE("false"));
    case JSON_ARRAY:
        return append_list(value, out, out_bytes, len);
    default:
        return false;
    }
}

const char *jwt_result_text(enum jwt_result result) {
    static const char *const texts[JWT_RESULTS] = {
        [JWT_GOOD] = "good",
        [JWT_MALFORMED] = "The token is not a signed JSON Web Token.",
        [JWT_OTHER_ALGORITHM] = "The token is signed by an algorithm that is not accepted.",
        [JWT_UNKNOWN_KEY] = "The token is signed by a key that is not known.",
        [JWT_BAD_SIGNATURE] = "The token's signature is wrong.",
        [JWT_NO_EXPIRY] = "The token does not say when it expires.",
        [JWT_EXPIRED] = "The token has expired.",
        [JWT_TOO_EARLY] = "The token is not valid yet.",
        [JWT_OTHER_ISSUER] = "The token is of another issuer.",
        [JWT_OTHER_AUDIENCE] = "The token is for another audience.",
    };
    return texts[result];
}
