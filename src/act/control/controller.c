#include "act/control/controller.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"

#define STORE_CLOSE_MS 1000
#define CONTROLLER_LOCK_MS 10000 /* a predecessor ends within this */
#define ACCESS_END_MS 1000
#define RESTLESS_US 20000 /* while it stops: how often it looks whether all have gone */

/* ---- what the fleet says ---- */

static void remember_instance(struct controller *c, const struct instance *instance, int status,
                              bool ended) {
    struct store_instance row = {
        .started_ms = instance->started_ms,
        .startup_ms = instance->startup_ms,
        .exit_status = ended ? status : -1,
        .stopped_ms = ended ? clock_unix_ms() : 0,
    };
    if (instance->phase != INSTANCE_STARTING && isfinite(instance->startup_ms)) {
        row.ready_ms = instance->started_ms + (int64_t)instance->startup_ms;
    }
    memcpy(row.id, instance->id, sizeof row.id);
    memcpy(row.service, c->services[instance->service].name, sizeof row.service);
    if (c->store != NULL && instance->pid != 0) {
        store_put_instance(c->store, &row);
    }
}

static void on_ready(void *self, struct instance *instance) {
    struct controller *c = self;
    c->now_us = loop_now_us(c->loop);
    struct member *m = member_of(instance);
    struct controlled *s = &c->services[instance->service];
    if (m == NULL && (m = member_add(c, instance)) == NULL) {
        return; /* static, and no slot is free: told already */
    }
    if (!s->used || m->leaving || c->stopping) {
        return;
    }
    remember_instance(c, instance, -1, false);
    if (isfinite(instance->startup_ms)) {
        foresee_observe_start(&s->foresee, instance->startup_ms);
        log_info("instance_ready", "instance=%s startup_ms=%.0f", instance->id,
                 instance->startup_ms);
    } else { /* not started by us */
        log_info("instance_ready", "instance=%s", instance->id);
    }
    if (m->state != ENDPOINT_STARTING) {
        return; /* adopted: it is where it was */
    }
    if (s->config->fleet.kind == FLEET_STATIC) {
        member_move(c, m, ENDPOINT_SERVING, NULL);
        return;
    }
    member_move(c, m, ENDPOINT_WARM, NULL);
    scale_fill(c, instance->service);
}

static void on_health(void *self, struct instance *instance) {
    struct controller *c = self;
    c->now_us = loop_now_us(c->loop);
    struct member *m = member_of(instance);
    if (m != NULL && c->services[instance->service].used && !c->stopping) {
        checks_changed(c, m);
        heal_health(c, m);
    }
}

static void on_probed(void *self, struct instance *instance, bool well) {
    struct controller *c = self;
    c->now_us = loop_now_us(c->loop);
    if (member_of(instance) != NULL) {
        checks_probed(c, member_of(instance), well);
    }
}

static void on_exit_of(void *self, struct instance *instance, int status) {
    struct controller *c = self;
    struct member *m = member_of(instance);
    c->now_us = loop_now_us(c->loop);
    remember_instance(c, instance, status, true);
    if (m == NULL) {
        return;
    }
    bool expected = c->stopping || m->leaving || m->maintenance != NULL ||
                    instance->phase == INSTANCE_STOPPING || !c->services[instance->service].used;
    log_info("instance_ended", "instance=%s status=%d expected=%s", instance->id, status,
             expected ? "yes" : "no");
    if (!expected && m->state != ENDPOINT_STARTING) {
        heal_crashed(c, m, status);
        return;
    }
    unsigned service = instance->service;
    if (status != -1 || instance->pid != 0) { /* a static one may come back */
        maintenance_forget(c, m, "maintenance ends, its process has ended");
    }
    member_remove(c, m);
    if (c->services[service].used) {
        scale_fill(c, service);
    }
}

/* ---- what the API asks ---- */

