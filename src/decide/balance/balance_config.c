#include "decide/balance/balance_config.h"

#include <stdio.h>
#include <string.h>

#include "wire/http/message.h"

#define BALANCE(member) offsetof(struct balance_config, member)
#define HASH(member) (BALANCE(hash.member) - BALANCE(hash))
#define STICKY(member) offsetof(struct sticky_config, member)

const char *const balance_policy_names[] = {
    [BALANCE_FASTEST] = "fastest",
    [BALANCE_LEAST_REQUESTS] = "least_requests",
    [BALANCE_ROUND_ROBIN] = "round_robin",
    [BALANCE_MAGLEV] = "maglev",
    [BALANCE_POLICIES] = NULL,
};

enum balance_hash balance_hash_of(const struct balance_config *c, const char **name) {
    *name = c->hash.header != NULL ? c->hash.header : c->hash.cookie != NULL ? c->hash.cookie : "";
    return c->policy != BALANCE_MAGLEV ? BALANCE_HASH_NONE
           : c->hash.header != NULL    ? BALANCE_HASH_HEADER
           : c->hash.cookie != NULL    ? BALANCE_HASH_COOKIE
           : c->hash.path              ? BALANCE_HASH_PATH
           : c->hash.client > 0 ? (enum balance_hash)(BALANCE_HASH_CLIENT + c->hash.client - 1)
                                : BALANCE_HASH_NONE;
}

/* ---- a cookie of our own ---- */

static const char *const same_sites[] = { "lax", "strict", "none", NULL };
static const char *const same_site_words[] = { "Lax", "Strict", "None" };
static const char *const secures[] = { "auto", "always", "never", NULL };

bool balance_sticky_attributes(const struct sticky_config *s, char *out, size_t out_bytes) {
    char age[40] = "";
    if (s->max_age_ms > 0) {
        snprintf(age, sizeof age, "; Max-Age=%lld", (long long)(s->max_age_ms / 1000));
    }
    int len = snprintf(out, out_bytes, "; Path=%s%s%s; SameSite=%s", s->path, age,
                       s->http_only ? "; HttpOnly" : "", same_site_words[s->same_site]);
    return len > 0 && (size_t)len < out_bytes;
}

static void check_name(const struct config_place *place, const char *key, const char *name) {
    if (name != NULL && (!http_is_token(slice_from(name)) || strlen(name) > BALANCE_NAME_MAX)) {
        config_place_error(place, key,
                           "%s: expected a name of at most %d letters, digits, '-', '_'", key,
                           BALANCE_NAME_MAX);
    }
}

/* av-octets of RFC 6265 4.1.1. */
static bool is_attribute(const char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f || *text == ';') {
            return false;
        }
    }
    return true;
}

static void check_sticky(const struct config_place *place, void *item) {
    const struct sticky_config *s = item;
    check_name(place, "cookie", s->cookie);
    if (s->path == NULL || s->path[0] != '/' || strlen(s->path) > 128 || !is_attribute(s->path)) {
        config_place_error(place, "path",
                           "path: expected a path that begins with '/', without ';'");
    }
    if (s->same_site == STICKY_NONE && s->secure == STICKY_SECURE_NEVER) {
        config_place_error(place, "secure",
                           "secure: browsers take `same_site: none` only with Secure");
    }
}

static const struct config_field sticky_fields[] = {
    { "cookie", CONFIG_TEXT, STICKY(cookie), .fallback = "tidegate_server",
      .help = "its name; the value says nothing to others and cannot be made up" },
    { "path", CONFIG_TEXT, STICKY(path), .fallback = "/", .help = "its Path" },
    { "max_age", CONFIG_DURATION, STICKY(max_age_ms), .fallback = "0", .max = 34560000000.0,
      .help = "its Max-Age; 0: until the browser is closed" },
    { "same_site", CONFIG_CHOICE, STICKY(same_site), .choices = same_sites, .fallback = "lax",
      .help = "its SameSite" },
    { "http_only", CONFIG_BOOL, STICKY(http_only), .fallback = "true",
      .help = "hidden from scripts" },
    { "secure", CONFIG_CHOICE, STICKY(secure), .choices = secures, .fallback = "auto",
      .help = "`auto`: when the visitor came over TLS" },
};
static const struct config_table sticky_table =
    CONFIG_TABLE_CHECKED(struct sticky_config, sticky_fields, check_sticky);

/* ---- the key ---- */

static const char *const clients[] = { "off", "address", "network", NULL };

static const struct config_field hash_fields[] = {
    { "header", CONFIG_TEXT, HASH(header), .help = "the value of this field" },
    { "cookie", CONFIG_TEXT, HASH(cookie), .help = "the value of this cookie" },
    { "path", CONFIG_BOOL, HASH(path), .fallback = "false", .help = "the path, without the query" },
    { "client", CONFIG_CHOICE, HASH(client), .choices = clients, .fallback = "off",
      .help = "the visitor's address (of IPv6 its /64), or the network around it (/24, /48)" },
};
static const struct config_table hash_table =
    CONFIG_TABLE(typeof(((struct balance_config *)0)->hash), hash_fields);

static void check(const struct config_place *place, void *item) {
    const struct balance_config *c = item;
    int keys =
        (c->hash.header != NULL) + (c->hash.cookie != NULL) + c->hash.path + (c->hash.client > 0);
    const struct config_place hash = config_place_block(place, "hash");
    check_name(&hash, "header", c->hash.header);
    check_name(&hash, "cookie", c->hash.cookie);
    if (c->policy == BALANCE_MAGLEV && keys != 1) {
        config_place_error(place, "hash",
                           "hash: expected one of header, cookie, path, client, such as "
                           "{ cookie: sid }");
    }
    if (c->policy != BALANCE_MAGLEV && keys > 0) {
        config_place_error(place, "hash", "hash: only of `policy: maglev`");
    }
    if (c->policy == BALANCE_MAGLEV && c->sticky != NULL) {
        config_place_error(place, "sticky",
                           "sticky: expected none with `policy: maglev`, whose "
                           "key already says where to");
    }
    if (c->hash_balance_factor > 0 && c->hash_balance_factor <= 100) {
        config_place_error(place, "hash_balance_factor",
                           "hash_balance_factor: expected more than 100 (percent), or 0");
    }
}

static const struct config_field fields[] = {
    { "policy", CONFIG_CHOICE, BALANCE(policy), .choices = balance_policy_names,
      .fallback = "fastest",
      .help = "`fastest`: the least expected finish, none that is slow or fails beside its peers; "
              "`least_requests`: the least in flight; `round_robin`: in turn; `maglev`: the same "
              "key to the same instance" },
    { "hash", CONFIG_BLOCK, BALANCE(hash), .table = &hash_table,
      .help = "of `maglev`: what the key is, exactly one of these; a request without it goes to "
              "the fastest" },
    { "hash_balance_factor", CONFIG_COUNT, BALANCE(hash_balance_factor), .fallback = "125",
      .max = 1000,
      .help = "of `maglev`: an instance with more than so many percent of a fair share in flight "
              "is passed over; 0: never" },
    { "sticky", CONFIG_BLOCK, BALANCE(sticky), .table = &sticky_table, .allocated = true,
      .help = "visitors stay at their instance by a cookie, as long as that is in rotation" },
};
const struct config_table balance_config_table = {
    .fields = fields,
    .len = sizeof fields / sizeof *fields,
    .item_bytes = sizeof(struct balance_config),
    .check = check,
    .plain = true,
};
