/* Which path is answered by which handler, and who may ask. */
#include <stdio.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "act/api/query.h"
#include "wire/http/uri.h"

/* "*" in a path, twice at most, stands for one segment; GET answers HEAD too. A row with an
 * `action` changes something: it is written down under that name, with who did it. */
static const struct {
    const char *path;
    enum http_method method;
    enum access_role least;
    api_handler *handle;
    const char *action;
} routes[] = {
    { "/api/v1/status", HTTP_GET, ROLE_VIEWER, handle_status, NULL },
    { "/api/v1/services", HTTP_GET, ROLE_VIEWER, handle_services, NULL },
    { "/api/v1/services/*", HTTP_GET, ROLE_VIEWER, handle_service, NULL },
    { "/api/v1/instances", HTTP_GET, ROLE_VIEWER, handle_instances, NULL },
    { "/api/v1/instances/*", HTTP_GET, ROLE_VIEWER, handle_instance, NULL },
    { "/api/v1/demand", HTTP_GET, ROLE_VIEWER, handle_demand, NULL },
    { "/api/v1/latency", HTTP_GET, ROLE_VIEWER, handle_latency, NULL },
    { "/api/v1/forecast", HTTP_GET, ROLE_VIEWER, handle_forecast, NULL },
    { "/api/v1/ledger", HTTP_GET, ROLE_VIEWER, handle_ledger, NULL },
    { "/api/v1/decisions", HTTP_GET, ROLE_VIEWER, handle_decisions, NULL },
    { "/api/v1/campaigns", HTTP_GET, ROLE_VIEWER, handle_campaigns, NULL },
    { "/api/v1/campaigns", HTTP_POST, ROLE_OPERATOR, handle_campaign_put, "put_campaign" },
    { "/api/v1/campaigns/*", HTTP_DELETE, ROLE_OPERATOR, handle_campaign_remove,
      "remove_campaign" },
    { "/api/v1/events", HTTP_GET, ROLE_VIEWER, handle_events, NULL },
    { "/api/v1/session", HTTP_GET, ROLE_NONE, handle_session, NULL },
    { "/api/v1/openapi.json", HTTP_GET, ROLE_NONE, handle_openapi, NULL },
    { "/api/v1/reload", HTTP_POST, ROLE_OPERATOR, handle_reload, "reload" },
    { "/api/v1/drain", HTTP_POST, ROLE_ADMIN, handle_drain, "drain" },
    { "/api/v1/instances/*/drain", HTTP_POST, ROLE_OPERATOR, handle_instance_drain,
      "drain_instance" },
    { "/api/v1/tokens", HTTP_GET, ROLE_ADMIN, handle_tokens, NULL },
    { "/api/v1/tokens", HTTP_POST, ROLE_ADMIN, handle_token_create, "create_token" },
    { "/api/v1/tokens/*", HTTP_DELETE, ROLE_ADMIN, handle_token_revoke, "revoke_token" },
    { "/api/v1/maintenance", HTTP_GET, ROLE_VIEWER, handle_maintenance_list, NULL },
    { "/api/v1/services/*/endpoints/*/maintenance", HTTP_POST, ROLE_OPERATOR,
      handle_maintenance_start, "start_maintenance" },
    { "/api/v1/services/*/endpoints/*/maintenance", HTTP_DELETE, ROLE_OPERATOR,
      handle_maintenance_end, "end_maintenance" },
    { "/metrics", HTTP_GET, ROLE_VIEWER, handle_metrics, NULL },
    { "/healthz", HTTP_GET, ROLE_NONE, handle_health, NULL },
    { "/", HTTP_GET, ROLE_NONE, handle_dashboard, NULL },
    { "/assets/*", HTTP_GET, ROLE_NONE, handle_dashboard, NULL },
    { "/favicon.svg", HTTP_GET, ROLE_NONE, handle_dashboard, NULL },
};
#define ROUTES (sizeof routes / sizeof routes[0])

/* The next segment of *rest, and the "/" before it. */
static bool next_segment(struct slice *rest, struct slice *segment) {
    if (!slice_starts_with(*rest, SLICE("/"))) {
        return false;
    }
    *rest = slice_skip(*rest, 1);
    size_t end = slice_find(*rest, '/');
    *segment = slice_sub(*rest, 0, end);
    *rest = end == SLICE_NONE ? slice_of("", 0) : slice_skip(*rest, end);
    return true;
}

