/* Any bytes as a token, as the inside of a well-signed token, as a file of keys, as an
 * Authorization field and as a file of users. The first byte says which. */
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/auth/base64.h"
#include "wire/auth/basic.h"
#include "wire/auth/jwt.h"
#include "wire/http/message.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct jwt_keys *secret(void) {
    static struct jwt_keys *keys;
    keys = keys != NULL ? keys : jwt_keys_new(SLICE(SECRET), NULL);
    assert(keys != NULL);
    return keys;
}

static void try_token(struct slice token) {
    static const char *const names[] = { "sub", "exp", "aud", "a", "" };
    struct jwt_policy policy = { .keys = secret(), .leeway_s = 30 };
    struct jwt jwt;
    if (jwt_verify(token, &policy, NOW, &jwt) != JWT_GOOD) {
        return;
    }
    assert(json_is_number(json_object_get(jwt.claims, "exp")));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[64];
        size_t len;
        if (jwt_claim(&jwt, slice_from(names[i]), text, sizeof text, &len)) {
            assert(len <= sizeof text && http_is_field_value(slice_of(text, len)));
        }
    }
    jwt_fini(&jwt);
}

static size_t encode(const void *from, size_t len, char *out) {
    size_t bytes = (size_t)EVP_EncodeBlock((unsigned char *)out, from, (int)len);
    while (bytes > 0 && out[bytes - 1] == '=') {
        bytes--;
    }
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (char)(out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i]);
    }
    return bytes;
}

/* Header and claims, separated by the first NUL, signed as they should be. */
static void try_signed(struct slice inside) {
    static char token[2 * JWT_BYTES_MAX];
    unsigned char signature[EVP_MAX_MD_SIZE];
    unsigned bytes;
    struct slice header;
    if (inside.len > JWT_BYTES_MAX / 2 || !slice_cut(&inside, '\0', &header)) {
        return;
    }
    size_t len = encode(header.data, header.len, token);
    token[len++] = '.';
    len += inside.len > 0 ? encode(inside.data, inside.len, token + len) : 0;
    HMAC(EVP_sha256(), SECRET, sizeof SECRET - 1, (unsigned char *)token, len, signature, &bytes);
    token[len++] = '.';
    len += encode(signature, bytes, token + len);
    try_token(slice_of(token, len));
}

static void try_keys(struct slice file) {
    struct error err = { 0 };
    struct jwt_keys *keys = jwt_keys_new(file, &err);
    assert(keys != NULL ? jwt_keys_count(keys) > 0 : err.text[0] != '\0');
    jwt_keys_free(keys);
}

static void try_basic(struct slice text) {
    char room[BASIC_CREDENTIALS_BYTES_MAX];
    struct basic_credentials c;
    struct slice hash;
    if (basic_parse(text, room, &c)) {
        assert(slice_find(c.user, ':') == SLICE_NONE && http_is_field_value(c.user));
        assert(c.user.len + c.password.len < sizeof room);
    }
    if (basic_check_users(text, NULL)) {
        assert(basic_any_hash(text).len == BASIC_HASH_BYTES);
    }
    (void)basic_find_user(text, slice_sub(text, 0, 3), &hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > JWT_KEYS_BYTES_MAX) {
        return 0;
    }
    struct slice rest = slice_of(data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        try_token(rest);
        break;
    case 1:
        try_signed(rest);
        break;
    case 2:
        try_keys(rest);
        break;
    default:
        try_basic(rest);
    }
    return 0;
}
