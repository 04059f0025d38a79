#include "act/proxy/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "act/proxy/entrance.h"
#include "act/proxy/evidence.h"
#include "act/proxy/exchange.h"
#include "act/proxy/session.h"
#include "act/proxy/upstream.h"
#include "act/proxy/verifier.h"
#include "act/proxy/worker_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/net/tls.h"

#define SCRATCH_BYTES_MAX 1048576
#define PAGE_BYTES_MAX 4096
#define HEAD_BYTES_MAX 65536 /* half of the loop's receive buffer: a head must fit in it whole */

/* Until the first plan comes: every request is answered 503, so only the client's side matters. */
static const struct plan_limits limits_before_plan = {
    .connections = 10000,
    .streams = 128,
    .client_head_timeout_ms = 10000,
    .client_idle_timeout_ms = 60000,
    .client_body_timeout_ms = 30000,
    .drain_timeout_ms = 10000,
    .pool_idle_timeout_ms = 4000,
};

int64_t worker_unix_ms(struct worker *w) {
    if (w->unix_read_us != loop_now_us(w->loop)) {
        w->unix_read_us = loop_now_us(w->loop);
        w->unix_ms = clock_unix_ms();
    }
    return w->unix_ms;
}

/* ---- plan ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
    return value == 0 ? otherwise : value;
}

static void set_limits(struct worker *w, const struct plan_limits *limits) {
    w->limits = *limits;
    w->h1_limits = h1_limits_default;
    w->h1_limits.head_bytes = or_default(limits->head_bytes, h1_limits_default.head_bytes);
    w->h1_limits.fields = or_default(limits->fields, h1_limits_default.fields);
    w->h1_limits.target_bytes = or_default(limits->target_bytes, h1_limits_default.target_bytes);
    if (w->h1_limits.head_bytes > HEAD_BYTES_MAX) {
        w->h1_limits.head_bytes = HEAD_BYTES_MAX;
    }
}

/* Most plans differ in their endpoints only: then the table stays. */
static void take_routes(struct worker *w) {
    if (w->routes != NULL && route_table_hash(w->routes) == w->plan->routes_hash) {
        return;
    }
    route_table_free(w->routes);
    w->routes = route_table_new(w->plan);
    if (w->routes == NULL) {
        log_error("plan_not_compiled", "version=%llu reason=memory action=answer_503",
                  (unsigned long long)w->plan->version);
    }
    for (uint32_t i = 0; i < w->plan->rate_count; i++) {
        vitals_adopt_rate(w->own, i, w->plan->rates[i].id);
    }
}

/* Between two events: nothing holds a pointer into the old plan. */
static void take_plan(struct worker *w) {
    uint64_t version = plan_version(w->config->plans);
    if (version == 0) {
        return;
    }
    if (w->plan != NULL && w->plan->version == version) {
        if (w->routes == NULL) { /* there was no memory for them */
            take_routes(w);
        }
        return;
    }
    w->plan = plan_acquire(w->config->plans, w->config->index);
    take_routes(w);
    set_limits(w, &w->plan->limits);
    w->worth.policy = value_policy_default(w->plan->customer_value_mean);
    compression_policy_init(&w->compressor.policy, w->plan);
    dials_refresh(w);
    services_refresh(w);
    fronts_refresh(w);
    worker_listen_named(w);
    atomic_store(&w->own->plan_version, w->plan->version);
}

static void on_wake(struct watch *watch, unsigned events) {
    struct worker *w = (struct worker *)((char *)watch - offsetof(struct worker, wake));
    uint64_t count;
    (void)events;
    ssize_t n = read(watch->fd, &count, sizeof count);
    (void)n; /* how often does not matter, nor that it was somebody else's wake-up */
    take_plan(w);
}

/* ---- timers ---- */

static void on_heartbeat(struct timer *timer) {
    struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, heartbeat));
    atomic_store_explicit(&w->own->heartbeat_us, loop_now_us(w->loop), memory_order_relaxed);
    take_plan(w); /* in case a wake-up was missed */
    upstream_follow_plan(w);
    timer_start(w->loop, timer, WORKER_HEARTBEAT_US, on_heartbeat);
}

static void on_sweep(struct timer *timer) {
    struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, sweep));
    uint64_t idle_us = (uint64_t)w->limits.pool_idle_timeout_ms * 1000;
    uint64_t now_us = loop_now_us(w->loop);
    for (unsigned slot = 0; slot < PLAN_ENDPOINTS_MAX && idle_us > 0 && now_us > idle_us; slot++) {
        upstream_close_idle(w, &w->endpoints[slot], now_us - idle_us);
    }
    timer_start(w->loop, timer, WORKER_SWEEP_US, on_sweep);
}

