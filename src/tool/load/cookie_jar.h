/* A visitor's cookies for one site (RFC 6265), as small as a load of a hundred thousand visitors
 * needs: name and value are kept, Max-Age and Expires only say whether the cookie goes; Path and
 * Domain are not looked at. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

#define COOKIE_JAR_MAX 16          /* cookies; further ones are not kept */
#define COOKIE_PAIR_BYTES_MAX 4096 /* name=value; longer ones are not kept */

struct cookie_jar {
    struct cookie_pair {
        char *text; /* "name=value" */
        uint16_t name_len, len;
    } pairs[COOKIE_JAR_MAX];
    uint8_t count;
};

void cookie_jar_fini(struct cookie_jar *jar); /* a zeroed jar is empty */

/* A Set-Cookie field: puts, replaces or removes the cookie. False when it was not understood or
 * there is no room. */
bool cookie_jar_take(struct cookie_jar *jar, struct slice set_cookie, int64_t now_unix_s);
bool cookie_jar_put(struct cookie_jar *jar, struct slice name, struct slice value);
void cookie_jar_remove(struct cookie_jar *jar, struct slice name);

/* "a=1; b=2", the value of a Cookie field. False when the buffer is full. */
bool cookie_jar_write(const struct cookie_jar *jar, struct buffer *out);
