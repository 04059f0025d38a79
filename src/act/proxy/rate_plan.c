/* Rate limits out of the configuration into the plan. */
#include <xxhash.h>

#include "act/proxy/route_plan.h"
#include "base/buffer.h"
#include "decide/admission/rate_limit.h"

#define POLICY_BYTES_MAX 128
#define NS_PER_S 1000000000u

/* As draft-ietf-httpapi-ratelimit-headers has it: the quota, and the window in which it comes back
 * whole. */
static bool add_policy(struct plan *plan, struct plan_rate *rate) {
    struct slice name = plan_slice(plan, rate->name);
    struct buffer text;
    buffer_init(&text, POLICY_BYTES_MAX);
    bool good = buffer_printf(&text, "\"%.*s\";q=%u;w=%llu", SLICE_ARG(name), rate->burst,
                              (unsigned long long)((rate->span_ns + NS_PER_S - 1) / NS_PER_S)) &&
                plan_add_text(plan, buffer_slice(&text), &rate->policy);
    buffer_fini(&text);
    return good;
}

static bool add_rate(struct plan *plan, const struct rate_config *from) {
    struct slice name = slice_from(from->name);
    if (plan->rate_count == PLAN_RATES_MAX) {
        return false;
    }
    struct rate_limit limit = rate_limit_of(from->rate_rps, from->burst);
    struct plan_rate *to = &plan->rates[plan->rate_count++];
    *to = (struct plan_rate){
        .id = XXH3_64bits(name.data, name.len) | 1, /* never 0 */
        .interval_ns = limit.interval_ns,
        .span_ns = limit.span_ns,
        .burst = from->burst,
        .status = (uint16_t)from->status,
        .by = (uint8_t)from->whose,
        .v4_bits = (uint8_t)from->ipv4_prefix,
        .v6_bits = (uint8_t)from->ipv6_prefix,
        .dry_run = from->dry_run,
        .tells = from->headers && !from->dry_run,
    };
    return plan_add_text(plan, name, &to->name) && plan_add_text(plan, from->field, &to->field) &&
           add_policy(plan, to);
}

bool rate_plan_add(struct route_planner *planner) {
    for (size_t i = 0; i < planner->rate_count; i++) {
        if (!add_rate(planner->plan, &planner->rates[i])) {
            return false;
        }
    }
    return true;
}

bool rate_plan_route(const struct route_planner *planner, struct plan_rule *rule,
                     const struct route_config *route) {
    const struct policy_config *policy = &route->policy;
    rule->rate_key =
        XXH3_64bits_withSeed(route->path.data, route->path.len,
                             XXH3_64bits_withSeed(route->host.data, route->host.len, route->match));
    for (size_t i = 0; i < policy->rate_limit_count; i++) {
        size_t found =
            rate_config_find(planner->rates, planner->rate_count, policy->rate_limits[i]);
        if (found == planner->rate_count || i == PLAN_RULE_RATES_MAX) {
            return false;
        }
        rule->rates[rule->rate_count++] = (uint8_t)found;
    }
    return true;
}
