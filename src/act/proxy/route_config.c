#include "act/proxy/route_config.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "act/proxy/compression_config.h"
#include "base/pattern.h"
#include "wire/http/message.h"
#include "wire/net/network.h"

#define ROUTE(member) offsetof(struct route_config, member)
#define CONDITION(member) offsetof(struct condition_config, member)

/* In the order of enum stage. */
static const char *const stages[] = { "other", "browse",   "search", "product",
                                      "cart",  "checkout", NULL };
_Static_assert(sizeof stages / sizeof stages[0] == STAGE_COUNT + 1, "a name for each stage");

/* In the order of enum plan_match; a path knows the first three. */
static const char *const path_matches[] = { "prefix", "exact", "regex", NULL };
static const char *const text_matches[] = { "prefix", "exact", "regex", "present", "absent", NULL };
_Static_assert(sizeof text_matches / sizeof *text_matches == PLAN_MATCHES + 1, "a name for each");

/* ---- patterns ---- */

/* Reports what does not compile. How many groups it captures, as far as templates can name them. */
static int check_pattern(const struct config_place *place, const char *key, struct slice text,
                         bool of_path) {
    struct error err;
    struct pattern *pattern = pattern_new(text, &err);
    if (pattern == NULL) {
        config_place_error(place, key, "%s: expected a regular expression: %s", key, err.text);
        return PATTERN_CAPTURES_MAX;
    }
    int first = pattern_first_byte(pattern);
    if (of_path && first >= 0 && first != '/') {
        config_place_error(place, key,
                           "%s: '%.*s' can match no path: it must match the whole path, which "
                           "begins with '/'; perhaps '.*%.*s'?",
                           key, SLICE_ARG(text), SLICE_ARG(text));
    }
    int groups = (int)pattern_groups(pattern);
    pattern_free(pattern);
    return groups < PATTERN_CAPTURES_MAX ? groups : PATTERN_CAPTURES_MAX;
}

/* ---- conditions ---- */

static bool has_value(enum plan_match match) {
    return match != PLAN_MATCH_PRESENT && match != PLAN_MATCH_ABSENT;
}

/* Without a value it is enough that it is there. */
static void check_condition(const struct config_place *place, void *item) {
    struct condition_config *c = item;
    bool written = config_place_has(place, "value");
    if (!written && !config_place_has(place, "match")) {
        c->match = PLAN_MATCH_PRESENT;
    }
    if (!written && has_value(c->match)) {
        config_place_error(place, NULL, "expected the key 'value': what '%.*s' is compared with",
                           SLICE_ARG(c->name));
    } else if (written && !has_value(c->match)) {
        config_place_error(place, "value", "value: '%s' compares nothing", text_matches[c->match]);
    } else if (c->match == PLAN_MATCH_PATTERN) {
        check_pattern(place, "value", c->value, false);
    }
    if (c->name.len == 0) {
        config_place_error(place, "name", "name: expected a name");
    }
}

static void check_field_name(const struct config_place *place, void *item) {
    struct condition_config *c = item;
    check_condition(place, item);
    if (c->name.len > 0 && !http_is_token(c->name)) {
        config_place_error(place, "name", "name: expected the name of a header field, found '%.*s'",
                           SLICE_ARG(c->name));
    } else if (http_field_id_of(c->name) == HTTP_FIELD_HOST) {
        config_place_error(place, "name", "name: the key 'host' of a route compares the host");
    }
}

#define CONDITION_FIELDS(what)                                                                     \
    { "name", CONFIG_SLICE, CONDITION(name), .required = true, .help = "of the " what },           \
        { "value", CONFIG_SLICE, CONDITION(value),                                                 \
          .help = "compared; without it: that there is one" },                                     \
    {                                                                                              \
        "match", CONFIG_CHOICE, CONDITION(match),                                                  \
            .choices = text_matches, .fallback = "exact",                                          \
            .help = "how; `regex`: the whole value; `present` and `absent` take no value"          \
    }

static const struct config_field header_fields[] = { CONDITION_FIELDS(
    "header field, in any case; of several fields one must match") };
static const struct config_field query_fields[] = { CONDITION_FIELDS(
    "parameter; the first one of that name counts, percent-decoded") };
static const struct config_field cookie_fields[] = { CONDITION_FIELDS(
    "cookie; the first one of that name counts") };
static const struct config_table header_table =
    CONFIG_TABLE_CHECKED(struct condition_config, header_fields, check_field_name);
static const struct config_table query_table =
    CONFIG_TABLE_CHECKED(struct condition_config, query_fields, check_condition);
static const struct config_table cookie_table =
    CONFIG_TABLE_CHECKED(struct condition_config, cookie_fields, check_condition);

