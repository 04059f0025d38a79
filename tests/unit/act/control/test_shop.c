/* The whole of shop.yaml: what is taken, what it means, and what is said about what is wrong. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tls_fixture.h"
#include "act/control/calls_config.h"
#include "act/control/shop.h"
#include "base/buffer.h"
#include "base/rand.h"
#include "decide/forecast/calendar.h"

struct fixture {
    char folder[64], path[96];
    struct shop shop;
    struct config_report report;
    bool loaded;
};

static int set_up(void **state) {
    static struct fixture f;
    memset(&f, 0, sizeof f);
    strcpy(f.folder, "/tmp/tidegate-shop-XXXXXX");
    *state = &f;
    if (mkdtemp(f.folder) == NULL) {
        return 1;
    }
    snprintf(f.path, sizeof f.path, "%s/shop.yaml", f.folder);
    return 0;
}

static void forget(struct fixture *f) {
    if (f->loaded) {
        shop_fini(&f->shop);
    }
    f->loaded = false;
    config_report_fini(&f->report);
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    char command[96];
    forget(f);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    return system(command);
}

static void write_file(struct fixture *f, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
}

static bool load(struct fixture *f, const char *text) {
    forget(f);
    write_file(f, "shop.yaml", text);
    f->loaded = shop_load(f->path, &f->shop, &f->report);
    return f->loaded;
}

/* Its lines without the folder. */
static const char *reported(struct fixture *f) {
    static char out[CONFIG_REPORT_BYTES_MAX];
    size_t len = 0;
    struct slice rest = buffer_slice(&f->report.text), line;
    char prefix[96];
    snprintf(prefix, sizeof prefix, "%s/", f->folder);
    out[0] = '\0';
    rest.len -= rest.len > 0; /* the last line's end */
    while (rest.len > 0 && slice_cut(&rest, '\n', &line)) {
        if (slice_starts_with(line, slice_from(prefix))) {
            line = slice_skip(line, strlen(prefix));
        }
        len += (size_t)snprintf(out + len, sizeof out - len, "%.*s\n", SLICE_ARG(line));
    }
    return out;
}

#define MINIMAL                                                                                    \
    "listen: [ { address: \":8080\" } ]\n"                                                         \
    "services: { shop: { command: [node, server.js] } }\n"                                         \
    "routes: [ { path: /, service: shop } ]\n"

static void takes_a_minimal_file(void **state) {
    struct fixture *f = *state;
    assert_true(load(f, MINIMAL));
    assert_string_equal(reported(f), "");
    const struct shop *s = &f->shop;
    char folder[96];
    snprintf(folder, sizeof folder, "%s/.", f->folder);
    assert_int_equal(s->listen_count, 1);
    assert_true(address_port(&s->listen[0].address) == 8080);
    assert_false(listen_is_tls(&s->listen[0]));
    assert_string_equal(s->admin.address, SHOP_ADMIN_DEFAULT);
    assert_true(s->admin.best_effort); /* not asked for: nobody is stopped by a port in use */
    assert_string_equal(s->store, SHOP_STORE_DEFAULT);
    assert_int_equal(s->workers, 0);
    assert_int_equal(s->log.level, LOG_INFO);
    assert_string_equal(s->currency, "");
    const struct service_config *service = shop_service(s, SLICE("shop"));
    assert_ptr_equal(service, &s->services[0]);
    assert_null(shop_service(s, SLICE("sho")));
    assert_string_equal(service->fleet.folder, folder);
    assert_int_equal(service->instances.min, 1);
    assert_int_equal(service->instances.max, 10);
    assert_int_equal(service->instances.starting, 4);
    assert_int_equal(service->instances.stabilisation_ms, 300000);
    assert_true(service->instances.headroom_ratio == 0.1);
    assert_true(isnan(service->instances.capacity_rps) && isnan(service->unit.price_per_hour));
    assert_int_equal(service->objective.latency_ms, 250);
    assert_true(service->objective.share_ratio == 0.99);
    assert_int_equal(service->timeouts.first_byte_ms, 30000);
    assert_int_equal(service->timeouts.total_ms, 0);
    assert_int_equal(s->routes[0].stage, STAGE_BROWSE);
    assert_int_equal(s->demand.step_ms, 60000);
    assert_int_equal(s->demand.season_count, 2);
    assert_true(isnan(s->demand.margin_per_request));
    assert_true(s->value.floor_ratio == 0.1);
    assert_int_equal(s->overload.queue, 256);
    assert_int_equal(s->limits.head_bytes, 32768);
    assert_int_equal(s->timeouts.drain_ms, 30000);
}

