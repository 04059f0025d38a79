/* What the rule of its route makes of an exchange: another service, an answer of our own, other
 * paths and fields. */
#include "act/proxy/exchange_internal.h"
#include "act/proxy/rule.h"

static struct rule rule_of(const struct exchange *x) {
    return (struct rule){ x->table, x->route, x->rule };
}

static struct rule_visit visit_of(const struct exchange *x) {
    return (struct rule_visit){
        .path = x->path, .authority = x->authority, .request = &x->request, .tls = x->who->tls
    };
}

void exchange_take_rule(struct exchange *x, const struct plan_route *route, struct slice path) {
    x->table = route_table_keep(x->worker->routes);
    x->rule = route_table_rule(x->table, route);
    x->route = route;
    x->path = path;
    x->authority = x->request.authority;
}

uint16_t exchange_choose_service(struct exchange *x, const struct plan_route *route) {
    if (x->rule->share_count == 0) {
        return route->service;
    }
    struct rule rule = rule_of(x);
    uint64_t key = worth_session_key(x);
    return rule_share(&rule, key != 0 ? key >> 8 : rand_next(&x->worker->rand) >> 8);
}

/* ---- answers ---- */

static void redirect(struct exchange *x) {
    struct rule rule = rule_of(x);
    struct rule_visit visit = visit_of(x);
    struct own_answer answer = { .status = x->rule->status, .location = SLICE("/") };
    if (!rule_location(&rule, &visit, &x->arena, &answer.location)) {
        exchange_refuse_head(x);
        return;
    }
    exchange_answer_with(x, &answer);
}

bool exchange_answer_by_rule(struct exchange *x) {
    if (x->rule->answer == PLAN_ANSWER_NONE) {
        return false;
    }
    if (x->rule->answer == PLAN_ANSWER_REDIRECT) {
        redirect(x);
        return true;
    }
    struct own_answer answer = {
        .status = x->rule->status,
        .type = rule_text(x->table, x->rule->type),
        .body = rule_text(x->table, x->rule->body),
    };
    exchange_answer_with(x, &answer);
    return true;
}

/* A visitor that does not want the page's type gets what we say otherwise. */
static bool accepts(const struct exchange *x, struct slice type) {
    const struct http_field *accept = http_head_find(&x->request, HTTP_FIELD_ACCEPT);
    if (accept == NULL || slice_find_slice(accept->value, SLICE("*/*")) != SLICE_NONE) {
        return true;
    }
    size_t end = slice_find(type, ';');
    struct slice plain = slice_trim(end == SLICE_NONE ? type : slice_sub(type, 0, end));
    return slice_find_slice(accept->value, plain) != SLICE_NONE;
}

bool exchange_error_page(const struct exchange *x, uint16_t status, struct slice *type,
                         struct slice *body) {
    const struct route_table *table = x->table != NULL ? x->table : x->worker->routes;
    const struct plan_page *page = table == NULL ? NULL : rule_page(table, x->rule, status);
    if (page == NULL || !accepts(x, rule_text(table, page->type))) {
        return false;
    }
    *type = rule_text(table, page->type);
    *body = rule_text(table, page->body);
    return true;
}

/* ---- on the way ---- */

bool exchange_rewrite_request(struct exchange *x) {
    struct rule rule = rule_of(x);
    struct slice host = rule_text(x->table, x->rule->host);
    bool asterisk = x->request.path.len == 1 && x->request.path.data[0] == '*';
    if (x->rule->path_rewrite != PLAN_PATH_STAYS && !asterisk &&
        !rule_rewrite_path(&rule, x->path, &x->arena, &x->request.path)) {
        return false;
    }
    x->request.authority = host.len > 0 ? host : x->request.authority;
    return rule_change_request(&rule, &x->request) && exchange_tell_who(x, &x->request);
}

bool exchange_rewrite_response(struct exchange *x, struct http_head *head) {
    struct rule rule = rule_of(x);
    struct rule_visit visit = visit_of(x);
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == HTTP_FIELD_LOCATION &&
            !rule_location_back(&rule, &visit, &x->arena, &head->fields[i].value)) {
            return false;
        }
    }
    return exchange_cors_response(x, head) && exchange_rate_response(x, head) &&
           rule_change_response(&rule, head);
}
