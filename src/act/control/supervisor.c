#include "act/control/supervisor.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "act/control/child.h"
#include "act/control/inputs.h"
#include "act/control/notify.h"
#include "act/control/supervisor_internal.h"
#include "act/shm/plan.h"
#include "act/shm/vitals.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/net/loop.h"
#include "wire/net/tls.h"

#define CONTROLLER_STOP_US 45000000 /* the controller stops the instances within this */

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

/* By its phase the supervisor knows what that means. */
void supervisor_child_ended(struct child *c) {
    struct supervisor *s = c->supervisor;
    if (s->phase >= PHASE_FRONT) {
        upgrade_front_look(s);
    } else if (c->worker < 0 && s->upgrade.phase == UPGRADE_SWITCHING) {
        upgrade_controller_ended(s);
    } else if (s->phase == PHASE_STOPPING && c->worker < 0) {
        loop_stop(s->loop);
    } else if (s->phase == PHASE_DRAINING && c->worker >= 0) {
        if (children_workers_gone(s)) {
            stop_controller(s);
        }
    } else if (s->phase != PHASE_STOPPING) {
        children_restart(c);
    }
}

/* ---- signals ---- */

static void on_patience_over(struct timer *timer) {
    struct supervisor *s =
        (struct supervisor *)((char *)timer - offsetof(struct supervisor, patience));
    if (s->phase == PHASE_DRAINING) {
        log_warn("drain_timeout", "action=kill_workers");
        children_signal_workers(s, SIGKILL);
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
        children_signal_workers(s, SIGTERM);
        /* Workers keep to the drain timeout by themselves; this is for one that is stuck. */
        timer_start(s->loop, &s->patience, s->shop->timeouts.drain_ms * 1000 + 2000000,
                    on_patience_over);
        if (children_workers_gone(s)) {
            stop_controller(s);
        }
    } else if (s->phase == PHASE_DRAINING) {
        children_signal_workers(s, SIGKILL);
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
            children_reap_orphans(s);
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
    children_init(s);
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

static bool start(struct supervisor *s, struct error *err) {
    struct error why;
    if (s->succession.link_fd >= 0) {
        return succeed_prepared(s, err);
    }
    if (!asker_open(s, &why)) {
        log_warn("no_upgrade_socket", "error=\"%s\" action=upgrade_by_USR2_only", why.text);
    }
    children_start(supervisor_controller(s));
    children_start_workers(s);
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
