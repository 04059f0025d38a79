#include "record/telemetry/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define LOG_FILE_MODE 0640
#define SAME_SECOND_MAX 1000 /* files put aside within one second */
#define TIDY_NICE 10

void log_file_init(struct log_file *f, const struct log_file_options *options) {
    *f = (struct log_file){ .options = *options, .fd = -1, .tidy_due = true };
}

void log_file_fini(struct log_file *f) {
    if (f->fd >= 0 && f->options.path != NULL) {
        close(f->fd);
    }
    f->fd = -1;
}

/* ---- opening ---- */

/* Not a regular file: for writing only, so that a pipe tells when nobody reads it any more. */
static int open_path(const char *path) {
    struct stat info;
    int how = O_APPEND | O_CLOEXEC | O_NOCTTY;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        return open(path, how | O_WRONLY);
    }
    int fd = open(path, how | O_RDWR | O_CREAT, LOG_FILE_MODE);
    if (fd < 0 && errno == EACCES) {
        fd = open(path, how | O_WRONLY);
    }
    return fd;
}

static int64_t born_ms(int fd, const struct stat *info) {
    struct statx more;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &more) == 0 && (more.stx_mask & STATX_BTIME)) {
        return more.stx_btime.tv_sec * 1000 + more.stx_btime.tv_nsec / 1000000;
    }
    return info->st_size == 0 ? clock_unix_ms() : (int64_t)info->st_mtim.tv_sec * 1000;
}

static void end_torn_line(struct log_file *f) {
    char last = '\n';
    if (f->bytes > 0 && pread(f->fd, &last, 1, (off_t)f->bytes - 1) == 1 && last != '\n' &&
        write(f->fd, "\n", 1) == 1) {
        f->bytes++;
    }
}

bool log_file_open(struct log_file *f, struct error *err) {
    struct stat info;
    if (f->fd >= 0) {
        return true;
    }
    int fd = f->options.path == NULL ? STDOUT_FILENO : open_path(f->options.path);
    if (fd < 0 || fstat(fd, &info) < 0) {
        error_system(err, "open %s", f->options.path == NULL ? "stdout" : f->options.path);
        if (fd > STDERR_FILENO) {
            close(fd);
        }
        return false;
    }
    f->fd = fd;
    f->regular = S_ISREG(info.st_mode) && f->options.path != NULL;
    f->device = info.st_dev;
    f->inode = info.st_ino;
    f->bytes = f->regular ? (uint64_t)info.st_size : 0;
    f->born_ms = f->regular ? born_ms(fd, &info) : 0;
    end_torn_line(f);
    return true;
}

void log_file_check_moved(struct log_file *f) {
    struct stat info;
    if (f->fd < 0 || f->options.path == NULL) {
        return;
    }
    bool same =
        stat(f->options.path, &info) == 0 && info.st_dev == f->device && info.st_ino == f->inode;
    if (!same) {
        log_file_fini(f);
    } else if (f->regular) {
        f->bytes = (uint64_t)info.st_size; /* somebody may have truncated it */
    }
}

size_t log_file_write(struct log_file *f, struct slice data, struct error *err) {
    size_t done = 0;
    while (done < data.len) {
        ssize_t n = write(f->fd, data.data + done, data.len - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            error_system(err, "write %s", f->options.path == NULL ? "stdout" : f->options.path);
            break;
        }
        done += (size_t)n;
        f->bytes += (uint64_t)n;
    }
    return done;
}

/* ---- putting aside ---- */

static bool is_due(const struct log_file *f, int64_t now_ms) {
    const struct log_file_options *o = &f->options;
    return f->fd >= 0 && f->regular && f->bytes > 0 &&
           ((o->rotate_bytes > 0 && f->bytes >= o->rotate_bytes) ||
            (o->rotate_age_ms > 0 && now_ms - f->born_ms >= o->rotate_age_ms));
}

static bool put_aside(const char *path, int64_t now_ms, struct error *err) {
    char aside[PATH_MAX], packed[PATH_MAX + 4], stamp[24] = "";
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    (void)!strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&seconds, &utc));
    for (unsigned i = 0; i < SAME_SECOND_MAX; i++) {
        int len = i == 0 ? snprintf(aside, sizeof aside, "%s-%s", path, stamp)
                         : snprintf(aside, sizeof aside, "%s-%s-%u", path, stamp, i);
        if (len < 0 || (size_t)len >= sizeof aside) {
            return error_set(err, ERROR_LIMIT, "the path of %s is too long to put it aside", path);
        }
        snprintf(packed, sizeof packed, "%s.gz", aside);
        if (access(packed, F_OK) == 0) {
            continue;
        }
        if (syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, aside, 1u /* RENAME_NOREPLACE */) ==
            0) {
            return true;
        }
        if (errno == EINVAL && access(aside, F_OK) < 0) { /* a file system that cannot do that */
            return rename(path, aside) == 0 || error_system(err, "rename %s", path);
        }
        if (errno != EEXIST && errno != EINVAL) {
            return error_system(err, "rename %s", path);
        }
    }
    return error_set(err, ERROR_LIMIT, "%s was put aside too often in one second", path);
}

struct tidy {
    char *path;
    unsigned keep;
    bool compress;
};

static atomic_bool tidying;

static void *run_tidy(void *argument) {
    struct tidy *t = argument;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), TIDY_NICE); /* of this thread */
    log_file_tidy(t->path, t->keep, t->compress);
    free(t->path);
    free(t);
    atomic_store(&tidying, false);
    return NULL;
}

/* One at a time; what comes due meanwhile waits until the file is looked at again. */
static void begin_tidy(struct log_file *f) {
    pthread_t thread;
    if (!f->tidy_due || !f->regular || atomic_exchange(&tidying, true)) {
        return;
    }
    struct tidy *t = calloc(1, sizeof *t);
    char *path = strdup(f->options.path);
    if (t != NULL && path != NULL) {
        *t = (struct tidy){ path, f->options.keep, f->options.compress };
        if (pthread_create(&thread, NULL, run_tidy, t) == 0) {
            pthread_detach(thread);
            f->tidy_due = false;
            /* cppcheck-suppress memleak; the thread frees it */
            return;
        }
    }
    free(path);
    free(t);
    atomic_store(&tidying, false);
}

bool log_file_rotate_if_due(struct log_file *f, int64_t now_ms, struct error *err) {
    if (!is_due(f, now_ms)) {
        begin_tidy(f);
        return true;
    }
    log_file_check_moved(f); /* never put aside what somebody else put there */
    if (f->fd < 0 || !is_due(f, now_ms)) {
        return true;
    }
    if (!put_aside(f->options.path, now_ms, err)) {
        return false;
    }
    log_file_fini(f);
    f->rotations++;
    f->tidy_due = true;
    return true;
}