static void check_methods(const struct config_place *place, const struct route_config *route) {
    for (size_t i = 0; i < route->method_count; i++) {
        struct slice method = route->methods[i];
        bool lower = false;
        for (size_t k = 0; k < method.len; k++) {
            lower |= method.data[k] >= 'a' && method.data[k] <= 'z';
        }
        if (!http_is_token(method) || lower) {
            struct config_place at = config_place_item(place, "method", i);
            config_place_error(&at, NULL,
                               "method: expected methods in capitals such as GET or POST, found "
                               "'%.*s'",
                               SLICE_ARG(method));
        }
    }
}

static void check_sources(const struct config_place *place, const struct route_config *route) {
    for (size_t i = 0; i < route->source_count; i++) {
        struct network network;
        struct error err;
        if (!network_parse(route->sources[i], &network, &err)) {
            struct config_place at = config_place_item(place, "source", i);
            config_place_error(&at, NULL, "source: %s", err.text);
        }
    }
}

/* ---- host and path ---- */

static void check_host(const struct config_place *place, const struct route_config *route) {
    for (size_t i = 0; i < route->host.len; i++) {
        char c = route->host.data[i];
        bool star = c == '*' && i == 0 && route->host.len > 2 && route->host.data[1] == '.';
        if ((c >= 'A' && c <= 'Z') || c == '/' || c == ' ' || (c == '*' && !star)) {
            config_place_error(place, "host",
                               "host: expected a name in lower case such as shop.example or "
                               "*.shop.example, found '%.*s'",
                               SLICE_ARG(route->host));
            return;
        }
    }
}

/* Who answers: one of four. */
static void check_target(const struct config_place *place, const struct route_config *route) {
    bool split = config_place_has(place, "split");
    int targets = (route->service != NULL) + split + (route->rule.redirect != NULL) +
                  (route->rule.respond != NULL);
    if (targets == 0) {
        config_place_error(place, NULL,
                           "expected the key 'service': who answers; or 'split', "
                           "'redirect' or 'respond'");
    } else if (targets > 1) {
        config_place_error(place, NULL,
                           "expected one of 'service', 'split', 'redirect' and 'respond'");
    } else if (route->service == NULL && !split && route->rule.rewrite != NULL) {
        config_place_error(place, "rewrite", "rewrite: there is no service to be asked");
    }
}

static void check_route(const struct config_place *place, void *item) {
    struct route_config *route = item;
    int groups = -1;
    if (route->match == PLAN_MATCH_PATTERN) {
        groups = check_pattern(place, "path", route->path, true);
    } else if (route->path.len == 0 || route->path.data[0] != '/') {
        config_place_error(place, "path", "path: expected a path that begins with '/'");
    }
    check_host(place, route);
    check_methods(place, route);
    check_sources(place, route);
    rule_config_check(place, &route->rule, groups);
    policy_config_check(place, &route->policy);
    check_target(place, route);
    size_t conditions = route->header_count + route->query_count + route->cookie_count + 2;
    if (conditions > PLAN_ROUTE_CONDITIONS_MAX) {
        config_place_error(place, NULL, "expected at most %d conditions of one route",
                           PLAN_ROUTE_CONDITIONS_MAX - 2);
    }
}

static const struct config_field route_fields[] = {
    { "host", CONFIG_SLICE, ROUTE(host),
      .help = "of this host only; `*.shop.example` takes its subdomains" },
    { "path", CONFIG_SLICE, ROUTE(path), .required = true,
      .help = "the path and all below it; the longest route of a request counts" },
    { "match", CONFIG_CHOICE, ROUTE(match), .choices = path_matches, .fallback = "prefix",
      .help = "how the path is compared: `exact` goes before `regex`, which must match the whole "
              "path, and that before the longest `prefix`" },
    { "method", CONFIG_SLICE, ROUTE(methods), .many = true, .count_offset = ROUTE(method_count),
      .help = "only of these methods" },
    { "headers", CONFIG_BLOCKS, ROUTE(headers), .table = &header_table,
      .count_offset = ROUTE(header_count), .help = "only with these header fields" },
    { "query", CONFIG_BLOCKS, ROUTE(query), .table = &query_table,
      .count_offset = ROUTE(query_count), .help = "only with these parameters behind the `?`" },
    { "cookies", CONFIG_BLOCKS, ROUTE(cookies), .table = &cookie_table,
      .count_offset = ROUTE(cookie_count), .help = "only with these cookies" },
    { "source", CONFIG_SLICE, ROUTE(sources), .many = true, .count_offset = ROUTE(source_count),
      .help = "only of visitors from these networks: `192.0.2.0/24`, `2001:db8::/32`" },
    { "service", CONFIG_TEXT, ROUTE(service),
      .help = "who answers; or `split`, `redirect`, `respond`" },
    { "rule", CONFIG_INLINE, ROUTE(rule), .table = &rule_config_table },
    { "policy", CONFIG_INLINE, ROUTE(policy), .table = &policy_config_table },
    { "stage", CONFIG_CHOICE, ROUTE(stage), .choices = stages, .fallback = "browse",
      .help = "how far a visitor has come who asks for it: what the request is worth" },
    { "idempotent", CONFIG_BOOL, ROUTE(idempotent), .fallback = "false",
      .help = "the service promises that doing a POST twice is the same as doing it once (an order "
              "token, a signed cart): one that got no answer may be sent again" },
    { "compression", CONFIG_CHOICE, ROUTE(compression), .choices = compression_switches,
      .fallback = "default", .help = "`default`: as the service" },
};
const struct config_table route_config_table =
    CONFIG_TABLE_CHECKED(struct route_config, route_fields, check_route);

