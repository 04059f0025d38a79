/* Routes (YAML, up to the first NUL) and a request's head: the routes are refused with an error, or
 * become a table; in it the request finds a route whose path fits, the same one when asked again,
 * and what its rule makes of the request can be written and read as a head. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../unit/act/proxy/route_fixture.h"
#include "act/proxy/cors.h"
#include "act/proxy/rule.h"
#include "wire/http/h1.h"
#include "wire/http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define YAML_BYTES_MAX 6000

static void check_rewritten(const struct rule *rule, const struct route_query *query,
                            struct http_head *head) {
    struct arena arena;
    struct slice path, location;
    struct buffer out;
    struct rule_visit visit = { .path = query->path,
                                .authority = SLICE("shop.test"),
                                .request = head };
    arena_init(&arena, 65536);
    buffer_init(&out, 1u << 20);
    if (rule_rewrite_path(rule, query->path, &arena, &path)) {
        assert(path.len > 0);
    }
    if (rule->plan->answer == PLAN_ANSWER_REDIRECT &&
        rule_location(rule, &visit, &arena, &location)) {
        assert(http_is_field_value(location) && !slice_starts_with(location, SLICE("//")));
    }
    if (rule_change_request(rule, head)) {
        struct http_field fields[HTTP_FIELDS_MAX];
        struct http_head again;
        struct h1_scan scan = { 0 };
        struct h1_problem problem;
        size_t consumed;
        static const struct h1_limits wide = { 1u << 20, HTTP_FIELDS_MAX, 1u << 20, 8192 };
        http_head_init(&again, fields, HTTP_FIELDS_MAX);
        http_strip_hop_by_hop(head);
        assert(h1_write_request_head(&out, head));
        assert(h1_parse_request(buffer_slice(&out), &wide, &scan, &again, &consumed, &problem) ==
               H1_DONE);
    }
    buffer_fini(&out);
    arena_fini(&arena);
}

static void ask(const struct route_table *table, struct slice request) {
    static const uint8_t ip[16] = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 };
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    struct h1_scan scan = { 0 };
    struct h1_problem problem;
    size_t consumed;
    char normal[8192];
    struct route_query query = { .head = &head, .ip = ip };
    http_head_init(&head, fields, HTTP_FIELDS_MAX);
    if (h1_parse_request(request, &h1_limits_default, &scan, &head, &consumed, &problem) !=
            H1_DONE ||
        !uri_normalise_path(head.path, normal, sizeof normal, &query.path)) {
        return;
    }
    query.host = uri_host(head.authority);
    const struct plan_route *route = route_table_find(table, &query);
    assert(route == route_table_find(table, &query));
    if (route == NULL) {
        return;
    }
    struct slice prefix = rule_text(table, route->prefix);
    assert(route->match == PLAN_MATCH_PATTERN || slice_starts_with(query.path, prefix));
    const struct plan_rule *plan = route_table_rule(table, route);
    if (plan != NULL) {
        check_rewritten(&(struct rule){ table, route, plan }, &query, &head);
        (void)rule_page(table, plan, 404);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char yaml[YAML_BYTES_MAX];
    struct slice request = slice_of(data, size), text = { 0 };
    struct route_fixture f;
    slice_cut(&request, '\0', &text);
    if (!slice_copy_text(text, yaml, sizeof yaml)) {
        return 0;
    }
    if (!routes_read(&f, yaml)) {
        assert(f.report.errors > 0);
    } else {
        struct plan *plan = routes_plan(&f);
        struct route_table *table = plan == NULL ? NULL : route_table_new(plan);
        if (table != NULL) {
            ask(table, request);
        }
        route_table_free(table);
    }
    routes_forget(&f);
    return 0;
}
