/* Who may use a route, how long and how large: from its rule, else from the service and the limits.
 */
#include <string.h>

#include "act/proxy/exchange_internal.h"
#include "act/proxy/route_table_internal.h"
#include "wire/net/network.h"

uint64_t exchange_body_max(const struct exchange *x) {
    uint64_t own = x->rule != NULL ? x->rule->body_bytes : 0;
    return own > 0 ? own : x->worker->limits.body_bytes;
}

/* The bits of the smallest network that the address is in, + 1; 0: in none. */
static unsigned smallest(const struct plan_network *networks, uint32_t count,
                         const uint8_t ip[16]) {
    unsigned best = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct network network = { .bits = networks[i].bits };
        memcpy(network.ip, networks[i].ip, sizeof network.ip);
        if (network.bits + 1u > best && network_contains(&network, ip)) {
            best = network.bits + 1u;
        }
    }
    return best;
}

static bool is_denied(const struct exchange *x) {
    const struct plan_rule *r = x->rule;
    if (r->allow_count + r->deny_count == 0) {
        return false;
    }
    const struct plan_network *networks = &x->table->networks[r->network_first];
    unsigned allowed = smallest(networks, r->allow_count, x->who->ip);
    unsigned denied = smallest(networks + r->allow_count, r->deny_count, x->who->ip);
    return allowed == 0 && denied == 0 ? r->allow_count > 0 : denied >= allowed;
}

bool exchange_is_allowed(struct exchange *x) {
    if (is_denied(x)) {
        x->record.flags |= RECORD_BAD_REQUEST;
        exchange_answer_and_close(x, 403, REASON_DENIED, "This is not open to your network.");
        return false;
    }
    if (exchange_answer_preflight(x)) {
        return false;
    }
    if (x->rule->rate_count > 0) {
        if (!exchange_is_within_rates(x)) {
            return false;
        }
        exchange_count_offered(x);
    }
    /* Nobody shall send a password to where he is only sent elsewhere. */
    return x->rule->answer == PLAN_ANSWER_REDIRECT || exchange_is_authenticated(x);
}
