#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/control/cpu_quota.h"

#define GROUP "/proc/self/cgroup"
#define MOUNTS "/proc/self/mountinfo"
#define FS "/sys/fs/cgroup"
#define V2_MOUNT "30 25 0:26 / " FS " rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNTS                                                                                  \
    "31 25 0:27 / " FS "/cpuset rw - cgroup cgroup rw,cpuset\n"                                    \
    "32 25 0:28 / " FS "/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"                 \
    "33 25 0:29 / " FS "/unified rw - cgroup2 cgroup2 rw\n"

struct file {
    const char *path, *text;
};

static const struct {
    const char *name;
    double cpus;
    struct file files[10];
} cases[] = {
    { "nothing is known", INFINITY, { { "/etc/hostname", "x\n" } } },
    { "version 2, our own group",
      1.5,
      { { GROUP, "0::/shop.slice/web.service\n" },
        { MOUNTS, V2_MOUNT },
        { FS "/shop.slice/cpu.max", "max 100000\n" },
        { FS "/shop.slice/web.service/cpu.max", "150000 100000\n" } } },
    { "version 2, a group above is tighter",
      0.5,
      { { GROUP, "0::/a/b/c\n" },
        { MOUNTS, V2_MOUNT },
        { FS "/a/cpu.max", "50000 100000\n" },
        { FS "/a/b/cpu.max", "max 100000\n" },
        { FS "/a/b/c/cpu.max", "400000 100000\n" } } },
    { "version 2, a group beside ours does not matter",
      INFINITY,
      { { GROUP, "0::/a/b\n" },
        { MOUNTS, V2_MOUNT },
        { FS "/a/b/cpu.max", "max 100000\n" },
        { FS "/a/other/cpu.max", "50000 100000\n" } } },
    { "version 2 in a namespace: our group is the root, and has the file",
      2,
      { { GROUP, "0::/\n" }, { MOUNTS, V2_MOUNT }, { FS "/cpu.max", "200000 100000\n" } } },
    { "version 2, a container that sees its own group only",
      3,
      { { GROUP, "0::/docker/abc/worker\n" },
        { MOUNTS, "30 25 0:26 /docker/abc " FS " ro - cgroup2 cgroup rw\n" },
        { FS "/cpu.max", "300000 100000\n" },
        { FS "/worker/cpu.max", "max 100000\n" } } },
    { "a name that only begins like the mounted group is another group",
      3,
      { { GROUP, "0::/docker/abcdef\n" },
        { MOUNTS, "30 25 0:26 /docker/abc " FS " ro - cgroup2 cgroup rw\n" },
        { FS "/cpu.max", "300000 100000\n" },
        { FS "/def/cpu.max", "100000 100000\n" } } },
    { "version 1, the folder has both controllers' names",
      2.5,
      { { GROUP, "3:cpuset:/x\n2:cpu,cpuacct:/shop/web\n0::/init.scope\n" },
        { MOUNTS, V1_MOUNTS },
        { FS "/cpu,cpuacct/cpu.cfs_quota_us", "-1\n" },
        { FS "/cpu,cpuacct/cpu.cfs_period_us", "100000\n" },
        { FS "/cpu,cpuacct/shop/cpu.cfs_quota_us", "250000\n" },
        { FS "/cpu,cpuacct/shop/cpu.cfs_period_us", "100000\n" },
        { FS "/cpu,cpuacct/shop/web/cpu.cfs_quota_us", "-1\n" },
        { FS "/cpu,cpuacct/shop/web/cpu.cfs_period_us", "100000\n" } } },
    { "version 1, cpuacct and cpuset are not cpu",
      INFINITY,
      { { GROUP, "2:cpuacct:/a\n3:cpuset:/a\n" },
        { MOUNTS, V1_MOUNTS },
        { FS "/cpuset/a/cpu.cfs_quota_us", "100000\n" },
        { FS "/cpuset/a/cpu.cfs_period_us", "100000\n" } } },
    { "version 1, a container whose mount starts at its group",
      4,
      { { GROUP, "4:cpu,cpuacct:/kubepods/pod1/c1\n" },
        { MOUNTS, "32 25 0:28 /kubepods/pod1/c1 " FS "/cpu ro - cgroup cgroup rw,cpu,cpuacct\n" },
        { FS "/cpu/cpu.cfs_quota_us", "400000\n" },
        { FS "/cpu/cpu.cfs_period_us", "100000\n" } } },
    { "both versions: the tighter one",
      1,
      { { GROUP, "4:cpu:/a\n0::/b\n" },
        { MOUNTS, V1_MOUNTS },
        { FS "/cpu,cpuacct/a/cpu.cfs_quota_us", "200000\n" },
        { FS "/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n" },
        { FS "/unified/b/cpu.max", "100000 100000\n" } } },
    { "nonsense is no quota",
      INFINITY,
      { { GROUP, "0::/a\nfoo\n::\n\n" },
        { MOUNTS, "x\n - \n" V2_MOUNT },
        { FS "/a/cpu.max", "0 0\n" } } },
};

static void write_below(const char *root, const struct file *file) {
    char path[512];
    snprintf(path, sizeof path, "%s%s", root, file->path);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fputs(file->text, out);
    fclose(out);
}

static void the_least_quota_of_our_groups_holds(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char root[] = "/tmp/tidegate-quota-XXXXXX", command[64];
        assert_non_null(mkdtemp(root));
        for (size_t k = 0; k < 10 && cases[i].files[k].path != NULL; k++) {
            write_below(root, &cases[i].files[k]);
        }
        double cpus = cpu_quota(root);
        snprintf(command, sizeof command, "rm -r %s", root);
        assert_int_equal(system(command), 0);
        bool same = cpus == cases[i].cpus || fabs(cpus - cases[i].cpus) < 1e-9;
        if (!same) {
            fail_msg("%s: expected %g CPUs, found %g", cases[i].name, cases[i].cpus, cpus);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_quota_of_our_groups_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
