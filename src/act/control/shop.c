#include "act/control/shop.h"

#include <stdio.h>
#include <string.h>

#include "act/control/calls_config.h"
#include "act/shm/plan.h"
#include "act/shm/rate_table.h"
#include "record/store/store.h"
#include "wire/net/network.h"

#define SHOP_ARENA_BYTES (64u << 20)
#define SHOP(member) offsetof(struct shop, member)
#define SERVICE(member) offsetof(struct service_config, member)
#define JOB(member) offsetof(struct job_config, member)

/* ---- admin, log ---- */

static void check_admin(const struct config_place *place, void *item) {
    const char *const *text = item;
    struct address address;
    struct error err;
    if (*text != NULL && !address_parse(slice_from(*text), 0, &address, &err)) {
        config_place_error(place, "address", "address: %s", err.text);
    }
}

static const char *const anonymous_choices[] = { "auto", "viewer", "none", NULL };
#define ADMIN(member) (SHOP(admin.member) - SHOP(admin))
static const struct config_field admin_fields[] = {
    { "address", CONFIG_TEXT, ADMIN(address), .fallback = SHOP_ADMIN_DEFAULT,
      .help = "dashboard, API and /metrics; read at the start only" },
    { "anonymous", CONFIG_CHOICE, ADMIN(anonymous), .choices = anonymous_choices,
      .fallback = "auto",
      .help = "what somebody without a token may do there: read, or nothing; `auto`: read where "
              "only this machine reaches the address; changes always need a token "
              "(`tidegate token`); read at the start only" },
    { "hosts", CONFIG_SLICE, ADMIN(hosts), .many = true, .count_offset = ADMIN(host_count),
      .help = "further names under which a browser may ask for it" },
};
static const struct config_table admin_table =
    CONFIG_TABLE_CHECKED(typeof(((struct shop *)0)->admin), admin_fields, check_admin);

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const struct config_field log_fields[] = {
    { "level", CONFIG_CHOICE, 0, .choices = log_levels, .fallback = "info",
      .help = "the least that is written to stderr" },
};
static const struct config_table log_table =
    CONFIG_TABLE(typeof(((struct shop *)0)->log), log_fields);

/* ---- services ---- */

static const struct config_field service_fields[] = {
    { "fleet", CONFIG_INLINE, SERVICE(fleet), .table = &fleet_config_table },
    { "instances", CONFIG_BLOCK, SERVICE(instances), .table = &instances_config_table,
      .help = "how many" },
    { "unit", CONFIG_BLOCK, SERVICE(unit), .table = &unit_config_table,
      .help = "what one instance is and costs" },
    { "objective", CONFIG_BLOCK, SERVICE(objective), .table = &objective_config_table,
      .help = "what a good answer is" },
    { "timeouts", CONFIG_BLOCK, SERVICE(timeouts), .table = &upstream_config_table,
      .help = "towards the instances" },
    { "balance", CONFIG_BLOCK, SERVICE(balance), .table = &balance_config_table,
      .help = "which instance gets a request" },
    { "compression", CONFIG_CHOICE, SERVICE(compression), .choices = compression_switches,
      .fallback = "default", .help = "`default`: as `compression.enabled` says" },
    { "dial", CONFIG_INLINE, SERVICE(dial), .table = &dial_config_table },
    { "retry", CONFIG_BLOCK, SERVICE(retry), .table = &retry_config_table,
      .help = "what is sent again when no good answer comes" },
    { "hedge", CONFIG_BLOCK, SERVICE(hedge), .table = &hedge_config_table,
      .help = "a second attempt for slow reads" },
    { "limits", CONFIG_BLOCK, SERVICE(circuit), .table = &circuit_config_table,
      .help = "how much may go to it at once" },
    { "calls", CONFIG_PAIRS, SERVICE(calls), .count_offset = SERVICE(call_count),
      .help = "services that it calls, and how often for each of its requests: what it will be "
              "asked for is planned there, too" },
};
static const struct config_table service_table =
    CONFIG_TABLE(struct service_config, service_fields);

/* ---- what later versions carry out ---- */