/* ---- draining ---- */

static void end_if_empty(struct worker *w) {
    if (w->draining && w->clients.connections == 0 && !worker_listens(w)) {
        loop_stop(w->loop);
    }
}

void worker_session_ended(struct worker *w) {
    end_if_empty(w);
}

void worker_listener_retired(struct worker *w) {
    end_if_empty(w);
}

/* Calls `visit` with each session. */
static void each_session(struct worker *w, void (*visit)(struct list *, uint64_t), uint64_t how) {
    LIST_EACH(&w->clients.all, item, next) {
        struct client *client = LIST_ITEM(item, struct client, link);
        clients_hold(client); /* its last session may close */
        LIST_EACH(&client->sessions, link, saved) {
            visit(link, how);
        }
        clients_release(&w->clients, client);
    }
}

static void drain_session(struct list *link, uint64_t now) {
    session_drain(link, now != 0);
}

static void drain_sessions(struct worker *w, bool now) {
    each_session(w, drain_session, now);
}

static void on_drain_over(struct timer *timer) {
    struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, drain_over));
    log_warn("drain_timeout", "connections=%u action=close_them", w->clients.connections);
    drain_sessions(w, true);
}

static void drain(struct worker *w, const char *why) {
    if (w->draining) {
        return;
    }
    log_info("worker_draining", "reason=%s connections=%u", why, w->clients.connections);
    w->draining = true;
    worker_listen_stop(w);
    entrance_drain(w);
    drain_sessions(w, false);
    timer_start(w->loop, &w->drain_over, (uint64_t)w->limits.drain_timeout_ms * 1000,
                on_drain_over);
    end_if_empty(w);
}

/* The first look is a second away: what was accepted a moment ago has not spoken yet. */
static void on_retire_look(struct timer *timer) {
    struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, retire_look));
    each_session(w, session_retire, WORKER_RETIRE_IDLE_US);
    timer_start(w->loop, timer, WORKER_SWEEP_US, on_retire_look);
}

static void retire(struct worker *w) {
    if (w->draining) {
        return;
    }
    log_info("worker_retiring", "connections=%u", w->clients.connections);
    w->draining = w->retiring = true;
    worker_listen_retire(w);
    timer_start(w->loop, &w->retire_look, WORKER_SWEEP_US, on_retire_look);
    timer_start(w->loop, &w->drain_over, (uint64_t)w->limits.upgrade_timeout_ms * 1000,
                on_drain_over);
    end_if_empty(w);
}

/* One that retires and is now told to end has no more time than any other. */
static void drain_for(struct worker *w, const char *why) {
    w->draining = w->draining && !w->retiring;
    w->retiring = false;
    timer_stop(w->loop, &w->retire_look);
    drain(w, why);
}

static void on_signal(struct watch *watch, unsigned events) {
    struct worker *w = (struct worker *)((char *)watch - offsetof(struct worker, signals));
    struct signalfd_siginfo info;
    (void)events;
    while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGUSR1) {
            retire(w);
        } else {
            drain_for(w, "signal");
        }
    }
}

static void on_supervisor_gone(struct watch *watch, unsigned events) {
    struct worker *w = (struct worker *)((char *)watch - offsetof(struct worker, supervisor));
    (void)events;
    loop_unwatch(w->loop, watch);
    drain_for(w, "supervisor_gone");
}

/* ---- accepting ---- */

void worker_on_accept(struct listener *listener, int fd, const struct address *peer) {
    struct worker *w = listener->owner;
    vitals_add(&w->own->connections_accepted, 1);
    entrance_accept(w, (unsigned)(listener - w->listeners), fd, peer);
}

/* ---- life ---- */

static bool watch_signals(struct worker *w, struct error *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (w->signal_fd < 0) {
        return error_system(err, "signalfd");
    }
    return loop_watch(w->loop, &w->signals, w->signal_fd, WATCH_READ, on_signal, err);
}

static bool watch_others(struct worker *w, struct error *err) {
    const struct worker_config *c = w->config;
    if (c->wake_fd >= 0 && !loop_watch(w->loop, &w->wake, c->wake_fd, WATCH_READ, on_wake, err)) {
        return false;
    }
    return c->supervisor_fd < 0 || loop_watch(w->loop, &w->supervisor, c->supervisor_fd, WATCH_READ,
                                              on_supervisor_gone, err);
}

/* It has what it needs by now. */
static void confine(struct worker *w) {
    char missing[GUARD_TEXT_BYTES];
    struct guard_worker guard = w->config->guard;
    guard.refused_call = &w->own->refused_call;
    tls_prepare();
    uint32_t parts = guard_confine(&guard, missing);
    atomic_store(&w->own->guard, parts);
    if (guard.mode == GUARD_OFF) {
        log_info("sandbox_off", "reason=configured");
    } else if (missing[0] != '\0') {
        log_warn("sandbox_in_part", "missing=\"%s\" action=go_on_without", missing);
    }
}

