/* Who may use a route and how much, into the plan. */
#include "act/proxy/route_plan.h"
#include "base/buffer.h"

#define LIST_BYTES_MAX 16384

bool policy_plan_is_needed(const struct policy_config *p) {
    return p->timeouts != NULL || p->body_bytes > 0 || p->allow_count + p->deny_count > 0 ||
           p->cors != NULL || p->basic != NULL || p->jwt != NULL || p->rate_limit_count > 0;
}

static bool add_networks(struct plan *plan, struct plan_rule *rule,
                         const struct policy_config *from) {
    rule->network_first = plan->network_count;
    for (size_t i = 0; i < from->allow_count + from->deny_count; i++) {
        struct slice text =
            i < from->allow_count ? from->allow[i] : from->deny[i - from->allow_count];
        if (!route_plan_network(plan, text)) {
            return false;
        }
    }
    rule->allow_count = (uint32_t)from->allow_count;
    rule->deny_count = (uint32_t)from->deny_count;
    return true;
}

static bool add_list(struct plan *plan, const struct slice *list, size_t count,
                     struct slice separator, struct plan_text *out) {
    struct buffer text;
    buffer_init(&text, LIST_BYTES_MAX);
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        good = (i == 0 || buffer_append(&text, separator)) && buffer_append(&text, list[i]);
    }
    good = good && plan_add_text(plan, buffer_slice(&text), out);
    buffer_fini(&text);
    return good;
}

static bool add_cors(struct plan *plan, struct plan_cors *to, const struct cors_config *from) {
    struct buffer age;
    buffer_init(&age, 32);
    bool good = buffer_append_uint(&age, (unsigned long long)(from->max_age_ms / 1000)) &&
                plan_add_text(plan, buffer_slice(&age), &to->max_age) &&
                add_list(plan, from->origins, from->origin_count, SLICE(" "), &to->origins) &&
                add_list(plan, from->methods, from->method_count, SLICE(", "), &to->methods) &&
                add_list(plan, from->headers, from->header_count, SLICE(", "), &to->headers) &&
                add_list(plan, from->expose, from->expose_count, SLICE(", "), &to->expose);
    buffer_fini(&age);
    to->credentials = from->credentials;
    return good;
}

static bool add_basic(struct route_planner *planner, struct plan_rule *rule,
                      const struct basic_config *from) {
    return route_plan_add_shared(planner, from->user_text, &rule->users) &&
           plan_add_text(planner->plan, from->realm, &rule->realm) &&
           plan_add_text(planner->plan, from->header, &rule->user_field);
}

static bool add_claims(struct plan *plan, struct plan_jwt *to, const struct jwt_config *from) {
    to->claim_first = plan->change_count;
    for (size_t i = 0; i < from->claim_count; i++) {
        if (plan->change_count == PLAN_CHANGES_MAX) {
            return false;
        }
        struct plan_change *claim = &plan->changes[plan->change_count++];
        *claim = (struct plan_change){ .kind = PLAN_CHANGE_SET };
        if (!plan_add_text(plan, slice_from(from->claims[i].name), &claim->name) ||
            !plan_add_text(plan, slice_from(from->claims[i].value), &claim->value)) {
            return false;
        }
    }
    to->claim_count = (uint32_t)from->claim_count;
    return true;
}

static bool add_jwt(struct route_planner *planner, struct plan_rule *rule,
                    const struct jwt_config *from) {
    struct plan *plan = planner->plan;
    if (plan->jwt_count == PLAN_JWTS_MAX) {
        return false;
    }
    struct plan_jwt *to = &plan->jwts[plan->jwt_count++];
    *to = (struct plan_jwt){ .algorithms = from->algorithm_bits,
                             .leeway_s = (uint32_t)(from->leeway_ms / 1000) };
    rule->jwt = plan->jwt_count;
    return route_plan_add_shared(planner, from->key_text, &to->keys) &&
           plan_add_text(plan, from->issuer, &to->issuer) &&
           plan_add_text(plan, from->audience, &to->audience) &&
           plan_add_text(plan, from->cookie, &to->cookie) &&
           plan_add_text(plan, from->realm, &to->realm) && add_claims(plan, to, from);
}

bool policy_plan_add(struct route_planner *planner, struct plan_rule *rule,
                     const struct policy_config *from) {
    if (from->timeouts != NULL) {
        rule->connect_timeout_ms = (uint32_t)from->timeouts->connect_ms;
        rule->first_byte_timeout_ms = (uint32_t)from->timeouts->first_byte_ms;
        rule->idle_timeout_ms = (uint32_t)from->timeouts->idle_ms;
        rule->total_timeout_ms = (uint32_t)from->timeouts->total_ms;
    }
    rule->body_bytes = from->body_bytes;
    return add_networks(planner->plan, rule, from) &&
           (from->cors == NULL || add_cors(planner->plan, &rule->cors, from->cors)) &&
           (from->basic == NULL || add_basic(planner, rule, from->basic)) &&
           (from->jwt == NULL || add_jwt(planner, rule, from->jwt));
}