static void takes_the_example(void **state) {
    struct fixture *f = *state;
    f->loaded = shop_load("examples/shop/shop.yaml", &f->shop, &f->report);
    assert_string_equal(reported(f), "");
    assert_true(f->loaded);
    assert_string_equal(f->shop.services[0].fleet.folder, "examples/shop/.");
    assert_string_equal(f->shop.value.lifetime, "examples/shop/customers.csv");
    assert_string_equal(f->shop.currency, "EUR");
    assert_false(f->shop.admin.best_effort);
    assert_true(slice_equal(f->shop.value.session.cookie, SLICE("sid")));
    assert_int_equal(f->shop.routes[0].stage, STAGE_CHECKOUT);
    assert_true(f->shop.routes[0].idempotent);
}

/* The shape that DESIGN.md shows, without what is said there to be of another machine. */
static void takes_the_design(void **state) {
    struct fixture *f = *state;
    struct pem_pair pair;
    make_pair(&pair, false, "DNS:shop.test");
    write_file(f, "shop.pem", pair.chain);
    write_file(f, "shop.key", pair.key);
    assert_true(load(f,
                     "listen:\n"
                     "  - { address: \":8080\" }\n"
                     "  - { address: \":8443\", tls: { certificate: shop.pem, key: shop.key } }\n"
                     "admin: { address: \"127.0.0.1:9900\" }\n"
                     "store: sqlite:var/tidegate.db\n"
                     "services:\n"
                     "  storefront:\n"
                     "    fleet: process\n"
                     "    command: [node, server.js, --port, \"$PORT\"]\n"
                     "    instances: { min: 2, max: 24, spares: 1 }\n"
                     "    health: { path: /healthz, interval: 1s }\n"
                     "    objective: { latency: 250ms, share: 99% }\n"
                     "    unit: { cpu: 1, memory: 512MiB, type: m7i.large }\n"
                     "routes:\n"
                     "  - { path: /checkout, service: storefront, stage: checkout }\n"
                     "  - { path: /, service: storefront, stage: browse }\n"
                     "demand: { campaigns: campaigns.ics, holidays: [DE, AT], "
                     "margin: 0.002 EUR }\n"
                     "value: { customer: { cookie: customer_id }, session: { cookie: sid }, "
                     "lifetime: customers.csv, floor: 10% }\n"
                     "overload: { order: value, waiting_room: true }\n"
                     "rollout: { steps: [1%, 5%, 25%, 50%], guard: [throughput, latency] }\n"
                     "jobs: { thumbnails: { command: [node, thumbs.js], deadline: 6h, "
                     "class: spot } }\n"));
    assert_int_equal(f->report.errors, 0);
    assert_string_equal(
        reported(f),
        "shop.yaml:19:41: warning: this version has no waiting room yet: who is turned away gets "
        "503 with Retry-After\n"
        "shop.yaml:21:7: warning: this version does not run jobs yet\n"
        "shop.yaml:20:10: warning: this version does not do staged rollouts yet\n");
    assert_true(listen_is_tls(&f->shop.listen[1]));
    assert_int_equal(f->shop.rollout.step_count, 4);
    assert_int_equal(f->shop.demand.holiday_count, 2);
    assert_int_equal(f->shop.jobs[0].deadline_ms, 6 * 3600000);
}

