/* Basic authentication (RFC 7617): what a visitor says, and the file against which it is held:
 * lines "user:hash" as `htpasswd -B` writes them. Only bcrypt: it alone of the usual ones is slow
 * enough to guess. The slow check itself is libcrypt's and its caller's. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

#define BASIC_USERS_BYTES_MAX 65536
#define BASIC_CREDENTIALS_BYTES_MAX 512 /* user and password together */
#define BASIC_HASH_BYTES 60
#define BASIC_COST_MAX 12 /* 2^12 rounds: a quarter of a second */

struct basic_credentials {
    struct slice user, password;
};

/* "Basic dXNlcjpwYXNz", in any case; decoded into room[BASIC_CREDENTIALS_BYTES_MAX]. False when it
 * is something else, too long, or holds control characters. */
bool basic_parse(struct slice authorization, char *room, struct basic_credentials *out);

/* Whether every line is a comment, empty, or a user with a bcrypt hash of a bearable cost. */
bool basic_check_users(struct slice file, struct error *err);
/* The hash of a user; false when the file does not know him. The first line of that name counts. */
bool basic_find_user(struct slice file, struct slice user, struct slice *hash);
/* The first user's: for a check that shall take as long as a real one. Empty without users. */
struct slice basic_any_hash(struct slice file);
