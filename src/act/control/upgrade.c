/* The old side of an upgrade (drawn in handover.h). Until the new one serves, everything it does
 * can be taken back by killing it: our workers go on with the last plan all the time. Afterwards we
 * are the front: we keep our older workers until they have finished, stand for the new one towards
 * whoever started us, and take back what it leaves if it crashes within its first seconds. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/control/child.h"
#include "act/control/notify.h"
#include "act/control/supervisor_internal.h"
#include "base/log.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define CONTROLLER_SWITCH_US 5000000 /* our controller lets go within this, or is killed */
#define WORKERS_OVERTIME_US                                                                        \
    2000000 /* workers keep to their time; this is for one that is stuck                           \
             */

static struct supervisor *supervisor_of(struct timer *timer, size_t offset) {
    return (struct supervisor *)((char *)timer - offset);
}

void upgrade_init(struct supervisor *s) {
    ssize_t len = readlink("/proc/self/exe", s->binary, sizeof s->binary - 1);
    s->binary[len > 0 ? len : 0] = '\0';
    char *deleted = strstr(s->binary, " (deleted)");
    if (deleted != NULL) {
        *deleted = '\0';
    }
    s->upgrade = (struct upgrade){ .pidfd = -1, .link_fd = -1, .asker_fd = -1 };
    s->upgrade.exited.fd = s->upgrade.link.fd = -1;
}

bool upgrade_is_under_way(const struct supervisor *s) {
    return s->upgrade.phase != UPGRADE_NONE;
}

static void send_signal(const struct supervisor *s, int number) {
    if (s->upgrade.pidfd >= 0) {
        syscall(SYS_pidfd_send_signal, s->upgrade.pidfd, number, NULL, 0);
    }
}

