#include "act/control/supervisor.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/control/child.h"
#include "act/control/chronicler.h"
#include "act/control/controller.h"
#include "act/control/inputs.h"
#include "act/control/notify.h"
#include "act/control/supervisor_internal.h"
#include "act/proxy/worker.h"
#include "act/shm/plan.h"
#include "act/shm/vitals.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/net/loop.h"
#include "wire/net/tls.h"

#define RESTART_QUICK_US 1000000 /* a child that lived shorter died quickly */
#define RESTART_QUICK_FREE 3     /* so many quick deaths in a row are restarted at once */
#define RESTART_DELAY_FIRST_US 50000
#define RESTART_DELAY_MAX_US 1000000
#define CONTROLLER_STOP_US 45000000 /* the controller stops the instances within this */

/* ---- children ---- */

/* What it is told by us stays blocked until it listens: a signal that comes earlier is not lost. */
static void reset_signals(void) {
    static const int told[] = { SIGHUP, SIGTERM, SIGINT, SIGUSR1 };
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof told / sizeof told[0]; i++) {
        sigaddset(&set, told[i]);
    }
    sigprocmask(SIG_SETMASK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int run_worker(struct supervisor *s, unsigned index, int supervisor_fd, int control_fd) {
    struct worker_config config = {
        .index = index,
        .listen_fds = s->listen_fds,
        .listen_count = LISTENERS_MAX,
        .listen_guarded = s->listen_guarded,
        .plans = s->plans,
        .vitals = s->vitals,
        .io = s->shop->io,
        .wake_fd = s->wake_fds[index],
        .supervisor_fd = supervisor_fd,
        .control_fd = control_fd,
        .guard = { .mode = (enum guard_mode)s->shop->sandbox,
                   .user = s->user,
                   .memory_bytes = s->shop->limits.memory_bytes,
                   .descriptors = s->shop->limits.descriptors },
    };
    struct error err;
    if (!worker_run(&config, &err)) {
        log_error("worker_failed", "error=\"%s\"", err.text);
        return 1;
    }
    return 0;
}

static int run_controller(struct supervisor *s, int supervisor_fd) {
    struct controller_config config = {
        .shop = s->shop,
        .config_path = s->config_path,
        .state = &s->state,
        .plans = s->plans,
        .vitals = s->vitals,
        .notebook = s->notebook,
        .wake_fds = s->wake_fds,
        .worker_count = s->worker_count,
        .supervisor_fd = supervisor_fd,
        .supervisor_pid = getppid(),
    };
    struct error err;
    if (s->phase == PHASE_FRONT) {
        chronicler_run(&s->shop->access_log, s->plans, s->vitals);
        return 0;
    }
    if (!controller_run(&config, &err)) {
        log_error("controller_failed", "error=\"%s\"", err.text);
        return 1;
    }
    return 0;
}

/* What a child keeps open: everything else, the supervisor's lock above all, is closed. */
static void keep_only_needed(struct supervisor *s, const struct child *c, int supervisor_fd,
                             int control_fd) {
    int keep[LISTENERS_MAX + PLAN_WORKERS_MAX + 8];
    unsigned count = 0;
    keep[count++] = supervisor_fd;
    keep[count++] = s->plan_fd;
    keep[count++] = s->vitals_fd;
    if (c->worker >= 0) {
        keep[count++] = s->wake_fds[c->worker];
        keep[count++] = control_fd;
        for (unsigned i = 0; i < LISTENERS_MAX; i++) {
            keep[count++] = s->listen_fds[i]; /* -1 is passed over */
        }
    } else {
        for (unsigned i = 0; i < s->worker_count; i++) {
            keep[count++] = s->wake_fds[i];
        }
    }
    child_close_others(keep, count);
}

static void child_main(struct supervisor *s, struct child *c, pid_t supervisor_pid,
                       int control_fd) {
    int supervisor_fd = child_watch_parent(supervisor_pid);
    if (supervisor_fd < 0) {
        _exit(0); /* it died between fork and here */
    }
    setpgid(0, 0); /* Ctrl-C is for the supervisor: it says who ends when */
    log_set_process(c->name);
    keep_only_needed(s, c, supervisor_fd, control_fd);
    reset_signals();
    int status = c->worker >= 0 ? run_worker(s, (unsigned)c->worker, supervisor_fd, control_fd)
                                : run_controller(s, supervisor_fd);
    fflush(NULL);
    _exit(status);
}

static void on_child_exit(struct watch *watch, unsigned events);
static void on_restart_due(struct timer *timer);

/* No process, or none that can be watched: what the others do goes on, and soon there may be room.
 */
static void start_failed(struct child *c, const char *why) {
    log_error("fork_failed", "child=%s error=\"%s\" action=retry_in_%ums", c->name, why,
              (unsigned)(RESTART_DELAY_FIRST_US / 1000));
    if (c->pidfd >= 0) {
        close(c->pidfd);
    }
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
    }
    if (c->control_fd >= 0) {
        close(c->control_fd);
    }
    c->pidfd = c->control_fd = -1;
    c->pid = 0;
    timer_start(c->supervisor->loop, &c->restart, RESTART_DELAY_FIRST_US, on_restart_due);
}

