/* Files of certificates and keys: read whole, and noticed when they are replaced. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/slice.h"

struct file_stamp { /* all zero: it is not there */
    dev_t device;
    ino_t inode;
    off_t bytes;
    int64_t modified_ns, changed_ns;
};

struct file_stamp file_stamp_of(const char *path);
bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);

/* Reads a regular file of at most TLS_PEM_BYTES_MAX bytes; *text is the caller's
 * (secret_file_free). "FILE: why" in *err. */
bool secret_file_read(const char *path, struct slice *text, struct error *err);
void secret_file_free(struct slice *text); /* wiped first */
