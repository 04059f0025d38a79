/* The system calls of a worker: a seccomp filter (Documentation/userspace-api/seccomp_filter.rst),
 * written here because it is sixty lines and the list is the matter of it. What is always allowed
 * costs nothing: since Linux 5.11 the kernel keeps such calls in a bitmap.
 *
 *   on the list          goes on
 *   files, executable    an error: libraries ask for them in passing (time zones, PCRE2's
 *   memory               compiler), and do without
 *   deadly ones          end the process at once
 *   anything else        SIGSYS: the handler leaves the number where the supervisor finds it, then
 *                        asks for a deadly one. The list has no sigaction for it: the handler stays
 * ours. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "act/guard/guard_internal.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* of siginfo's si_code */
#endif
#define LIBC_SIGNAL_CANCEL 32 /* libc keeps them to itself; their handlers come with a thread */
#define LIBC_SIGNAL_SETXID 33
#define INSTRUCTIONS_MAX 512

enum test { TEST_NONE, TEST_EQUAL, TEST_HAS, TEST_LACKS, TEST_OURSELVES };

/* A call may have several rules; the first whose test holds decides. */
struct rule {
    uint32_t call;
    const char *name;
    uint32_t verdict; /* SECCOMP_RET_… */
    uint8_t test, argument;
    uint32_t value; /* of the argument's low half */
};