void supervisor_start_child(struct child *c) {
    struct supervisor *s = c->supervisor;
    pid_t supervisor_pid = getpid();
    struct error err = { 0 };
    int orders[2] = { -1, -1 };
    if (c->worker >= 0 && !handover_pair(orders, &err)) {
        log_warn("no_orders", "child=%s error=\"%s\" action=listeners_stay_as_they_are", c->name,
                 err.text);
    }
    c->started_us = clock_monotonic_us();
    pid_t pid = fork();
    if (pid == 0) {
        child_main(s, c, supervisor_pid, orders[1]);
    }
    c->control_fd = orders[0];
    if (orders[1] >= 0) {
        close(orders[1]);
    }
    c->pid = pid;
    c->pidfd = pid < 0 ? -1 : child_pidfd(pid);
    if (c->pidfd < 0) {
        start_failed(c, strerror(errno));
    } else if (!loop_watch(s->loop, &c->exited, c->pidfd, WATCH_READ, on_child_exit, &err)) {
        start_failed(c, err.text);
    }
}

static void on_restart_due(struct timer *timer) {
    struct child *c = (struct child *)((char *)timer - offsetof(struct child, restart));
    if (c->supervisor->phase <= PHASE_DRAINING) {
        supervisor_start_child(c);
    }
}

/* The first deaths are restarted at once: an accident. One that goes on dying is given time. */
static uint64_t restart_delay_us(struct child *c) {
    bool quick = clock_monotonic_us() - c->started_us < RESTART_QUICK_US;
    c->quick_deaths = quick ? c->quick_deaths + 1 : 0;
    if (c->quick_deaths <= RESTART_QUICK_FREE) {
        return 0;
    }
    unsigned doublings = c->quick_deaths - RESTART_QUICK_FREE;
    uint64_t delay_us = (uint64_t)RESTART_DELAY_FIRST_US << (doublings > 7 ? 7 : doublings);
    return delay_us > RESTART_DELAY_MAX_US ? RESTART_DELAY_MAX_US : delay_us;
}

/* A fault of ours, a library's new habit, or somebody who is inside. */
static void tell_of_refused_call(const struct child *c) {
    uint32_t call = 0;
    if (c->worker >= 0) {
        call = atomic_exchange(&c->supervisor->vitals->workers[c->worker].refused_call, 0);
    }
    const char *name = call == 0 ? NULL : guard_call_name(call - 1);
    log_error("sandbox_violation", "child=%s pid=%d syscall=%s number=%d action=ended_it", c->name,
              (int)c->pid, name != NULL ? name : "unknown", (int)call - 1);
}

