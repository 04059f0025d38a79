#include "act/control/child.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "act/control/cpu_quota.h"

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

unsigned child_worker_count(unsigned wanted, unsigned most) {
    static cpu_set_t allowed[16]; /* the kernel refuses a mask smaller than its own: 16,384 CPUs */
    double count = wanted;
    if (wanted == 0) {
        count = sched_getaffinity(0, sizeof allowed, allowed) == 0
                    ? CPU_COUNT_S(sizeof allowed, allowed)
                    : 1;
        count = fmin(count, ceil(cpu_quota("")));
    }
    return (unsigned)fmin(fmax(count, 1), most);
}
