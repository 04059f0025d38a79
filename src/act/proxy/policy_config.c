#include "act/proxy/policy_config.h"

#include <string.h>

#include "act/proxy/cors.h"
#include "act/proxy/rule_config.h"
#include "wire/auth/basic.h"
#include "wire/auth/jwt_keys.h"
#include "wire/http/message.h"
#include "wire/net/network.h"

/* ---- networks ---- */

static void check_networks(const struct config_place *place, const char *key,
                           const struct slice *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct network network;
        struct error err;
        if (!network_parse(texts[i], &network, &err)) {
            struct config_place at = config_place_item(place, key, i);
            config_place_error(&at, NULL, "%s: %s", key, err.text);
        }
    }
}

/* ---- CORS ---- */

static bool is_star(const struct slice *list, size_t count) {
    return count == 1 && slice_equal(list[0], SLICE("*"));
}

static void check_tokens(const struct config_place *place, const char *key,
                         const struct slice *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!http_is_token(list[i]) || (count > 1 && slice_equal(list[i], SLICE("*")))) {
            struct config_place at = config_place_item(place, key, i);
            config_place_error(&at, NULL, "%s: expected names, or * alone, found '%.*s'", key,
                               SLICE_ARG(list[i]));
        }
    }
}

static void check_cors(const struct config_place *place, void *item) {
    const struct cors_config *c = item;
    bool any = is_star(c->origins, c->origin_count);
    for (size_t i = 0; i < c->origin_count && !any; i++) {
        if (!cors_is_pattern(c->origins[i])) {
            struct config_place at = config_place_item(place, "origins", i);
            config_place_error(&at, NULL,
                               "origins: expected https://shop.example, https://*.shop.example or "
                               "* alone, found '%.*s'",
                               SLICE_ARG(c->origins[i]));
        }
    }
    if (c->origin_count == 0 || c->origin_count > POLICY_ORIGINS_MAX) {
        config_place_error(place, "origins", "origins: expected 1 to %d", POLICY_ORIGINS_MAX);
    }
    check_tokens(place, "methods", c->methods, c->method_count);
    check_tokens(place, "headers", c->headers, c->header_count);
    check_tokens(place, "expose", c->expose, c->expose_count);
    if (any && c->credentials) {
        config_place_error(place, "credentials",
                           "credentials: not for every origin: name those that may");
    }
    if (c->credentials && is_star(c->expose, c->expose_count)) {
        config_place_error(place, "expose", "expose: with credentials each field must be named");
    }
}

/* ---- authentication ---- */

static void check_realm(const struct config_place *place, struct slice realm) {
    if (!http_is_field_value(realm) || slice_find(realm, '"') != SLICE_NONE ||
        slice_find(realm, '\\') != SLICE_NONE) {
        config_place_error(place, "realm", "realm: expected a text without quotes");
    }
}

/* A field that we set: not one that frames the message. */
static void check_own_field(const struct config_place *place, const char *key, struct slice name) {
    if (!rule_may_change(name)) {
        config_place_error(place, key,
                           "%s: expected the name of a header field that may be set, found '%.*s'",
                           key, SLICE_ARG(name));
    }
}

static void check_basic(const struct config_place *place, void *item) {
    struct basic_config *b = item;
    struct error err;
    check_realm(place, b->realm);
    if (b->header.len > 0) {
        check_own_field(place, "header", b->header);
    }
    if (b->users != NULL &&
        config_place_file(place, "users", b->users, BASIC_USERS_BYTES_MAX, &b->user_text) &&
        !basic_check_users(b->user_text, &err)) {
        config_place_error(place, "users", "users: %s: %s", b->users, err.text);
    }
}

static void check_algorithms(const struct config_place *place, struct jwt_config *j) {
    for (size_t i = 0; i < j->algorithm_count; i++) {
        enum jwt_algorithm algorithm = jwt_algorithm_of(j->algorithms[i]);
        if (algorithm == JWT_ALGORITHMS) {
            struct config_place at = config_place_item(place, "algorithms", i);
            config_place_error(&at, NULL,
                               "algorithms: expected HS256, HS384, HS512, RS256, RS384, RS512, "
                               "ES256 or ES384, found '%.*s'",
                               SLICE_ARG(j->algorithms[i]));
        } else {
            j->algorithm_bits |= 1u << algorithm;
        }
    }
}

