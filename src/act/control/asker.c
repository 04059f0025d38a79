/* Who asks for an upgrade: over a socket in the state folder that belongs to the supervisor,
 * because the controller, and with it the API, changes hands in the middle. One line each way:
 *
 *     upgrade PATIENCE_MS BINARY        BINARY "-": that by which we were started
 *     done PID · no WHY · busy WHY */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act/control/supervisor_internal.h"
#include "base/log.h"
#include "base/parse.h"
#include "wire/net/listener.h"

#define LINE_BYTES (PATH_MAX + 64)
#define PATIENCE_MS_LEAST 100
#define PATIENCE_MS_MOST 600000

void asker_answer(int fd, const char *word, const char *text) {
    char line[512];
    int len = snprintf(line, sizeof line, "%s %s\n", word, text);
    if (fd >= 0) {
        len = len < (int)sizeof line ? len : (int)sizeof line - 1;
        (void)!send(fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
        close(fd);
    }
}

static bool parse(struct slice line, uint64_t *patience_ms, struct slice *binary) {
    struct slice word, number;
    if (line.len == 0 || line.data[line.len - 1] != '\n') {
        return false;
    }
    line.len--;
    if (!slice_cut(&line, ' ', &word) || !slice_equal(word, SLICE("upgrade")) ||
        !slice_cut(&line, ' ', &number) || !parse_uint(number, patience_ms)) {
        return false;
    }
    *binary = line;
    return line.len > 0 && *patience_ms >= PATIENCE_MS_LEAST && *patience_ms <= PATIENCE_MS_MOST;
}

static void on_line(struct watch *watch, unsigned events) {
    struct asker *a = (struct asker *)watch;
    struct supervisor *s = a->supervisor;
    char text[LINE_BYTES], binary[PATH_MAX];
    int fd = watch->fd;
    struct slice path;
    uint64_t patience_ms;
    (void)events;
    ssize_t n = recv(fd, text, sizeof text, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    loop_unwatch(s->loop, watch);
    if (n <= 0) {
        close(fd);
    } else if (!parse(slice_of(text, (size_t)n), &patience_ms, &path) ||
               !slice_copy_text(path, binary, sizeof binary)) {
        asker_answer(fd, "no", "expected: upgrade PATIENCE_MS BINARY");
    } else {
        upgrade_begin(s, strcmp(binary, "-") == 0 ? s->binary : binary, patience_ms * 1000, fd);
    }
}

static void on_asker(struct watch *watch, unsigned events) {
    struct supervisor *s =
        (struct supervisor *)((char *)watch - offsetof(struct supervisor, asking));
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    (void)events;
    for (unsigned i = 0; fd >= 0 && i < ASKERS_MAX; i++) {
        struct asker *a = &s->askers[i];
        if (a->watch.fd < 0) {
            a->supervisor = s;
            if (!loop_watch(s->loop, &a->watch, fd, WATCH_READ, on_line, NULL)) {
                close(fd);
            }
            return;
        }
    }
    asker_answer(fd, "busy", "too many ask at once");
}

bool asker_open(struct supervisor *s, struct error *err) {
    struct address address;
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "unix:%s", s->state.supervisor_socket);
    if (!address_parse(slice_from(path), 0, &address, err)) {
        return false;
    }
    mode_t mask = umask(0177);
    bool opened = listener_open(&address, &s->asking_fd, err);
    umask(mask);
    if (!opened) {
        s->asking_fd = -1;
        return false;
    }
    return loop_watch(s->loop, &s->asking, s->asking_fd, WATCH_READ, on_asker, err);
}

void asker_close(struct supervisor *s) {
    loop_unwatch(s->loop, &s->asking);
    if (s->asking_fd >= 0) {
        close(s->asking_fd);
    }
    s->asking_fd = -1;
    for (unsigned i = 0; i < ASKERS_MAX; i++) {
        int fd = s->askers[i].watch.fd;
        if (fd >= 0) {
            loop_unwatch(s->loop, &s->askers[i].watch);
            close(fd);
        }
    }
}
