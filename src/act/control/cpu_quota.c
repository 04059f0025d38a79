/* Two files of /proc say where to look:
 *
 *   /proc/self/cgroup       4:cpu,cpuacct:/shop.slice/web      version 1: the group of the
 * controller 0::/shop.slice/web                 version 2: the one group /proc/self/mountinfo    33
 * 25 0:28 /shop.slice /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu the part of the tree (4th field)
 * that is seen at a folder (5th field)
 *
 * Each group from our own up to the mounted one may have a quota: the least holds. A group that
 * is not below what is mounted (a container without a cgroup namespace) is looked for at its top.
 */
#include "act/control/cpu_quota.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 8192
#define GROUP_DEPTH_MAX 64

struct place {
    char group[PATH_MAX]; /* ours, from the top of the tree */
    char top[PATH_MAX];   /* the group that is mounted */
    char mount[PATH_MAX]; /* where; "" if nowhere */
};

static FILE *open_below(const char *root, const char *path) {
    char whole[2 * PATH_MAX];
    int len = snprintf(whole, sizeof whole, "%s%s", root, path);
    return len < 0 || (size_t)len >= sizeof whole ? NULL : fopen(whole, "re");
}

/* Whether `list` (items with commas between them) has `item`. */
static bool has_item(const char *list, const char *item) {
    size_t len = strlen(item);
    for (const char *at = list; (at = strstr(at, item)) != NULL; at += len) {
        bool begins = at == list || at[-1] == ',', ends = strchr(",\n", at[len]) != NULL;
        if (begins && ends) {
            return true;
        }
    }
    return false;
}

/* "4:cpu,cpuacct:/group" */
static void read_group_line(char *line, struct place *v1, struct place *v2) {
    char *controllers = strchr(line, ':'), *group = NULL;
    if (controllers != NULL) {
        *controllers++ = '\0';
        group = strchr(controllers, ':');
    }
    if (group == NULL) {
        return;
    }
    *group++ = '\0';
    group[strcspn(group, "\n")] = '\0';
    bool unified = strcmp(line, "0") == 0 && controllers[0] == '\0';
    if (unified || has_item(controllers, "cpu")) {
        struct place *place = unified ? v2 : v1;
        snprintf(place->group, sizeof place->group, "%s", group);
    }
}

static void read_mount_line(const char *line, struct place *v1, struct place *v2) {
    char top[PATH_MAX], mount[PATH_MAX], type[64], options[LINE_BYTES];
    const char *rest = strstr(line, " - ");
    if (rest == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", top, mount) != 2 ||
        sscanf(rest, " - %63s %*s %8191s", type, options) != 2) {
        return;
    }
    bool unified = strcmp(type, "cgroup2") == 0;
    struct place *place = unified ? v2 : v1;
    bool ours = unified || (strcmp(type, "cgroup") == 0 && has_item(options, "cpu"));
    if (ours && place->mount[0] == '\0') {
        snprintf(place->top, sizeof place->top, "%s", strcmp(top, "/") == 0 ? "" : top);
        snprintf(place->mount, sizeof place->mount, "%s", mount);
    }
}

static void read_lines(const char *root, const char *path, struct place *v1, struct place *v2,
                       bool mounts) {
    char line[LINE_BYTES];
    FILE *file = open_below(root, path);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (mounts) {
            read_mount_line(line, v1, v2);
        } else {
            read_group_line(line, v1, v2);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* The numbers at the start of a file; `cpu.max` may say "max". */
static int read_numbers(const char *root, const char *folder, const char *name, double values[2]) {
    char path[PATH_MAX + 64];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = len < 0 || (size_t)len >= sizeof path ? NULL : open_below(root, path);
    if (file == NULL) {
        return 0;
    }
    /* NOLINTNEXTLINE(cert-err34-c): "max" is no number, what else the kernel prints fits */
    int count = fscanf(file, "%lf %lf", &values[0], &values[1]);
    fclose(file);
    return count < 0 ? 0 : count;
}

static double quota_of(const char *root, const char *folder, bool unified) {
    double values[2] = { 0, 0 }, period[2] = { 0, 0 };
    bool known = unified ? read_numbers(root, folder, "cpu.max", values) == 2
                         : read_numbers(root, folder, "cpu.cfs_quota_us", values) >= 1 &&
                               read_numbers(root, folder, "cpu.cfs_period_us", period) >= 1;
    double of = unified ? values[1] : period[0];
    return known && values[0] > 0 && of > 0 ? values[0] / of : INFINITY; /* -1: none */
}

static double least_quota(const char *root, const struct place *place, bool unified) {
    size_t top = strlen(place->top);
    bool below = strncmp(place->group, place->top, top) == 0 && strchr("/", place->group[top]);
    const char *group = below ? place->group + top : "";
    char folder[2 * PATH_MAX];
    double least = INFINITY;
    if (place->mount[0] == '\0') {
        return INFINITY;
    }
    size_t mount = (size_t)snprintf(folder, sizeof folder, "%s%s", place->mount, group);
    size_t shortest = strlen(place->mount);
    for (unsigned i = 0; i < GROUP_DEPTH_MAX && mount >= shortest; i++) {
        least = fmin(least, quota_of(root, folder, unified));
        char *slash = strrchr(folder, '/');
        mount = slash == NULL ? 0 : (size_t)(slash - folder);
        folder[mount] = '\0';
    }
    return least;
}

double cpu_quota(const char *root) {
    struct place v1 = { .mount = "" }, v2 = { .mount = "" };
    read_lines(root, "/proc/self/cgroup", &v1, &v2, false);
    read_lines(root, "/proc/self/mountinfo", &v1, &v2, true);
    return fmin(least_quota(root, &v1, false), least_quota(root, &v2, true));
}
