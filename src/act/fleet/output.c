#include "act/fleet/output.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act/fleet/fleet.h"

#define READ_BYTES 16384
#define READS_MAX 64 /* of one turn: a flood waits for the next one */

void output_init(struct output *o) {
    *o = (struct output){ .fds = { -1, -1 } };
    buffer_init(&o->lines, (size_t)2 * FLEET_OUTPUT_BYTES);
    for (int i = 0; i < 2; i++) {
        buffer_init(&o->partial[i], OUTPUT_LINE_BYTES);
    }
}

void output_fini(struct output *o) {
    for (int i = 0; i < 2; i++) {
        if (o->fds[i] >= 0) {
            close(o->fds[i]);
        }
        o->fds[i] = -1;
        buffer_fini(&o->partial[i]);
    }
    buffer_fini(&o->lines);
}

bool output_open(struct output *o, struct error *err) {
    output_init(o);
    for (int i = 0; i < 2; i++) {
        o->fds[i] = memfd_create(i == 0 ? "stdout" : "stderr", MFD_CLOEXEC);
        if (o->fds[i] < 0 || fcntl(o->fds[i], F_SETFL, O_APPEND) < 0) {
            error_system(err, "memory for its output");
            output_fini(o);
            return false;
        }
    }
    return true;
}

/* Holes end within a page: the rest of what our predecessor has read is zeroes. */
static off_t skip_zeroes(int fd, off_t from) {
    char data[READ_BYTES];
    ssize_t len = pread(fd, data, sizeof data, from);
    off_t count = 0;
    while (count < len && data[count] == '\0') {
        count++;
    }
    return from + count;
}

void output_adopt(struct output *o, pid_t pid) {
    output_init(o);
    for (int i = 0; i < 2; i++) {
        char path[64], target[64];
        struct stat info;
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, i + 1);
        ssize_t len = readlink(path, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        if (strncmp(target, "/memfd:", 7) != 0) {
            continue; /* it went on to write elsewhere */
        }
        o->fds[i] = open(path, O_RDWR | O_CLOEXEC);
        if (o->fds[i] >= 0 && fstat(o->fds[i], &info) == 0) {
            /* Blocks that are there were not read by our predecessor. */
            off_t data = lseek(o->fds[i], 0, SEEK_DATA);
            o->read[i] = data >= 0 ? skip_zeroes(o->fds[i], data) : info.st_size;
        }
    }
}

static void keep_line(struct output *o, struct slice line) {
    while (buffer_len(&o->lines) + line.len + 1 > FLEET_OUTPUT_BYTES) {
        struct slice kept = buffer_slice(&o->lines);
        size_t end = slice_find(kept, '\n');
        buffer_consume(&o->lines, end == SLICE_NONE ? kept.len : end + 1);
    }
    (void)buffer_append(&o->lines, line);
    (void)buffer_append_byte(&o->lines, '\n');
}

static void take(struct output *o, int which, struct slice data) {
    struct buffer *partial = &o->partial[which];
    while (data.len > 0) {
        size_t end = slice_find(data, '\n');
        size_t len = end == SLICE_NONE ? data.len : end;
        size_t room = OUTPUT_LINE_BYTES - buffer_len(partial);
        (void)buffer_append(partial, slice_sub(data, 0, len < room ? len : room));
        if (end == SLICE_NONE) {
            return;
        }
        keep_line(o, buffer_slice(partial));
        buffer_clear(partial);
        data = slice_skip(data, end + 1);
    }
}

/* Where reading goes on: what a flood left unread beyond a turn's share is skipped, because only
 * the newest is kept, and memory must not grow with it. */
static void catch_up(struct output *o, int which) {
    const off_t share = (off_t)READ_BYTES * READS_MAX;
    struct stat info;
    if (fstat(o->fds[which], &info) < 0) {
        return;
    }
    if (info.st_size < o->read[which]) { /* it emptied the file */
        o->read[which] = 0;
    } else if (info.st_size - o->read[which] > share) {
        o->read[which] = info.st_size - (off_t)2 * FLEET_OUTPUT_BYTES;
        buffer_clear(&o->partial[which]);
    }
}

static void read_one(struct output *o, int which, bool ended) {
    static char data[READ_BYTES];
    off_t from = o->read[which];
    catch_up(o, which);
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t len = pread(o->fds[which], data, sizeof data, o->read[which]);
        if (len <= 0) {
            break;
        }
        take(o, which, slice_of(data, (size_t)len));
        o->read[which] += len;
    }
    if (o->read[which] != from) {
        (void)fallocate(o->fds[which], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                        o->read[which]);
    }
    if (ended && buffer_len(&o->partial[which]) > 0) {
        keep_line(o, buffer_slice(&o->partial[which]));
        buffer_clear(&o->partial[which]);
    }
}

void output_read(struct output *o, bool ended) {
    for (int i = 0; i < 2; i++) {
        if (o->fds[i] >= 0) {
            read_one(o, i, ended);
        }
    }
}

struct slice output_last_line(const struct output *o) {
    struct slice rest = buffer_slice(&o->lines), line, last = { "", 0 };
    while (slice_cut(&rest, '\n', &line)) {
        if (slice_trim(line).len > 0) {
            last = slice_trim(line);
        }
    }
    return last;
}
