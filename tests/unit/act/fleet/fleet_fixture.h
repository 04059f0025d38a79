/* A fleet on a loop, a state folder of its own and a small server that behaves as a file says.
 * Whatever a test does, no process of it is left: tear_down looks for them and ends them. */
#pragma once
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/fleet/fleet.h"
#include "base/clock.h"
#include "base/log.h"

#define PATIENCE_MS 30000 /* of a test; python may start slowly beside seven other jobs */

/* Argument 1: a file with its mode; 2: what it does on TERM. Answers every connection by the mode
 * of that moment. */
#define SERVER                                                                                     \
    "import os, signal, socket, sys, time\n"                                                       \
    "if sys.argv[2] == 'ignore': signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"                  \
    "if sys.argv[2] == 'exit': signal.signal(signal.SIGTERM, lambda *a: os._exit(7))\n"            \
    "end = b'\\r\\n\\r\\n'\n"                                                                      \
    "answers = {'ok': b'HTTP/1.1 204 No Content' + end, '302': b'HTTP/1.1 302 Found' + end,\n"     \
    "    '500': b'HTTP/1.1 500 Sorry' + end, '404': b'HTTP/1.0 404 No' + end, 'bad': "             \
    "b'SSH-2.0-OpenSSH_9',\n"                                                                      \
    "    '100': b'HTTP/1.1 100 Continue', '2xx': b'HTTP/1.1 2xx Nonsense' + end,\n"                \
    "    'http2': b'HTTP/2.0 200 OK' + end, 'short': b'HTTP/1.1', 'close': b''}\n"                 \
    "s = socket.socket()\n"                                                                        \
    "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"                                    \
    "s.bind(('127.0.0.1', int(os.environ['PORT'])))\n"                                             \
    "s.listen(64)\n"                                                                               \
    "print('listening on', os.environ['PORT'], flush=True)\n"                                      \
    "kept = []\n"                                                                                  \
    "while True:\n"                                                                                \
    "    c, _ = s.accept()\n"                                                                      \
    "    mode = open(sys.argv[1]).read()\n"                                                        \
    "    if mode == 'hang':\n"                                                                     \
    "        kept.append(c)\n"                                                                     \
    "        continue\n"                                                                           \
    "    asked = c.recv(4096).decode().split('\\r\\n')[0]\n"                                       \
    "    open(sys.argv[1] + '.asked', 'w').write(asked)\n"                                         \
    "    try:\n"                                                                                   \
    "        c.sendall(answers[mode][:5])\n"                                                       \
    "        c.sendall(answers[mode][5:])\n"                                                       \
    "    except OSError:\n"                                                                        \
    "        pass\n"                                                                               \
    "    c.close()\n"

struct heard { /* of one instance or of all */
    unsigned ready, health, exits;
    int last_status;
    char last_id[PLAN_NAME_BYTES];
};

struct fixture {
    struct loop *loop;
    struct fleet *fleet;
    struct fleet_config config;
    char folder[64], mode[80];
    const char *server[6]; /* a command */
    struct heard heard;
};

static inline void on_ready(void *self, struct instance *instance) {
    struct fixture *f = self;
    f->heard.ready++;
    strcpy(f->heard.last_id, instance->id);
}

static inline void on_health(void *self, struct instance *instance) {
    struct fixture *f = self;
    f->heard.health++;
    strcpy(f->heard.last_id, instance->id);
}

static inline void on_exit_heard(void *self, struct instance *instance, int status) {
    struct fixture *f = self;
    f->heard.exits++;
    f->heard.last_status = status;
    strcpy(f->heard.last_id, instance->id);
}

static inline struct fleet *new_fleet(struct fixture *f) {
    struct error err;
    struct fleet_options options = { .loop = f->loop,
                                     .state_folder = f->folder,
                                     .handler = { f, on_ready, on_health, on_exit_heard, NULL } };
    struct fleet *fleet = fleet_new(&options, &err);
    assert_non_null(fleet);
    return fleet;
}

static inline void write_mode(struct fixture *f, const char *mode) {
    char next[96];
    snprintf(next, sizeof next, "%s.next", f->mode);
    FILE *file = fopen(next, "w");
    assert_non_null(file);
    fputs(mode, file);
    fclose(file);
    assert_int_equal(rename(next, f->mode), 0); /* whole or not at all */
}

static inline void use_server(struct fixture *f, const char *on_term) {
    static const char *command[6];
    command[0] = "python3";
    command[1] = "-c";
    command[2] = SERVER;
    command[3] = f->mode;
    command[4] = on_term;
    f->config.command = command;
    f->config.command_len = 5;
}