static void reap(struct child *c) {
    int status = 0;
    bool expected = c->worker < 0 && c->supervisor->upgrade.phase == UPGRADE_SWITCHING;
    loop_unwatch(c->supervisor->loop, &c->exited);
    close(c->pidfd);
    waitpid(c->pid, &status, 0);
    c->pidfd = -1;
    if (c->control_fd >= 0) {
        close(c->control_fd);
    }
    c->control_fd = -1;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
        tell_of_refused_call(c);
    }
    if (c->supervisor->phase == PHASE_RUNNING && !expected) {
        log_warn("child_died", "child=%s pid=%d %s=%d action=restart", c->name, (int)c->pid,
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    c->pid = 0;
    if (c->worker >= 0) {
        plan_forget_worker(c->supervisor->plans, (unsigned)c->worker);
        vitals_clear_in_flight(&c->supervisor->vitals->workers[c->worker]);
        atomic_store(&c->supervisor->vitals->workers[c->worker].pid, 0);
    }
}

bool supervisor_workers_gone(const struct supervisor *s) {
    for (unsigned i = 0; i < s->worker_count; i++) {
        if (s->children[i].pid != 0) {
            return false;
        }
    }
    return true;
}

static void on_patience_over(struct timer *timer);

static void stop_controller(struct supervisor *s) {
    s->phase = PHASE_STOPPING;
    if (supervisor_controller(s)->pid == 0) {
        loop_stop(s->loop);
        return;
    }
    kill(supervisor_controller(s)->pid, SIGTERM);
    timer_start(s->loop, &s->patience, CONTROLLER_STOP_US, on_patience_over);
}

static void reap_orphans(struct supervisor *s);

static void on_child_exit(struct watch *watch, unsigned events) {
    struct child *c = (struct child *)((char *)watch - offsetof(struct child, exited));
    struct supervisor *s = c->supervisor;
    (void)events;
    reap(c);
    reap_orphans(s);
    if (s->phase >= PHASE_FRONT) {
        upgrade_front_look(s);
    } else if (c->worker < 0 && s->upgrade.phase == UPGRADE_SWITCHING) {
        upgrade_controller_ended(s);
    } else if (s->phase == PHASE_STOPPING && c->worker < 0) {
        loop_stop(s->loop);
    } else if (s->phase == PHASE_DRAINING && c->worker >= 0) {
        if (supervisor_workers_gone(s)) {
            stop_controller(s);
        }
    } else if (s->phase != PHASE_STOPPING) {
        uint64_t delay_us = restart_delay_us(c);
        if (delay_us == 0) {
            supervisor_start_child(c);
        } else {
            timer_start(s->loop, &c->restart, delay_us, on_restart_due);
        }
    }
}

/* ---- signals ---- */

void supervisor_signal_workers(struct supervisor *s, int signal_number) {
    for (unsigned i = 0; i < s->worker_count; i++) {
        timer_stop(s->loop, &s->children[i].restart);
        if (s->children[i].pid != 0) {
            kill(s->children[i].pid, signal_number);
        }
    }
}

static void on_patience_over(struct timer *timer) {
    struct supervisor *s =
        (struct supervisor *)((char *)timer - offsetof(struct supervisor, patience));
    if (s->phase == PHASE_DRAINING) {
        log_warn("drain_timeout", "action=kill_workers");
        supervisor_signal_workers(s, SIGKILL);
    } else if (supervisor_controller(s)->pid != 0) {
        log_warn("stop_timeout", "action=kill_controller");
        kill(supervisor_controller(s)->pid, SIGKILL);
    }
}

void supervisor_begin_end(struct supervisor *s) {
    upgrade_give_up(s, "it was told to end");
    if (s->phase == PHASE_RUNNING) {
        s->phase = PHASE_DRAINING;
        notify_send("STOPPING=1");
        log_info("draining", "timeout_ms=%llu", (unsigned long long)s->shop->timeouts.drain_ms);
        supervisor_signal_workers(s, SIGTERM);
        /* Workers keep to the drain timeout by themselves; this is for one that is stuck. */
        timer_start(s->loop, &s->patience, s->shop->timeouts.drain_ms * 1000 + 2000000,
                    on_patience_over);
        if (supervisor_workers_gone(s)) {
            stop_controller(s);
        }
    } else if (s->phase == PHASE_DRAINING) {
        supervisor_signal_workers(s, SIGKILL);
    } else if (supervisor_controller(s)->pid != 0) {
        kill(supervisor_controller(s)->pid,
             SIGTERM); /* the second one: it does not wait for instances */
    }
}

void supervisor_reload(struct supervisor *s) {
    struct shop fresh;
    struct config_report report = { 0 };
    struct error err = { 0 };
    if (s->config_path == NULL) {
        log_warn("reload_ignored", "reason=\"there is no configuration file\"");
        return;
    }
    if (upgrade_is_under_way(s)) {
        s->upgrade.reload_pending = true; /* for whoever it is then */
        return;
    }
    notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_monotonic_us());
    bool good = shop_load(s->config_path, &fresh, &report);
    if (good && !inputs_check(&fresh, clock_unix_ms(), &report)) {
        shop_fini(&fresh);
        good = false;
    }
    if (!good) {
        config_report_print(&report, stderr);
        log_error("reload_refused", "file=%s errors=%u action=keep_the_old_one", s->config_path,
                  (unsigned)report.errors);
        config_report_fini(&report);
        notify_send("READY=1");
        return;
    }
    config_report_fini(&report);
    if (!listening_apply(s, &fresh, &err)) {
        log_error("reload_refused", "file=%s error=\"%s\" action=keep_the_old_one", s->config_path,
                  err.text);
        shop_fini(&fresh);
        notify_send("READY=1");
        return;
    }
    shop_fini(s->shop);
    *s->shop = fresh;
    if (supervisor_controller(s)->pid != 0) {
        kill(supervisor_controller(s)->pid, SIGHUP);
    }
    notify_send("READY=1");
}

