/* Whole files, plain or gzip (zlib reads both). */
#include <stdlib.h>
#include <zlib.h>

#include "record/series/series.h"

#define READ_CHUNK_BYTES (256u << 10)

static bool grow(char **data, size_t *capacity, size_t limit_bytes) {
    size_t next = *capacity == 0 ? READ_CHUNK_BYTES : *capacity * 2;
    if (next > limit_bytes + 1) {
        next = limit_bytes + 1; /* one more tells a full file from a longer one */
    }
    char *moved = realloc(*data, next);
    if (moved == NULL) {
        return false;
    }
    *data = moved;
    *capacity = next;
    return true;
}

static bool read_all(gzFile file, const char *path, size_t limit_bytes, char **data, size_t *len,
                     struct error *err) {
    size_t capacity = 0;
    for (;;) {
        if (*len == capacity && !grow(data, &capacity, limit_bytes)) {
            return error_set(err, ERROR_LIMIT, "%s: no memory for %zu bytes", path, capacity);
        }
        size_t room = capacity - *len;
        int got =
            gzread(file, *data + *len, room > READ_CHUNK_BYTES ? READ_CHUNK_BYTES : (unsigned)room);
        if (got < 0) {
            int code;
            const char *why = gzerror(file, &code);
            return code == Z_ERRNO
                       ? error_system(err, "%s: read", path)
                       : error_set(err, ERROR_INVALID, "%s: expected gzip: %s", path, why);
        }
        *len += (size_t)got;
        if (*len > limit_bytes) {
            return error_set(err, ERROR_LIMIT, "%s: expected at most %zu bytes", path, limit_bytes);
        }
        if (got == 0) {
            break;
        }
    }
    int code;
    const char *why = gzerror(file, &code);
    if (code == Z_BUF_ERROR) {
        return error_set(err, ERROR_INVALID, "%s: the gzip file ends early: %s", path, why);
    }
    return true;
}

bool series_load_file(const char *path, size_t limit_bytes, char **data, size_t *len,
                      struct error *err) {
    gzFile file = gzopen(path, "rb");
    if (file == NULL) {
        return error_system(err, "%s: open", path);
    }
    char *bytes = NULL;
    size_t used = 0;
    bool ok = read_all(file, path, limit_bytes, &bytes, &used, err);
    gzclose(file);
    if (!ok) {
        free(bytes);
        return false;
    }
    *data = bytes;
    *len = used;
    return true;
}

bool series_read(struct series *out, const char *path, struct error *err) {
    char *data = NULL;
    size_t len = 0;
    if (!series_load_file(path, SERIES_FILE_BYTES_MAX, &data, &len, err)) {
        return false;
    }
    bool ok = series_parse(out, slice_of(data, len), path, err);
    free(data);
    return ok;
}
