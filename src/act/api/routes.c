/* Which path is answered by which handler, and who may ask. */
#include <stdio.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "wire/http/uri.h"

/* "*" in a path, twice at most, stands for one segment; GET answers HEAD too. `acts`: only over the
 * Unix socket. */
static const struct {
    const char *path;
    enum http_method method;
    bool acts;
    api_handler *handle;
} routes[] = {
    { "/api/v1/status", HTTP_GET, false, handle_status },
    { "/api/v1/services", HTTP_GET, false, handle_services },
    { "/api/v1/services/*", HTTP_GET, false, handle_service },
    { "/api/v1/instances", HTTP_GET, false, handle_instances },
    { "/api/v1/instances/*", HTTP_GET, false, handle_instance },
    { "/api/v1/demand", HTTP_GET, false, handle_demand },
    { "/api/v1/latency", HTTP_GET, false, handle_latency },
    { "/api/v1/forecast", HTTP_GET, false, handle_forecast },
    { "/api/v1/decisions", HTTP_GET, false, handle_decisions },
    { "/api/v1/campaigns", HTTP_GET, false, handle_campaigns },
    { "/api/v1/events", HTTP_GET, false, handle_events },
    { "/api/v1/openapi.json", HTTP_GET, false, handle_openapi },
    { "/api/v1/reload", HTTP_POST, true, handle_reload },
    { "/api/v1/drain", HTTP_POST, true, handle_drain },
    { "/api/v1/instances/*/drain", HTTP_POST, true, handle_instance_drain },
    { "/api/v1/maintenance", HTTP_GET, false, handle_maintenance_list },
    { "/api/v1/services/*/endpoints/*/maintenance", HTTP_POST, true, handle_maintenance_start },
    { "/api/v1/services/*/endpoints/*/maintenance", HTTP_DELETE, true, handle_maintenance_end },
    { "/metrics", HTTP_GET, false, handle_metrics },
    { "/healthz", HTTP_GET, false, handle_health },
    { "/", HTTP_GET, false, handle_dashboard },
    { "/assets/*", HTTP_GET, false, handle_dashboard },
    { "/favicon.svg", HTTP_GET, false, handle_dashboard },
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
    static const char body[] = "{\"type\":\"about:blank\",\"title\":\"Method Not Allowed\","
                               "\"status\":405,\"detail\":\"see the Allow field\"}";
    answer_send(c, &(struct api_answer){ .status = 405,
                                         .type = "application/problem+json",
                                         .body = slice_from(body),
                                         .headers = headers });
}

static bool needs_view(api_handler *handle) {
    return handle != handle_openapi && handle != handle_dashboard && handle != handle_health;
}

static void call(struct api_connection *c, size_t route) {
    if (!method_fits(routes[route].method, c->request.method)) {
        refuse_method(c, route);
    } else if (routes[route].acts && !c->local) {
        answer_problem(c, 403,
                       "this address only reads; changes go over the control socket "
                       "var/tidegate.sock in the state folder (the command line uses it)");
    } else if (needs_view(routes[route].handle) && c->api->view == NULL) {
        answer_problem(c, 503, "the controller has just started; try again in a second");
    } else {
        routes[route].handle(c);
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
