#include "worker_harness_rate.h"

#include "act/proxy/route_plan.h"

void harness_limit_routes(struct plan *plan, double rate_rps, uint32_t burst) {
    struct slice name = SLICE("all");
    const struct rate_config rate = { .name = "all",
                                      .rate_rps = rate_rps,
                                      .burst = burst,
                                      .whose = PLAN_RATE_CLIENT,
                                      .ipv4_prefix = 32,
                                      .ipv6_prefix = 64,
                                      .status = 429,
                                      .headers = true };
    const struct route_config route = { .policy = { .rate_limits = &name, .rate_limit_count = 1 } };
    struct route_planner planner = { .plan = plan, .rates = &rate, .rate_count = 1 };
    struct plan_rule *rule = &plan->rules[plan->rule_count++];
    *rule = (struct plan_rule){ 0 };
    rate_plan_add(&planner);
    rate_plan_route(&planner, rule, &route);
    for (unsigned i = 0; i < plan->route_count; i++) {
        plan->routes[i].rule = plan->rule_count;
    }
}