static const char *const job_classes[] = { "on_demand", "spot", NULL };
static const struct config_field job_fields[] = {
    { "command", CONFIG_TEXT, JOB(command), .many = true, .count_offset = JOB(command_len),
      .required = true, .help = "what it runs" },
    { "deadline", CONFIG_DURATION, JOB(deadline_ms), .help = "done by then" },
    { "class", CONFIG_CHOICE, JOB(class), .choices = job_classes, .fallback = "on_demand",
      .help = "on which capacity" },
};
static const struct config_table job_table = CONFIG_TABLE(struct job_config, job_fields);

static const struct config_field rollout_fields[] = {
    { "steps", CONFIG_SHARE, offsetof(struct rollout_config, steps), .many = true, .items_max = 16,
      .count_offset = offsetof(struct rollout_config, step_count),
      .help = "shares of the traffic that a candidate gets, one after the other" },
    { "guard", CONFIG_TEXT, offsetof(struct rollout_config, guard), .many = true,
      .count_offset = offsetof(struct rollout_config, guard_len),
      .help = "what must not get worse" },
};
static const struct config_table rollout_table =
    CONFIG_TABLE(struct rollout_config, rollout_fields);

/* ---- the whole ---- */

static bool name_is_good(const char *name) {
    size_t len = strlen(name);
    return len > 0 && len <= 40 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

static void check_services(const struct config_place *place, const struct shop *shop) {
    if (shop->service_count == 0 && config_place_has(place, "services")) {
        config_place_error(place, "services", "services: expected at least one");
    }
    if (shop->service_count > PLAN_SERVICES_MAX) {
        config_place_error(place, "services", "services: expected at most %d, found %zu",
                           PLAN_SERVICES_MAX, shop->service_count);
    }
    for (size_t i = 0; i < shop->service_count; i++) {
        const struct service_config *service = &shop->services[i];
        struct config_place at = config_place_item(place, "services", i);
        instances_check_budget(&at, &service->instances, &service->unit);
        if (service->fleet.protocol == FLEET_PROTOCOL_H2 && service->dial.proxy_protocol > 0) {
            config_place_error(
                &at, "proxy_protocol",
                "proxy_protocol: expected none with `protocol: h2`, whose connections "
                "are shared by many visitors");
        }
        if (!name_is_good(shop->services[i].name)) {
            config_place_error(&at, NULL,
                               "'%s': expected a name of at most 40 letters, digits, '-', '_', '.'",
                               shop->services[i].name);
        }
    }
}

static void report_no_service(const struct config_place *at, const struct shop *shop,
                              const char *name) {
    const char *names[PLAN_SERVICES_MAX];
    size_t count = 0;
    for (; count < shop->service_count && count < PLAN_SERVICES_MAX; count++) {
        names[count] = shop->services[count].name;
    }
    const char *near = config_nearest(slice_from(name), names, count);
    const char *key = config_place_has(at, "service") ? "service" : "split";
    config_place_error(at, key, "%s: there is no '%s'%s%s%s", key, name,
                       near != NULL ? ": did you mean '" : "", near != NULL ? near : "",
                       near != NULL ? "'?" : "");
}

static void check_routes(const struct config_place *place, const struct shop *shop) {
    if (shop->route_count == 0 && config_place_has(place, "routes")) {
        config_place_error(place, "routes",
                           "routes: expected at least one, such as { path: /, service: %s }",
                           shop->service_count > 0 ? shop->services[0].name : "storefront");
    }
    if (shop->page_count > RULE_PAGES_MAX) {
        config_place_error(place, "error_pages", "error_pages: expected at most %d",
                           RULE_PAGES_MAX);
    }
    if (shop->route_count > PLAN_ROUTES_MAX) {
        config_place_error(place, "routes", "routes: expected at most %d, found %zu",
                           PLAN_ROUTES_MAX, shop->route_count);
        return;
    }
    size_t most = 0;
    const char *exceeded = route_config_exceeds(shop->routes, shop->route_count, &most);
    if (exceeded != NULL) {
        config_place_error(place, "routes", "routes: expected at most %zu %s in all", most,
                           exceeded);
    }
    for (size_t i = 0; i < shop->route_count; i++) {
        const struct route_config *route = &shop->routes[i];
        struct config_place at = config_place_item(place, "routes", i);
        if (route->service != NULL && shop_service(shop, slice_from(route->service)) == NULL) {
            report_no_service(&at, shop, route->service);
        }
        rate_config_check_route(&at, shop->rates, shop->rate_count, route->policy.rate_limits,
                                route->policy.rate_limit_count);
        for (size_t k = 0; k < route->rule.split_count; k++) {
            if (shop_service(shop, slice_from(route->rule.split[k].name)) == NULL) {
                report_no_service(&at, shop, route->rule.split[k].name);
            }
        }
    }
    route_config_warn_of_doubles(place, shop->routes, shop->route_count);
}

static void check_networks(const struct config_place *place, const char *key,
                           const struct slice *texts, size_t count) {
    struct network network;
    struct error err;
    if (count > PLAN_TRUSTED_MAX) {
        config_place_error(place, key, "%s: expected at most %d", key, PLAN_TRUSTED_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (!network_parse(texts[i], &network, &err)) {
            struct config_place at = config_place_item(place, key, i);
            config_place_error(&at, NULL, "%s: %s", key, err.text);
        }
    }
}

static void check_trusted(const struct config_place *place, const struct shop *shop) {
    check_networks(place, "trusted_proxies", shop->trusted_proxies, shop->trusted_proxy_count);
    for (size_t i = 0; i < shop->listen_count; i++) {
        const struct listen_config *l = &shop->listen[i];
        if (l->proxy_protocol && l->address.storage.ss_family != AF_UNIX &&
            shop->trusted_proxy_count == 0) {
            struct config_place at = config_place_item(place, "listen", i);
            config_place_error(&at, "proxy_protocol",
                               "proxy_protocol: expected 'trusted_proxies', the networks whose "
                               "headers are believed");
        }
    }
}

/* Who runs here is no stranger, and load tests come from here. */
static void check_unlimited(const struct config_place *place, struct shop *shop) {
    static struct slice here[] = { { "127.0.0.0/8", 11 }, { "::1", 3 } };
    if (!config_place_has(place, "unlimited_clients")) {
        shop->unlimited_clients = here;
        shop->unlimited_client_count = sizeof here / sizeof *here;
    }
    check_networks(place, "unlimited_clients", shop->unlimited_clients,
                   shop->unlimited_client_count);
}

static void check_shop(const struct config_place *place, void *item) {
    struct shop *shop = item;
    struct guard_user user;
    struct error err;
    if (shop->listen_count == 0 && config_place_has(place, "listen")) {
        config_place_error(place, "listen",
                           "listen: expected at least one, such as { address: \":8080\" }");
    }
    if (shop->store != NULL && !store_check_spec(slice_from(shop->store), &err)) {
        config_place_error(place, "store", "store: %s", err.text);
    }
    if (shop->user != NULL && !guard_find_user(shop->user, &user, &err)) {
        config_place_error(place, "user", "user: %s", err.text);
    }
    check_trusted(place, shop);
    check_unlimited(place, shop);
    shop->admin.best_effort = !config_place_has(place, "admin");
    check_services(place, shop);
    calls_config_check(place, shop);
    storage_config_check(place, shop->storage, shop->storage_count);
    rate_config_check_names(place, shop->rates, shop->rate_count);
    check_routes(place, shop);
    if (config_place_has(place, "jobs")) {
        config_place_warning(place, "jobs", "this version does not run jobs yet");
    }
    if (config_place_has(place, "rollout")) {
        config_place_warning(place, "rollout", "this version does not do staged rollouts yet");
    }
}

static const char *const sandbox_choices[] = { "strict", "off", NULL };        /* enum guard_mode */
static const char *const io_choices[] = { "auto", "epoll", "io_uring", NULL }; /* enum loop_io */
static const char *const forwarded_choices[] = { "x-forwarded-for", "forwarded", NULL };

static const struct config_field shop_fields[] = {
    { "include", CONFIG_TEXT, SHOP(include), .many = true, .count_offset = SHOP(include_count),
      .help = "further files, whose keys are added to these; services and jobs may be spread" },
    { "listen", CONFIG_BLOCKS, SHOP(listen), .table = &listen_config_table,
      .count_offset = SHOP(listen_count), .required = true, .help = "where visitors come in" },
    { "trusted_proxies", CONFIG_SLICE, SHOP(trusted_proxies), .many = true,
      .count_offset = SHOP(trusted_proxy_count),
      .help = "networks such as 10.0.0.0/8 whose word about the visitor is believed: PROXY headers "
              "and the field of `forwarded_by`; of others it is replaced" },
    { "unlimited_clients", CONFIG_SLICE, SHOP(unlimited_clients), .many = true,
      .count_offset = SHOP(unlimited_client_count),
      .help = "networks for which limits of one client do not hold, beside trusted_proxies: a load "
              "balancer that says nothing of its visitors, an office behind one address; default: "
              "127.0.0.0/8 and ::1" },
    { "forwarded_by", CONFIG_CHOICE, SHOP(forwarded_by), .choices = forwarded_choices,
      .fallback = "x-forwarded-for",
      .help = "in which field they say it; the other one is made anew" },
    { "admin", CONFIG_BLOCK, SHOP(admin), .table = &admin_table,
      .help = "where engineers come in" },
    { "store", CONFIG_TEXT, SHOP(store), .fallback = SHOP_STORE_DEFAULT,
      .help = "what is remembered: `sqlite:PATH`; read at the start only" },
    { "zone", CONFIG_TEXT, SHOP(zone),
      .help = "where this node stands: `endpoints` of the same zone are preferred" },
    { "workers", CONFIG_COUNT, SHOP(workers), .fallback = "0", .max = PLAN_WORKERS_MAX,
      .help = "processes that carry traffic; 0: one for each CPU; read at the start only" },
    { "io", CONFIG_CHOICE, SHOP(io), .choices = io_choices, .fallback = "auto",
      .help = "how workers ask the kernel; one that is refused falls back to epoll; read at the "
              "start only" },
    { "sandbox", CONFIG_CHOICE, SHOP(sandbox), .choices = sandbox_choices, .fallback = "strict",
      .help = "what processes are kept from (docs/threat-model.md); `off` is for looking into them "
              "with a debugger; read at the start only" },
    { "user", CONFIG_TEXT, SHOP(user),
      .help = "that workers become when we are root; without it `tidegate`, or `nobody` where "
              "there is no such user; read at the start only" },
    { "services", CONFIG_NAMED_BLOCKS, SHOP(services), .table = &service_table,
      .count_offset = SHOP(service_count), .required = true, .help = "who answers" },
    { "routes", CONFIG_BLOCKS, SHOP(routes), .table = &route_config_table,
      .count_offset = SHOP(route_count), .required = true, .help = "what goes where" },
    { "rate_limits", CONFIG_NAMED_BLOCKS, SHOP(rates), .table = &rate_config_table,
      .count_offset = SHOP(rate_count), .help = "how often somebody may ask; see `rate_limit`" },
    { "rate_limit_keys", CONFIG_COUNT, SHOP(rate_keys), .fallback = "65536", .min = RATE_KEYS_MIN,
      .max = RATE_KEYS_MAX,
      .help = "visitors, keys and so on that are remembered at once, of all limits together, up to "
              "the next power of two: 16 bytes each, 1 MiB for 65536" },
    { "error_pages", CONFIG_BLOCKS, SHOP(pages), .table = &page_config_table,
      .count_offset = SHOP(page_count),
      .help = "of answers that we give ourselves, on every route that has none of its own" },
    { "demand", CONFIG_BLOCK, SHOP(demand), .table = &demand_config_table,
      .help = "what is known about demand ahead" },
    { "storage", CONFIG_BLOCKS, SHOP(storage), .table = &storage_config_table,
      .count_offset = SHOP(storage_count),
      .help =
          "volumes that are watched: when they will be full, and how large they should be; that "
          "of the store is without being named" },
    { "value", CONFIG_BLOCK, SHOP(value), .table = &value_config_table,
      .help = "what a visit is worth" },
    { "overload", CONFIG_BLOCK, SHOP(overload), .table = &overload_config_table,
      .help = "when there is not enough for everybody" },
    { "compression", CONFIG_BLOCK, SHOP(compression), .table = &compression_config_table,
      .help = "of answers on their way to visitors" },
    { "limits", CONFIG_BLOCK, SHOP(limits), .table = &limits_config_table,
      .help = "towards visitors" },
    { "timeouts", CONFIG_BLOCK, SHOP(timeouts), .table = &timeouts_config_table,
      .help = "towards visitors" },
    { "rollout", CONFIG_BLOCK, SHOP(rollout), .table = &rollout_table,
      .help = "staged releases; not in this version" },
    { "jobs", CONFIG_NAMED_BLOCKS, SHOP(jobs), .table = &job_table, .count_offset = SHOP(job_count),
      .help = "background work; not in this version" },
    { "access_log", CONFIG_BLOCK, SHOP(access_log), .table = &access_log_config_table,
      .help = "one line a request; none when it is not written" },
    { "log", CONFIG_BLOCK, SHOP(log), .table = &log_table, .help = "our own log" },
};
const struct config_table shop_table = CONFIG_TABLE_CHECKED(struct shop, shop_fields, check_shop);

/* ---- loading ---- */

static bool finish(bool good, struct arena *arena, const char *currency, struct shop *shop) {
    if (!good) {
        arena_fini(arena);
        return false;
    }
    shop->arena = *arena;
    memcpy(shop->currency, currency, sizeof shop->currency);
    return true;
}

bool shop_load(const char *path, struct shop *shop, struct config_report *report) {
    struct arena arena;
    char currency[UNITS_CURRENCY_BYTES];
    arena_init(&arena, SHOP_ARENA_BYTES);
    bool good = config_load(&shop_table, path, shop, &arena, currency, report);
    return finish(good, &arena, currency, shop);
}

/* In double quotes; JSON's escapes are YAML's. */
static void quote(struct buffer *out, const char *text) {
    (void)buffer_append_byte(out, '"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c == '"' || c == '\\') {
            (void)buffer_printf(out, "\\u%04x", c);
        } else {
            (void)buffer_append_byte(out, *text);
        }
    }
    (void)buffer_append_byte(out, '"');
}

bool shop_default(const char *const *endpoints, size_t endpoint_count, const char *listen,
                  struct shop *shop, struct config_report *report) {
    struct arena arena;
    struct buffer text;
    char currency[UNITS_CURRENCY_BYTES];
    arena_init(&arena, SHOP_ARENA_BYTES);
    buffer_init(&text, CONFIG_FILE_BYTES_MAX);
    (void)buffer_append_text(&text, "listen: [ { address: ");
    quote(&text, listen == NULL ? ":8080" : listen);
    (void)buffer_append_text(&text, " } ]\nservices: { default: { fleet: static, endpoints: [ ");
    for (size_t i = 0; i < endpoint_count; i++) {
        quote(&text, endpoints[i]);
        (void)buffer_append_text(&text, ", ");
    }
    (void)buffer_append_text(&text, "] } }\nroutes: [ { path: /, service: default } ]\n");
    const struct config_node *root =
        config_read_text(buffer_slice(&text), "command line", &arena, report);
    bool good = root != NULL && config_apply(&shop_table, root, shop, &arena, currency, report);
    buffer_fini(&text);
    return finish(good, &arena, currency, shop);
}

void shop_fini(struct shop *shop) {
    struct arena arena = shop->arena;
    *shop = (struct shop){ 0 };
    arena_fini(&arena);
}

bool shop_anonymous_views(const struct shop *shop) {
    struct address address;
    struct network loopback_v4, loopback_v6;
    uint8_t ip[16];
    if (shop->admin.anonymous != ANONYMOUS_AUTO || shop->admin.address == NULL) {
        return shop->admin.anonymous == ANONYMOUS_VIEWER;
    }
    if (!address_parse(slice_from(shop->admin.address), 0, &address, NULL) ||
        !network_parse(SLICE("127.0.0.0/8"), &loopback_v4, NULL) ||
        !network_parse(SLICE("::1/128"), &loopback_v6, NULL)) {
        return false;
    }
    address_ip(&address, ip);
    return network_contains(&loopback_v4, ip) || network_contains(&loopback_v6, ip);
}

const struct service_config *shop_service(const struct shop *shop, struct slice name) {
    for (size_t i = 0; i < shop->service_count; i++) {
        if (slice_equal(slice_from(shop->services[i].name), name)) {
            return &shop->services[i];
        }
    }
    return NULL;
}

bool shop_listens_at(const struct shop *shop, const struct address *address) {
    for (size_t i = 0; i < shop->listen_count; i++) {
        if (address_equal(&shop->listen[i].address, address)) {
            return true;
        }
    }
    return false;
}