static bool api_instance_output(void *self, struct slice id, struct buffer *out) {
    struct instance *instance = fleet_find(((struct controller *)self)->fleet, id);
    if (instance == NULL) {
        return false;
    }
    fleet_output(instance, out);
    return true;
}

static void api_drain(void *self) {
    kill(((struct controller *)self)->config.supervisor_pid, SIGTERM);
}

static bool api_drain_instance(void *self, struct slice id, struct error *err) {
    struct controller *c = self;
    struct instance *instance = fleet_find(c->fleet, id);
    struct member *m = instance == NULL ? NULL : member_of(instance);
    c->now_us = loop_now_us(c->loop);
    if (m == NULL) {
        return error_set(err, ERROR_NOT_FOUND, "no instance '%.*s'", SLICE_ARG(id));
    }
    if (m->leaving) {
        return error_set(err, ERROR_BUSY, "%s is leaving already", instance->id);
    }
    if (m->state == ENDPOINT_SERVING &&
        members_count(c, instance->service, ENDPOINT_SERVING) == 1 &&
        members_count(c, instance->service, ENDPOINT_WARM) == 0) {
        m->retire = true; /* it goes when its successor is ready */
        scale_service(c, instance->service);
        return true;
    }
    const struct told told = { .kind = "heal",
                               .action = "drain",
                               .subject = instance->id,
                               .service = (int)instance->service,
                               .noticed_ms = NAN };
    tell(c, &told, "%s finishes what it has and is replaced: a person asked for it", instance->id);
    member_drain(c, m, "a person asked for it");
    scale_fill(c, instance->service);
    return true;
}

static bool api_start_maintenance(void *self, const struct api_maintenance_order *order,
                                  struct error *err) {
    struct controller *c = self;
    c->now_us = loop_now_us(c->loop);
    bool done = maintenance_start(c, order, err);
    view_fill(c, clock_unix_ms());
    return done;
}

static bool api_end_maintenance(void *self, const struct api_maintenance_order *order,
                                struct error *err) {
    struct controller *c = self;
    c->now_us = loop_now_us(c->loop);
    bool done = maintenance_end(c, order, err);
    view_fill(c, clock_unix_ms());
    return done;
}

/* ---- ticks ---- */

static void on_heal_tick(struct timer *timer) {
    struct controller *c =
        (struct controller *)((char *)timer - offsetof(struct controller, heal_tick));
    c->now_us = loop_now_us(c->loop);
    plan_heartbeat(c->config.plans, c->now_us);
    hear_workers(c);
    heal_tick(c);
    members_tick(c);
    checks_tick(c);
    maintenance_tick(c);
    plan_wipe_unused(c->config.plans);
    timer_start(c->loop, &c->heal_tick, CONTROLLER_HEAL_US, on_heal_tick);
}

static void on_second_tick(struct timer *timer) {
    struct controller *c =
        (struct controller *)((char *)timer - offsetof(struct controller, second_tick));
    int64_t now_ms = clock_unix_ms();
    c->now_us = loop_now_us(c->loop);
    timer_start(c->loop, &c->second_tick, CONTROLLER_SECOND_US, on_second_tick);
    fleet_sample(c->fleet);
    rates_second(c);
    services_second(c, now_ms);
    hear_second(c);
    access_second(c);
    campaigns_second(c);
    storage_second(c);
    reload_second(c, now_ms);
    view_fill(c, now_ms);
    api_tick(c->api, &c->view);
}

/* ---- the end ---- */

static void on_stopping(struct timer *timer) {
    struct controller *c =
        (struct controller *)((char *)timer - offsetof(struct controller, heal_tick));
    bool ours = false;
    for (struct instance *i = fleet_first(c->fleet); i != NULL; i = fleet_next(c->fleet, i)) {
        ours |= i->pid != 0;
    }
    if (!ours) {
        loop_stop(c->loop);
        return;
    }
    timer_start(c->loop, &c->heal_tick, RESTLESS_US, on_stopping);
}

