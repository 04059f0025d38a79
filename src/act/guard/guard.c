#include "act/guard/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "act/guard/guard_internal.h"

#define PASSWD_BYTES 4096

const char *guard_part_name(enum guard_part part) {
    static const char *const names[GUARD_PARTS] = {
        [GUARD_USER] = "user",
        [GUARD_CAPABILITIES] = "capabilities",
        [GUARD_PRIVILEGES] = "no_new_privs",
        [GUARD_MEMORY_HIDDEN] = "memory_hidden",
        [GUARD_LIMITS] = "limits",
        [GUARD_FILES] = "landlock",
        [GUARD_CALLS] = "seccomp",
    };
    return part < GUARD_PARTS ? names[part] : "unknown";
}

/* ---- the user ---- */

static bool look_up(const char *name, struct guard_user *user) {
    char room[PASSWD_BYTES];
    struct passwd entry, *found = NULL;
    if (strlen(name) >= sizeof user->name ||
        getpwnam_r(name, &entry, room, sizeof room, &found) != 0 || found == NULL) {
        return false;
    }
    *user = (struct guard_user){ .uid = found->pw_uid, .gid = found->pw_gid };
    user->group_count = GUARD_GROUPS_MAX;
    if (getgrouplist(name, user->gid, user->groups, &user->group_count) < 0) {
        user->group_count = GUARD_GROUPS_MAX; /* it is in more */
    }
    snprintf(user->name, sizeof user->name, "%s", name);
    snprintf(user->home, sizeof user->home, "%s", found->pw_dir);
    return true;
}

bool guard_look_up_user(const char *name, struct guard_user *user, struct error *err) {
    return look_up(name, user) || error_set(err, ERROR_NOT_FOUND, "no user '%s' here", name);
}

bool guard_find_user(const char *name, struct guard_user *user, struct error *err) {
    struct guard_user found = { 0 };
    if (name != NULL && !guard_look_up_user(name, &found, err)) {
        return false;
    }
    if (name == NULL && !look_up("tidegate", &found)) {
        (void)look_up("nobody", &found);
    }
    *user = geteuid() == 0 ? found : (struct guard_user){ 0 };
    return true;
}

int guard_become(const struct guard_user *user) {
    gid_t gid = user->gid;
    uid_t uid = user->uid;
    if (geteuid() == uid && getegid() == gid) {
        return 0;
    }
    /* libc's own would look for other threads, which a child of fork does not have. */
    return syscall(SYS_setgroups, (size_t)user->group_count, user->groups) < 0 ||
                   syscall(SYS_setresgid, gid, gid, gid) < 0 ||
                   syscall(SYS_setresuid, uid, uid, uid) < 0
               ? errno
               : 0;
}

static int leave_root(const struct guard_user *user) {
    return geteuid() != 0 ? 0 : user->uid == 0 ? ENOENT : guard_become(user);
}

/* ---- capabilities ---- */

static int set_capabilities(const struct __user_cap_data_struct data[2]) {
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    return syscall(SYS_capset, &header, data) < 0 ? errno : 0;
}

static int get_capabilities(struct __user_cap_data_struct data[2]) {
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    return syscall(SYS_capget, &header, data) < 0 ? errno : 0;
}

/* Before the user is changed: the bounding set is only root's to change. One that is not root has
 * nothing to lose by it, no_new_privs keeps what it has from growing. */
static int empty_bounding_set(void) {
    if (geteuid() != 0) {
        return 0;
    }
    for (unsigned long c = 0; c <= 63; c++) {
        if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0) {
            return errno;
        }
    }
    return 0;
}

static int drop_capabilities(void) {
    static const struct __user_cap_data_struct none[2];
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return set_capabilities(none);
}

/* ---- limits ---- */

/* From cores and from others of the same user: /proc/PID belongs to root then. A sanitizer traces
 * us, which another user's process is not open to by itself. */
static int hide_memory(void) {
    return prctl(PR_SET_DUMPABLE, GUARD_SANITIZED, 0, 0, 0) < 0 ? errno : 0;
}

void guard_raise_descriptors(uint32_t most) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_max = most != 0 && most < limit.rlim_max ? most : limit.rlim_max;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int set_limits(const struct guard_worker *g) {
    const struct rlimit memory = { g->memory_bytes, g->memory_bytes }, none = { 0, 0 };
    guard_raise_descriptors(g->descriptors);
    bool unlimited = GUARD_SANITIZED || g->memory_bytes == 0;
    bool limited = unlimited || setrlimit(RLIMIT_DATA, &memory) == 0;
    return limited && setrlimit(RLIMIT_CORE, &none) == 0 ? 0 : errno;
}

/* A terminal's descriptor takes orders that are not reads (TIOCSTI): it is not a worker's. Where
 * standard input was closed, its number may be a socket's. */
static void let_go_of_terminal(void) {
    int fd = isatty(STDIN_FILENO) ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    if (fd > STDIN_FILENO) {
        dup2(fd, STDIN_FILENO);
        close(fd);
    }
}

/* ---- all of it ---- */

struct report {
    uint32_t in_force;
    char *missing;
    size_t len;
};

static void note(struct report *r, enum guard_part part, int problem) {
    if (problem == 0) {
        r->in_force |= 1u << part;
        return;
    }
    int len = snprintf(r->missing + r->len, GUARD_TEXT_BYTES - r->len, "%s%s: %s",
                       r->len > 0 ? ", " : "", guard_part_name(part), strerror(problem));
    if (len > 0 && r->len + (size_t)len < GUARD_TEXT_BYTES) {
        r->len += (size_t)len;
    }
}

uint32_t guard_confine(const struct guard_worker *g, char missing[GUARD_TEXT_BYTES]) {
    struct report r = { .missing = missing };
    missing[0] = '\0';
    if (g->mode == GUARD_OFF) {
        guard_raise_descriptors(g->descriptors);
        return 0;
    }
    let_go_of_terminal();
    note(&r, GUARD_LIMITS, set_limits(g));
    int bounding = empty_bounding_set();
    note(&r, GUARD_USER, leave_root(&g->user));
    int dropped = drop_capabilities();
    note(&r, GUARD_CAPABILITIES, bounding != 0 ? bounding : dropped);
    note(&r, GUARD_MEMORY_HIDDEN, hide_memory());
    note(&r, GUARD_PRIVILEGES, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0);
    note(&r, GUARD_FILES, GUARD_SANITIZED ? 0 : guard_forbid_files());
    note(&r, GUARD_CALLS, guard_list_calls(g->refused_call)); /* the last: it forbids the others */
    return r.in_force;
}

/* Files and folders of whoever started us, ports below 1024, other users' instances (signals,
 * their environment), the users of workers and instances. */
static const unsigned kept[] = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_KILL,       CAP_NET_BIND_SERVICE,
    CAP_SETGID, CAP_SETUID,       CAP_SETPCAP,         CAP_SYS_PTRACE,
};

void guard_keep_little(enum guard_mode mode) {
    struct __user_cap_data_struct data[2];
    uint32_t keep[2] = { 0 };
    if (mode == GUARD_OFF) {
        return;
    }
    (void)hide_memory();
    if (get_capabilities(data) != 0) {
        return;
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        keep[kept[i] / 32] |= 1u << kept[i] % 32;
    }
    for (unsigned i = 0; i < 2; i++) {
        data[i].permitted &= keep[i];
        data[i].effective &= keep[i];
    }
    (void)set_capabilities(data);
}
