/* Who may use a route, and how long and how large a request may be, as it is written in shop.yaml:
 * `timeouts`, `body_limit`, `allow`, `deny`, `cors`, `basic`, `jwt`, `rate_limit`. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define POLICY_ORIGINS_MAX 64
#define POLICY_CLAIMS_MAX 16
#define POLICY_NETWORKS_MAX 1024 /* of one route, allow and deny together */

struct route_timeouts_config { /* 0: the service's */
    int64_t connect_ms, first_byte_ms, idle_ms, total_ms;
};

struct cors_config {
    struct slice *origins, *methods, *headers, *expose;
    size_t origin_count, method_count, header_count, expose_count;
    bool credentials;
    int64_t max_age_ms;
};

struct basic_config {
    const char *users;      /* a file */
    struct slice user_text; /* what is in it */
    struct slice realm, header;
};

struct jwt_config {
    const char *keys; /* a file */
    struct slice key_text;
    struct slice issuer, audience, cookie, realm;
    struct slice *algorithms;
    size_t algorithm_count;
    uint32_t algorithm_bits;
    int64_t leeway_ms;
    const struct config_pair *claims; /* claim: header field */
    size_t claim_count;
};

struct policy_config {
    struct route_timeouts_config *timeouts; /* NULL: not written */
    uint64_t body_bytes;                    /* 0: the shop's limit */
    struct slice *allow, *deny;
    size_t allow_count, deny_count;
    struct cors_config *cors; /* likewise */
    struct basic_config *basic;
    struct jwt_config *jwt;
    struct slice *rate_limits; /* names, of rate_config.h */
    size_t rate_limit_count;
};

extern const struct config_table policy_config_table; /* inline in a route's */

/* For the route's check: what belongs together. */
void policy_config_check(const struct config_place *place, struct policy_config *policy);