static void check_claims(const struct config_place *place, const struct jwt_config *j) {
    for (size_t i = 0; i < j->claim_count; i++) {
        check_own_field(place, "claims", slice_from(j->claims[i].value));
    }
    if (j->claim_count > POLICY_CLAIMS_MAX) {
        config_place_error(place, "claims", "claims: expected at most %d", POLICY_CLAIMS_MAX);
    }
}

static void check_jwt(const struct config_place *place, void *item) {
    struct jwt_config *j = item;
    struct error err;
    check_realm(place, j->realm);
    check_algorithms(place, j);
    check_claims(place, j);
    if (j->keys != NULL &&
        config_place_file(place, "keys", j->keys, JWT_KEYS_BYTES_MAX, &j->key_text)) {
        struct jwt_keys *keys = jwt_keys_new(j->key_text, &err);
        if (keys == NULL) {
            config_place_error(place, "keys", "keys: %s: %s", j->keys, err.text);
        }
        jwt_keys_free(keys);
    }
    if (j->audience.len == 0) {
        config_place_warning(place, NULL,
                             "without 'audience' a token that was given for another service is "
                             "good here, too");
    }
}

void policy_config_check(const struct config_place *place, struct policy_config *p) {
    check_networks(place, "allow", p->allow, p->allow_count);
    check_networks(place, "deny", p->deny, p->deny_count);
    if (p->allow_count + p->deny_count > POLICY_NETWORKS_MAX) {
        config_place_error(place, "allow", "allow, deny: expected at most %d networks",
                           POLICY_NETWORKS_MAX);
    }
    if (p->basic != NULL && p->jwt != NULL) {
        config_place_error(place, "jwt", "expected either 'basic' or 'jwt'");
    }
}

/* ---- tables ---- */

#define TIMEOUT(member) offsetof(struct route_timeouts_config, member)
static const struct config_field timeout_fields[] = {
    { "connect", CONFIG_DURATION, TIMEOUT(connect_ms), .fallback = "0", .max = 60000,
      .help = "to connect to an instance; 0: as the service says, here and below" },
    { "first_byte", CONFIG_DURATION, TIMEOUT(first_byte_ms), .fallback = "0", .max = 86400000,
      .help = "until an answer begins; then 504" },
    { "idle", CONFIG_DURATION, TIMEOUT(idle_ms), .fallback = "0", .max = 86400000,
      .help = "between two pieces of an answer" },
    { "total", CONFIG_DURATION, TIMEOUT(total_ms), .fallback = "0", .max = 86400000,
      .help = "for a whole request" },
};
static const struct config_table timeout_table =
    CONFIG_TABLE(struct route_timeouts_config, timeout_fields);

#define CORS(member) offsetof(struct cors_config, member)
static const struct config_field cors_fields[] = {
    { "origins", CONFIG_SLICE, CORS(origins), .many = true, .count_offset = CORS(origin_count),
      .required = true,
      .help = "whose scripts may: `https://shop.example`, `https://*.shop.example`, or `*`" },
    { "methods", CONFIG_SLICE, CORS(methods), .many = true, .count_offset = CORS(method_count),
      .fallback = "GET, HEAD, POST", .help = "which methods; `*`: whatever is asked for" },
    { "headers", CONFIG_SLICE, CORS(headers), .many = true, .count_offset = CORS(header_count),
      .help = "which header fields they may send; `*`: whatever is asked for" },
    { "expose", CONFIG_SLICE, CORS(expose), .many = true, .count_offset = CORS(expose_count),
      .help = "which of the answer's fields they may read" },
    { "credentials", CONFIG_BOOL, CORS(credentials), .fallback = "false",
      .help = "with the visitor's cookies" },
    { "max_age", CONFIG_DURATION, CORS(max_age_ms), .fallback = "10m", .max = 86400000,
      .help = "how long a browser may remember it" },
};
static const struct config_table cors_table =
    CONFIG_TABLE_CHECKED(struct cors_config, cors_fields, check_cors);

