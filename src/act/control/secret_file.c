#include "act/control/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/net/tls.h"

struct file_stamp file_stamp_of(const char *path) {
    struct stat info;
    if (path == NULL || stat(path, &info) < 0) {
        return (struct file_stamp){ 0 };
    }
    return (struct file_stamp){
        .device = info.st_dev,
        .inode = info.st_ino,
        .bytes = info.st_size,
        .modified_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec,
        .changed_ns = (int64_t)info.st_ctim.tv_sec * 1000000000 + info.st_ctim.tv_nsec,
    };
}

bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

/* Non-blocking: a pipe in its place would never open. */
static int open_regular(const char *path, size_t *bytes, struct error *err) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        error_system(err, "%s", path);
        return -1;
    }
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        error_set(err, ERROR_INVALID, "%s: not a file", path);
    } else if (info.st_size > TLS_PEM_BYTES_MAX) {
        error_set(err, ERROR_LIMIT, "%s: more than %d bytes", path, TLS_PEM_BYTES_MAX);
    } else {
        *bytes = (size_t)info.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

bool secret_file_read(const char *path, struct slice *text, struct error *err) {
    size_t bytes = 0, len = 0;
    int fd = open_regular(path, &bytes, err);
    if (fd < 0) {
        return false;
    }
    char *data = malloc(bytes + 1);
    while (data != NULL && len < bytes) {
        ssize_t n = read(fd, data + len, bytes - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break; /* shorter than a moment ago: the check of what is in it decides */
        }
        len += (size_t)n;
    }
    close(fd);
    if (data == NULL) {
        return error_set(err, ERROR_LIMIT, "%s: no memory", path);
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the slice owns it now */
    *text = slice_of(data, len);
    return true;
}

void secret_file_free(struct slice *text) {
    if (text->data != NULL && text->len > 0) {
        explicit_bzero((char *)(uintptr_t)text->data, text->len);
    }
    free((char *)(uintptr_t)text->data);
    *text = (struct slice){ 0 };
}