static void stop_fleet(struct controller *c) {
    if (c->stopping) {
        return;
    }
    c->stopping = true;
    for (struct instance *i = fleet_first(c->fleet); i != NULL; i = fleet_next(c->fleet, i)) {
        if (i->pid != 0) {
            fleet_stop(c->fleet, i);
        }
    }
    timer_start(c->loop, &c->heal_tick, 0, on_stopping);
}

static void on_supervisor_gone(struct watch *watch, unsigned events) {
    struct controller *c =
        (struct controller *)((char *)watch - offsetof(struct controller, supervisor_gone));
    (void)events;
    loop_unwatch(c->loop, watch);
    log_warn("supervisor_gone", "action=end_and_leave_the_instances_running");
    loop_stop(c->loop);
}

static void on_signal(struct watch *watch, unsigned events) {
    struct controller *c =
        (struct controller *)((char *)watch - offsetof(struct controller, signals));
    struct signalfd_siginfo info;
    (void)events;
    while (read(c->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            (void)controller_reload(c);
        } else if (info.ssi_signo == SIGUSR1) {
            log_info("handing_over", "action=end_and_leave_the_instances_running");
            loop_stop(c->loop);
        } else if (c->stopping) {
            loop_stop(c->loop); /* told twice: what has not ended by now is left */
        } else {
            stop_fleet(c);
        }
    }
}

/* ---- life ---- */

static bool open_signals(struct controller *c, struct error *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGXFSZ, SIG_IGN);
    c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (c->signal_fd < 0) {
        return error_system(err, "signalfd");
    }
    return loop_watch(c->loop, &c->signals, c->signal_fd, WATCH_READ, on_signal, err) &&
           loop_watch(c->loop, &c->supervisor_gone, c->config.supervisor_fd, WATCH_READ,
                      on_supervisor_gone, err);
}

static bool open_api(struct controller *c, struct error *err) {
    struct api_options options = {
        .loop = c->loop,
        .tcp_address = slice_from(c->shop.admin.address),
        .socket_path = c->config.state->socket,
        .anonymous_views = shop_anonymous_views(&c->shop),
        .hosts = c->shop.admin.hosts,
        .host_count = c->shop.admin.host_count,
        .store = c->store,
        .vitals = c->config.vitals,
        .source = { c, api_instance_output, reload_check, api_drain, api_drain_instance,
                    api_start_maintenance, api_end_maintenance, tell_change, campaigns_put,
                    campaigns_remove },
    };
    c->api = api_new(&options, err);
    if (c->api == NULL && options.tcp_address.len > 0) { /* never a reason not to control */
        log_warn("admin_address_not_available", "address=%s error=\"%s\" action=socket_only",
                 c->shop.admin.address, err->text);
        options.tcp_address = (struct slice){ "", 0 };
        c->api = api_new(&options, err);
    }
    return c->api != NULL;
}

/* The store is never a reason not to control: without one nothing is remembered. */
static void open_store(struct controller *c) {
    struct error err;
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", c->config.state->path);
    char *slash = strrchr(folder, '/'); /* the state folder is in the configuration's */
    *(slash == folder ? slash + 1 : slash) = '\0';
    c->store = store_open(slice_from(c->shop.store), folder, &err);
    if (c->store == NULL) {
        log_error("store_not_opened", "error=\"%s\" action=go_on_without", err.text);
    }
}

/* The supervisor has read and checked it; of the files it names we keep what is in them. One that
 * was broken since then is done without until the next reload. */
static void take_configuration(struct controller *c) {
    struct error err;
    c->shop = *c->config.shop; /* a fork's own copy */
    if (!inputs_load(&c->shop, clock_unix_ms(), &c->inputs, &err)) {
        log_error("inputs_not_read", "error=\"%s\" action=go_on_without", err.text);
        calendar_init(&c->inputs.calendar);
    }
}

