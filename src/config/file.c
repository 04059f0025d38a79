/* Files that a configuration names and whose text becomes part of it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "config/value.h"

struct config_file {
    const char *path;
    struct slice text;
    struct config_file *next;
};

/* Fills the room as far as the file goes; -1: it cannot be read. */
static ssize_t read_all(int fd, char *room, size_t bytes) {
    size_t len = 0;
    while (len < bytes) {
        ssize_t n = read(fd, room + len, bytes - len);
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static bool read_open(const struct config_place *place, const char *key, const char *path, int fd,
                      size_t bytes_max, struct slice *out) {
    struct stat facts;
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        config_place_error(place, key, "%s: %s is not a file", key, path);
        return false;
    }
    if ((size_t)facts.st_size > bytes_max) {
        config_place_error(place, key, "%s: %s has %lld bytes, expected at most %zu", key, path,
                           (long long)facts.st_size, bytes_max);
        return false;
    }
    size_t bytes = (size_t)facts.st_size;
    char *room = arena_alloc(place->run->arena, bytes + 1);
    ssize_t len = room == NULL ? -1 : read_all(fd, room, bytes);
    if (len < 0) {
        config_place_error(place, key, "%s: %s cannot be read", key, path);
        return false;
    }
    *out = slice_of(room, (size_t)len);
    return true;
}

bool config_place_file(const struct config_place *place, const char *key, const char *path,
                       size_t bytes_max, struct slice *out) {
    struct config_run *run = place->run;
    for (const struct config_file *f = run->files; f != NULL; f = f->next) {
        if (strcmp(f->path, path) == 0 && f->text.len <= bytes_max) {
            *out = f->text;
            return true;
        }
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        config_place_error(place, key, "%s: %s: %s", key, path, strerror(errno));
        return false;
    }
    bool good = read_open(place, key, path, fd, bytes_max, out);
    close(fd);
    struct config_file *file = good ? arena_alloc(run->arena, sizeof *file) : NULL;
    if (file != NULL) {
        *file = (struct config_file){ path, *out, run->files };
        run->files = file;
    }
    return good;
}
