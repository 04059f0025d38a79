/* The routes in the plan. A route is small, because there may be thousands; what few routes have
 * stands in tables of its own and is named by its first index and a count. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define PLAN_ROUTES_MAX 8192
#define PLAN_CONDITIONS_MAX 16384 /* of all routes together */
#define PLAN_NETWORKS_MAX 16384
#define PLAN_ROUTE_CONDITIONS_MAX 64 /* of one route */

struct plan_text {
    uint32_t offset, len; /* in plan->text */
};

/* How a text is compared. Of a path: prefix, exact or pattern. */
enum plan_match {
    PLAN_MATCH_PREFIX,  /* of a path: at the end of a segment */
    PLAN_MATCH_EXACT,   /* the same bytes */
    PLAN_MATCH_PATTERN, /* base/pattern.h: the whole of it */
    PLAN_MATCH_PRESENT, /* there is one, whatever it says */
    PLAN_MATCH_ABSENT,
    PLAN_MATCHES,
};

enum plan_condition_kind {
    PLAN_CONDITION_METHOD, /* value: one or several, separated by commas */
    PLAN_CONDITION_HEADER, /* any field of that name */
    PLAN_CONDITION_QUERY,  /* the first parameter of that name, decoded */
    PLAN_CONDITION_COOKIE, /* the first cookie of that name */
    PLAN_CONDITION_SOURCE, /* the client is in one of the networks */
};

/* All conditions of a route must hold. */
struct plan_condition {
    uint8_t kind;           /* enum plan_condition_kind */
    uint8_t match;          /* enum plan_match */
    uint16_t network_count; /* of a source */
    uint32_t network_first; /* in plan->networks */
    struct plan_text name, value;
};

struct plan_network { /* as struct network of wire/net/network.h */
    uint8_t ip[16];
    uint8_t bits;
};

struct plan_route {
    struct plan_text host;   /* empty: any host; lower case, "*.shop.test" allowed */
    struct plan_text prefix; /* the path, compared as `match` says; the prefix "/" matches all */
    uint16_t service;
    uint8_t stage;   /* enum stage */
    bool idempotent; /* a POST that got no answer may be sent again */
    uint8_t match;   /* enum plan_match of the path */
    uint8_t condition_count;
    uint8_t compression;      /* enum plan_switch */
    uint32_t condition_first; /* in plan->conditions */
};