static inline void use_shell(struct fixture *f, const char *script) {
    static const char *command[3] = { "sh", "-c", NULL };
    command[2] = script;
    f->config.command = command;
    f->config.command_len = 3;
}

static inline int set_up(void **state) {
    static struct fixture f;
    struct error err;
    memset(&f, 0, sizeof f);
    strcpy(f.folder, "/tmp/tidegate-fleet-XXXXXX");
    *state = &f;
    log_set_level(LOG_ERROR);
    f.loop = loop_new(&err);
    if (mkdtemp(f.folder) == NULL || f.loop == NULL) {
        return 1;
    }
    snprintf(f.mode, sizeof f.mode, "%s/mode", f.folder);
    write_mode(&f, "ok");
    f.config = (struct fleet_config){
        .kind = FLEET_PROCESS,
        .grace_ms = 10000,
        .health = { .path = "/healthz",
                    .interval_ms = 50,
                    .timeout_ms = 2000,
                    .startup_ms = PATIENCE_MS,
                    .rise = 1,
                    .fall = 2 },
    };
    use_server(&f, "default");
    f.fleet = new_fleet(&f);
    fleet_set_service(f.fleet, 0, "shop", &f.config);
    return 0;
}

/* Until it is gone: one that was only told to still carries its mark for whoever looks again. */
static inline void end_process(pid_t pid) {
    uint64_t start_us = clock_monotonic_us();
    if (waitpid(pid, NULL, 0) == pid) {
        return;
    }
    while (kill(pid, 0) == 0 && clock_monotonic_us() - start_us < 30000000) {
        usleep(1000); /* not a child of ours */
    }
}

/* How many processes carry the mark of this fixture; tells them `number`, 0 for nothing. */
static inline int tell_what_is_left(const struct fixture *f, int number) {
    char command[256];
    int count = 0;
    pid_t pid;
    snprintf(command, sizeof command,
             "grep -ls 'TIDEGATE_INSTANCE=%s:' /proc/[0-9]*/environ | cut -d/ -f3", f->folder);
    FILE *found = popen(command, "r");
    while (found != NULL && fscanf(found, "%d", &pid) == 1) {
        if (kill(pid, number) == 0) {
            count++;
            if (number == SIGKILL) {
                end_process(pid);
            }
        }
    }
    if (found != NULL) {
        pclose(found);
    }
    return count;
}

/* How many there were; ends them. */
static inline int end_what_is_left(const struct fixture *f) {
    int count = tell_what_is_left(f, SIGKILL);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
        /* ours that have ended */
    }
    return count;
}

static inline int tear_down(void **state) {
    struct fixture *f = *state;
    struct error err;
    char command[96];
    uint64_t start_us = clock_monotonic_us();
    for (struct instance *i = fleet_first(f->fleet); i != NULL; i = fleet_next(f->fleet, i)) {
        fleet_kill(f->fleet, i);
    }
    while (fleet_first(f->fleet) != NULL && clock_monotonic_us() - start_us < 30000000) {
        (void)loop_turn(f->loop, 20, &err);
    }
    fleet_free(f->fleet);
    loop_free(f->loop);
    start_us = clock_monotonic_us(); /* what was killed takes a moment to go */
    while (tell_what_is_left(f, 0) > 0 && clock_monotonic_us() - start_us < 20000000) {
        usleep(5000);
    }
    int left = end_what_is_left(f);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    return system(command) != 0 || left != 0;
}

/* Turns the loop until it is so. */
#define WAIT_FOR(f, condition)                                                                     \
    do {                                                                                           \
        struct error wait_err;                                                                     \
        uint64_t wait_start_us = clock_monotonic_us();                                             \
        while (!(condition)) {                                                                     \
            if (clock_monotonic_us() - wait_start_us > PATIENCE_MS * 1000ull) {                    \
                fail_msg("in vain: %s (trouble: %s)", #condition, fleet_trouble((f)->fleet, 0));   \
            }                                                                                      \
            assert_true(loop_turn((f)->loop, 10, &wait_err));                                      \
        }                                                                                          \
    } while (0)

/* Turns it for so long, whatever comes. */
static inline void turn_for(struct fixture *f, uint64_t ms) {
    struct error err;
    for (uint64_t start_us = clock_monotonic_us(); clock_monotonic_us() - start_us < ms * 1000;) {
        assert_true(loop_turn(f->loop, 5, &err));
    }
}

static inline bool process_runs(pid_t pid) {
    return kill(pid, 0) == 0;
}