/* Whether the path fits the pattern; `stars` are the segments that "*" stands for. */
static bool fits(struct slice pattern, struct slice path, struct slice stars[2]) {
    struct slice wanted, found;
    size_t star = 0;
    while (next_segment(&pattern, &wanted)) {
        if (!next_segment(&path, &found)) {
            return false;
        }
        if (!slice_equal(wanted, SLICE("*"))) {
            if (!slice_equal(wanted, found)) {
                return false;
            }
        } else if (found.len == 0 || star == 2) {
            return false;
        } else {
            stars[star++] = found;
        }
    }
    return path.len == 0;
}

/* A page of another site may have its own name resolve to our address and then read us as if we
 * were it (DNS rebinding): so only names that are ours are answered. A numeric address is no name.
 */
static bool host_is_ours(const struct api *api, struct slice authority) {
    struct slice host = uri_host(authority);
    struct address address;
    if (host.len == 0) {
        return false;
    }
    if (slice_equal_fold(host, SLICE("localhost"))) {
        return true;
    }
    for (size_t i = 0; i < api->host_count; i++) {
        if (slice_equal_fold(host, slice_from(api->hosts[i]))) {
            return true;
        }
    }
    return slice_find(host, '*') == SLICE_NONE && address_parse(host, 1, &address, NULL);
}

static bool method_fits(enum http_method allowed, enum http_method method) {
    return method == allowed || (allowed == HTTP_GET && method == HTTP_HEAD);
}

/* All that the path of this route is answered to. */
static void refuse_method(struct api_connection *c, size_t route) {
    char allowed[64] = "";
    for (size_t i = 0; i < ROUTES; i++) {
        if (strcmp(routes[i].path, routes[route].path) == 0) {
            size_t len = strlen(allowed);
            bool get = routes[i].method == HTTP_GET;
            snprintf(allowed + len, sizeof allowed - len, "%s%s", len > 0 ? ", " : "",
                     get ? "GET, HEAD" : http_method_name(routes[i].method));
        }
    }
    const struct api_header headers[] = { { "allow", allowed }, { NULL, NULL } };
    answer_problem_with(c, 405, headers, "see the Allow field");
}

static bool needs_view(api_handler *handle) {
    return handle != handle_openapi && handle != handle_dashboard && handle != handle_health &&
           handle != handle_session;
}

/* What was done is written down, not what was only tried. */
static void write_down(const struct api *api, const struct api_connection *c, const char *action) {
    char who[ACCESS_WHO_BYTES], name[API_TEXT_BYTES];
    if (action != NULL && c->status >= 200 && c->status < 300 && api->source.changed != NULL) {
        bool readable = query_decode(c->request.rest, name, sizeof name);
        struct slice subject = readable ? slice_from(name) : c->request.rest;
        api->source.changed(api->source.self, action, subject, caller_name(c, who));
    }
}

static void call(struct api_connection *c, size_t route) {
    const struct api *api = c->api;
    const char *action = routes[route].action;
    if (!method_fits(routes[route].method, c->request.method)) {
        refuse_method(c, route);
    } else if (!caller_may(c, routes[route].least, action != NULL)) {
        return;
    } else if (needs_view(routes[route].handle) && c->api->view == NULL) {
        answer_problem(c, 503, "the controller has just started; try again in a second");
    } else {
        c->status = 0;
        routes[route].handle(c);
        write_down(api, c, action);
    }
}

void route_request(struct api_connection *c) {
    struct api_request *r = &c->request;
    struct slice path = slice_from(r->path);
    if (!c->local && !host_is_ours(c->api, slice_from(r->host))) {
        answer_problem(c, 421, "'%s' is no name of this Tidegate; use its address", r->host);
        return;
    }
    size_t found = ROUTES;
    for (size_t i = 0; i < ROUTES; i++) {
        struct slice stars[2] = { { "", 0 }, { "", 0 } };
        if (fits(slice_from(routes[i].path), path, stars)) {
            found = i;
            r->rest = stars[0];
            r->more = stars[1];
            if (method_fits(routes[i].method, r->method)) {
                break;
            }
        }
    }
    if (found == ROUTES) {
        answer_problem(c, 404, "nothing is at '%s'; see /api/v1/openapi.json", r->path);
        return;
    }
    call(c, found);
}
