/* What a route does beside going to its service, into the plan. */
#include "act/proxy/route_plan.h"

static bool add_shares(struct route_planner *planner, struct plan_rule *rule,
                       const struct rule_config *from) {
    struct plan *plan = planner->plan;
    uint32_t sum = 0;
    rule->share_first = plan->share_count;
    for (size_t i = 0; i < from->split_count; i++) {
        uint32_t weight = 0;
        if (plan->share_count == PLAN_SHARES_MAX || !rule_weight(from->split[i].value, &weight)) {
            return false;
        }
        sum += weight;
        plan->shares[plan->share_count++] = (struct plan_share){
            .service = planner->service_index(planner->services, from->split[i].name),
            .up_to = sum,
        };
    }
    rule->share_count = (uint32_t)from->split_count;
    return true;
}

static bool add_change(struct plan *plan, enum plan_change_kind kind, struct slice name,
                       struct slice value) {
    if (plan->change_count == PLAN_CHANGES_MAX) {
        return false;
    }
    struct plan_change *to = &plan->changes[plan->change_count++];
    *to = (struct plan_change){ .kind = (uint8_t)kind };
    return plan_add_text(plan, name, &to->name) && plan_add_text(plan, value, &to->value);
}

static bool add_changes(struct plan *plan, const struct changes_config *from, uint8_t *count) {
    uint32_t first = plan->change_count;
    bool good = true;
    if (from == NULL) {
        return true;
    }
    for (size_t i = 0; good && i < from->remove_count; i++) {
        good = add_change(plan, PLAN_CHANGE_REMOVE, from->remove[i], (struct slice){ 0 });
    }
    for (size_t i = 0; good && i < from->set_count; i++) {
        good = add_change(plan, PLAN_CHANGE_SET, slice_from(from->set[i].name),
                          slice_from(from->set[i].value));
    }
    for (size_t i = 0; good && i < from->add_count; i++) {
        good = add_change(plan, PLAN_CHANGE_ADD, slice_from(from->add[i].name),
                          slice_from(from->add[i].value));
    }
    *count = (uint8_t)(plan->change_count - first);
    return good;
}

static bool add_page(struct route_planner *planner, const struct page_config *from) {
    struct plan *plan = planner->plan;
    if (plan->page_count == PLAN_PAGES_MAX) {
        return false;
    }
    struct plan_page *to = &plan->pages[plan->page_count++];
    *to = (struct plan_page){ .status = from->code };
    return plan_add_text(plan, from->type, &to->type) &&
           route_plan_add_shared(planner, from->body, &to->body);
}

bool route_plan_pages(struct route_planner *planner, const struct page_config *pages,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!add_page(planner, &pages[i])) {
            return false;
        }
    }
    planner->plan->own_page_count = (uint32_t)count;
    return true;
}

static bool add_rewrite(struct plan *plan, struct plan_rule *rule,
                        const struct rewrite_config *from) {
    rule->path_rewrite = from->has_prefix ? PLAN_PATH_PREFIX
                         : from->has_path ? PLAN_PATH_TEMPLATE
                                          : PLAN_PATH_STAYS;
    return plan_add_text(plan, from->has_prefix ? from->prefix : from->path, &rule->path) &&
           plan_add_text(plan, from->pattern, &rule->pattern) &&
           plan_add_text(plan, from->host, &rule->host);
}

static bool add_answer(struct route_planner *planner, struct plan_rule *rule,
                       const struct rule_config *from) {
    struct plan *plan = planner->plan;
    if (from->redirect != NULL) {
        rule->answer = PLAN_ANSWER_REDIRECT;
        rule->status = (uint16_t)from->redirect->status;
        rule->port = (uint16_t)from->redirect->port;
        return add_rewrite(plan, rule, &from->redirect->to) &&
               plan_add_text(plan, from->redirect->host, &rule->host) &&
               plan_add_text(plan, from->redirect->scheme, &rule->scheme);
    }
    if (from->respond != NULL) {
        rule->answer = PLAN_ANSWER_FIXED;
        rule->status = (uint16_t)from->respond->status;
        return plan_add_text(plan, from->respond->type, &rule->type) &&
               route_plan_add_shared(planner, from->respond->body, &rule->body);
    }
    return from->rewrite == NULL || add_rewrite(plan, rule, from->rewrite);
}

static bool is_needed(const struct rule_config *r) {
    return r->redirect != NULL || r->respond != NULL || r->rewrite != NULL || r->request != NULL ||
           r->response != NULL || r->split_count + r->page_count > 0;
}

bool rule_plan_add(struct route_planner *planner, const struct route_config *route,
                   uint32_t *index) {
    struct plan *plan = planner->plan;
    const struct rule_config *from = &route->rule;
    if (!is_needed(from) && !policy_plan_is_needed(&route->policy)) {
        *index = 0;
        return true;
    }
    if (plan->rule_count == PLAN_RULES_MAX) {
        return false;
    }
    struct plan_rule *rule = &plan->rules[plan->rule_count++];
    *rule = (struct plan_rule){ .change_first = plan->change_count };
    *index = plan->rule_count;
    if (!add_shares(planner, rule, from) || !add_answer(planner, rule, from) ||
        !add_changes(plan, from->request, &rule->request_changes) ||
        !add_changes(plan, from->response, &rule->response_changes) ||
        !policy_plan_add(planner, rule, &route->policy) || !rate_plan_route(planner, rule, route)) {
        return false;
    }
    rule->page_first = plan->page_count;
    for (size_t i = 0; i < from->page_count; i++) {
        if (!add_page(planner, &from->pages[i])) {
            return false;
        }
    }
    rule->page_count = (uint8_t)from->page_count;
    return true;
}