/* Generations go on where a predecessor was. */
static void inherit_generations(struct controller *c) {
    const struct plan *plan = plan_current(c->config.plans);
    for (unsigned i = 0; plan != NULL && i < plan->endpoint_count; i++) {
        c->members[i].generation = plan->endpoints[i].generation;
    }
}

static void adopt(struct controller *c) {
    unsigned adopted = fleet_adopt(c->fleet);
    for (struct instance *i = fleet_first(c->fleet); i != NULL; i = fleet_next(c->fleet, i)) {
        (void)member_add(c, i); /* static ones too: they are shown while they are probed */
    }
    if (adopted > 0) {
        const struct told told = {
            .kind = "heal", .action = "adopt", .subject = "fleet", .service = -1, .noticed_ms = NAN
        };
        tell(c, &told, "%u running instances of an earlier controller were adopted", adopted);
    }
}

static bool controller_init(struct controller *c, struct error *err) {
    c->started_ms = clock_unix_ms();
    if (!state_folder_lock_controller(c->config.state, CONTROLLER_LOCK_MS, &c->lock_fd, err)) {
        return false;
    }
    c->loop = loop_new(err);
    if (c->loop == NULL || !open_signals(c, err)) {
        return false;
    }
    take_configuration(c);
    log_set_level(c->shop.log.level);
    c->now_us = loop_now_us(c->loop);
    open_store(c);
    struct fleet_options options = {
        .loop = c->loop,
        .state_folder = c->config.state->path,
        .handler = { c, on_ready, on_health, on_exit_of, on_probed },
    };
    c->fleet = fleet_new(&options, err);
    if (c->fleet == NULL || !open_api(c, err)) {
        return false;
    }
    sticky_secret_init(&c->sticky, c->config.state);
    inherit_generations(c);
    maintenance_open(c);
    campaigns_open(c);
    services_apply(c);
    storage_apply(c);
    access_apply(c, NULL);
    reload_certificates(c);
    adopt(c);
    maintenance_forget_ended(c);
    planner_publish(c);
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        scale_fill(c, i);
    }
    view_fill(c, clock_unix_ms());
    api_tick(c->api, &c->view);
    timer_start(c->loop, &c->heal_tick, CONTROLLER_HEAL_US, on_heal_tick);
    timer_start(c->loop, &c->second_tick, CONTROLLER_SECOND_US, on_second_tick);
    return true;
}

static void controller_fini(struct controller *c) {
    struct error err;
    if (c->loop != NULL) { /* the loop turns below: no tick may see what is half freed */
        timer_stop(c->loop, &c->heal_tick);
        timer_stop(c->loop, &c->second_tick);
        timer_stop(c->loop, &c->follow_tick);
    }
    if (c->api != NULL) {
        api_free(c->api);
        (void)loop_turn(c->loop, 0, &err);
    }
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        accounts_end(c, &c->services[i]);
    }
    fleet_free(c->fleet);
    services_keep(c);
    storage_keep(c);
    store_close(c->store, STORE_CLOSE_MS);
    access_writer_free(c->access, ACCESS_END_MS);
    services_fini(c);
    calendar_fini(&c->calendar);
    calendar_feed_fini(&c->calendar_feed);
    inputs_fini(&c->inputs);
    volumes_fini(&c->volumes);
    certificates_fini(&c->certificates);
    if (c->signal_fd >= 0) {
        close(c->signal_fd);
    }
    loop_free(c->loop);
    if (c->lock_fd >= 0) {
        close(c->lock_fd); /* the last: a successor may act from here on */
    }
}

bool controller_run(const struct controller_config *config, struct error *err) {
    static struct controller c; /* large; one a process */
    c = (struct controller){ .config = *config, .signal_fd = -1, .lock_fd = -1 };
    c.signals.fd = c.supervisor_gone.fd = -1;
    calendar_init(&c.inputs.calendar);
    calendar_init(&c.calendar);
    calendar_init(&c.calendar_feed.calendar);
    bool done = controller_init(&c, err) && loop_run(c.loop, err);
    controller_fini(&c);
    return done;
}
