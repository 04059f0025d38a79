/* Whom a load is for: http://HOST[:PORT]. */
#pragma once
#include <stdbool.h>

#include "base/error.h"
#include "base/slice.h"
#include "wire/net/address.h"

#define TARGET_AUTHORITY_BYTES 300

struct target {
    char authority[TARGET_AUTHORITY_BYTES]; /* as in the URL: the Host field */
    struct address address;
};

/* Looks names up; of several addresses the first that accepts a connection, else the first.
 * ERROR_INVALID: not such a URL; ERROR_NOT_FOUND: no such host. Blocks. */
bool target_find(struct target *target, struct slice url, struct error *err);

/* The authority alone. */
bool target_parse(struct slice url, char authority[TARGET_AUTHORITY_BYTES], struct error *err);
