#include "act/control/calls_config.h"

#include <stdio.h>
#include <string.h>

#include "act/control/shop.h"
#include "act/shm/plan.h"
#include "base/parse.h"

bool calls_ratio(const char *text, double *ratio) {
    double value;
    if (!parse_double(slice_from(text), &value) || !(value > 0) || value > CALLS_RATIO_MAX) {
        return false;
    }
    *ratio = value;
    return true;
}

static void check_call(const struct config_place *at, const struct shop *shop,
                       const struct config_pair *call) {
    double ratio;
    if (shop_service(shop, slice_from(call->name)) == NULL) {
        const char *names[PLAN_SERVICES_MAX];
        size_t count = 0;
        for (; count < shop->service_count && count < PLAN_SERVICES_MAX; count++) {
            names[count] = shop->services[count].name;
        }
        const char *near = config_nearest(slice_from(call->name), names, count);
        config_place_error(at, "calls", "calls: there is no '%s'%s%s%s", call->name,
                           near != NULL ? ": did you mean '" : "", near != NULL ? near : "",
                           near != NULL ? "'?" : "");
    } else if (!calls_ratio(call->value, &ratio)) {
        config_place_error(at, "calls",
                           "calls: expected calls for each request, above 0 and at most %g, for "
                           "%s, found '%s'",
                           CALLS_RATIO_MAX, call->name, call->value);
    }
}

/* ---- cycles ---- */

struct walk {
    const struct shop *shop;
    size_t path[PLAN_SERVICES_MAX]; /* from where we came */
    size_t depth;
    bool done[PLAN_SERVICES_MAX]; /* nothing below it leads back */
};

static size_t index_of(const struct shop *shop, const char *name) {
    const struct service_config *service = shop_service(shop, slice_from(name));
    return service == NULL ? SIZE_MAX : (size_t)(service - shop->services);
}

static bool find_cycle(struct walk *walk, size_t at) {
    const struct service_config *service = &walk->shop->services[at];
    for (size_t i = 0; i < walk->depth; i++) {
        if (walk->path[i] == at) { /* from here on round */
            memmove(walk->path, walk->path + i, (walk->depth - i) * sizeof walk->path[0]);
            walk->depth -= i;
            return true;
        }
    }
    if (walk->done[at]) {
        return false;
    }
    walk->path[walk->depth++] = at;
    for (size_t i = 0; i < service->call_count; i++) {
        size_t next = index_of(walk->shop, service->calls[i].name);
        if (next != SIZE_MAX && find_cycle(walk, next)) {
            return true;
        }
    }
    walk->depth--;
    walk->done[at] = true;
    return false;
}

static void say_cycle(const struct config_place *place, const struct walk *walk) {
    const struct service_config *services = walk->shop->services;
    char words[512] = "";
    for (size_t i = 0; i < walk->depth; i++) {
        size_t len = strlen(words);
        snprintf(words + len, sizeof words - len, "%s -> ", services[walk->path[i]].name);
    }
    struct config_place at = config_place_item(place, "services", walk->path[0]);
    config_place_error(&at, "calls",
                       "calls: expected no cycle, found %s%s: a plan for one would scale itself",
                       words, services[walk->path[0]].name);
}

void calls_config_check(const struct config_place *place, const struct shop *shop) {
    static struct walk walk;
    if (shop->service_count > PLAN_SERVICES_MAX) {
        return; /* told already */
    }
    for (size_t i = 0; i < shop->service_count; i++) {
        struct config_place at = config_place_item(place, "services", i);
        for (size_t k = 0; k < shop->services[i].call_count; k++) {
            check_call(&at, shop, &shop->services[i].calls[k]);
        }
    }
    walk = (struct walk){ .shop = shop };
    for (size_t i = 0; i < shop->service_count; i++) {
        if (find_cycle(&walk, i)) {
            say_cycle(place, &walk);
            return; /* one is enough to think about */
        }
    }
}
