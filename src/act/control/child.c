#include "act/control/child.h"

#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int child_pidfd(pid_t pid) {
    return (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
}

int child_watch_parent(pid_t parent) {
    int fd = child_pidfd(parent);
    if (fd >= 0 && getppid() != parent) {
        close(fd); /* the pid may be somebody else's by now */
        return -1;
    }
    return fd;
}

static int by_number(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

void child_close_others(int *keep, unsigned count) {
    unsigned from = STDERR_FILENO + 1;
    qsort(keep, count, sizeof *keep, by_number);
    for (unsigned i = 0; i < count; i++) {
        if (keep[i] >= (int)from) {
            if (keep[i] > (int)from) {
                syscall(SYS_close_range, from, (unsigned)keep[i] - 1, 0);
            }
            from = (unsigned)keep[i] + 1;
        }
    }
    syscall(SYS_close_range, from, ~0U, 0);
}

/* CPUs that the cgroup's quota amounts to, INFINITY without one. Version 2, then version 1. */
static double quota_cpus(void) {
    double quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file != NULL) {
        /* NOLINTNEXTLINE(cert-err34-c): "max" is no number, what else the kernel prints fits */
        int fields = fscanf(file, "%lf %lf", &quota, &period);
        fclose(file);
        return fields == 2 && period > 0 ? quota / period : INFINITY;
    }
    static const char *const names[] = { "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
                                         "/sys/fs/cgroup/cpu/cpu.cfs_period_us" };
    double values[2] = { 0, 0 };
    for (int i = 0; i < 2; i++) {
        file = fopen(names[i], "re");
        if (file == NULL) {
            return INFINITY;
        }
        /* NOLINTNEXTLINE(cert-err34-c): what the kernel prints fits */
        bool read_one = fscanf(file, "%lf", &values[i]) == 1;
        fclose(file);
        if (!read_one) {
            return INFINITY;
        }
    }
    return values[0] > 0 && values[1] > 0 ? values[0] / values[1] : INFINITY;
}

unsigned child_worker_count(unsigned wanted, unsigned most) {
    cpu_set_t allowed;
    double count = wanted;
    if (wanted == 0) {
        count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
        count = fmin(count, ceil(quota_cpus()));
    }
    return (unsigned)fmin(fmax(count, 1), most);
}