#define ALLOW(name)                                                                                \
    { SYS_##name, #name, SECCOMP_RET_ALLOW, TEST_NONE, 0, 0 }
#define ALLOW_IF(name, test, argument, value)                                                      \
    { SYS_##name, #name, SECCOMP_RET_ALLOW, test, argument, (uint32_t)(value) }
#define REFUSE(name, error)                                                                        \
    { SYS_##name, #name, SECCOMP_RET_ERRNO | (error), TEST_NONE, 0, 0 }
#define DEADLY(name)                                                                               \
    { SYS_##name, #name, SECCOMP_RET_KILL_PROCESS, TEST_NONE, 0, 0 }

static const struct rule rules[] = {
    /* carrying bytes */
    ALLOW(epoll_pwait),
    ALLOW(io_uring_enter),
    ALLOW(recvfrom),
    ALLOW(recvmsg),
    ALLOW(sendto),
    ALLOW(sendmsg),
    ALLOW(read),
    ALLOW(write),
    ALLOW(readv),
    ALLOW(writev),
    ALLOW(accept4),
    ALLOW(close),
    ALLOW(epoll_ctl),
    ALLOW(connect),
    ALLOW_IF(socket, TEST_EQUAL, 0, AF_INET),
    ALLOW_IF(socket, TEST_EQUAL, 0, AF_INET6),
    ALLOW_IF(socket, TEST_EQUAL, 0, AF_UNIX),
    ALLOW(setsockopt),
    ALLOW(getsockopt),
    ALLOW(getsockname),
    ALLOW(getpeername),
    ALLOW(shutdown),
    ALLOW(eventfd2),
    ALLOW(ppoll),
#ifdef SYS_epoll_wait /* not on arm64 */
    ALLOW(epoll_wait),
    ALLOW(poll),
#endif
    ALLOW(io_uring_register), /* restricted by the ring itself: wire/net/loop_uring.c */
    ALLOW_IF(fcntl, TEST_EQUAL, 1, F_GETFD),
    ALLOW_IF(fcntl, TEST_EQUAL, 1, F_SETFD),
    ALLOW_IF(fcntl, TEST_EQUAL, 1, F_GETFL),
    ALLOW_IF(fcntl, TEST_EQUAL, 1, F_SETFL),
    ALLOW(splice), /* large bodies, from socket to socket: wire/net/loop_move.c */
    ALLOW(pipe2),
    ALLOW_IF(fcntl, TEST_EQUAL, 1, F_SETPIPE_SZ),
    ALLOW_IF(ioctl, TEST_EQUAL, 1, FIONREAD),
    /* time, randomness */
    ALLOW(clock_gettime),
    ALLOW(clock_nanosleep),
    ALLOW(gettimeofday),
    ALLOW(getrandom),
    /* memory */
    ALLOW_IF(mmap, TEST_LACKS, 2, PROT_EXEC),
    REFUSE(mmap, EPERM),
    ALLOW_IF(mprotect, TEST_LACKS, 2, PROT_EXEC),
    REFUSE(mprotect, EPERM),
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(madvise),
    ALLOW(brk),
    /* a thread (act/proxy/verifier.c), never a process; clone3 hides its flags in memory, libc then
     * takes clone */
    REFUSE(clone3, ENOSYS),
    ALLOW_IF(clone, TEST_HAS, 0, CLONE_THREAD),
    ALLOW_IF(rt_sigaction, TEST_EQUAL, 0, LIBC_SIGNAL_CANCEL),
    ALLOW_IF(rt_sigaction, TEST_EQUAL, 0, LIBC_SIGNAL_SETXID),
    ALLOW(futex),
    ALLOW(rseq),
    ALLOW(set_robust_list),
    ALLOW(sched_getaffinity),
    ALLOW(sched_yield),
    ALLOW(setpriority),
    ALLOW_IF(prctl, TEST_EQUAL, 0, PR_SET_NAME),
    ALLOW_IF(prctl, TEST_EQUAL, 0, PR_SET_VMA),
    ALLOW(getpid),
    ALLOW(gettid),
    ALLOW(rt_sigprocmask),
    ALLOW(rt_sigreturn),
    ALLOW(restart_syscall),
    ALLOW_IF(tgkill, TEST_OURSELVES, 0, 0), /* abort */
    ALLOW(exit),
    ALLOW(exit_group),
    DEADLY(execve),
    DEADLY(execveat),
#if !GUARD_SANITIZED /* which open files, trace us and more */
    /* asked for in passing */
    REFUSE(openat, EACCES),
    REFUSE(newfstatat, EACCES),
    REFUSE(faccessat, EACCES),
    REFUSE(readlinkat, EACCES),
    REFUSE(statx, EACCES),
    REFUSE(fstat, EACCES),
    REFUSE(ioctl, ENOTTY),
#ifdef SYS_open
    REFUSE(open, EACCES),
    REFUSE(stat, EACCES),
    REFUSE(access, EACCES),
    REFUSE(readlink, EACCES),
#endif
    DEADLY(ptrace),
    DEADLY(process_vm_readv),
    DEADLY(process_vm_writev),
    DEADLY(rt_sigaction),
    DEADLY(io_uring_setup),
#endif
};
#define RULES (sizeof rules / sizeof rules[0])

/* Named in the log when they were refused; the others by number. */
static const struct {
    uint32_t call;
    const char *name;
} known[] = {
    { SYS_bind, "bind" },
    { SYS_listen, "listen" },
    { SYS_setresuid, "setresuid" },
    { SYS_setuid, "setuid" },
    { SYS_kill, "kill" },
    { SYS_unlinkat, "unlinkat" },
    { SYS_mount, "mount" },
    { SYS_bpf, "bpf" },
    { SYS_unshare, "unshare" },
    { SYS_prlimit64, "prlimit64" },
    { SYS_memfd_create, "memfd_create" },
};

const char *guard_call_name(uint32_t number) {
    for (size_t i = 0; i < RULES; i++) {
        if (rules[i].call == number) {
            return rules[i].name;
        }
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].call == number) {
            return known[i].name;
        }
    }
    return NULL;
}

#ifdef OUR_ARCH

/* ---- the programme ---- */

struct programme {
    struct sock_filter code[INSTRUCTIONS_MAX];
    unsigned short len;
};

static void put(struct programme *p, unsigned code, unsigned yes, unsigned no, uint32_t k) {
    if (p->len < INSTRUCTIONS_MAX) {
        p->code[p->len++] = (struct sock_filter){ (uint16_t)code, (uint8_t)yes, (uint8_t)no, k };
    }
}

#define LOAD (BPF_LD | BPF_W | BPF_ABS)
#define IF_EQUAL (BPF_JMP | BPF_JEQ | BPF_K)
#define IF_ANY_BIT (BPF_JMP | BPF_JSET | BPF_K)
#define IF_NOT_BELOW (BPF_JMP | BPF_JGE | BPF_K)
#define RETURN (BPF_RET | BPF_K)
#define X32_CALLS 0x40000000u /* another numbering of the same machine */

/* The accumulator holds the number of the call before and after. */
static void put_rule(struct programme *p, const struct rule *r) {
    if (r->test == TEST_NONE) {
        put(p, IF_EQUAL, 0, 1, r->call);
        put(p, RETURN, 0, 0, r->verdict);
        return;
    }
    /* Little endian: the low half of an argument comes first. */
    uint32_t argument = (uint32_t)(offsetof(struct seccomp_data, args) + 8ul * r->argument);
    bool lacks = r->test == TEST_LACKS;
    put(p, IF_EQUAL, 0, 4, r->call);
    put(p, LOAD, 0, 0, argument);
    put(p, r->test == TEST_HAS || lacks ? IF_ANY_BIT : IF_EQUAL, lacks, !lacks,
        r->test == TEST_OURSELVES ? (uint32_t)getpid() : r->value);
    put(p, RETURN, 0, 0, r->verdict);
    put(p, LOAD, 0, 0, offsetof(struct seccomp_data, nr));
}

static void put_all(struct programme *p) {
    put(p, LOAD, 0, 0, offsetof(struct seccomp_data, arch));
    put(p, IF_EQUAL, 1, 0, OUR_ARCH);
    put(p, RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS);
    put(p, LOAD, 0, 0, offsetof(struct seccomp_data, nr));
    put(p, IF_NOT_BELOW, 0, 1, X32_CALLS);
    put(p, RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS);
    for (size_t i = 0; i < RULES; i++) {
        put_rule(p, &rules[i]);
    }
    put(p, RETURN, 0, 0, GUARD_SANITIZED ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP);
}

/* ---- what is not on the list ---- */

static _Atomic uint32_t *refused;

static void on_refused(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    if (refused != NULL && info->si_code == SYS_SECCOMP) { /* else somebody sent the signal */
        atomic_store(refused, (uint32_t)info->si_syscall + 1);
    }
    syscall(SYS_execve, NULL, NULL, NULL); /* deadly: the process ends by SIGSYS, as it should */
}

int guard_list_calls(_Atomic uint32_t *refused_call) {
    static struct programme p;
    struct sigaction action = { .sa_sigaction = on_refused, .sa_flags = SA_SIGINFO };
    refused = refused_call;
    p.len = 0;
    put_all(&p);
    const struct sock_fprog filter = { .len = p.len, .filter = p.code };
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    if (p.len == INSTRUCTIONS_MAX || sigaction(SIGSYS, &action, NULL) < 0 ||
        sigprocmask(SIG_UNBLOCK, &set, NULL) < 0) {
        return E2BIG;
    }
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0 ? errno : 0;
}

#else

int guard_list_calls(_Atomic uint32_t *refused_call) {
    (void)refused_call;
    return ENOSYS; /* no list for this machine */
}

#endif
