/* Each case is a child that puts on what a worker wears, and then tries something. As root and as
 * an ordinary user. */
#include "act/guard/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "act/guard/guard_internal.h"

#define NOBODY 65534
#define KILLED (-1)
#define MEMORY_BYTES (256u << 20)

static _Atomic uint32_t *refused_call; /* shared with the children */

/* 0, or an errno. */
static int result(long value) {
    return value < 0 ? errno : 0;
}

static void confine(bool as_root) {
    char missing[GUARD_TEXT_BYTES];
    struct guard_worker g = { .memory_bytes = MEMORY_BYTES, .refused_call = refused_call };
    struct error err;
    if (!as_root && geteuid() == 0 &&
        (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)) {
        _exit(100);
    }
    if (!guard_find_user(NULL, &g.user, &err)) {
        _exit(101);
    }
    uint32_t parts = guard_confine(&g, missing);
    if (parts != GUARD_ALL) {
        (void)!write(STDERR_FILENO, missing, strlen(missing));
        _exit(102);
    }
}

/* ---- what must not work ---- */

static int open_to_read(void) {
    return result(open("/etc/hostname", O_RDONLY | O_CLOEXEC));
}
static int open_to_write(void) {
    return result(open("/tmp/wt-guard-written", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
static int remove_file(void) {
    return result(unlink("/tmp/wt-guard-written"));
}
static int execute(void) {
    char *const arguments[] = { (char *)(uintptr_t) "true", NULL };
    return result(execv("/bin/true", arguments));
}
static int new_process(void) {
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        _exit(0);
    }
    return result(pid);
}
static int packet_socket(void) {
    return result(socket(AF_PACKET, SOCK_RAW, 0));
}
static int netlink_socket(void) {
    return result(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int raw_socket(void) {
    return result(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}
static int bind_a_port(void) {
    struct sockaddr_in any = { .sin_family = AF_INET };
    return result(bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&any, sizeof any));
}
static int trace_another(void) {
    return result(ptrace(PTRACE_ATTACH, 1, NULL, NULL));
}
static int signal_others(void) {
    return result(kill(1, 0));
}
static int signal_other_thread(void) {
    return result(syscall(SYS_tgkill, 1, 1, 0));
}
static int become_root(void) {
    return result(setuid(0));
}
static void *map(size_t bytes, int protection, int sharing) {
    /* cppcheck-suppress invalidFunctionArg; an anonymous one has no file */
    return mmap(NULL, bytes, protection, sharing | MAP_ANONYMOUS, -1, 0);
}
static int make_executable(void) {
    void *at = map(4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE);
    return at == MAP_FAILED ? errno : 0;
}
static int turn_executable(void) {
    void *at = map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    return at == MAP_FAILED ? 99 : result(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}
static int replace_handler(void) {
    return signal(SIGSYS, SIG_IGN) == SIG_ERR ? errno : 0;
}
static int another_ring(void) {
    char params[120] = { 0 };
    return result(syscall(SYS_io_uring_setup, 4, params));
}
static int raise_limit(void) {
    struct rlimit more = { RLIM_INFINITY, RLIM_INFINITY };
    return result(setrlimit(RLIMIT_DATA, &more));
}
static int new_namespace(void) {
    return result(syscall(SYS_unshare, 0x10000000));
}
static int terminal_order(void) {
    return result(syscall(SYS_ioctl, 0, 0x5412, "x")); /* TIOCSTI */
}
static int too_much_memory(void) {
    void *volatile at = malloc(2ul * MEMORY_BYTES);
    int code = at == NULL ? errno : 0;
    free(at);
    return code;
}
#if defined(__x86_64__)
static int other_numbering(void) {
    return result(syscall(0x40000000 + SYS_getpid)); /* x32 */
}
#endif

/* ---- what must ---- */

static int connect_out(void) {
    struct sockaddr_in nobody = { .sin_family = AF_INET,
                                  .sin_port = htons(1),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno
           : connect(fd, (struct sockaddr *)&nobody, sizeof nobody) < 0 && errno != EINPROGRESS &&
                   errno != ECONNREFUSED
               ? errno
               : 0;
}
static void *work(void *unused) {
    (void)unused;
    free(malloc(100000));
    return NULL;
}
static int a_thread(void) {
    pthread_t thread;
    int problem = pthread_create(&thread, NULL, work, NULL);
    return problem != 0 ? problem : pthread_join(thread, NULL);
}
static int some_memory(void) {
    char *at = malloc(MEMORY_BYTES / 4);
    if (at == NULL) {
        return errno;
    }
    memset(at, 1, MEMORY_BYTES / 4);
    free(at);
    return 0;
}
static int time_and_words(void) {
    struct timespec now;
    char text[64];
    snprintf(text, sizeof text, "%s %f", strerror(EACCES), 1.5);
    return result(clock_gettime(CLOCK_MONOTONIC, &now));
}

static const struct {
    const char *name;
    int (*attempt)(void);
    int expected; /* KILLED, or an errno; 0: it works */
    long call;    /* that is named afterwards; 0: it ends at once, or not at all */
} cases[] = {
    { "open to read", open_to_read, EACCES, 0 },
    { "open to write", open_to_write, EACCES, 0 },
#ifdef SYS_unlink
    { "remove", remove_file, KILLED, SYS_unlink },
#else
    { "remove", remove_file, KILLED, SYS_unlinkat },
#endif
    { "execute", execute, KILLED, 0 },
    { "new process", new_process, KILLED, SYS_clone },
    { "packet socket", packet_socket, KILLED, SYS_socket },
    { "netlink socket", netlink_socket, KILLED, SYS_socket },
    { "raw socket", raw_socket, EPERM, 0 },
    { "bind", bind_a_port, KILLED, SYS_bind },
    { "trace", trace_another, KILLED, 0 },
    { "signal others", signal_others, KILLED, SYS_kill },
    { "signal another's thread", signal_other_thread, KILLED, SYS_tgkill },
    { "become root", become_root, KILLED, SYS_setuid },
    { "executable memory", make_executable, EPERM, 0 },
    { "memory turned executable", turn_executable, EPERM, 0 },
    { "another handler", replace_handler, KILLED, 0 },
    { "another ring", another_ring, KILLED, 0 },
    { "raise a limit", raise_limit, KILLED, SYS_prlimit64 },
    { "namespace", new_namespace, KILLED, SYS_unshare },
    { "terminal", terminal_order, ENOTTY, 0 },
    { "too much memory", too_much_memory, ENOMEM, 0 },
#if defined(__x86_64__)
    { "x32", other_numbering, KILLED, 0 },
#endif
    { "connect", connect_out, 0, 0 },
    { "a thread", a_thread, 0, 0 },
    { "some memory", some_memory, 0, 0 },
    { "time and words", time_and_words, 0, 0 },
};

static int run(int (*attempt)(void), bool as_root) {
    int status = 0;
    atomic_store(refused_call, 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        confine(as_root);
        _exit(attempt());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGSYS);
        return KILLED;
    }
    return WEXITSTATUS(status);
}

static void nothing_but_what_is_listed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int as_root = 0; as_root < 2; as_root++) {
            int got = run(cases[i].attempt, as_root);
            uint32_t named = atomic_load(refused_call);
            if (got != cases[i].expected ||
                (got == KILLED &&
                 named != (cases[i].call == 0 ? 0 : (uint32_t)cases[i].call + 1))) {
                fail_msg("%s as %s: expected %d, got %d; it named %u", cases[i].name,
                         as_root ? "root" : "nobody", cases[i].expected, got, named);
            }
        }
    }
}

/* ---- what others see of it ---- */

static void read_status(pid_t pid, char *out, size_t bytes) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(out, 1, bytes - 1, file);
    out[len] = '\0';
    fclose(file);
}

static void the_status_says_so(void **state) {
    static const char *const lines[] = { "CapEff:\t0000000000000000",
                                         "CapPrm:\t0000000000000000",
                                         "CapInh:\t0000000000000000",
                                         "CapAmb:\t0000000000000000",
                                         "NoNewPrivs:\t1",
                                         "Seccomp:\t2" };
    char text[8192];
    int ready[2], go[2], status;
    char byte;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        confine(true);
        (void)!write(ready[1], "x", 1);
        (void)!read(go[0], &byte, 1);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    read_status(pid, text, sizeof text);
    close(go[1]);
    waitpid(pid, &status, 0);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strstr(text, lines[i]) == NULL) {
            fail_msg("no '%s' in %s", lines[i], text);
        }
    }
    assert_null(strstr(text, "Uid:\t0"));
    if (geteuid() == 0) {
        assert_non_null(strstr(text, "CapBnd:\t0000000000000000"));
    }
}

