/* Rate limits of a route: all of them must have a token for the request, and none loses one when
 * another refuses. What is left is told in RateLimit fields (draft-ietf-httpapi-ratelimit-headers).
 */
#include <string.h>

#include "act/proxy/exchange_internal.h"
#include "act/proxy/route_table_internal.h"
#include "act/proxy/rule.h"
#include "wire/http/cookie.h"
#include "wire/net/network.h"

#define NS_PER_S 1000000000u
#define STANDING_BYTES 96 /* of one limit: its name, two numbers, punctuation */

/* ---- whose bucket ---- */

/* Who it is, and by what it was found. */
struct who {
    struct slice text;
    enum plan_rate_by by;
    uint8_t room[16];
};

static void find_network(const struct exchange *x, const struct plan_rate *rate, struct who *who) {
    network_of(x->who->ip, rate->v4_bits, rate->v6_bits, who->room);
    who->text = slice_of((const char *)who->room, sizeof who->room);
    who->by = PLAN_RATE_CLIENT;
}

static struct slice header_of(const struct exchange *x, struct slice name) {
    const struct http_field *field = http_head_find_name(&x->request, name);
    return field == NULL ? SLICE("") : field->value;
}

static struct slice cookie_of(const struct exchange *x, struct slice name) {
    struct slice value;
    return name.len > 0 && cookie_find(&x->request, name, &value) ? value : SLICE("");
}

static void find_who(const struct exchange *x, const struct plan_rate *rate, struct who *who) {
    const struct plan *plan = x->worker->plan;
    who->by = (enum plan_rate_by)rate->by;
    switch (who->by) {
    case PLAN_RATE_ROUTE:
        memcpy(who->room, &x->rule->rate_key, sizeof x->rule->rate_key);
        who->text = slice_of((const char *)who->room, sizeof x->rule->rate_key);
        break;
    case PLAN_RATE_HEADER:
        who->text = header_of(x, rule_text(x->table, rate->field));
        break;
    case PLAN_RATE_COOKIE:
        who->text = cookie_of(x, rule_text(x->table, rate->field));
        break;
    case PLAN_RATE_CUSTOMER:
        who->text = cookie_of(x, plan_slice(plan, plan->customer_cookie));
        break;
    case PLAN_RATE_CLIENT:
        who->text = SLICE("");
        break;
    }
    if (who->text.len == 0) {
        find_network(x, rate, who);
    }
}

/* ---- taking ---- */

struct standing { /* at one limit */
    const struct plan_rate *rate;
    enum rate_result result;
    struct rate_taken taken;
};

static struct rate_limit limit_of(const struct plan_rate *rate) {
    return (struct rate_limit){ rate->interval_ns, rate->span_ns };
}

static void count_place(struct vitals_worker *own, const struct standing *s) {
    if (s->result == RATE_TABLE_FULL) {
        vitals_add(&own->rate_table_full, 1);
    } else if (s->taken.place == RATE_PLACE_OF_FULL) {
        vitals_add(&own->rate_keys_evicted, 1);
    } else if (s->taken.place == RATE_PLACE_EARLY) {
        vitals_add(&own->rate_keys_evicted_early, 1);
    }
}

static void ask(struct exchange *x, struct standing *s, uint64_t now_ns) {
    struct rate_table *table = &x->worker->vitals->rate_table;
    struct rate_limit limit = limit_of(s->rate);
    struct who who;
    find_who(x, s->rate, &who);
    uint64_t hash = rate_table_hash(table, s->rate->id ^ (uint64_t)who.by << 1, who.text);
    s->result = rate_table_take(table, hash, &limit, now_ns, &s->taken);
    count_place(x->worker->own, s);
}

static void count(struct exchange *x, const struct standing *s, uint8_t index) {
    struct vitals_rate *v = &x->worker->own->rates[index];
    vitals_add(s->result == RATE_REFUSED ? &v->refused : &v->allowed, 1);
    if (s->result == RATE_REFUSED && s->rate->dry_run) {
        x->record.flags |= RECORD_RATE_DRY_RUN;
    }
}

/* ---- telling ---- */