static void spreads_over_files(void **state) {
    struct fixture *f = *state;
    write_file(f, "more.yaml",
               "services: { search: { command: [x] } }\n"
               "demand: { campaigns: c.ics }\n");
    assert_true(load(f, "include: more.yaml\n" MINIMAL));
    assert_int_equal(f->shop.service_count, 2);
    assert_non_null(shop_service(&f->shop, SLICE("search")));
}

#define CALLS(services)                                                                            \
    "listen: [ { address: \":1\" } ]\nservices: { " services                                       \
    " }\nroutes: [ { path: /, respond: { status: 200 } } ]\n"

static void takes_calls(void **state) {
    struct fixture *f = *state;
    assert_true(load(f, "listen: [ { address: \":1\" } ]\nservices:\n"
                        "  front: { command: [x], calls: { stock: 0.5, prices: 2 } }\n"
                        "  prices: { command: [x], calls: { stock: 3 } }\n"
                        "  stock: { command: [x] }\n"
                        "routes: [ { path: /, service: front } ]\n"));
    const struct service_config *front = shop_service(&f->shop, SLICE("front"));
    double ratio = 0;
    assert_int_equal(front->call_count, 2);
    assert_string_equal(front->calls[0].name, "stock");
    assert_true(calls_ratio(front->calls[0].value, &ratio) && ratio == 0.5);
}

