/* Instances as processes of this machine: each in a session of its own, marked in its environment
 * (docs/decisions/0001), its output in memfds (0002), watched by a pidfd. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/fleet/launch.h"
#include "base/rand.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define PORT_FIRST 20000 /* below the ports that the kernel gives to outgoing connections */
#define PORT_COUNT 12000
#define PORT_TRIES 200

/* ---- the port ---- */

static bool port_is_free(uint16_t port) {
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return is_free;
}

static bool is_taken_by_us(struct fleet *fleet, uint16_t port) {
    for (struct instance *i = fleet_first(fleet); i != NULL; i = fleet_next(fleet, i)) {
        if (address_port(&i->address) == port) {
            return true;
        }
    }
    return false;
}

static bool choose_port(struct fleet *fleet, uint16_t *port, struct error *err) {
    struct rand rand;
    rand_init(&rand, loop_now_us(fleet->loop) ^ ((uint64_t)getpid() << 32));
    for (int i = 0; i < PORT_TRIES; i++) {
        *port = (uint16_t)(PORT_FIRST + rand_below(&rand, PORT_COUNT));
        if (!is_taken_by_us(fleet, *port) && port_is_free(*port)) {
            return true;
        }
    }
    return error_set(err, ERROR_LIMIT, "no port is free between %d and %d", PORT_FIRST,
                     PORT_FIRST + PORT_COUNT);
}

/* ---- starting ---- */

/* In the child, which was forked: only this thread is here, and it must not allocate (launch.h).
 * Never returns. */
static void become(const struct launch *launch, const char *folder, const struct output *output,
                   int failure_fd) {
    sigset_t none;
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < 32; number++) {
        signal(number, SIG_DFL);
    }
    int null_fd = open("/dev/null", O_RDONLY);
    dup2(null_fd, 0);
    if (null_fd > 2) {
        close(null_fd);
    }
    dup2(output->fds[0], 1);
    dup2(output->fds[1], 2);
    environ = launch->environment; /* its PATH is the one that is searched */
    /* Whoever forgot O_CLOEXEC: nothing of ours is an instance's. */
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    const char *what = "user";
    int failure = launch->as_user ? guard_become(&launch->user) : 0;
    if (failure == 0) {
        what = folder;
        if (folder == NULL || chdir(folder) == 0) {
            what = launch->arguments[0];
            execvp(what, launch->arguments);
        }
        failure = errno;
    }
    ssize_t len = write(failure_fd, &failure, sizeof failure);
    len += write(failure_fd, what, strlen(what));
    _exit(len > 0 ? 127 : 126);
}

/* Waits until the child has become the command, or says why it cannot. */
static bool read_failure(int fd, struct error *err) {
    struct {
        int number;
        char what[256];
    } failure = { 0 };
    size_t len = 0;
    ssize_t part;
    while (len < sizeof failure - 1 &&
           (part = read(fd, (char *)&failure + len, sizeof failure - 1 - len)) > 0) {
        len += (size_t)part;
    }
    if (len < sizeof failure.number) {
        return true;
    }
    return error_set(err, ERROR_UNAVAILABLE, "%s: %s", failure.what, strerror(failure.number));
}

static bool spawn(struct fleet *fleet, struct instance *instance, struct error *err) {
    const struct fleet_config *config = fleet->services[instance->service].config;
    struct launch launch;
    int failure[2];
    if (!launch_init(&launch, fleet, instance, err)) {
        return false;
    }
    if (pipe2(failure, O_CLOEXEC) < 0) {
        launch_fini(&launch);
        return error_system(err, "pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(failure[0]);
        become(&launch, config->folder, &instance->internal->output, failure[1]);
    }
    launch_fini(&launch);
    close(failure[1]);
    bool started = pid > 0 ? read_failure(failure[0], err) : error_system(err, "fork");
    close(failure[0]);
    if (pid > 0 && !started) {
        waitpid(pid, NULL, 0);
    }
    instance->pid = started ? pid : 0;
    return started;
}

static bool start(struct fleet *fleet, struct instance *instance, struct error *err) {
    uint16_t port;
    char text[32];
    if (!choose_port(fleet, &port, err)) {
        return false;
    }
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    if (!address_parse(slice_from(text), 0, &instance->address, err) ||
        !output_open(&instance->internal->output, err) || !spawn(fleet, instance, err)) {
        return false;
    }
    if (!process_attach(fleet, instance, err)) {
        kill(-instance->pid, SIGKILL);
        return false;
    }
    return true;
}

/* ---- ending ---- */

static void on_exited(struct watch *watch, unsigned events) {
    struct instance_internal *in =
        (struct instance_internal *)((char *)watch - offsetof(struct instance_internal, exited));
    siginfo_t info = { 0 };
    int status = -1;
    (void)events;
    loop_unwatch(in->fleet->loop, &in->exited);
    /* One that was adopted is not our child: nobody tells us its status. */
    if (waitid(P_PIDFD, (id_t)in->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
        status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
    }
    kill(-in->instance->pid, SIGKILL); /* what it started goes with it */
    instance_ended(in->instance, status);
}

bool process_attach(struct fleet *fleet, struct instance *instance, struct error *err) {
    struct instance_internal *in = instance->internal;
    in->pidfd = (int)syscall(SYS_pidfd_open, instance->pid, 0);
    if (in->pidfd < 0) {
        return error_system(err, "pidfd of process %d", (int)instance->pid);
    }
    return loop_watch(fleet->loop, &in->exited, in->pidfd, WATCH_READ, on_exited, err);
}

static void stop(struct instance *instance, bool at_once) {
    if (at_once) {
        kill(-instance->pid, SIGKILL);
        return;
    }
    kill(instance->pid, SIGTERM);
    kill(instance->pid, SIGCONT); /* one that is stopped can't end */
}

static void release(struct instance *instance) {
    struct instance_internal *in = instance->internal;
    loop_unwatch(in->fleet->loop, &in->exited);
    if (in->pidfd >= 0) {
        close(in->pidfd);
    }
    in->pidfd = -1;
}

const struct provider process_provider = { start, stop, release };
