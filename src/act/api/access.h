/* Who asks, and what he may. Three ways in:
 *
 *   the Unix socket     root, or the user that the controller runs as: admin
 *   TCP with a token    the token's role, until it expires or is revoked
 *   TCP without one     viewer where that was allowed (`admin.anonymous`), else nothing
 *
 * Tokens are 256 bits of the kernel's randomness, so that one round of SHA-256 keeps them at rest:
 * a slow hash helps where people choose. There is no cookie, and so nothing that a browser adds by
 * itself to another site's request (CSRF); Origin and Sec-Fetch-Site are looked at all the same.
 * Wrong tokens cost a guess of the address (of IPv6 of its /64), before they are looked at. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "record/store/store.h"

#define ACCESS_TOKENS_MAX 256
#define ACCESS_TOKEN_BYTES 80 /* "tg_", 8 digits, "_", 64 digits, NUL */
#define ACCESS_WHO_BYTES 160
#define ACCESS_NETWORKS 256   /* strangers share a place */
#define ACCESS_GUESSES_MAX 10 /* at once; one more every ACCESS_GUESS_EVERY_US */
#define ACCESS_GUESS_EVERY_US 2000000
#define ACCESS_USED_EVERY_MS MS_PER_MINUTE /* "last used" is written so often at most */

enum access_role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN, ROLE_COUNT };
const char *access_role_name(enum access_role role);
bool access_role_parse(const char *name, enum access_role *role); /* not "none" */

struct access {
    struct store_token tokens[ACCESS_TOKENS_MAX];
    size_t count;
    bool loaded; /* what the store has is in `tokens` */
    enum access_role anonymous;
    uint8_t key[16]; /* of the places of networks */
    uint64_t guesses_until_us[ACCESS_NETWORKS];
    uint64_t refused_total; /* wrong or expired tokens, and those not looked at */
};

enum access_verdict { ACCESS_GOOD, ACCESS_WRONG, ACCESS_TOO_OFTEN };

bool access_init(struct access *a); /* false: no randomness */
void access_fini(struct access *a);

/* The token that the secret is. *found is valid until the next change. */
enum access_verdict access_find(struct access *a, const char *secret, const uint8_t ip[16],
                                int64_t now_ms, uint64_t now_us, struct store_token **found);
/* Makes one; `secret` is its only copy. NULL: no place, or no randomness. */
struct store_token *access_create(struct access *a, const char *name, enum access_role role,
                                  int64_t now_ms, int64_t expires_ms,
                                  char secret[ACCESS_TOKEN_BYTES]);
struct store_token *access_by_id(struct access *a, const char *id); /* or NULL */
void access_remove(struct access *a, struct store_token *token);