static void says_what_is_wrong(void **state) {
    static const struct {
        const char *text, *report;
    } cases[] = {
        { "", "1:1: expected the key 'listen': where visitors come in\n"
              "shop.yaml:1:1: expected the key 'services': who answers\n"
              "shop.yaml:1:1: expected the key 'routes': what goes where\n[3 errors]" },
        { "listen: []\nservices: {}\nroutes: []\n",
          "1:9: listen: expected at least one, such as { address: \":8080\" }\n"
          "shop.yaml:2:11: services: expected at least one\n"
          "shop.yaml:3:9: routes: expected at least one, such as { path: /, service: "
          "storefront }" },
        { MINIMAL "lissen: 1\n", "4:1: unknown key 'lissen': did you mean 'listen'?" },
        { MINIMAL "admin: { adress: x }\n", "4:10: unknown key 'adress': did you mean 'address'?" },
        { MINIMAL "store: mysql:x\n", "4:8: store: " },
        { MINIMAL "workers: 65\n", "4:10: workers: expected 0 to 64, found '65'" },
        { MINIMAL "admin: { address: nowhere }\n", "4:19: address: " },
        { MINIMAL "demand: { holidays: [DE, XX] }\n",
          "4:21: holidays: expected " CALENDAR_COUNTRIES ", found 'XX'" },
        { MINIMAL "demand: { step: 1ms }\n", "4:17: step: expected a duration of 1s to 1d" },
        { MINIMAL "demand: { seasons: [1m] }\n", "4:20: seasons: expected 2 to " },
        { MINIMAL "log: { level: loud }\n",
          "4:15: level: expected one of debug, info, warn, error, found 'loud'" },
        { "listen: [ { address: \":http\" } ]\nservices: { shop: { command: [x] } }\n"
          "routes: [ { path: /, service: shop } ]\n",
          "1:22: address: " },
        { "listen: [ { } ]\nservices: { shop: { command: [x] } }\n"
          "routes: [ { path: /, service: shop } ]\n",
          "1:11: expected the key 'address': " },
        { "listen: [ { address: \":1\" } ]\nservices: { 'a b': { command: [x] } }\n"
          "routes: [ { path: /, service: a b } ]\n",
          "2:20: 'a b': expected a name of at most 40 letters, digits, '-', '_', '.'" },
        { "listen: [ { address: \":1\" } ]\nservices: { shop: }\n"
          "routes: [ { path: /, service: shop } ]\n",
          "2:19: command: expected how an instance is started, such as " },
        { "listen: [ { address: \":1\" } ]\n"
          "services: { shop: { command: [x], instances: { min: 3, max: 2 } } }\n"
          "routes: [ { path: /, service: shop } ]\n",
          "2:53: min: expected at most max, which is 2, found 3" },
        { "listen: [ { address: \":1\" } ]\nservices: { shop: { command: [x] } }\n"
          "routes: [ { path: shop, service: shop } ]\n",
          "3:19: path: expected a path that begins with '/'" },
        { "listen: [ { address: \":1\" } ]\nservices: { shop: { command: [x] } }\n"
          "routes: [ { path: /, service: shpo } ]\n",
          "3:31: service: there is no 'shpo': did you mean 'shop'?" },
        { "listen: [ { address: \":1\" } ]\nservices: { shop: { command: [x] } }\n"
          "routes: [ { path: /, service: warehouse } ]\n",
          "3:31: service: there is no 'warehouse'\n" },
        { "listen: [ { address: \":1\" } ]\nservices: { shop: { command: [x] } }\n"
          "routes: [ { path: /, host: Shop.Example, service: shop } ]\n",
          "3:28: host: expected a name in lower case such as shop.example or *.shop.example, found "
          "'Shop.Example'" },
        { "listen: [ { address: \":1\" } ]\n"
          "services: { shop: { command: [x], unit: { price: 0.1 USD } } }\n"
          "routes: [ { path: /, service: shop } ]\ndemand: { margin: 0.1 EUR }\n",
          "4:19: margin: expected USD as in " },
        { CALLS("a: { command: [x], calls: { bb: 1 } }, bc: { command: [x] }"),
          "2:39: calls: there is no 'bb': did you mean 'bc'?" },
        { CALLS("a: { command: [x], calls: { b: 0 } }, b: { command: [x] }"),
          "2:39: calls: expected calls for each request, above 0 and at most 1000, for b, found "
          "'0'" },
        { CALLS("a: { command: [x], calls: { b: 1001 } }, b: { command: [x] }"), "2:39: calls: " },
        { CALLS("a: { command: [x], calls: { b: nan } }, b: { command: [x] }"), "2:39: calls: " },
        { CALLS("a: { command: [x], calls: { a: 1 } }"),
          "2:39: calls: expected no cycle, found a -> a: a plan for one would scale itself" },
        { CALLS("o: { command: [x], calls: { a: 1 } }, a: { command: [x], calls: { b: 1 } }, "
                "b: { command: [x], calls: { c: 2, a: 0.5 } }, c: { command: [x] }"),
          "2:77: calls: expected no cycle, found a -> b -> a: a plan for one would scale itself" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[512];
        bool good = load(f, cases[i].text);
        snprintf(wanted, sizeof wanted, "shop.yaml:%s", cases[i].report);
        char said[4096]; /* and the count at the end: nothing is said twice */
        snprintf(said, sizeof said, "%s[%u errors]", reported(f), f->report.errors);
        if (good || f->report.errors == 0 || strncmp(said, wanted, strlen(wanted)) != 0) {
            fail_msg("case %zu: %s: %s", i, good ? "taken" : "refused", said);
        }
    }
}

#define BUDGET(instances, unit)                                                                    \
    "listen: [ { address: \":8080\" } ]\n"                                                         \
    "services: { a: { command: [sleep], instances: { " instances " }" unit " } }\n"                \
    "routes: [ { path: /, service: a } ]\n"

static void a_budget_bounds_the_instances(void **state) {
    static const struct {
        const char *text;
        uint32_t most;
        bool budgeted;
    } cases[] = {
        { BUDGET("max: 9, budget: 0.35 EUR", ", unit: { price: 0.1 EUR }"), 3, true },
        { BUDGET("max: 9, budget: 0.3 EUR", ", unit: { price: 0.1 EUR }"), 3, true },
        { BUDGET("max: 9, spares: 1, budget: 0.3 EUR", ", unit: { price: 0.1 EUR }"), 2, true },
        { BUDGET("max: 9, budget: 100 EUR", ", unit: { price: 0.1 EUR }"), 9, false },
        { BUDGET("max: 9", ", unit: { price: 0.1 EUR }"), 9, false },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(load(f, cases[i].text));
        const struct service_config *service = &f->shop.services[0];
        struct autoscale_policy policy = instances_policy(&service->instances, &service->unit, NAN);
        assert_int_equal(policy.instances_max, cases[i].most);
        assert_int_equal(policy.budgeted, cases[i].budgeted);
    }
    assert_false(load(f, BUDGET("budget: 1 EUR", "")));
    assert_string_equal(reported(f),
                        "shop.yaml:2:57: budget: expected `unit: { price: … }` beside it, what one "
                        "instance costs an hour\n");
    assert_false(
        load(f, BUDGET("min: 2, spares: 1, budget: 0.25 EUR", ", unit: { price: 0.1 EUR }")));
    assert_string_equal(reported(f),
                        "shop.yaml:2:76: budget: expected at least 0.3 an hour, for 2 in rotation "
                        "and 1 spare at 0.1 each, found 0.25\n");
}

static void warns_about_a_route_that_is_never_used(void **state) {
    struct fixture *f = *state;
    assert_true(load(f, "listen: [ { address: \":1\" } ]\nservices: { shop: { command: [x] } }\n"
                        "routes:\n  - { path: /a, service: shop }\n"
                        "  - { path: /a, host: b, service: shop }\n"
                        "  - { path: /a, service: shop }\n"));
    assert_string_equal(reported(f), "shop.yaml:6:13: warning: /a has a route already: this one is "
                                     "never used\n");
}

static void bounds_services_and_routes(void **state) {
    struct fixture *f = *state;
    struct buffer text;
    buffer_init(&text, 1u << 20);
    assert_true(buffer_append_text(&text, "listen: [ { address: \":1\" } ]\nservices:\n"));
    for (int i = 0; i <= PLAN_SERVICES_MAX; i++) {
        assert_true(buffer_printf(&text, "  s%d: { command: [x] }\n", i));
    }
    assert_true(buffer_append_text(&text, "routes:\n"));
    for (int i = 0; i <= PLAN_ROUTES_MAX; i++) {
        assert_true(buffer_printf(&text, "  - { path: /%d, service: s0 }\n", i));
    }
    assert_true(buffer_append_byte(&text, '\0'));
    assert_false(load(f, buffer_slice(&text).data));
    assert_string_equal(reported(f), "shop.yaml:3:3: services: expected at most 64, found 65\n"
                                     "shop.yaml:69:3: routes: expected at most 8192, found 8193\n");
    buffer_fini(&text);
}

#define SHOP_BEHIND                                                                                \
    "services: { shop: { command: [node, server.js] } }\n"                                         \
    "routes: [ { path: /, service: shop } ]\n"

/* The files that listeners name are read with them. */
static void says_what_is_wrong_with_listeners(void **state) {
    static const struct {
        const char *listen, *report;
    } cases[] = {
        { "tls: {}", "shop.yaml:1:36: expected 'certificate' and 'key', or 'certificates'\n" },
        { "tls: { certificate: shop.pem }",
          "shop.yaml:1:36: expected both 'certificate' and 'key'\n" },
        { "tls: { certificate: shop.pem, key: other.key }",
          "shop.yaml:1:51: certificate: the key does not belong to the certificate\n" },
        { "tls: { certificates: [ { certificate: shop.pem, key: shop.key, ocsp: shop.pem } ] }",
          "shop.yaml:1:100: warning: ocsp: the OCSP response is not DER of a good one for this "
          "certificate: it is not stapled\n" },
        { "tls: { certificate: shop.pem, key: shop.key, ciphers: NONE-SUCH }",
          "shop.yaml:1:85: ciphers: not a list of OpenSSL's cipher names: no cipher match\n" },
        { "tls: { certificate: shop.pem, key: shop.key, min_version: 1.1 }",
          "shop.yaml:1:89: min_version: expected one of 1.2, 1.3, found '1.1'\n" },
        { "tls: { certificate: shop.pem, key: shop.key, client_verify: optional }",
          "shop.yaml:1:36: expected 'client_ca' beside 'client_crl' and 'client_verify'\n" },
        { "tls: { certificate: shop.pem, key: shop.key, client_ca: shop.key }",
          "shop.yaml:1:87: client_ca: not PEM certificates: no start line\n" },
        { "tls: { certificate: shop.pem, key: shop.key, client_ca: shop.pem, client_crl: shop.pem "
          "}",
          "shop.yaml:1:109: client_crl: not PEM revocation lists (X509 CRL): no start line\n" },
        { "proxy_protocol: true",
          "shop.yaml:1:47: proxy_protocol: expected 'trusted_proxies', the networks whose headers "
          "are believed\n" },
    };
    struct fixture *f = *state;
    struct pem_pair pair, other;
    char text[1024];
    make_pair(&pair, false, "DNS:shop.test");
    make_pair(&other, false, "DNS:shop.test");
    write_file(f, "shop.pem", pair.chain);
    write_file(f, "shop.key", pair.key);
    write_file(f, "other.key", other.key);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "listen: [ { address: \":8443\", %s } ]\n" SHOP_BEHIND,
                 cases[i].listen);
        (void)load(f, text);
        assert_string_equal(reported(f), cases[i].report);
    }
    char open_key[128];
    snprintf(open_key, sizeof open_key, "%s/shop.key", f->folder);
    assert_int_equal(chmod(open_key, 0644), 0);
    assert_true(load(f,
                     "listen: [ { address: \":8443\", tls: { certificate: shop.pem, key: shop.key "
                     "} } ]\n" SHOP_BEHIND));
    assert_non_null(strstr(reported(f), "shop.yaml:1:66: warning: key: everybody on this machine"));
    assert_true(
        load(f, "listen: [ { address: \"unix:/run/x\", proxy_protocol: true } ]\n" SHOP_BEHIND));
    assert_false(load(f, "trusted_proxies: [10.0.0.0/8, 10.0.0.1/8]\n" MINIMAL));
    assert_string_equal(reported(f),
                        "shop.yaml:1:31: trusted_proxies: '10.0.0.1/8' is not a network: "
                        "did you mean 10.0.0.0/8?\n");
}