/* Instances of a dead controller are our children now (we are their subreaper). */
static void reap_orphans(struct supervisor *s) {
    siginfo_t info;
    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) {
            return;
        }
        for (unsigned i = 0; i <= s->worker_count; i++) {
            if (s->children[i].pid == info.si_pid) {
                return; /* its pidfd says so too, and reaps it in its own turn */
            }
        }
        if (info.si_pid == s->upgrade.pid) {
            return; /* likewise */
        }
        waitpid(info.si_pid, NULL, WNOHANG);
    }
}

static void on_signal(struct watch *watch, unsigned events) {
    struct supervisor *s =
        (struct supervisor *)((char *)watch - offsetof(struct supervisor, signals));
    struct signalfd_siginfo info;
    (void)events;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (s->phase >= PHASE_FRONT && info.ssi_signo != SIGCHLD) {
            upgrade_front_signal(s, info.ssi_signo == SIGINT ? SIGTERM : (int)info.ssi_signo);
            continue;
        }
        switch (info.ssi_signo) {
        case SIGUSR2:
            upgrade_begin(s, s->binary, UPGRADE_PATIENCE_US, -1);
            break;
        case SIGHUP:
            supervisor_reload(s);
            break;
        case SIGCHLD:
            reap_orphans(s);
            break;
        default:
            supervisor_begin_end(s);
        }
    }
}

/* ---- start and end ---- */

static bool open_signals(struct supervisor *s, struct error *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0) {
        return error_system(err, "signalfd");
    }
    return loop_watch(s->loop, &s->signals, s->signal_fd, WATCH_READ, on_signal, err);
}

static bool open_wakers(struct supervisor *s, struct error *err) {
    for (unsigned i = 0; i < s->worker_count; i++) {
        s->wake_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (s->wake_fds[i] < 0) {
            return error_system(err, "eventfd");
        }
    }
    return true;
}

static void name_children(struct supervisor *s) {
    static char names[PLAN_WORKERS_MAX][24];
    for (unsigned i = 0; i <= s->worker_count; i++) {
        struct child *c = &s->children[i];
        *c = (struct child){ .supervisor = s, .worker = (int)i, .pidfd = -1, .control_fd = -1 };
        c->exited.fd = -1;
        if (i < s->worker_count) {
            snprintf(names[i], sizeof names[i], "worker-%u", i);
            c->name = names[i];
        } else {
            c->name = "controller";
            c->worker = -1;
        }
    }
}

/* Our own, or the one that is handed over: both hold it until one of them ends. */
static bool take_lock(struct supervisor *s, struct error *err) {
    struct succession *n = &s->succession;
    if (n->link_fd < 0) {
        return state_folder_lock(&s->state, err);
    }
    if (!handover_receive_offer(n->link_fd, &n->offer, err)) {
        return false;
    }
    s->state.lock_fd = n->offer.lock_fd;
    s->front_fd = n->offer.front_fd >= 0 ? n->offer.front_fd : n->link_fd;
    n->offer.lock_fd = n->offer.front_fd = -1;
    return true;
}

static bool supervisor_init(struct supervisor *s, struct error *err) {
    struct handover_offer *offer = s->succession.link_fd >= 0 ? &s->succession.offer : NULL;
    if (!guard_find_user(s->shop->user, &s->user, err)) {
        return false;
    }
    tls_prepare(); /* so that a worker that comes back need not */
    s->worker_count = child_worker_count((unsigned)s->shop->workers, PLAN_WORKERS_MAX);
    name_children(s);
    if (!state_folder_find(s->config_path, &s->state, err) || !take_lock(s, err)) {
        return false;
    }
    s->loop = loop_new(err);
    if (s->loop == NULL || !open_signals(s, err) || !listening_open(s, offer, err) ||
        (offer == NULL && !listening_check_admin(s, err)) || !open_wakers(s, err)) {
        return false;
    }
    s->plans = plan_segment_new(&s->plan_fd, err);
    s->vitals = s->plans == NULL ? NULL : vitals_new(s->worker_count, &s->vitals_fd, err);
    s->notebook = s->vitals == NULL ? NULL : notebook_new(err);
    if (s->notebook == NULL) {
        return false;
    }
    atomic_store(&s->vitals->supervisor_pid, (uint32_t)getpid());
    guard_keep_little((enum guard_mode)s->shop->sandbox);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
        return error_system(err, "become the subreaper");
    }
    return true;
}