static void close_fd(int *fd) {
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void forget(struct supervisor *s) {
    struct upgrade *u = &s->upgrade;
    loop_unwatch(s->loop, &u->exited);
    loop_unwatch(s->loop, &u->link);
    timer_stop(s->loop, &u->patience);
    close_fd(&u->pidfd);
    close_fd(&u->link_fd);
    u->pid = 0;
    u->phase = UPGRADE_NONE;
}

/* ---- giving up ---- */

void upgrade_give_up(struct supervisor *s, const char *why) {
    bool controller_is_gone = supervisor_controller(s)->pid == 0;
    if (!upgrade_is_under_way(s) || s->upgrade.phase == UPGRADE_DONE) {
        return;
    }
    log_error("upgrade_given_up", "pid=%d reason=\"%s\" action=keep_the_old_one",
              (int)s->upgrade.pid, why);
    send_signal(s, SIGKILL); /* what it started ends by itself: its supervisor is gone */
    asker_answer(s->upgrade.asker_fd, "no", why);
    s->upgrade.asker_fd = -1;
    forget(s);
    if (controller_is_gone && !timer_running(&supervisor_controller(s)->restart)) {
        children_start(supervisor_controller(s));
    }
    if (s->upgrade.reload_pending) {
        s->upgrade.reload_pending = false;
        supervisor_reload(s);
    }
}

static void on_patience_over(struct timer *timer) {
    struct supervisor *s = supervisor_of(timer, offsetof(struct supervisor, upgrade.patience));
    static const char *const what[] = {
        [UPGRADE_STARTING] = "the new one was not ready to take over in time",
        [UPGRADE_SWITCHING] = "our own controller did not let go in time",
        [UPGRADE_GOING] = "the new one took over but did not serve in time",
    };
    upgrade_give_up(s, what[s->upgrade.phase]);
}

/* ---- taking back ---- */

/* A new image of ourselves inherits the sockets as any successor would, from an old one that is
 * gone already. */
static void take_back(struct supervisor *s) {
    struct error err;
    char number[16];
    int pair[2];
    sigset_t none;
    struct handover_offer offer;
    if (!handover_pair(pair, &err)) {
        log_error("take_back_failed", "error=\"%s\"", err.text);
        return;
    }
    upgrade_fill_offer(s, &offer);
    if (!handover_send_offer(pair[0], &offer, &err)) {
        log_error("take_back_failed", "error=\"%s\"", err.text);
        return;
    }
    close(pair[0]);
    fcntl(pair[1], F_SETFD, 0);
    snprintf(number, sizeof number, "%d", pair[1]);
    setenv(HANDOVER_ENVIRONMENT, number, 1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", s->command);
    log_error("take_back_failed", "error=\"exec: %s\"", strerror(errno));
}

static const char *end_text(int status, char text[64]) {
    snprintf(text, 64, "the new one ended with %s %d", WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return text;
}

static void end_front(struct supervisor *s) {
    s->phase = PHASE_FRONT_ENDING;
    children_signal_workers(s, SIGTERM);
    upgrade_front_look(s);
}

static void on_exited(struct watch *watch, unsigned events) {
    struct supervisor *s =
        (struct supervisor *)((char *)watch - offsetof(struct supervisor, upgrade.exited));
    siginfo_t info = { 0 };
    char text[64];
    int status = 0; /* one that a successor of ours started is not always our child */
    (void)events;
    if (waitid(P_PIDFD, (id_t)s->upgrade.pidfd, &info, WEXITED | WNOHANG) == 0 &&
        info.si_pid != 0) {
        status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
    }
    if (s->upgrade.phase != UPGRADE_DONE) {
        upgrade_give_up(s, end_text(status, text));
        return;
    }
    s->upgrade.status = status;
    if (status != 0 && !s->upgrade.trusted && s->phase == PHASE_FRONT) {
        log_error("new_one_crashed", "pid=%d error=\"%s\" action=take_back", (int)s->upgrade.pid,
                  end_text(status, text));
        take_back(s);
    }
    log_info("new_one_ended", "pid=%d %s=%d", (int)s->upgrade.pid,
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    loop_unwatch(s->loop, watch);
    close_fd(&s->upgrade.pidfd);
    s->upgrade.pid = 0;
    end_front(s);
}

/* ---- handing over ---- */

void upgrade_fill_offer(const struct supervisor *s, struct handover_offer *offer) {
    *offer = (struct handover_offer){ .lock_fd = s->state.lock_fd,
                                      .plan_fd = s->plan_fd,
                                      .front_fd = s->front_fd };
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (s->listen_fds[i] >= 0) {
            offer->listen_fds[offer->listen_count] = s->listen_fds[i];
            offer->listen[offer->listen_count++] = s->listen[i];
        }
    }
}

static void on_probation_over(struct timer *timer) {
    struct supervisor *s = supervisor_of(timer, offsetof(struct supervisor, upgrade.probation));
    s->upgrade.trusted = true;
    listening_close(s);
    state_folder_unlock(&s->state); /* our copy; the lock is the new one's */
    upgrade_front_look(s);
}

static void on_workers_late(struct timer *timer) {
    struct supervisor *s = supervisor_of(timer, offsetof(struct supervisor, patience));
    log_warn("upgrade_timeout", "action=kill_older_workers");
    children_signal_workers(s, SIGKILL);
}

static void commit(struct supervisor *s) {
    struct upgrade *u = &s->upgrade;
    char text[32];
    timer_stop(s->loop, &u->patience);
    u->phase = UPGRADE_DONE;
    s->phase = PHASE_FRONT;
    asker_close(s); /* the new one opens its own */
    handover_send(u->link_fd, HANDOVER_COMMIT, 0, NULL);
    log_info("upgraded", "pid=%d action=older_workers_finish timeout_ms=%llu", (int)u->pid,
             (unsigned long long)s->shop->timeouts.upgrade_ms);
    notify_send("MAINPID=%d\nREADY=1\nSTATUS=upgraded", (int)u->pid);
    snprintf(text, sizeof text, "%d", (int)u->pid);
    asker_answer(u->asker_fd, "done", text);
    u->asker_fd = -1;
    children_signal_workers(s, SIGUSR1);
    if (s->shop->access_log.file != NULL) {
        children_start(supervisor_controller(s)); /* as the older workers' chronicler */
    }
    timer_start(s->loop, &u->probation, UPGRADE_PROBATION_US, on_probation_over);
    timer_start(s->loop, &s->patience,
                (uint64_t)s->shop->timeouts.upgrade_ms * 1000 + WORKERS_OVERTIME_US,
                on_workers_late);
    if (u->reload_pending) {
        u->reload_pending = false;
        upgrade_front_signal(s, SIGHUP);
    }
}

/* A later one is the one that serves: it was handed over to by the one that we know. */
static void follow(struct supervisor *s, pid_t pid) {
    int pidfd = pid > 1 ? child_pidfd(pid) : -1;
    if (pidfd < 0 || pid == s->upgrade.pid || s->upgrade.phase != UPGRADE_DONE) {
        close_fd(&pidfd);
        return;
    }
    loop_unwatch(s->loop, &s->upgrade.exited);
    close_fd(&s->upgrade.pidfd);
    s->upgrade.pid = pid;
    s->upgrade.pidfd = pidfd;
    if (!loop_watch(s->loop, &s->upgrade.exited, pidfd, WATCH_READ, on_exited, NULL)) {
        log_error("successor_not_watched", "pid=%d", (int)pid);
    }
    on_probation_over(&s->upgrade.probation); /* what it leaves, its own predecessor takes back */
}

static void go(struct supervisor *s) {
    s->upgrade.phase = UPGRADE_GOING;
    handover_send(s->upgrade.link_fd, HANDOVER_GO, 0, NULL);
}

void upgrade_controller_ended(struct supervisor *s) {
    if (s->upgrade.phase == UPGRADE_SWITCHING) {
        go(s);
    }
}

/* Workers need no controller, and the instances are adopted from a dead one as well. */
static void on_controller_stuck(struct timer *timer) {
    struct supervisor *s = supervisor_of(timer, offsetof(struct supervisor, patience));
    if (s->upgrade.phase == UPGRADE_SWITCHING && supervisor_controller(s)->pid != 0) {
        log_warn("controller_stuck", "action=kill_it");
        kill(supervisor_controller(s)->pid, SIGKILL);
    }
}

static void prepared(struct supervisor *s) {
    s->upgrade.phase = UPGRADE_SWITCHING;
    struct child *controller = supervisor_controller(s);
    timer_stop(s->loop, &controller->restart);
    if (controller->pid == 0) {
        go(s);
    } else {
        kill(controller->pid, SIGUSR1);
        timer_start(s->loop, &s->patience, CONTROLLER_SWITCH_US, on_controller_stuck);
    }
}

static void on_link(struct watch *watch, unsigned events) {
    struct supervisor *s =
        (struct supervisor *)((char *)watch - offsetof(struct supervisor, upgrade.link));
    struct handover_message m;
    (void)events;
    do {
        if (!handover_receive(s->upgrade.link_fd, &m)) {
            loop_unwatch(s->loop, watch); /* its end is told by its pidfd */
            return;
        }
        if (m.kind == HANDOVER_PREPARED && s->upgrade.phase == UPGRADE_STARTING) {
            prepared(s);
        } else if (m.kind == HANDOVER_READY && s->upgrade.phase == UPGRADE_GOING) {
            commit(s);
        } else if (m.kind == HANDOVER_SUCCESSOR) {
            follow(s, m.pid);
        } else if (m.kind == HANDOVER_FAILED && s->upgrade.phase != UPGRADE_DONE) {
            upgrade_give_up(s, m.text);
            return;
        }
    } while (m.kind != HANDOVER_NONE);
}

/* In the child. */
static void become(struct supervisor *s, const char *binary, int link_fd) {
    char number[16];
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* Ctrl-C is for the front, which hands it on */
    child_close_others(&link_fd, 1);
    fcntl(link_fd, F_SETFD, 0);
    snprintf(number, sizeof number, "%d", link_fd);
    setenv(HANDOVER_ENVIRONMENT, number, 1);
    execv(binary, s->command);
    log_error("upgrade_not_started", "binary=%s error=\"%s\"", binary, strerror(errno));
    _exit(127);
}

static bool start(struct supervisor *s, const char *binary, struct error *err) {
    struct upgrade *u = &s->upgrade;
    struct handover_offer offer;
    int pair[2];
    if (access(binary, X_OK) < 0) {
        return error_system(err, "%s", binary);
    }
    if (!handover_pair(pair, err)) {
        return false;
    }
    upgrade_fill_offer(s, &offer);
    u->link_fd = pair[0];
    if (!handover_send_offer(pair[0], &offer, err)) {
        close(pair[1]);
        return false;
    }
    u->pid = fork();
    if (u->pid == 0) {
        become(s, binary, pair[1]);
    }
    close(pair[1]);
    u->pidfd = u->pid < 0 ? -1 : child_pidfd(u->pid);
    if (u->pidfd < 0) {
        return error_system(err, "start %s", binary);
    }
    return loop_watch(s->loop, &u->exited, u->pidfd, WATCH_READ, on_exited, err) &&
           loop_watch(s->loop, &u->link, u->link_fd, WATCH_READ, on_link, err);
}

void upgrade_begin(struct supervisor *s, const char *binary, uint64_t patience_us, int asker_fd) {
    struct error err = { 0 };
    if (upgrade_is_under_way(s) || s->succession.phase == SUCCESSION_WAITING ||
        s->succession.phase == SUCCESSION_STARTING || s->succession.phase == SUCCESSION_SERVING) {
        log_warn("upgrade_refused", "reason=\"another one is under way\"");
        asker_answer(asker_fd, "busy", "another upgrade is under way");
        return;
    }
    if (s->phase != PHASE_RUNNING) {
        log_warn("upgrade_refused", "reason=\"it is about to end\"");
        asker_answer(asker_fd, "busy", "it is about to end");
        return;
    }
    s->upgrade.phase = UPGRADE_STARTING;
    s->upgrade.asker_fd = asker_fd;
    timer_start(s->loop, &s->upgrade.patience, patience_us, on_patience_over);
    if (!start(s, binary, &err)) {
        upgrade_give_up(s, err.text);
        return;
    }
    log_info("upgrading", "binary=%s pid=%d", binary, (int)s->upgrade.pid);
}

/* ---- the front ---- */

void upgrade_front_signal(struct supervisor *s, int number) {
    send_signal(s, number);
    if (number == SIGTERM) {
        children_signal_workers(s, SIGTERM);
    }
}

/* With nothing left to do, the last lines of the access log among it: a front that somebody waits
 * for stays; under a service manager that was told of the new one, or when an earlier front stands
 * before us, there is no need. */
void upgrade_front_look(struct supervisor *s) {
    bool needed = s->front_fd < 0 && !notify_is_wanted() && s->phase == PHASE_FRONT;
    bool gone = children_workers_gone(s) && supervisor_controller(s)->pid == 0;
    if (gone && (s->phase == PHASE_FRONT_ENDING || (s->upgrade.trusted && !needed))) {
        loop_stop(s->loop);
    }
}

void upgrade_fini(struct supervisor *s) {
    close_fd(&s->upgrade.pidfd);
    close_fd(&s->upgrade.link_fd);
    close_fd(&s->front_fd);
}
