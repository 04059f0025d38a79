/* Instances that somebody else runs, at the addresses of the configuration. */
#include <stdio.h>
#include <string.h>

#include "act/fleet/provider.h"
#include "base/log.h"
#include "wire/net/resolve.h"

#define DEFAULT_PORT 80

static bool start(struct fleet *fleet, struct instance *instance, struct error *err) {
    (void)fleet;
    return error_set(err, ERROR_INVALID, "%s is not ours to start", instance->id);
}

static void stop(struct instance *instance, bool at_once) {
    (void)at_once;
    instance_ended(instance, -1);
}

static void release(struct instance *instance) {
    (void)instance;
}

const struct provider static_provider = { start, stop, release };

static struct instance *find_address(struct fleet *fleet, unsigned service,
                                     const struct address *address) {
    for (struct instance *i = fleet_first(fleet); i != NULL; i = fleet_next(fleet, i)) {
        if (i->service == service && i->pid == 0 && i->phase != INSTANCE_STOPPING &&
            address_equal(&i->address, address)) {
            return i;
        }
    }
    return NULL;
}

static void on_resolve_again(struct timer *timer) {
    struct fleet *fleet = (struct fleet *)((char *)timer - offsetof(struct fleet, resolve_again));
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        const struct fleet_service *s = &fleet->services[i];
        if (s->config != NULL && s->config->kind == FLEET_STATIC && s->trouble[0] != '\0') {
            static_refresh(fleet, i);
        }
    }
}

static void set_place(struct instance *instance, const struct endpoint_config *endpoint) {
    instance->weight = endpoint->weight;
    snprintf(instance->zone, sizeof instance->zone, "%s",
             endpoint->zone == NULL ? "" : endpoint->zone);
}

/* Names that are not known now are asked again; what runs stays meanwhile. */
static bool add_endpoint(struct fleet *fleet, unsigned service,
                         const struct endpoint_config *endpoint, struct address *seen,
                         size_t *seen_count) {
    struct fleet_service *s = &fleet->services[service];
    struct address found[RESOLVE_MAX];
    size_t count = 0;
    struct error err;
    if (!resolve(slice_from(endpoint->address), DEFAULT_PORT, found, &count, &err)) {
        snprintf(s->trouble, sizeof s->trouble, "%.400s", err.text);
        log_warn("endpoint_not_found", "service=%s endpoint=%s error=\"%s\"", s->name,
                 endpoint->address, err.text);
        timer_start(fleet->loop, &fleet->resolve_again, (uint64_t)FLEET_RESOLVE_AGAIN_MS * 1000,
                    on_resolve_again);
        return false;
    }
    for (size_t i = 0; i < count && *seen_count < PLAN_ENDPOINTS_MAX; i++) {
        seen[(*seen_count)++] = found[i];
        struct instance *instance = find_address(fleet, service, &found[i]);
        if (instance != NULL) {
            set_place(instance, endpoint);
            continue;
        }
        instance = instance_new(fleet, service, &static_provider);
        char name[ADDRESS_TEXT_BYTES];
        if (instance == NULL) {
            return false;
        }
        set_place(instance, endpoint);
        address_format(&found[i], name);
        snprintf(instance->id, sizeof instance->id, "%.63s", name);
        instance->address = found[i];
        instance_watch_health(instance);
    }
    return true;
}

static void forget_others(struct fleet *fleet, unsigned service, const struct address *seen,
                          size_t seen_count) {
    for (struct instance *i = fleet_first(fleet); i != NULL; i = fleet_next(fleet, i)) {
        bool wanted = i->service != service || i->pid != 0 || i->phase == INSTANCE_STOPPING;
        for (size_t k = 0; k < seen_count && !wanted; k++) {
            wanted = address_equal(&i->address, &seen[k]);
        }
        if (!wanted) {
            fleet_stop(fleet, i);
        }
    }
}

void static_refresh(struct fleet *fleet, unsigned service) {
    static struct address seen[PLAN_ENDPOINTS_MAX];
    struct fleet_service *s = &fleet->services[service];
    size_t seen_count = 0;
    bool all = true;
    if (s->config != NULL && s->config->kind != FLEET_STATIC) {
        return; /* the controller lets go of those that were, once others serve */
    }
    if (s->config != NULL) {
        s->trouble[0] = '\0';
        for (size_t i = 0; i < s->config->endpoint_len; i++) {
            all &= add_endpoint(fleet, service, &s->config->endpoints[i], seen, &seen_count);
        }
    }
    if (all) {
        forget_others(fleet, service, seen, seen_count);
    }
}
