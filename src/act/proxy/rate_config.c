#include "act/proxy/rate_config.h"

#include <string.h>

#include "decide/admission/rate_limit.h"
#include "wire/http/message.h"

#define NAME_BYTES_MAX 40
#define NS_PER_S 1e9

/* In the order of enum plan_rate_by. */
static const char *const whose_names[] = { "client", "customer", "header:", "cookie:", "route" };

static bool parse_by(struct rate_config *r) {
    for (unsigned i = 0; i < sizeof whose_names / sizeof *whose_names; i++) {
        struct slice prefix = slice_from(whose_names[i]);
        bool named = i == PLAN_RATE_HEADER || i == PLAN_RATE_COOKIE;
        if (!slice_starts_with(r->by, prefix)) {
            continue;
        }
        r->whose = (enum plan_rate_by)i;
        r->field = slice_skip(r->by, prefix.len);
        return named ? http_is_token(r->field) : r->field.len == 0;
    }
    return false;
}

static void check_rate(const struct config_place *place, void *item) {
    struct rate_config *r = item;
    if (!parse_by(r)) {
        config_place_error(place, "by",
                           "by: expected client, customer, route, header:NAME or cookie:NAME, "
                           "found '%.*s'",
                           SLICE_ARG(r->by));
    }
    if (r->rate_rps <= 0) {
        config_place_error(place, "rate", "rate: expected more than 0, such as 10/s or 100/m");
    } else if (r->burst / r->rate_rps > (double)RATE_LIMIT_SPAN_NS_MAX / NS_PER_S) {
        config_place_error(place, "burst",
                           "burst: expected what comes back within 30 days at this rate");
    }
}

#define RATE(member) offsetof(struct rate_config, member)
static const struct config_field rate_fields[] = {
    { "rate", CONFIG_RATE, RATE(rate_rps), .required = true, .max = 1e6,
      .help = "requests in the long run: `10/s`, `100/m`, `1000/h`" },
    { "burst", CONFIG_COUNT, RATE(burst), .required = true, .min = 1, .max = RATE_LIMIT_BURST_MAX,
      .help = "so many at once after a pause; they come back at the rate" },
    { "by", CONFIG_SLICE, RATE(by), .fallback = "client",
      .help = "who shares them: `client`, `customer` (the cookie of `value.customer`), "
              "`header:NAME`, `cookie:NAME`, or `route` for all of a route together; without that "
              "field or cookie: the client" },
    { "ipv4_prefix", CONFIG_COUNT, RATE(ipv4_prefix), .fallback = "32", .min = 1, .max = 32,
      .help = "clients of such a network are one" },
    { "ipv6_prefix", CONFIG_COUNT, RATE(ipv6_prefix), .fallback = "64", .min = 1, .max = 128,
      .help = "likewise; a household or server has a /64 or more" },
    { "status", CONFIG_COUNT, RATE(status), .fallback = "429", .min = 400, .max = 599,
      .help = "of the answer to those beyond it" },
    { "headers", CONFIG_BOOL, RATE(headers), .fallback = "true",
      .help = "answers say in RateLimit fields what is left" },
    { "dry_run", CONFIG_BOOL, RATE(dry_run), .fallback = "false",
      .help = "only counts whom it would refuse" },
};
const struct config_table rate_config_table =
    CONFIG_TABLE_CHECKED(struct rate_config, rate_fields, check_rate);

/* It stands in a quoted string of a header field and in labels of metrics. */
static bool name_is_good(const char *name) {
    size_t len = strlen(name);
    return len <= NAME_BYTES_MAX && http_is_token(slice_from(name));
}

void rate_config_check_names(const struct config_place *place, const struct rate_config *rates,
                             size_t count) {
    if (count > PLAN_RATES_MAX) {
        config_place_error(place, "rate_limits", "rate_limits: expected at most %d, found %zu",
                           PLAN_RATES_MAX, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!name_is_good(rates[i].name)) {
            struct config_place at = config_place_item(place, "rate_limits", i);
            config_place_error(&at, NULL,
                               "'%s': expected a name of at most %d letters, digits, '-', '_', '.'",
                               rates[i].name, NAME_BYTES_MAX);
        }
    }
}

size_t rate_config_find(const struct rate_config *rates, size_t count, struct slice name) {
    size_t i = 0;
    while (i < count && !slice_equal(slice_from(rates[i].name), name)) {
        i++;
    }
    return i;
}

static void report_unknown(const struct config_place *at, const struct rate_config *rates,
                           size_t count, struct slice name) {
    const char *names[PLAN_RATES_MAX];
    size_t known = 0;
    for (; known < count && known < PLAN_RATES_MAX; known++) {
        names[known] = rates[known].name;
    }
    const char *near = config_nearest(name, names, known);
    config_place_error(at, NULL, "rate_limit: there is no '%.*s' in 'rate_limits'%s%s%s",
                       SLICE_ARG(name), near != NULL ? ": did you mean '" : "",
                       near != NULL ? near : "", near != NULL ? "'?" : "");
}

void rate_config_check_route(const struct config_place *place, const struct rate_config *rates,
                             size_t count, const struct slice *names, size_t name_count) {
    if (name_count > PLAN_RULE_RATES_MAX) {
        config_place_error(place, "rate_limit", "rate_limit: expected at most %d",
                           PLAN_RULE_RATES_MAX);
    }
    for (size_t i = 0; i < name_count; i++) {
        if (rate_config_find(rates, count, names[i]) == count) {
            struct config_place at = config_place_item(place, "rate_limit", i);
            report_unknown(&at, rates, count, names[i]);
        }
    }
}
