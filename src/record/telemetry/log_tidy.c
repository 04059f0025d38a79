/* The files that were put aside: compressed, and deleted when there are too many. Works on what the
 * folder says, so that it also finishes what a killed process left. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"
#include "record/telemetry/log_file.h"

#define COPY_BYTES 65536
#define STAMP_PATTERN "00000000T000000Z" /* 0: a digit */
#define STAMP_BYTES (sizeof STAMP_PATTERN - 1)

struct names {
    char **items; /* newest last; without .gz */
    size_t len, capacity;
};

/* What follows "access.log-": our time stamp, perhaps a number; *packed: and .gz. */
static bool is_ours(const char *rest, bool *packed, size_t *len) {
    for (size_t i = 0; i < STAMP_BYTES; i++) {
        char c = STAMP_PATTERN[i];
        if (c == '0' ? !isdigit((unsigned char)rest[i]) : rest[i] != c) {
            return false;
        }
    }
    *len = STAMP_BYTES;
    if (rest[*len] == '-' && isdigit((unsigned char)rest[*len + 1])) {
        *len += 1 + strspn(rest + *len + 1, "0123456789");
    }
    *packed = strcmp(rest + *len, ".gz") == 0;
    return *packed || rest[*len] == '\0';
}

static bool add(struct names *names, const char *text, size_t len) {
    if (names->len == LOG_FILE_ROTATED_MAX) {
        return false;
    }
    if (names->len == names->capacity) {
        size_t capacity = names->capacity == 0 ? 64 : names->capacity * 2;
        char **items = realloc(names->items, capacity * sizeof *items);
        if (items == NULL) {
            return false;
        }
        names->items = items;
        names->capacity = capacity;
    }
    names->items[names->len] = strndup(text, len);
    return names->items[names->len++] != NULL;
}

/* By stamp, then by number: "…Z-10" is newer than "…Z-9". */
static int by_age(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t x_len = strlen(x), y_len = strlen(y);
    int same = strncmp(x, y, STAMP_BYTES);
    return same != 0 ? same : x_len != y_len ? (x_len > y_len) - (x_len < y_len) : strcmp(x, y);
}

static void drop_doubles(struct names *names) {
    size_t kept = 0;
    for (size_t i = 0; i < names->len; i++) {
        if (kept > 0 && strcmp(names->items[kept - 1], names->items[i]) == 0) {
            free(names->items[i]); /* compressed, and its original still there */
        } else {
            names->items[kept++] = names->items[i];
        }
    }
    names->len = kept;
}

/* The stamps of the files beside `path` that were put aside. */
static void find(const char *path, struct names *names) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/'), *base = slash == NULL ? path : slash + 1;
    size_t base_len = strlen(base);
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
             slash == NULL ? "." : path);
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    /* cppcheck-suppress readdirCalled; readdir_r is obsolete, and nobody shares the stream */
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        bool packed;
        size_t len;
        const char *name = entry->d_name;
        if (strncmp(name, base, base_len) == 0 && name[base_len] == '-' &&
            is_ours(name + base_len + 1, &packed, &len) && !add(names, name + base_len + 1, len)) {
            break;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (names->len > 0) {
        qsort(names->items, names->len, sizeof *names->items, by_age);
    }
    drop_doubles(names);
}

static bool copy_into(int from, gzFile to) {
    static _Thread_local char block[COPY_BYTES];
    ssize_t n;
    while ((n = read(from, block, sizeof block)) > 0) {
        if (gzwrite(to, block, (unsigned)n) != n) {
            return false;
        }
    }
    return n == 0;
}

/* To a name that nobody looks at, then into place: a half-written .gz is never seen. */
static void compress_one(const char *plain) {
    char half[PATH_MAX + 8], packed[PATH_MAX + 4];
    snprintf(half, sizeof half, "%s.gz.half", plain);
    snprintf(packed, sizeof packed, "%s.gz", plain);
    int from = open(plain, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        return; /* done already */
    }
    int to = open(half, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    gzFile out = to < 0 ? NULL : gzdopen(to, "wb6");
    if (out == NULL && to >= 0) {
        close(to);
    }
    bool good = out != NULL && copy_into(from, out);
    good = out != NULL && gzclose(out) == Z_OK && good && rename(half, packed) == 0;
    close(from);
    if (good) {
        unlink(plain);
    } else {
        log_warn("log_not_compressed", "file=%s error=\"%s\" action=keep_it_as_it_is", plain,
                 strerror(errno));
        unlink(half);
    }
}

void log_file_tidy(const char *path, unsigned keep, bool compress) {
    struct names names = { 0 };
    char plain[PATH_MAX], packed[PATH_MAX + 4];
    find(path, &names);
    for (size_t i = 0; i < names.len; i++) {
        snprintf(plain, sizeof plain, "%s-%s", path, names.items[i]);
        snprintf(packed, sizeof packed, "%s.gz", plain);
        if (names.len - i > keep) {
            unlink(plain);
            unlink(packed);
        } else if (compress) {
            compress_one(plain);
        }
        free(names.items[i]);
    }
    free(names.items);
}
