#include "act/control/volume_look.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { RUNNING, DONE, LEFT };

struct volume_look {
    _Atomic int state; /* whoever comes second frees */
    char *path;
    struct volume_seen seen;
};

static void destroy(struct volume_look *look) {
    free(look->path);
    free(look);
}

static void look_at(const char *path, struct volume_seen *seen) {
    struct statvfs volume;
    struct stat status;
    if (statvfs(path, &volume) < 0 || stat(path, &status) < 0) {
        (void)error_system(&seen->err, "%s", path);
        return;
    }
    double block = (double)volume.f_frsize;
    seen->used_bytes = block * (double)(volume.f_blocks - volume.f_bfree);
    seen->size_bytes = seen->used_bytes + block * (double)volume.f_bavail;
    double files = (double)(volume.f_files - volume.f_ffree);
    seen->inodes_ratio =
        volume.f_files > 0 ? files / (files + (double)volume.f_favail) : (double)NAN;
    seen->device = status.st_dev;
    seen->good = true;
}

static void *run(void *argument) {
    struct volume_look *look = argument;
    look_at(look->path, &look->seen);
    if (atomic_exchange(&look->state, DONE) == LEFT) {
        destroy(look);
    }
    return NULL;
}

struct volume_look *volume_look_start(const char *path) {
    struct volume_look *look = calloc(1, sizeof *look);
    pthread_t thread;
    if (look == NULL) {
        return NULL;
    }
    look->path = strdup(path);
    if (look->path == NULL || pthread_create(&thread, NULL, run, look) != 0) {
        destroy(look);
        return NULL;
    }
    pthread_detach(thread);
    return look;
}

bool volume_look_done(const struct volume_look *look, struct volume_seen *seen) {
    if (atomic_load(&look->state) != DONE) {
        return false;
    }
    *seen = look->seen;
    return true;
}

void volume_look_free(struct volume_look *look) {
    if (look != NULL && atomic_exchange(&look->state, LEFT) == DONE) {
        destroy(look);
    }
}