static void off_is_off(void **state) {
    char missing[GUARD_TEXT_BYTES];
    const struct guard_worker g = { .mode = GUARD_OFF };
    (void)state;
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        _exit(guard_confine(&g, missing) == 0 && open_to_read() == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void users_are_found(void **state) {
    struct guard_user user;
    struct error err;
    (void)state;
    assert_false(guard_find_user("no-such-user-here", &user, &err));
    assert_string_equal(err.text, "no user 'no-such-user-here' here");
    assert_true(guard_find_user("nobody", &user, &err));
    assert_int_equal(user.uid, geteuid() == 0 ? NOBODY : 0);
    assert_true(guard_look_up_user("daemon", &user, &err));
    assert_true(user.uid != 0 && user.group_count >= 1);
}

static void calls_have_names(void **state) {
    (void)state;
    assert_string_equal(guard_call_name(SYS_execve), "execve");
    assert_string_equal(guard_call_name(SYS_bind), "bind");
    assert_null(guard_call_name(100000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_what_is_listed),
        cmocka_unit_test(the_status_says_so),
        cmocka_unit_test(off_is_off),
        cmocka_unit_test(users_are_found),
        cmocka_unit_test(calls_have_names),
    };
    const struct rlimit no_core = { 0, 0 };
    setrlimit(RLIMIT_CORE, &no_core);
    refused_call = map(sizeof *refused_call, PROT_READ | PROT_WRITE, MAP_SHARED);
    if (GUARD_SANITIZED || refused_call == MAP_FAILED) {
        printf("1..0 # SKIP a sanitizer needs what is forbidden here\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
