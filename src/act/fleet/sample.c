/* CPU and memory of a process, from /proc. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act/fleet/provider.h"

struct process_times {
    uint64_t user_ticks, system_ticks, start_ticks;
    int64_t resident_pages;
};

/* Fields of /proc/PID/stat after the command's ")": proc(5). */
static bool read_times(pid_t pid, struct process_times *t) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        close(fd);
    }
    if (len <= 0) {
        return false;
    }
    text[len] = '\0';
    const char *rest = strrchr(text, ')');
    unsigned long long user, system, start;
    long long pages;
    if (rest == NULL ||
        /* NOLINTNEXTLINE(cert-err34-c): what the kernel prints fits */
        sscanf(rest + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d "
               "%llu %*u %lld",
               &user, &system, &start, &pages) != 4) {
        return false;
    }
    *t = (struct process_times){ user, system, start, pages };
    return true;
}

void sample_instance(struct instance *instance, uint64_t now_us) {
    struct instance_internal *in = instance->internal;
    struct process_times times;
    if (!read_times(instance->pid, &times)) {
        instance->cpu_ratio = instance->memory_bytes = NAN;
        return;
    }
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t cpu_us = (times.user_ticks + times.system_ticks) * 1000000 / ticks;
    if (in->cpu_at_us != 0 && now_us > in->cpu_at_us && cpu_us >= in->cpu_us) {
        instance->cpu_ratio = (double)(cpu_us - in->cpu_us) / (double)(now_us - in->cpu_at_us);
    }
    in->cpu_us = cpu_us;
    in->cpu_at_us = now_us;
    instance->memory_bytes = (double)times.resident_pages * (double)sysconf(_SC_PAGESIZE);
}

int64_t sample_started_ms(pid_t pid) {
    struct process_times times;
    char text[4096], *line;
    int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    int64_t boot_s = 0;
    if (fd < 0 || !read_times(pid, &times)) {
        if (fd >= 0) {
            close(fd);
        }
        return 0;
    }
    /* "btime" stands after the lines of the CPUs and the long one of the interrupts. */
    FILE *file = fdopen(fd, "r");
    while (file != NULL && (line = fgets(text, sizeof text, file)) != NULL && boot_s == 0) {
        if (strncmp(line, "btime ", 6) == 0) {
            boot_s = strtoll(line + 6, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return boot_s == 0 ? 0
                       : boot_s * 1000 +
                             (int64_t)(times.start_ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
}
