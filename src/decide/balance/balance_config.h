/* `balance:` of a service in shop.yaml. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "decide/balance/balance.h"

#define BALANCE_ZONE_MAX 63
#define BALANCE_NAME_MAX 64 /* of a cookie or header */

/* What maglev takes its key from. */
enum balance_hash {
    BALANCE_HASH_NONE,
    BALANCE_HASH_HEADER,
    BALANCE_HASH_COOKIE,
    BALANCE_HASH_PATH,
    BALANCE_HASH_CLIENT,  /* address; of IPv6 the /64, which is one host's */
    BALANCE_HASH_NETWORK, /* /24, of IPv6 /48 */
};

enum sticky_same_site { STICKY_LAX, STICKY_STRICT, STICKY_NONE };
enum sticky_secure { STICKY_SECURE_AUTO, STICKY_SECURE_ALWAYS, STICKY_SECURE_NEVER };

struct sticky_config {
    const char *cookie, *path;
    int64_t max_age_ms; /* 0: as long as the browser runs */
    enum sticky_same_site same_site;
    bool http_only;
    enum sticky_secure secure;
};

struct balance_config {
    enum balance_policy policy;
    struct {
        const char *header, *cookie; /* NULL: not by it */
        bool path;
        int client; /* 0: not by it; else from BALANCE_HASH_CLIENT on */
    } hash;
    uint32_t hash_balance_factor;       /* percent of a fair share; 0: no bound */
    const struct sticky_config *sticky; /* NULL: it is not */
};

extern const struct config_table balance_config_table;
extern const char *const balance_policy_names[]; /* by enum balance_policy */

/* What maglev's key is taken from, and under which name ("" where it has none). */
enum balance_hash balance_hash_of(const struct balance_config *config, const char **name);
/* "; Path=/; …" without Secure, as it follows the cookie's value; false when it does not fit. */
bool balance_sticky_attributes(const struct sticky_config *sticky, char *out, size_t out_bytes);
