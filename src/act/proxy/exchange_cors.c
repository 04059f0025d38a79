/* Cross-origin requests: preflights are answered, answers say who may read them. */
#include "act/proxy/cors.h"
#include "act/proxy/exchange_internal.h"
#include "act/proxy/rule.h"

static struct slice field_of(const struct exchange *x, struct slice name) {
    const struct http_field *field = http_head_find_name(&x->request, name);
    return field != NULL ? field->value : (struct slice){ 0 };
}

static bool has_cors(const struct exchange *x, struct cors *cors) {
    if (x->rule == NULL || x->rule->cors.origins.len == 0) {
        return false;
    }
    const struct plan_cors *c = &x->rule->cors;
    *cors = (struct cors){
        .origins = rule_text(x->table, c->origins),
        .methods = rule_text(x->table, c->methods),
        .headers = rule_text(x->table, c->headers),
        .expose = rule_text(x->table, c->expose),
        .max_age = rule_text(x->table, c->max_age),
        .credentials = c->credentials,
    };
    return true;
}

bool exchange_answer_preflight(struct exchange *x) {
    struct cors cors;
    struct slice origin = field_of(x, SLICE("origin"));
    if (x->request.method != HTTP_OPTIONS || origin.len == 0 ||
        field_of(x, SLICE("access-control-request-method")).len == 0 || !has_cors(x, &cors)) {
        return false;
    }
    if (!cors_allows(&cors, origin)) {
        x->record.flags |= RECORD_BAD_REQUEST;
        exchange_answer(x, 403, REASON_DENIED, "Scripts of this origin may not ask here.");
        return true;
    }
    x->preflight = true;
    exchange_answer_with(x, &(struct own_answer){ .status = 204 });
    return true;
}

static bool add(struct http_head *head, struct slice name, struct slice value) {
    return value.len == 0 || http_head_add(head, name, value);
}

static bool varies_already(const struct http_head *head, struct slice by) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (slice_equal_fold(head->fields[i].name, SLICE("vary")) &&
            (http_list_has(head->fields[i].value, by) ||
             http_list_has(head->fields[i].value, SLICE("*")))) {
            return true;
        }
    }
    return false;
}

/* A star stands for whatever was asked for: with credentials browsers take no star. */
static struct slice or_asked(const struct exchange *x, struct slice list, struct slice field) {
    return slice_equal(list, SLICE("*")) ? field_of(x, field) : list;
}

static bool add_preflight(const struct exchange *x, const struct cors *cors,
                          struct http_head *head) {
    return add(head, SLICE("access-control-allow-methods"),
               or_asked(x, cors->methods, SLICE("access-control-request-method"))) &&
           add(head, SLICE("access-control-allow-headers"),
               or_asked(x, cors->headers, SLICE("access-control-request-headers"))) &&
           add(head, SLICE("access-control-max-age"), cors->max_age) &&
           add(head, SLICE("vary"),
               SLICE("Access-Control-Request-Method, Access-Control-Request-Headers"));
}

/* What the service says of it does not count: the route decides. */
static void remove_foreign(struct http_head *head) {
    size_t kept = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!slice_equal_fold(slice_sub(head->fields[i].name, 0, 15), SLICE("access-control-"))) {
            head->fields[kept++] = head->fields[i];
        }
    }
    head->field_count = kept;
}

bool exchange_cors_response(const struct exchange *x, struct http_head *head) {
    struct cors cors;
    if (!has_cors(x, &cors)) {
        return true;
    }
    struct slice origin = field_of(x, SLICE("origin"));
    bool for_all = cors_is_for_all(&cors);
    remove_foreign(head);
    if (!for_all && !varies_already(head, SLICE("origin")) &&
        !http_head_add(head, SLICE("vary"), SLICE("Origin"))) {
        return false;
    }
    if (origin.len == 0 || !cors_allows(&cors, origin)) {
        return true;
    }
    return add(head, SLICE("access-control-allow-origin"), for_all ? SLICE("*") : origin) &&
           (!cors.credentials ||
            add(head, SLICE("access-control-allow-credentials"), SLICE("true"))) &&
           (x->preflight ? add_preflight(x, &cors, head)
                         : add(head, SLICE("access-control-expose-headers"), cors.expose));
}
