#include "act/control/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/slice.h"

static bool path_of(const char *folder, const char *name, const char *suffix, char out[PATH_MAX],
                    struct error *err) {
    int len = snprintf(out, PATH_MAX, "%s/%s%s", folder, name, suffix);
    return len < PATH_MAX || error_set(err, ERROR_LIMIT, "the path of %s is too long", folder);
}

bool state_file_read(const char *folder, const char *name, json_t **root, struct error *err) {
    char path[PATH_MAX];
    struct stat status;
    json_error_t problem;
    *root = NULL;
    if (!path_of(folder, name, "", path, err)) {
        return false;
    }
    if (stat(path, &status) < 0) {
        return errno == ENOENT || error_system(err, "%s", path);
    }
    if (status.st_size > STATE_FILE_BYTES_MAX) {
        return error_set(err, ERROR_INVALID, "%s is larger than %u bytes", path,
                         STATE_FILE_BYTES_MAX);
    }
    *root = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    return *root != NULL || error_set(err, ERROR_INVALID, "%s is no JSON", path);
}

static bool write_next(const char *path, const json_t *root, struct error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        return error_system(err, "open %s", path);
    }
    errno = 0;
    bool written = json_dumpfd(root, fd, JSON_INDENT(2)) == 0 && fsync(fd) == 0;
    int number = errno;
    close(fd);
    errno = number;
    return written || error_system(err, "write %s", path);
}

bool state_file_write(const char *folder, const char *name, json_t *root, struct error *err) {
    char path[PATH_MAX], next[PATH_MAX];
    if (root == NULL) { /* it could not be put together; jansson does not say why */
        errno = ENOMEM;
        return error_system(err, "write %s", name);
    }
    bool written = path_of(folder, name, "", path, err) &&
                   path_of(folder, name, ".next", next, err) && write_next(next, root, err);
    json_decref(root);
    if (written && rename(next, path) < 0) {
        error_system(err, "write %s", path);
        unlink(next);
        return false;
    }
    int folder_fd = written ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder_fd >= 0) { /* the new name is on the disk too */
        (void)fsync(folder_fd);
        close(folder_fd);
    }
    return written;
}

bool state_file_text(const json_t *object, const char *key, char *out, size_t out_bytes) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && slice_copy_text(slice_from(text), out, out_bytes);
}