static void close_all(const int *fds, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

static void supervisor_fini(struct supervisor *s) {
    if (s->loop != NULL) {
        asker_close(s);
    }
    listening_close(s);
    close_all(s->wake_fds, s->worker_count);
    close_all((int[]){ s->signal_fd, s->plan_fd, s->vitals_fd }, 3);
    plan_segment_free(s->plans);
    vitals_free(s->vitals);
    notebook_free(s->notebook);
    succeed_fini(s);
    upgrade_fini(s);
    loop_free(s->loop);
    state_folder_unlock(&s->state);
}

void supervisor_start_workers(struct supervisor *s) {
    for (unsigned i = 0; i < s->worker_count; i++) {
        supervisor_start_child(&s->children[i]);
    }
    for (size_t i = 0; i < s->shop->listen_count; i++) {
        log_info("listening", "address=%s tls=%s workers=%u", s->shop->listen[i].text,
                 listen_is_tls(&s->shop->listen[i]) ? "yes" : "no", s->worker_count);
    }
}

static bool start(struct supervisor *s, struct error *err) {
    struct error why;
    if (s->succession.link_fd >= 0) {
        return succeed_prepared(s, err);
    }
    if (!asker_open(s, &why)) {
        log_warn("no_upgrade_socket", "error=\"%s\" action=upgrade_by_USR2_only", why.text);
    }
    supervisor_start_child(supervisor_controller(s));
    supervisor_start_workers(s);
    notify_send("READY=1");
    return true;
}

/* "tidegate run …" once more, for a successor. */
static bool keep_command(struct supervisor *s, char **arguments, struct error *err) {
    static char name[] = "tidegate";
    unsigned count = 0;
    s->command[count++] = name;
    for (; arguments != NULL && *arguments != NULL; arguments++) {
        if (count == COMMAND_MAX) {
            return error_set(err, ERROR_LIMIT, "more than %d arguments", COMMAND_MAX);
        }
        s->command[count++] = *arguments;
    }
    return true;
}

static void init_fields(struct supervisor *s, struct shop *shop, const char *config_path) {
    *s = (struct supervisor){ .shop = shop,
                              .config_path = config_path,
                              .plan_fd = -1,
                              .vitals_fd = -1,
                              .signal_fd = -1,
                              .front_fd = -1,
                              .asking_fd = -1 };
    memset(s->wake_fds, -1, sizeof s->wake_fds);
    memset(s->listen_fds, -1, sizeof s->listen_fds);
    s->state.lock_fd = s->succession.offer.lock_fd = -1;
    s->succession.offer.plan_fd = s->succession.offer.front_fd = -1;
    s->signals.fd = s->asking.fd = s->succession.link.fd = -1;
    for (unsigned i = 0; i < ASKERS_MAX; i++) {
        s->askers[i].watch.fd = -1;
    }
}

/* A front ends as the newer one did. */
static bool front_ended_well(const struct supervisor *s, struct error *err) {
    if (s->phase == PHASE_FRONT_ENDING && s->upgrade.status != 0) {
        return error_set(err, ERROR_UNAVAILABLE, "the Tidegate that took over broke");
    }
    return true;
}

bool supervisor_run(struct shop *shop, const char *config_path, char **arguments,
                    struct error *err) {
    /* Large, and outlives nothing: one supervisor a process. */
    static struct supervisor s;
    log_set_process("supervisor");
    init_fields(&s, shop, config_path);
    upgrade_init(&s);
    s.succession.link_fd = handover_inherited();
    bool done = keep_command(&s, arguments, err) && supervisor_init(&s, err) && start(&s, err);
    if (!done && s.succession.link_fd >= 0) {
        handover_send(s.succession.link_fd, HANDOVER_FAILED, 0, err->text);
    }
    if (done) {
        done = loop_run(s.loop, err) && front_ended_well(&s, err);
        log_info("ended", "reason=told_to");
    }
    supervisor_fini(&s);
    return done;
}
