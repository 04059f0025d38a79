/* The plan: everything that workers go by, built anew from shop and members whenever one of them
 * has changed, published at the end of the turn, and the workers woken. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "act/control/controller_internal.h"
#include "act/proxy/route_plan.h"

#define FOLLOW_US 1000
#define STICKY_ATTRIBUTES_BYTES 256

static void on_publish(struct task *task) {
    planner_publish((struct controller *)((char *)task - offsetof(struct controller, publish)));
}

void planner_change(struct controller *c) {
    c->plan_dirty = true;
    loop_defer(c->loop, &c->publish, on_publish);
}

static bool fill_balance(const struct balance_config *config, struct plan *plan,
                         struct plan_balance *out) {
    char attributes[STICKY_ATTRIBUTES_BYTES];
    const char *name;
    *out = (struct plan_balance){
        .policy = (uint8_t)config->policy,
        .hash = (uint8_t)balance_hash_of(config, &name),
        .hash_balance_factor = (uint16_t)config->hash_balance_factor,
    };
    if (!plan_add_text(plan, slice_from(name), &out->hash_name)) {
        return false;
    }
    if (config->sticky == NULL) {
        return true;
    }
    out->secure = (uint8_t)config->sticky->secure;
    return balance_sticky_attributes(config->sticky, attributes, sizeof attributes) &&
           plan_add_text(plan, slice_from(config->sticky->cookie), &out->cookie) &&
           plan_add_text(plan, slice_from(attributes), &out->cookie_attributes);
}

static bool fill_services(const struct controller *c, struct plan *plan) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        const struct controlled *s = &c->services[i];
        if (!s->used) {
            plan->services[i] = (struct plan_service){ .name = "" };
            continue;
        }
        const struct upstream_config *t = &s->config->timeouts;
        plan->services[i] = (struct plan_service){
            .objective_us = (uint32_t)(s->config->objective.latency_ms * 1000),
            .connect_timeout_ms = (uint32_t)t->connect_ms,
            .first_byte_timeout_ms = (uint32_t)t->first_byte_ms,
            .idle_timeout_ms = (uint32_t)t->idle_ms,
            .total_timeout_ms = (uint32_t)t->total_ms,
            .protocol = (uint8_t)s->config->fleet.protocol,
            .order_by_value = c->shop.overload.order == OVERLOAD_BY_VALUE,
            .queue_max = c->shop.overload.queue,
            .queue_patience_ms = (uint32_t)c->shop.overload.patience_ms,
            .floor_ratio = c->shop.value.floor_ratio,
            .connections_ahead = s->pool.ahead,
            .compression = compression_plan_service(&c->shop.compression, s->config->compression),
        };
        struct plan_service *service = &plan->services[i];
        retry_plan_service(&s->config->retry, &s->config->hedge, &s->config->circuit,
                           c->shop.limits.retries, service);
        memcpy(service->name, s->name, strlen(s->name) + 1);
        plan->service_count = i + 1;
        if (!plan_add_text(plan, t->deadline_field, &service->deadline_field) ||
            !fill_balance(&s->config->balance, plan, &service->balance)) {
            return false;
        }
    }
    return true;
}

/* Both must be said: where nothing is known nothing is far. */
static bool is_elsewhere(const struct controller *c, const struct instance *instance) {
    return c->shop.zone != NULL && instance->zone[0] != '\0' &&
           strcmp(c->shop.zone, instance->zone) != 0;
}

static void fill_endpoints(const struct controller *c, struct plan *plan) {
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        const struct member *m = &c->members[i];
        struct plan_endpoint *e = &plan->endpoints[i];
        *e = (struct plan_endpoint){ .generation = m->generation, .state = ENDPOINT_NONE };
        if (m->instance == NULL) {
            continue;
        }
        e->service = (uint16_t)m->instance->service;
        e->state = (uint8_t)m->state;
        e->cut = m->cut;
        e->address = m->instance->address.storage;
        e->address_len = m->instance->address.len;
        e->weight = (uint16_t)m->instance->weight;
        e->elsewhere = is_elsewhere(c, m->instance);
        memcpy(e->id, m->instance->id, sizeof e->id);
        const struct controlled *s = &c->services[e->service];
        if (s->used && s->config->balance.sticky != NULL) {
            e->sticky_tag = sticky_tag(&c->sticky, s->name, e->id);
        }
        plan->endpoint_count = i + 1;
    }
}

