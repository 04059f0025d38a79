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
#define PLAN_RULES_MAX 8192
#define PLAN_SHARES_MAX 16384
#define PLAN_CHANGES_MAX 65536
#define PLAN_PAGES_MAX 4096
#define PLAN_RULE_CHANGES_MAX 16 /* of one route's header fields, each way */
#define PLAN_JWTS_MAX PLAN_RULES_MAX
#define PLAN_RATES_MAX 128
#define PLAN_RULE_RATES_MAX 8 /* of one route */
#define PLAN_NO_SERVICE UINT16_MAX

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

struct plan_share { /* of a route's traffic */
    uint16_t service;
    uint32_t up_to; /* the sum of the weights up to and with this one */
};

enum plan_change_kind { PLAN_CHANGE_REMOVE, PLAN_CHANGE_SET, PLAN_CHANGE_ADD };

struct plan_change { /* of a header field */
    uint8_t kind;    /* enum plan_change_kind */
    struct plan_text name, value;
};

struct plan_page {   /* what we say when we answer with an error */
    uint16_t status; /* 404; or 4, 5: of the whole class */
    struct plan_text type, body;
};

enum plan_path_rewrite {
    PLAN_PATH_STAYS,
    PLAN_PATH_PREFIX,   /* the route's prefix is replaced by `path` */
    PLAN_PATH_TEMPLATE, /* `path` with \\1 … from `pattern`, or from the route's own */
};

enum plan_answer_kind { PLAN_ANSWER_NONE, PLAN_ANSWER_REDIRECT, PLAN_ANSWER_FIXED };

struct plan_jwt { /* how tokens are judged */
    struct plan_text keys, issuer, audience, cookie, realm;
    uint32_t algorithms; /* a bit each; 0: all that the keys allow */
    uint32_t leeway_s;
    uint32_t claim_first,
        claim_count; /* in plan->changes: the name is the claim, the value the field */
};

struct plan_cors { /* as struct cors of act/proxy/cors.h */
    struct plan_text origins, methods, headers, expose, max_age;
    bool credentials;
};

/* Who shares a bucket. */
enum plan_rate_by {
    PLAN_RATE_CLIENT,   /* a network of visitors */
    PLAN_RATE_CUSTOMER, /* a value of the customer's cookie; here and below without one: as client
                         */
    PLAN_RATE_HEADER,
    PLAN_RATE_COOKIE,
    PLAN_RATE_ROUTE, /* all requests of a route */
};

struct plan_rate {                 /* a limit of `rate_limits` */
    struct plan_text name, policy; /* policy: as its item in RateLimit-Policy */
    struct plan_text field;        /* of a header or cookie: its name */
    uint64_t id;                   /* of its name: the same limit in plans, buckets and counters */
    uint64_t interval_ns, span_ns; /* struct rate_limit of decide/admission/rate_limit.h */
    uint32_t burst;
    uint16_t status;
    uint8_t by; /* enum plan_rate_by */
    uint8_t v4_bits, v6_bits;
    bool dry_run, tells; /* tells: in RateLimit fields */
};

/* What becomes of the requests of a route beside going to its service. Most routes have none. */
struct plan_rule {
    uint32_t share_first, share_count; /* in plan->shares; 0: all to the route's service */
    uint32_t change_first;             /* in plan->changes: the request's, then the response's */
    uint8_t request_changes, response_changes;
    uint8_t page_count;
    uint8_t path_rewrite;                 /* enum plan_path_rewrite */
    uint32_t page_first;                  /* in plan->pages */
    uint8_t answer;                       /* enum plan_answer_kind */
    uint16_t status;                      /* of the answer */
    uint16_t port;                        /* of a redirect; 0: as the scheme says */
    struct plan_text path, pattern, host; /* of the rewriting or of the redirect; empty: as it is */
    struct plan_text scheme;              /* of a redirect */
    struct plan_text body, type;          /* of a fixed answer */
    /* Who may, and how much. */
    uint32_t connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms,
        total_timeout_ms;                            /* 0: - */
    uint64_t body_bytes;                             /* 0: the limits' */
    uint32_t network_first, allow_count, deny_count; /* in plan->networks, allowed ones first */
    struct plan_cors cors;                           /* no origins: none */
    struct plan_text users, realm, user_field;       /* Basic; no users: none */
    uint32_t jwt;                                    /* in plan->jwts, + 1; 0: none */
    uint8_t rate_count, rates[PLAN_RULE_RATES_MAX];  /* in plan->rates */
    uint64_t rate_key;                               /* of the route, for PLAN_RATE_ROUTE */
};

struct plan_route {
    struct plan_text host;   /* empty: any host; lower case, "*.shop.test" allowed */
    struct plan_text prefix; /* the path, compared as `match` says; the prefix "/" matches all */
    uint16_t service;        /* PLAN_NO_SERVICE: its rule says what happens */
    uint8_t stage;           /* enum stage */
    bool idempotent;         /* a POST that got no answer may be sent again */
    uint8_t match;           /* enum plan_match of the path */
    uint8_t condition_count;
    uint8_t compression;      /* enum plan_switch */
    uint32_t condition_first; /* in plan->conditions */
    uint32_t rule;            /* in plan->rules, + 1; 0: none */
};