#define BASIC(member) offsetof(struct basic_config, member)
static const struct config_field basic_fields[] = {
    { "users", CONFIG_PATH, BASIC(users), .required = true,
      .help = "a file of `htpasswd -B`: bcrypt only, at most 64 KiB" },
    { "realm", CONFIG_SLICE, BASIC(realm), .fallback = "Restricted",
      .help = "what the browser shows" },
    { "header", CONFIG_SLICE, BASIC(header),
      .help = "the service gets the user's name in this field; a visitor's own is removed" },
};
static const struct config_table basic_table =
    CONFIG_TABLE_CHECKED(struct basic_config, basic_fields, check_basic);

#define JWT(member) offsetof(struct jwt_config, member)
static const struct config_field jwt_fields[] = {
    { "keys", CONFIG_PATH, JWT(keys), .required = true,
      .help = "a file: a JWK set, PEM public keys or certificates, or a bare secret" },
    { "issuer", CONFIG_SLICE, JWT(issuer), .help = "what `iss` must be" },
    { "audience", CONFIG_SLICE, JWT(audience), .help = "what must be among `aud`" },
    { "algorithms", CONFIG_SLICE, JWT(algorithms), .many = true,
      .count_offset = JWT(algorithm_count),
      .help =
          "only these of HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384; a key is never "
          "used for what it is not" },
    { "leeway", CONFIG_DURATION, JWT(leeway_ms), .fallback = "30s", .max = 600000,
      .help = "for clocks that differ: around `exp`, `nbf` and `iat`" },
    { "cookie", CONFIG_SLICE, JWT(cookie),
      .help = "the token is in this cookie; else in `Authorization: Bearer`" },
    { "realm", CONFIG_SLICE, JWT(realm), .fallback = "Restricted",
      .help = "what is said to those without" },
    { "claims", CONFIG_PAIRS, JWT(claims), .count_offset = JWT(claim_count),
      .help = "`claim: field`: what the service gets of the token; a visitor's own fields of these "
              "names are removed" },
};
static const struct config_table jwt_table =
    CONFIG_TABLE_CHECKED(struct jwt_config, jwt_fields, check_jwt);

#define POLICY(member) offsetof(struct policy_config, member)
static const struct config_field policy_fields[] = {
    { "timeouts", CONFIG_BLOCK, POLICY(timeouts), .table = &timeout_table, .allocated = true,
      .help = "in place of the service's" },
    { "body_limit", CONFIG_SIZE, POLICY(body_bytes), .fallback = "0",
      .help = "body of a request; beyond: 413; 0: as limits.body says" },
    { "allow", CONFIG_SLICE, POLICY(allow), .many = true, .count_offset = POLICY(allow_count),
      .help = "visitors of these networks only; all others get 403" },
    { "deny", CONFIG_SLICE, POLICY(deny), .many = true, .count_offset = POLICY(deny_count),
      .help = "visitors of these networks get 403; of both lists the smallest network counts" },
    { "cors", CONFIG_BLOCK, POLICY(cors), .table = &cors_table, .allocated = true,
      .help = "scripts of other origins; preflights are answered here" },
    { "basic", CONFIG_BLOCK, POLICY(basic), .table = &basic_table, .allocated = true,
      .help = "only with a name and a password" },
    { "jwt", CONFIG_BLOCK, POLICY(jwt), .table = &jwt_table, .allocated = true,
      .help = "only with a signed token" },
    { "rate_limit", CONFIG_SLICE, POLICY(rate_limits), .many = true,
      .count_offset = POLICY(rate_limit_count),
      .help = "names of `rate_limits`; of several all must have a token left" },
};
const struct config_table policy_config_table = CONFIG_TABLE(struct policy_config, policy_fields);
