/* No files: a Landlock domain without rules (Linux 5.13; documentation/userspace-api/landlock.rst).
 * What is open stays open. From ABI 4 on no port can be bound, from 6 on no process outside is
 * signalled and no abstract socket outside reached. */
#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "act/guard/guard_internal.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#define VERSION_FLAG 1u

/* struct landlock_ruleset_attr as of ABI 6: older headers have only its beginning. */
struct ruleset {
    uint64_t handled_access_fs, handled_access_net, scoped;
};
#define BIND_TCP 1u
#define SCOPE_ABSTRACT_SOCKET 1u
#define SCOPE_SIGNAL 2u

/* Rights that came with an ABI: the first had 13 bits. */
static uint64_t file_rights(long abi) {
    static const unsigned bits[] = { 0, 13, 14, 15, 15, 16 };
    size_t last = sizeof bits / sizeof bits[0] - 1;
    return (1u << bits[abi > (long)last ? last : (size_t)abi]) - 1;
}

int guard_forbid_files(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION_FLAG);
    if (abi < 1) {
        return abi < 0 ? errno : ENOSYS;
    }
    struct ruleset rules = { .handled_access_fs = file_rights(abi) };
    size_t bytes = sizeof rules.handled_access_fs;
    if (abi >= 4) {
        rules.handled_access_net = BIND_TCP;
        bytes += sizeof rules.handled_access_net;
    }
    if (abi >= 6) {
        rules.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
        bytes += sizeof rules.scoped;
    }
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, bytes, 0);
    if (fd < 0) {
        return errno;
    }
    int problem = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? errno : 0;
    close(fd);
    return problem;
}