static void says_that_there_is_no_file(void **state) {
    struct fixture *f = *state;
    assert_false(shop_load(f->path, &f->shop, &f->report));
    assert_string_equal(reported(f), "shop.yaml: No such file or directory\n");
}

static void documents_every_block(void **state) {
    static const char *const sections[] = {
        "listen[]",
        "listen[].tls",
        "listen[].tls.certificates[]",
        "admin",
        "services.NAME",
        "services.NAME.health",
        "services.NAME.instances",
        "services.NAME.unit",
        "services.NAME.objective",
        "services.NAME.timeouts",
        "routes[]",
        "demand",
        "value",
        "value.customer",
        "overload",
        "limits",
        "timeouts",
        "rollout",
        "jobs.NAME",
        "log",
    };
    char *text = NULL;
    size_t len;
    (void)state;
    FILE *file = open_memstream(&text, &len);
    config_reference(&shop_table, file);
    fclose(file);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        char heading[64];
        snprintf(heading, sizeof heading, "\n## %s\n", sections[i]);
        if (strstr(text, heading) == NULL) {
            fail_msg("no section %s", sections[i]);
        }
    }
    assert_null(strstr(text, "(null)"));
    free(text);
}

/* ---- run --to ---- */

static bool serve(struct fixture *f, const char *endpoint, const char *listen) {
    forget(f);
    f->loaded = shop_default(&endpoint, 1, listen, &f->shop, &f->report);
    return f->loaded;
}