bool route_config_has_conditions(const struct route_config *route) {
    return route->method_count + route->header_count + route->query_count + route->cookie_count +
               route->source_count >
           0;
}

static size_t patterns_among(const struct condition_config *conditions, size_t count) {
    size_t patterns = 0;
    for (size_t i = 0; i < count; i++) {
        patterns += conditions[i].match == PLAN_MATCH_PATTERN;
    }
    return patterns;
}

size_t route_config_patterns(const struct route_config *route) {
    const struct rule_config *r = &route->rule;
    return (route->match == PLAN_MATCH_PATTERN) +
           (r->rewrite != NULL && r->rewrite->pattern.len > 0) +
           (r->redirect != NULL && r->redirect->to.pattern.len > 0) +
           patterns_among(route->headers, route->header_count) +
           patterns_among(route->query, route->query_count) +
           patterns_among(route->cookies, route->cookie_count);
}

static size_t changes_of(const struct changes_config *c) {
    return c == NULL ? 0 : c->set_count + c->add_count + c->remove_count;
}

const char *route_config_exceeds(const struct route_config *routes, size_t count, size_t *most) {
    struct {
        const char *what;
        size_t need, most;
    } tables[] = {
        { "regular expressions", 0, ROUTE_PATTERNS_MAX },
        { "conditions", 0, PLAN_CONDITIONS_MAX },
        { "networks", 0, PLAN_NETWORKS_MAX },
        { "services in splits", 0, PLAN_SHARES_MAX },
        { "header changes and claims", 0, PLAN_CHANGES_MAX },
        { "error pages", 0, PLAN_PAGES_MAX - RULE_PAGES_MAX },
    };
    for (size_t i = 0; i < count; i++) {
        const struct route_config *r = &routes[i];
        tables[0].need += route_config_patterns(r);
        tables[1].need += r->header_count + r->query_count + r->cookie_count +
                          (r->method_count > 0) + (r->source_count > 0);
        tables[2].need += r->source_count + r->policy.allow_count + r->policy.deny_count;
        tables[3].need += r->rule.split_count;
        tables[4].need += changes_of(r->rule.request) + changes_of(r->rule.response) +
                          (r->policy.jwt != NULL ? r->policy.jwt->claim_count : 0);
        tables[5].need += r->rule.page_count;
    }
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (tables[i].need > tables[i].most) {
            *most = tables[i].most;
            return tables[i].what;
        }
    }
    return NULL;
}

static bool same_route(const struct route_config *a, const struct route_config *b) {
    return a->match == b->match && slice_equal(a->path, b->path) && slice_equal(a->host, b->host);
}

static uint64_t hash_route(const struct route_config *r) {
    return XXH3_64bits_withSeed(r->path.data, r->path.len,
                                XXH3_64bits_withSeed(r->host.data, r->host.len, r->match));
}

void route_config_warn_of_doubles(const struct config_place *place,
                                  const struct route_config *routes, size_t count) {
    size_t size = 2;
    while (size < 2 * count) {
        size *= 2;
    }
    uint32_t *places = calloc(size, sizeof *places); /* index + 1 */
    for (size_t i = 0; places != NULL && i < count; i++) {
        size_t at = hash_route(&routes[i]) & (size - 1);
        if (route_config_has_conditions(&routes[i])) {
            continue;
        }
        while (places[at] != 0 && !same_route(&routes[places[at] - 1], &routes[i])) {
            at = (at + 1) & (size - 1);
        }
        if (places[at] != 0) {
            struct config_place where = config_place_item(place, "routes", i);
            config_place_warning(&where, "path", "%.*s has a route already: this one is never used",
                                 SLICE_ARG(routes[i].path));
        } else {
            places[at] = (uint32_t)i + 1;
        }
    }
    free(places); /* without memory there is no warning: it is a help for people */
}