static uint16_t service_index(const void *of, const char *name) {
    const struct controller *c = of;
    for (uint16_t i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (c->services[i].used && strcmp(c->services[i].name, name) == 0) {
            return i;
        }
    }
    return PLAN_SERVICES_MAX;
}

static bool fill_routes(const struct controller *c, struct plan *plan) {
    struct route_planner planner = { .plan = plan,
                                     .services = c,
                                     .service_index = service_index,
                                     .rates = c->shop.rates,
                                     .rate_count = c->shop.rate_count };
    rate_table_resize(&c->config.vitals->rate_table, c->shop.rate_keys);
    if (!route_plan_pages(&planner, c->shop.pages, c->shop.page_count) ||
        !rate_plan_add(&planner)) {
        return false;
    }
    for (size_t i = 0; i < c->shop.route_count; i++) {
        if (!route_plan_add(&planner, &c->shop.routes[i])) {
            return false;
        }
    }
    return true;
}

static bool fill_certificates(const struct controller *c, struct plan *plan) {
    unsigned indices[PLAN_SERVICES_MAX];
    for (size_t i = 0; i < c->shop.service_count; i++) {
        indices[i] = service_index(c, c->shop.services[i].name);
    }
    return certificates_fill(&c->certificates, &c->shop, indices, plan);
}

static bool fill_value(const struct controller *c, struct plan *plan) {
    const struct lifetime *lifetime = &c->inputs.lifetime;
    plan->customer_value_mean = lifetime->mean;
    if (!plan_add_text(plan, c->shop.value.customer.cookie, &plan->customer_cookie) ||
        !plan_add_text(plan, c->shop.value.session.cookie, &plan->session_cookie) ||
        !plan_add_text(plan, SLICE("tidegate"), &plan->via_name)) {
        return false;
    }
    if (lifetime->len == 0) {
        return true;
    }
    if (!plan_begin_customers(plan, lifetime->len)) {
        return false;
    }
    for (uint32_t i = 0; i < lifetime->len; i++) {
        plan_add_customer(plan, lifetime->customers[i].id,
                          (float)lifetime->customers[i].expected_value);
    }
    return true;
}

static void wake_workers(const struct controller *c) {
    uint64_t one = 1;
    for (unsigned i = 0; i < c->config.worker_count; i++) {
        if (write(c->config.wake_fds[i], &one, sizeof one) < 0 && errno != EAGAIN) {
            log_warn("wake_failed", "worker=%u error=\"%s\"", i, strerror(errno));
        }
    }
}

static void on_follow(struct timer *timer) {
    struct controller *c =
        (struct controller *)((char *)timer - offsetof(struct controller, follow_tick));
    if (c->plan_dirty) {
        planner_publish(c);
    } else {
        faults_tick(c);
    }
}

void planner_follow(struct controller *c) {
    timer_start(c->loop, &c->follow_tick, FOLLOW_US, on_follow);
}

void planner_publish(struct controller *c) {
    struct plan *plan = plan_begin(c->config.plans);
    if (plan == NULL) {
        planner_follow(c); /* all slots are in use: the workers move on in a moment */
        return;
    }
    plan->limits = proxy_plan_limits(&c->shop.limits, &c->shop.timeouts);
    plan->log_texts = c->shop.access_log.file != NULL;
    plan->log_query = c->shop.access_log.query;
    fill_endpoints(c, plan);
    if (!fill_services(c, plan) || !fill_routes(c, plan) || !fill_value(c, plan) ||
        !compression_plan(&c->shop.compression, plan) || !fill_certificates(c, plan)) {
        log_error("plan_too_large", "action=keep_the_old_one");
        c->plan_dirty = false;
        return;
    }
    plan_publish(c->config.plans, plan);
    c->plan_dirty = false;
    wake_workers(c);
    faults_tick(c);
}

uint64_t planner_version_in_use(const struct controller *c) {
    uint64_t oldest = UINT64_MAX;
    for (unsigned i = 0; i < c->config.worker_count; i++) {
        const struct vitals_worker *w = &c->config.vitals->workers[i];
        if (atomic_load_explicit(&w->pid, memory_order_relaxed) != 0) {
            uint64_t version = vitals_get(&w->plan_version);
            oldest = version < oldest ? version : oldest;
        }
    }
    return oldest == UINT64_MAX ? plan_version(c->config.plans) : oldest;
}