static void serves_endpoints_without_a_file(void **state) {
    struct fixture *f = *state;
    static const char *const endpoints[] = { "127.0.0.1:3000", "shop.internal:80" };
    f->loaded = shop_default(endpoints, 2, NULL, &f->shop, &f->report);
    assert_string_equal(reported(f), "");
    assert_true(f->loaded);
    assert_int_equal(f->shop.service_count, 1);
    assert_int_equal(f->shop.services[0].fleet.kind, FLEET_STATIC);
    assert_int_equal(f->shop.services[0].fleet.endpoint_len, 2);
    assert_string_equal(f->shop.services[0].fleet.endpoints[1].address, "shop.internal:80");
    assert_string_equal(f->shop.listen[0].text, ":8080");
    assert_true(f->shop.admin.best_effort);
    assert_true(serve(f, "127.0.0.1:3000", "127.0.0.1:81"));
    assert_string_equal(f->shop.listen[0].text, "127.0.0.1:81");
    assert_false(serve(f, "127.0.0.1:3000", ":http"));
    assert_string_equal(reported(f) + strcspn(reported(f), ":") - 12, reported(f));
    forget(f);
    assert_false(shop_default(NULL, 0, NULL, &f->shop, &f->report));
    assert_int_equal(f->report.errors, 1);
}

