/* What is read again while it runs: the configuration, and the files that it names. */
#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"
#include "wire/net/listener.h"

/* Everything that the configuration names, or nothing: `report` says why. */
static bool read_configuration(const char *path, struct shop *shop, struct inputs *inputs,
                               struct config_report *report) {
    struct error err;
    if (!shop_load(path, shop, report)) {
        return false;
    }
    if (!inputs_load(shop, clock_unix_ms(), inputs, &err)) {
        inputs_report(&err, report);
        shop_fini(shop);
        return false;
    }
    return true;
}

static bool same_text(const char *a, const char *b) {
    return slice_equal(slice_from(a), slice_from(b));
}

/* A line for each change that a reload does not bring. */
static void warn_of_start_only(const struct controller *c, const struct shop *next,
                               struct buffer *text) {
    const struct {
        const char *key;
        bool same;
    } keys[] = {
        { "admin", same_text(c->shop.admin.address, next->admin.address) &&
                       c->shop.admin.anonymous == next->admin.anonymous },
        { "store", same_text(c->shop.store, next->store) },
        { "workers", c->shop.workers == next->workers },
        { "sandbox", c->shop.sandbox == next->sandbox },
        { "user", same_text(c->shop.user, next->user) },
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!keys[i].same) {
            (void)buffer_append_text(text, "warning: ");
            (void)buffer_append_text(text, keys[i].key);
            (void)buffer_append_text(text, ": read at the start only; the change waits for it\n");
        }
    }
}

/* The supervisor opens new addresses a moment later; who asked hears it here if it won't. */
static bool check_listeners(const struct controller *c, const struct shop *next,
                            struct buffer *text) {
    for (size_t i = 0; i < next->listen_count; i++) {
        const struct listen_config *listen = &next->listen[i];
        struct error err;
        int fd;
        if (listen_is_tls(listen) || listen->address.storage.ss_family == AF_UNIX ||
            shop_listens_at(&c->shop, &listen->address)) {
            continue;
        }
        if (!listener_open(&listen->address, &fd, &err)) {
            (void)buffer_printf(text, "listen on %s\n", err.text);
            return false;
        }
        close(fd);
    }
    return true;
}

bool reload_check(void *self, struct buffer *text) {
    struct controller *c = self;
    struct shop shop;
    struct inputs inputs;
    struct config_report report;
    if (c->config.config_path == NULL) {
        (void)buffer_append_text(text, "there is no configuration file to read again\n");
        return false;
    }
    config_report_init(&report);
    bool good = read_configuration(c->config.config_path, &shop, &inputs, &report);
    (void)buffer_append(text, buffer_slice(&report.text));
    config_report_fini(&report);
    if (good && !check_listeners(c, &shop, text)) {
        shop_fini(&shop);
        inputs_fini(&inputs);
        good = false;
    }
    if (good) {
        warn_of_start_only(c, &shop, text);
        shop_fini(&shop);
        inputs_fini(&inputs);
        /* The supervisor takes it up, for the controllers to come, and tells us by SIGHUP. */
        kill(c->config.supervisor_pid, SIGHUP);
    }
    return good;
}

/* Health checks speak as the workers do. */
static void set_dials(struct controller *c) {
    for (size_t i = 0; i < c->shop.service_count; i++) {
        const struct service_config *config = &c->shop.services[i];
        struct probe_dial dial = {
            .tls = certificates_service_client(&c->certificates, &c->shop, i),
            .proxy_protocol = (unsigned)config->dial.proxy_protocol,
        };
        for (unsigned k = 0; k < PLAN_SERVICES_MAX; k++) {
            if (c->services[k].used && c->services[k].config == config) {
                fleet_set_dial(c->fleet, k, &dial);
            }
        }
        tls_client_free(dial.tls);
    }
}

void reload_certificates(struct controller *c) {
    const struct certificates_teller teller = tell_certificates(c);
    certificates_take(&c->certificates, &c->shop, plan_current(c->config.plans), &teller);
    (void)certificates_look(&c->certificates, clock_unix_ms(), &teller);
    set_dials(c);
    planner_change(c);
}

void reload_second(struct controller *c, int64_t now_ms) {
    const struct certificates_teller teller = tell_certificates(c);
    if (certificates_look(&c->certificates, now_ms, &teller)) {
        set_dials(c);
        planner_change(c);
    }
}

bool controller_reload(struct controller *c) {
    struct shop shop;
    struct inputs inputs;
    struct config_report report;
    config_report_init(&report);
    bool good = read_configuration(c->config.config_path, &shop, &inputs, &report);
    config_report_fini(&report);
    if (!good) { /* it was good a moment ago, when the supervisor read it */
        log_error("reload_refused", "file=%s action=keep_the_old_one", c->config.config_path);
        return false;
    }
    struct shop old_shop = c->shop;
    struct inputs old_inputs = c->inputs;
    c->now_us = loop_now_us(c->loop);
    c->shop = shop;
    c->inputs = inputs;
    log_set_level(c->shop.log.level);
    campaigns_apply(c);
    services_apply(c);
    storage_apply(c);
    access_apply(c, &old_shop.access_log);
    reload_certificates(c);
    shop_fini(&old_shop); /* everything refers to the new one now */
    inputs_fini(&old_inputs);
    const struct told told = { .kind = "reload",
                               .action = "apply",
                               .subject = "shop.yaml",
                               .service = -1,
                               .noticed_ms = NAN };
    tell(c, &told, "the configuration was read again: %zu services, %zu routes",
         c->shop.service_count, c->shop.route_count);
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (c->services[i].used && c->services[i].decided) {
            scale_service(c, i);
        }
    }
    return true;
}