static uint64_t seconds_up(uint64_t ns) {
    return (ns + NS_PER_S - 1) / NS_PER_S;
}

/* "api";r=7;t=2: tokens left, seconds until all are back. */
static char *put_standing(const struct exchange *x, const struct standing *s, uint64_t now_ns,
                          char *at) {
    struct rate_limit limit = limit_of(s->rate);
    uint64_t full_at_ns = s->result == RATE_TABLE_FULL ? 0 : s->taken.full_at_ns;
    *at++ = '"';
    at = slice_put(at, rule_text(x->table, s->rate->name));
    at = slice_put(at, SLICE("\";r="));
    at = slice_put_uint(at, rate_limit_remaining(&limit, full_at_ns, now_ns));
    at = slice_put(at, SLICE(";t="));
    return slice_put_uint(at, full_at_ns > now_ns ? seconds_up(full_at_ns - now_ns) : 0);
}

/* Both fields, in the arena; when that is full they are left out. */
static void note_fields(struct exchange *x, const struct standing *all, unsigned count,
                        uint64_t now_ns) {
    size_t policy_bytes = 0, telling = 0;
    for (unsigned i = 0; i < count; i++) {
        telling += all[i].rate->tells;
        policy_bytes += all[i].rate->policy.len + 2;
    }
    if (telling == 0) {
        return;
    }
    char *policy = arena_alloc(&x->arena, policy_bytes);
    char *standing = arena_alloc(&x->arena, (size_t)count * STANDING_BYTES);
    if (policy == NULL || standing == NULL) {
        return;
    }
    char *policy_at = policy, *standing_at = standing;
    for (unsigned i = 0; i < count; i++) {
        if (!all[i].rate->tells) {
            continue;
        }
        if (policy_at != policy) {
            policy_at = slice_put(policy_at, SLICE(", "));
            standing_at = slice_put(standing_at, SLICE(", "));
        }
        policy_at = slice_put(policy_at, rule_text(x->table, all[i].rate->policy));
        standing_at = put_standing(x, &all[i], now_ns, standing_at);
    }
    x->rate_policy = slice_of(policy, (size_t)(policy_at - policy));
    x->rate_standing = slice_of(standing, (size_t)(standing_at - standing));
}

bool exchange_rate_response(const struct exchange *x, struct http_head *head) {
    return x->rate_policy.len == 0 ||
           (http_head_add(head, SLICE("ratelimit-policy"), x->rate_policy) &&
            http_head_add(head, SLICE("ratelimit"), x->rate_standing));
}

/* ---- both ---- */

static void refuse(struct exchange *x, const struct standing *s, uint64_t now_ns) {
    struct rate_limit limit = limit_of(s->rate);
    uint64_t wait_ns = rate_limit_wait_ns(&limit, s->taken.full_at_ns, now_ns);
    x->retry_after_s = (uint32_t)seconds_up(wait_ns);
    x->record.flags |= RECORD_BAD_REQUEST;
    exchange_answer(x, s->rate->status, REASON_RATE_LIMITED,
                    "This was asked too often. Please wait a moment.");
}

bool exchange_is_within_rates(struct exchange *x) {
    struct standing all[PLAN_RULE_RATES_MAX];
    const struct plan_rule *rule = x->rule;
    uint64_t now_ns = exchange_now_us(x) * 1000;
    unsigned asked = 0;
    bool refused = false;
    while (asked < rule->rate_count && !refused) {
        struct standing *s = &all[asked];
        s->rate = &x->table->rates[rule->rates[asked]];
        ask(x, s, now_ns);
        refused = s->result == RATE_REFUSED && !s->rate->dry_run;
        asked++;
    }
    for (unsigned i = 0; i < asked; i++) {
        if (refused && all[i].result == RATE_PASSED) {
            struct rate_limit limit = limit_of(all[i].rate);
            rate_table_give_back(&all[i].taken, &limit);
            all[i].taken.full_at_ns -= limit.interval_ns;
        } else {
            count(x, &all[i], rule->rates[i]);
        }
    }
    note_fields(x, all, asked, now_ns);
    if (refused) {
        refuse(x, &all[asked - 1], now_ns);
    }
    return !refused;
}