/* Whatever stands on the command line is an endpoint or an error, never configuration. */
static void is_not_led_astray_by_an_endpoint(void **state) {
    static const char *const hostile[] = {
        "\"",        "\"] } }\nstore: x #",
        "x\", \"y",  "\\",
        "\\\"",      "\\x41:80",
        "a\nb:80",   "\t:80",
        "# comment", "*alias",
        "&a b",      "!tag",
        "{a: b}",    "[1",
        "%",         "@",
        "`",         "'",
        "~",         "null",
        "true",      "- a",
        "? a",       ": ",
        "\xff\xfe",  "\x1b[31m",
        "\x7f",      "",
        " ",         "\xe2\x80\xa8",
    };
    struct fixture *f = *state;
    struct rand rand;
    rand_init(&rand, 7041);
    for (size_t i = 0; i < 3000; i++) {
        size_t known = sizeof hostile / sizeof *hostile;
        char text[24];
        if (i < known) {
            snprintf(text, sizeof text, "%s", hostile[i]);
        } else {
            size_t len = rand_below(&rand, sizeof text);
            for (size_t k = 0; k < len; k++) {
                text[k] = (char)(1 + rand_below(&rand, 127));
            }
            text[len] = '\0';
        }
        if (!serve(f, text, NULL)) {
            assert_true(f->report.errors > 0);
            continue;
        }
        const struct fleet_config *fleet = &f->shop.services[0].fleet;
        if (f->shop.service_count != 1 || f->shop.route_count != 1 || fleet->endpoint_len != 1 ||
            strcmp(fleet->endpoints[0].address, text) != 0 ||
            strcmp(f->shop.store, SHOP_STORE_DEFAULT) != 0) {
            fail_msg("'%s' became '%s'", text, fleet->endpoints[0].address);
        }
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(takes_a_minimal_file),
        TEST(takes_the_example),
        TEST(takes_the_design),
        TEST(spreads_over_files),
        TEST(takes_calls),
        TEST(says_what_is_wrong),
        TEST(a_budget_bounds_the_instances),
        TEST(warns_about_a_route_that_is_never_used),
        TEST(bounds_services_and_routes),
        TEST(says_what_is_wrong_with_listeners),
        TEST(says_that_there_is_no_file),
        TEST(documents_every_block),
        TEST(serves_endpoints_without_a_file),
        TEST(is_not_led_astray_by_an_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
