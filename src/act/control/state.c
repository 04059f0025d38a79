#include "act/control/state.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_FOLDER_MODE 0750
#define LOCK_LOOK_MS 10

static bool join(char out[PATH_MAX], const char *folder, const char *name, struct error *err) {
    int len = snprintf(out, PATH_MAX, "%s/%s", folder, name);
    if (len < 0 || len >= PATH_MAX) {
        return error_set(err, ERROR_LIMIT, "the path %s/%s is too long", folder, name);
    }
    return true;
}

bool state_folder_find(const char *config_path, struct state_folder *state, struct error *err) {
    char folder[PATH_MAX] = ".", absolute[PATH_MAX];
    *state = (struct state_folder){ .lock_fd = -1 };
    if (config_path != NULL) {
        if (strlen(config_path) >= sizeof folder) {
            return error_set(err, ERROR_LIMIT, "the path %s is too long", config_path);
        }
        char copy[PATH_MAX];
        memcpy(copy, config_path, strlen(config_path) + 1);
        snprintf(folder, sizeof folder, "%s", dirname(copy));
    }
    if (realpath(folder, absolute) == NULL) {
        return error_system(err, "folder %s", folder);
    }
    return join(state->path, absolute, "var", err) &&
           join(state->socket, state->path, "tidegate.sock", err) &&
           join(state->supervisor_socket, state->path, "supervisor.sock", err);
}

static void read_holder(int fd, char *text, size_t text_bytes) {
    ssize_t len = pread(fd, text, text_bytes - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

static bool write_holder(int fd, struct error *err) {
    char text[32];
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        /* The lock is held all the same; the pid in it is only for people. */
        return errno == ENOSPC ? true : error_system(err, "write the lock file");
    }
    return true;
}

bool state_folder_lock(struct state_folder *state, struct error *err) {
    char path[PATH_MAX];
    if (mkdir(state->path, STATE_FOLDER_MODE) < 0 && errno != EEXIST) {
        return error_system(err, "create the state folder %s", state->path);
    }
    if (!join(path, state->path, "tidegate.lock", err)) {
        return false;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
        return error_system(err, "open %s", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        char holder[32];
        read_holder(fd, holder, sizeof holder);
        close(fd);
        return error_set(err, ERROR_BUSY,
                         "Tidegate already runs in %s (process %s); stop it first, or use another "
                         "folder",
                         state->path, holder[0] == '\0' ? "unknown" : holder);
    }
    state->lock_fd = fd;
    return write_holder(fd, err);
}

bool state_folder_write_holder(struct state_folder *state, struct error *err) {
    return write_holder(state->lock_fd, err);
}

bool state_folder_lock_controller(const struct state_folder *state, unsigned wait_ms, int *fd,
                                  struct error *err) {
    char path[PATH_MAX];
    if (!join(path, state->path, "controller.lock", err)) {
        return false;
    }
    int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (opened < 0) {
        return error_system(err, "open %s", path);
    }
    for (unsigned waited_ms = 0; flock(opened, LOCK_EX | LOCK_NB) < 0; waited_ms += LOCK_LOOK_MS) {
        if (waited_ms >= wait_ms) {
            close(opened);
            return error_set(err, ERROR_BUSY, "another controller still acts in %s", state->path);
        }
        usleep(LOCK_LOOK_MS * 1000);
    }
    *fd = opened;
    return true;
}

void state_folder_unlock(struct state_folder *state) {
    if (state->lock_fd >= 0) {
        close(state->lock_fd);
        state->lock_fd = -1;
    }
}
