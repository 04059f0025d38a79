#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/control/child.h"
#include "act/control/chronicler.h"
#include "act/control/controller.h"
#include "act/control/supervisor_internal.h"
#include "act/proxy/worker.h"
#include "base/clock.h"
#include "base/log.h"

#define RESTART_QUICK_US 1000000 /* a child that lived shorter died quickly */
#define RESTART_QUICK_FREE 3     /* so many quick deaths in a row are restarted at once */
#define RESTART_DELAY_FIRST_US 50000
#define RESTART_DELAY_MAX_US 1000000

void children_init(struct supervisor *s) {
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

/* ---- in the child ---- */

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

/* ---- in the supervisor ---- */

static void on_exit_seen(struct watch *watch, unsigned events);
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

void children_start(struct child *c) {
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
    } else if (!loop_watch(s->loop, &c->exited, c->pidfd, WATCH_READ, on_exit_seen, &err)) {
        start_failed(c, err.text);
    }
}

static void on_restart_due(struct timer *timer) {
    struct child *c = (struct child *)((char *)timer - offsetof(struct child, restart));
    if (c->supervisor->phase <= PHASE_DRAINING) {
        children_start(c);
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

void children_restart(struct child *c) {
    uint64_t delay_us = restart_delay_us(c);
    if (delay_us == 0) {
        children_start(c);
    } else {
        timer_start(c->supervisor->loop, &c->restart, delay_us, on_restart_due);
    }
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

void children_reap_orphans(struct supervisor *s) {
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

static void on_exit_seen(struct watch *watch, unsigned events) {
    struct child *c = (struct child *)((char *)watch - offsetof(struct child, exited));
    (void)events;
    reap(c);
    children_reap_orphans(c->supervisor);
    supervisor_child_ended(c);
}

/* ---- workers, all of them ---- */

void children_start_workers(struct supervisor *s) {
    for (unsigned i = 0; i < s->worker_count; i++) {
        children_start(&s->children[i]);
    }
    for (size_t i = 0; i < s->shop->listen_count; i++) {
        log_info("listening", "address=%s tls=%s workers=%u", s->shop->listen[i].text,
                 listen_is_tls(&s->shop->listen[i]) ? "yes" : "no", s->worker_count);
    }
}

void children_signal_workers(struct supervisor *s, int signal_number) {
    for (unsigned i = 0; i < s->worker_count; i++) {
        timer_stop(s->loop, &s->children[i].restart);
        if (s->children[i].pid != 0) {
            kill(s->children[i].pid, signal_number);
        }
    }
}

bool children_workers_gone(const struct supervisor *s) {
    for (unsigned i = 0; i < s->worker_count; i++) {
        if (s->children[i].pid != 0) {
            return false;
        }
    }
    return true;
}
