/* A file that lines are appended to: opened again when somebody moved it away, put aside when it is
 * large or old, the older ones compressed and deleted. Everything here may block (a disk may hang):
 * for a thread of its own only.
 *
 * A file put aside is named FILE-20261127T031500Z, with -1, -2 … when there is one already, and .gz
 * once compressed, which a second thread of low priority does. Pipes, devices and stdout are never
 * put aside. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/slice.h"

#define LOG_FILE_ROTATED_MAX 20000 /* looked at in the folder */

struct log_file_options {
    const char *path; /* NULL: stdout; must outlive the file */
    uint64_t rotate_bytes;
    int64_t rotate_age_ms;
    unsigned keep;
    bool compress;
};

struct log_file {
    struct log_file_options options;
    int fd; /* -1: not open */
    bool regular;
    dev_t device;
    ino_t inode;
    uint64_t bytes;  /* of the file, as far as we know */
    int64_t born_ms; /* unix */
    uint64_t rotations;
    bool tidy_due; /* files of an earlier process may wait to be compressed */
};

void log_file_init(struct log_file *f, const struct log_file_options *options);
void log_file_fini(struct log_file *f);

/* Opens it if it is not open. A line that a predecessor could not finish is ended first, so that
 * what follows stands on lines of its own. */
bool log_file_open(struct log_file *f, struct error *err);
/* Closes it when its path is now another file, or none: log_file_open begins the next one. */
void log_file_check_moved(struct log_file *f);
/* Puts the file aside when it is due; call between two lines. False: it could not be renamed; it
 * goes on. */
bool log_file_rotate_if_due(struct log_file *f, int64_t now_unix_ms, struct error *err);

/* Writes as much as it can; the rest was not written when *err is set. */
size_t log_file_write(struct log_file *f, struct slice data, struct error *err);

/* What the second thread does, once: compresses what was put aside, deletes what is too much. */
void log_file_tidy(const char *path, unsigned keep, bool compress);
