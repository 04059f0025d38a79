/* What a route does beside going to a service, as it is written in shop.yaml: `split`, `rewrite`,
 * `request_headers`, `response_headers`, `redirect`, `respond`, `error_pages`. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define RULE_BODY_BYTES_MAX 65536 /* of a fixed answer or an error page */
#define RULE_WEIGHT_MAX 1000000
#define RULE_CHANGES_MAX 16 /* of header fields, each way */
#define RULE_PAGES_MAX 32

struct rewrite_config {
    struct slice prefix, path, pattern, host;
    bool has_prefix, has_path; /* written, perhaps as an empty text */
};

struct changes_config {
    const struct config_pair *set, *add;
    size_t set_count, add_count;
    struct slice *remove;
    size_t remove_count;
};

struct redirect_config {
    uint32_t status, port;
    struct slice scheme, host;
    struct rewrite_config to; /* prefix, path and pattern only */
};

struct respond_config {
    uint32_t status;
    struct slice body; /* written here, or of the file */
    const char *file;
    struct slice type;
};

struct page_config {
    struct slice status; /* "404", "5xx" */
    const char *file;
    struct slice type, body;
    uint16_t code; /* 404; 5 of "5xx" */
};

struct rule_config {
    const struct config_pair *split;
    size_t split_count;
    struct rewrite_config *rewrite; /* here and below NULL: not written */
    struct changes_config *request, *response;
    struct redirect_config *redirect;
    struct respond_config *respond;
    struct page_config *pages;
    size_t page_count;
};

extern const struct config_table rule_config_table; /* inline in a route's */
extern const struct config_table page_config_table;

/* For the route's check: what belongs together. `own_pattern`: the route's path is one and captures
 * so many groups; -1: it is not. */
void rule_config_check(const struct config_place *place, struct rule_config *rule,
                       int own_pattern_groups);
/* Whether the name is a header field's that does not frame the message or belong to a connection.
 */
bool rule_may_change(struct slice name);
/* False when it is not one of 0 to RULE_WEIGHT_MAX. */
bool rule_weight(const char *text, uint32_t *weight);