static void init_services(struct worker *w) {
    for (uint16_t i = 0; i < PLAN_SERVICES_MAX; i++) {
        service_init(&w->services[i], w, i);
    }
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        struct endpoint *e = &w->endpoints[i];
        list_init(&e->in_flight);
        list_init(&e->awaiting);
        list_init(&e->idle);
        list_init(&e->h2);
        e->vitals = &w->own->endpoints[i];
        e->shared = &w->vitals->shared[i];
    }
}

/* The seed is a secret: nobody can aim at another one's place. */
static bool init_clients(struct worker *w, struct error *err) {
    uint64_t seed;
    struct rlimit descriptors;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        return error_system(err, "getrandom");
    }
    if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) {
        return error_system(err, "getrlimit");
    }
    clients_init(&w->clients, seed);
    tarpit_init(&w->tarpit, w->loop, descriptors.rlim_cur, w, entrance_held_over);
    return true;
}

static bool worker_init(struct worker *w, const struct worker_config *config, struct error *err) {
    w->config = config;
    w->signal_fd = w->wake.fd = w->signals.fd = w->supervisor.fd = w->control.fd = -1;
    w->vitals = config->vitals;
    w->own = &config->vitals->workers[config->index];
    list_init(&w->entrances);
    list_init(&w->upstreams_h2);
    buffer_init(&w->scratch, SCRATCH_BYTES_MAX);
    buffer_init(&w->frames, SCRATCH_BYTES_MAX);
    buffer_init(&w->page, PAGE_BYTES_MAX);
    compressor_init(&w->compressor, w);
    if (!worker_open_loop(w, err) || !init_clients(w, err)) {
        return false;
    }
    rand_init(&w->rand, clock_monotonic_us() ^ ((uint64_t)getpid() << 32));
    init_services(w);
    set_limits(w, &limits_before_plan);
    if (!watch_signals(w, err) || !watch_others(w, err)) {
        return false;
    }
    atomic_store(&w->own->pid, (uint32_t)getpid());
    atomic_store(&w->own->started_us, loop_now_us(w->loop));
    on_heartbeat(&w->heartbeat); /* takes the plan too, so that the first request finds it */
    timer_start(w->loop, &w->sweep, WORKER_SWEEP_US, on_sweep);
    if (!worker_listen_start(w, err)) {
        return false;
    }
    log_info("worker_ready", "pid=%d plan=%llu io=%s", (int)getpid(),
             (unsigned long long)vitals_get(&w->own->plan_version), loop_io_name(loop_io(w->loop)));
    return true;
}

static void free_spares(struct worker *w) {
    while (w->spare_exchanges != NULL) {
        struct exchange *x = w->spare_exchanges;
        w->spare_exchanges = x->next_spare;
        exchange_free(x);
    }
    compressor_fini(&w->compressor);
    connection_free_spares(w);
    upstream_free_spares(w);
}

static void worker_fini(struct worker *w) {
    if (w->loop == NULL) {
        return;
    }
    worker_listen_fini(w);
    upstream_close_all(w);
    loop_turn(w->loop, 0, NULL); /* what was closed comes back as spare */
    free_spares(w);
    verifier_free(w->verifier);
    evidence_fini(w);
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        service_fini(&w->services[i]);
    }
    timer_stop(w->loop, &w->heartbeat);
    timer_stop(w->loop, &w->sweep);
    timer_stop(w->loop, &w->drain_over);
    timer_stop(w->loop, &w->retire_look);
    tarpit_empty(&w->tarpit);
    loop_unwatch(w->loop, &w->wake);
    loop_unwatch(w->loop, &w->signals);
    loop_unwatch(w->loop, &w->supervisor);
    if (w->signal_fd >= 0) {
        close(w->signal_fd);
    }
    route_table_free(w->routes);
    fronts_fini(w);
    dials_fini(w);
    plan_release(w->config->plans, w->config->index);
    atomic_store(&w->own->pid, 0);
    buffer_fini(&w->scratch);
    buffer_fini(&w->frames);
    buffer_fini(&w->page);
    clients_fini(&w->clients);
    loop_free(w->loop);
}

bool worker_run(const struct worker_config *config, struct error *err) {
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory for a worker");
    }
    bool ok = worker_init(w, config, err);
    if (ok) {
        confine(w);
        ok = loop_run(w->loop, err);
    }
    worker_fini(w);
    free(w);
    return ok;
}
