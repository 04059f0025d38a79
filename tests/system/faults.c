/* Faults inside, for tests/system/test_faults.py: preloaded into the binary under test, it stands
 * between it and libc and lets calls fail as a kernel or an allocator would, at random by seed.
 *
 *   FAULTS=FILE LD_PRELOAD=libfaults.so tidegate run …
 *
 * FILE is mapped by every process of the binary and written by the test while they run: how often
 * each kind strikes, and since when (struct faults; lib/faults.py has the same layout). What was
 * struck is counted there, and for each process how many blocks it has allocated and not freed.
 * Other programs (a fleet's instances inherit LD_PRELOAD) are left alone.
 *
 * With FAULTS_TRACE set, each allocation that fails says where, for addr2line; FAULTS_PAUSE_US says
 * how long a pause is, instead of 8 ms.
 *
 * Short reads and EAGAIN take back what an edge-triggered epoll has said, so the descriptor is
 * armed anew: as if the rest had come a moment later. io_uring reads and writes in the kernel,
 * where nobody stands between: there the submission is struck, and memory, and all other calls. */
#undef _FILE_OFFSET_BITS /* else open would be another name of open64 */
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FAULTS_PROCESSES 256
#define FAULTS_DESCRIPTORS 65536
#define FAULTS_CLOCK_S 3600

enum fault_kind {
    FAULT_MEMORY,      /* malloc and its kin: NULL */
    FAULT_SHORT,       /* recv, send, read, write: less than was asked for */
    FAULT_AGAIN,       /* recv, send: EAGAIN */
    FAULT_INTERRUPT,   /* EINTR */
    FAULT_RESET,       /* recv, send: ECONNRESET */
    FAULT_BUFFERS,     /* send, connect: ENOBUFS */
    FAULT_DESCRIPTORS, /* accept, socket, open, eventfd: EMFILE, ENFILE */
    FAULT_DISK,        /* write, fsync, truncate of a file: ENOSPC, EIO */
    FAULT_CLOCK,       /* CLOCK_REALTIME jumps by up to an hour, back and forth */
    FAULT_FORK,        /* EAGAIN */
    FAULT_WATCH,       /* epoll_ctl ADD: ENOMEM */
    FAULT_SUBMIT,      /* io_uring: a submission is put off (EAGAIN, EBUSY, EINTR) */
    FAULT_PAUSE,       /* before a call on a socket or a submission: others run */
    FAULT_KINDS
};

struct faults {
    uint32_t seed;
    uint32_t one_in[FAULT_KINDS]; /* calls; 0: never */
    uint32_t burst[FAULT_KINDS];  /* how many calls in a row, less one */
    _Atomic uint64_t calls;       /* that could have been struck */
    _Atomic uint64_t struck[FAULT_KINDS];
    _Atomic int64_t clock_s; /* the clock's present error */
    struct {
        _Atomic int32_t pid;
        int32_t parent;
        _Atomic int64_t blocks;
    } processes[FAULTS_PROCESSES];
};

static struct faults *faults; /* NULL: not ours */
static _Atomic int64_t *blocks;
static _Atomic uint32_t burst_left[FAULT_KINDS];
static _Atomic uint64_t armed[FAULTS_DESCRIPTORS];     /* epoll's data of the descriptor */
static _Atomic uint64_t armed_how[FAULTS_DESCRIPTORS]; /* epoll's descriptor + 1, and its events */
static _Atomic int64_t before;                         /* blocks, until the file is mapped */

/* ---- chance ---- */

static uint64_t mix(uint64_t x) { /* splitmix64 */
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The number of the strike, from 1 on; 0: the call goes through. */
static uint64_t strikes(enum fault_kind kind) {
    if (faults == NULL || faults->one_in[kind] == 0) {
        return 0;
    }
    uint64_t chance = mix(faults->seed + atomic_fetch_add(&faults->calls, 1));
    uint32_t left = atomic_load(&burst_left[kind]);
    if (left > 0) {
        atomic_store(&burst_left[kind], left - 1);
    } else if (chance % faults->one_in[kind] != 0) {
        return 0;
    } else {
        atomic_store(&burst_left[kind], faults->burst[kind]);
    }
    return atomic_fetch_add(&faults->struck[kind], 1) + 1;
}

static useconds_t pause_us = 8000;

static void maybe_pause(void) {
    if (strikes(FAULT_PAUSE)) {
        int saved = errno;
        usleep(pause_us);
        errno = saved;
    }
}

static bool traces;

static void trace(void) {
    void *frames[24];
    (void)!write(STDERR_FILENO, "failed:\n", 8);
    backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
}

static bool strikes_with(enum fault_kind kind, int first, int second) {
    uint64_t number = strikes(kind);
    if (number > 0 && traces && kind == FAULT_MEMORY) {
        trace();
    }
    if (number > 0) {
        errno = number % 2 == 1 ? first : second;
    }
    return number > 0;
}

static size_t shortened(size_t bytes) {
    uint64_t number = bytes > 1 ? strikes(FAULT_SHORT) : 0;
    return number == 0 ? bytes : number % 3 == 0 ? 1 : 1 + mix(number) % (bytes - 1);
}

/* ---- the real ones ---- */

static char early[65536]; /* what dlsym itself allocates */
static size_t early_used;

static void *early_alloc(size_t bytes) {
    size_t at = (early_used + 15) & ~(size_t)15;
    if (at + bytes > sizeof early) {
        abort();
    }
    early_used = at + bytes;
    return early + at;
}

static bool is_early(const void *memory) {
    return (const char *)memory >= early && (const char *)memory < early + sizeof early;
}

#define REAL(name)                                                                                 \
    static typeof(name) *real;                                                                     \
    if (real == NULL) {                                                                            \
        *(void **)&real = dlsym(RTLD_NEXT, #name);                                                 \
    }

/* ---- memory ---- */

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void (*free)(void *);
    bool finding;
} libc;

static bool find_allocator(void) {
    if (libc.free == NULL && !libc.finding) {
        libc.finding = true;
        *(void **)&libc.malloc = dlsym(RTLD_NEXT, "malloc");
        *(void **)&libc.calloc = dlsym(RTLD_NEXT, "calloc");
        *(void **)&libc.realloc = dlsym(RTLD_NEXT, "realloc");
        *(void **)&libc.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
        *(void **)&libc.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
        *(void **)&libc.free = dlsym(RTLD_NEXT, "free");
    }
    return libc.free != NULL;
}

static void *counted(void *memory) {
    atomic_fetch_add_explicit(blocks != NULL ? blocks : &before, memory != NULL,
                              memory_order_relaxed);
    return memory;
}

void *malloc(size_t bytes) {
    if (!find_allocator()) {
        return early_alloc(bytes);
    }
    return strikes_with(FAULT_MEMORY, ENOMEM, ENOMEM) ? NULL : counted(libc.malloc(bytes));
}

void *calloc(size_t count, size_t bytes) {
    if (!find_allocator()) {
        return early_alloc(count * bytes); /* of zeros */
    }
    return strikes_with(FAULT_MEMORY, ENOMEM, ENOMEM) ? NULL : counted(libc.calloc(count, bytes));
}

void free(void *memory) {
    if (memory == NULL || is_early(memory)) {
        return;
    }
    find_allocator();
    atomic_fetch_sub_explicit(blocks != NULL ? blocks : &before, 1, memory_order_relaxed);
    libc.free(memory);
}

void *realloc(void *memory, size_t bytes) {
    if (memory == NULL) {
        return malloc(bytes);
    }
    if (is_early(memory)) {
        void *moved = malloc(bytes);
        return moved == NULL ? NULL : memcpy(moved, memory, bytes);
    }
    if (bytes == 0) {
        free(memory);
        return NULL;
    }
    return strikes_with(FAULT_MEMORY, ENOMEM, ENOMEM) ? NULL : libc.realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    find_allocator();
    return strikes_with(FAULT_MEMORY, ENOMEM, ENOMEM)
               ? NULL
               : counted(libc.aligned_alloc(alignment, bytes));
}

int posix_memalign(void **memory, size_t alignment, size_t bytes) {
    find_allocator();
    if (strikes_with(FAULT_MEMORY, ENOMEM, ENOMEM)) {
        return ENOMEM;
    }
    int failed = libc.posix_memalign(memory, alignment, bytes);
    if (failed == 0) {
        counted(*memory);
    }
    return failed;
}

/* ---- streams ---- */

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    REAL(epoll_ctl)
    if (operation == EPOLL_CTL_ADD && strikes_with(FAULT_WATCH, ENOMEM, ENOSPC)) {
        return -1;
    }
    int result = real(epoll, operation, fd, event);
    if (fd >= 0 && fd < FAULTS_DESCRIPTORS && result == 0) {
        bool edges = operation != EPOLL_CTL_DEL && event->events & EPOLLET;
        armed[fd] = edges ? event->data.u64 : 0;
        armed_how[fd] = edges ? ((uint64_t)epoll + 1) << 32 | event->events : 0;
    }
    return result;
}

/* The edge that was taken comes again. */
static void arm_again(int fd) {
    int saved = errno;
    uint64_t how = fd >= 0 && fd < FAULTS_DESCRIPTORS ? armed_how[fd] : 0;
    if (how != 0) {
        REAL(epoll_ctl)
        struct epoll_event event = { .events = (uint32_t)how, .data.u64 = armed[fd] };
        real((int)(how >> 32) - 1, EPOLL_CTL_MOD, fd, &event);
    }
    errno = saved;
}

static bool stream_fails(int fd) {
    maybe_pause();
    if (strikes_with(FAULT_INTERRUPT, EINTR, EINTR)) {
        return true;
    }
    if (armed_how[fd % FAULTS_DESCRIPTORS] == 0) {
        return false; /* no client's or service's */
    }
    if (strikes_with(FAULT_AGAIN, EAGAIN, EAGAIN)) {
        arm_again(fd);
        return true;
    }
    return strikes_with(FAULT_RESET, ECONNRESET, ETIMEDOUT);
}

ssize_t recv(int fd, void *data, size_t bytes, int flags) {
    REAL(recv)
    if (stream_fails(fd)) {
        return -1;
    }
    bool stream = armed_how[fd % FAULTS_DESCRIPTORS] != 0; /* a message is not cut */
    size_t asked = stream ? shortened(bytes) : bytes;
    ssize_t n = real(fd, data, asked, flags);
    if (n > 0 && asked < bytes) {
        arm_again(fd);
    }
    return n;
}

static bool sending_fails(int fd) {
    return stream_fails(fd) ||
           (armed_how[fd % FAULTS_DESCRIPTORS] != 0 && strikes_with(FAULT_BUFFERS, ENOBUFS, EPIPE));
}

ssize_t send(int fd, const void *data, size_t bytes, int flags) {
    REAL(send)
    if (sending_fails(fd)) {
        return -1;
    }
    bool stream = armed_how[fd % FAULTS_DESCRIPTORS] != 0;
    size_t asked = stream ? shortened(bytes) : bytes;
    ssize_t n = real(fd, data, asked, flags);
    if (n > 0 && asked < bytes) {
        arm_again(fd);
    }
    return n;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(sendmsg)
    if (sending_fails(fd)) {
        return -1;
    }
    bool stream = armed_how[fd % FAULTS_DESCRIPTORS] != 0;
    if (stream && message->msg_iovlen > 0 && shortened(2) == 1) {
        struct msghdr first = *message;
        struct iovec part = message->msg_iov[0];
        part.iov_len = part.iov_len > 1 ? part.iov_len / 2 : part.iov_len;
        first.msg_iov = &part;
        first.msg_iovlen = 1;
        ssize_t n = real(fd, &first, flags);
        arm_again(fd);
        return n;
    }
    return real(fd, message, flags);
}

ssize_t splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t bytes, unsigned flags) {
    REAL(splice)
    bool receives = armed_how[from % FAULTS_DESCRIPTORS] != 0;
    if (receives ? stream_fails(from) : sending_fails(to)) {
        return -1;
    }
    size_t asked = shortened(bytes);
    ssize_t n = real(from, from_at, to, to_at, asked, flags);
    if (n > 0 && asked < bytes) {
        arm_again(receives ? from : to);
    }
    return n;
}

int connect(int fd, const struct sockaddr *address, socklen_t len) {
    REAL(connect)
    maybe_pause();
    if (strikes_with(FAULT_BUFFERS, EADDRNOTAVAIL, ENOBUFS)) {
        return -1;
    }
    return real(fd, address, len);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int wait_ms) {
    REAL(epoll_wait)
    maybe_pause();
    if (strikes_with(FAULT_INTERRUPT, EINTR, EINTR)) {
        return -1;
    }
    return real(epoll, events, most, wait_ms);
}

/* ---- descriptors ---- */

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
    REAL(accept4)
    maybe_pause();
    if (strikes_with(FAULT_INTERRUPT, EINTR, ECONNABORTED) ||
        strikes_with(FAULT_DESCRIPTORS, EMFILE, ENFILE)) {
        return -1;
    }
    return real(fd, address, len, flags);
}

int socket(int domain, int type, int protocol) {
    REAL(socket)
    return strikes_with(FAULT_DESCRIPTORS, EMFILE, ENFILE) ? -1 : real(domain, type, protocol);
}

int eventfd(unsigned value, int flags) {
    REAL(eventfd)
    return strikes_with(FAULT_DESCRIPTORS, EMFILE, ENFILE) ? -1 : real(value, flags);
}

int pipe2(int fds[2], int flags) {
    REAL(pipe2)
    return strikes_with(FAULT_DESCRIPTORS, EMFILE, ENFILE) ? -1 : real(fds, flags);
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        REAL(name)                                                                                 \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                    \
        va_end(more);                                                                              \
        if (strikes_with(FAULT_DESCRIPTORS, EMFILE, ENFILE) ||                                     \
            strikes_with(FAULT_INTERRUPT, EINTR, EINTR) ||                                         \
            (flags & O_CREAT && strikes_with(FAULT_DISK, ENOSPC, EIO))) {                          \
            return -1;                                                                             \
        }                                                                                          \
        return real(path, flags, mode);                                                            \
    }
OPEN(open)
OPEN(open64)

pid_t fork(void) {
    REAL(fork)
    return strikes_with(FAULT_FORK, EAGAIN, ENOMEM) ? -1 : real();
}

/* ---- files ---- */

static bool is_file(int fd) {
    struct stat info;
    int saved = errno;
    bool file = faults != NULL && faults->one_in[FAULT_DISK] > 0 && fstat(fd, &info) == 0 &&
                S_ISREG(info.st_mode) && fd > STDERR_FILENO;
    errno = saved;
    return file;
}

ssize_t write(int fd, const void *data, size_t bytes) {
    REAL(write)
    bool file = is_file(fd);
    if (strikes_with(FAULT_INTERRUPT, EINTR, EINTR) ||
        (file && strikes_with(FAULT_DISK, ENOSPC, EIO))) {
        return -1;
    }
    return real(fd, data, file ? shortened(bytes) : bytes);
}

ssize_t read(int fd, void *data, size_t bytes) {
    REAL(read)
    return strikes_with(FAULT_INTERRUPT, EINTR, EINTR) ? -1 : real(fd, data, bytes);
}

#define PWRITE(name, offset)                                                                       \
    ssize_t name(int fd, const void *data, size_t bytes, offset at) {                              \
        REAL(name)                                                                                 \
        if (is_file(fd) && strikes_with(FAULT_DISK, ENOSPC, EIO)) {                                \
            return -1;                                                                             \
        }                                                                                          \
        return real(fd, data, bytes, at);                                                          \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define SYNC(name)                                                                                 \
    int name(int fd) {                                                                             \
        REAL(name)                                                                                 \
        return strikes_with(FAULT_DISK, EIO, ENOSPC) ? -1 : real(fd);                              \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, offset)                                                                     \
    int name(int fd, offset bytes) {                                                               \
        REAL(name)                                                                                 \
        return is_file(fd) && strikes_with(FAULT_DISK, ENOSPC, EIO) ? -1 : real(fd, bytes);        \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

/* ---- time ---- */

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime)
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME && faults != NULL && result == 0) {
        uint64_t number = strikes(FAULT_CLOCK);
        if (number > 0) {
            atomic_store(&faults->clock_s,
                         (int64_t)(mix(number) % (2 * FAULTS_CLOCK_S)) - FAULTS_CLOCK_S);
        }
        now->tv_sec += faults->clock_s;
    }
    return result;
}

/* ---- io_uring ---- */

static int submission_fails(void) {
    maybe_pause();
    uint64_t number = strikes(FAULT_SUBMIT);
    return number == 0 ? 0 : number % 3 == 0 ? -EINTR : number % 3 == 1 ? -EAGAIN : -EBUSY;
}

int io_uring_submit(struct io_uring *ring) {
    REAL(io_uring_submit)
    int failed = submission_fails();
    return failed != 0 ? failed : real(ring);
}

int io_uring_submit_and_get_events(struct io_uring *ring) {
    REAL(io_uring_submit_and_get_events)
    int failed = submission_fails();
    return failed != 0 ? failed : real(ring);
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **first,
                                     unsigned count, struct __kernel_timespec *patience,
                                     sigset_t *mask) {
    REAL(io_uring_submit_and_wait_timeout)
    int failed = submission_fails();
    return failed != 0 ? failed : real(ring, first, count, patience, mask);
}

/* ---- what went wrong ---- */

static void say(const char *text) {
    (void)!write(STDERR_FILENO, text, strlen(text));
}

/* libc's own says "Unexpected error." when there is no memory for the message. */
void __assert_fail(const char *expression, const char *file, unsigned line, const char *function) {
    void *frames[24];
    (void)line;
    faults = NULL;
    say(file), say(": "), say(function), say(": ");
    say(expression), say(" failed\n");
    backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
    abort();
}

/* Closed twice: the second time it may be another's. */
int close(int fd) {
    REAL(close)
    int result = real(fd);
    if (result < 0 && errno == EBADF && faults != NULL && fd >= 0) {
        say("closed twice:\n");
        void *frames[24];
        backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
        abort();
    }
    return result;
}

/* ---- life ---- */

static void take_place(void) {
    for (unsigned i = 0; faults != NULL && i < FAULTS_PROCESSES; i++) {
        int32_t nobody = 0;
        if (atomic_compare_exchange_strong(&faults->processes[i].pid, &nobody, getpid())) {
            int64_t inherited = blocks != NULL ? *blocks : before;
            faults->processes[i].parent = getppid();
            atomic_store(&faults->processes[i].blocks, inherited);
            blocks = &faults->processes[i].blocks;
            return;
        }
    }
}

static bool is_under_test(void) {
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    path[len < 0 ? 0 : len] = '\0';
    const char *name = strrchr(path, '/');
    return name != NULL && (strcmp(name, "/tidegate") == 0 || strcmp(name, "/worker_harness") == 0);
}

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("FAULTS");
    int fd = path != NULL && is_under_test() ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *shared = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED) {
        abort();
    }
    faults = shared;
    if (getenv("FAULTS_TRACE") != NULL) {
        backtrace((void *[1]){ NULL }, 1); /* loads what it needs */
        traces = true;
    }
    const char *pause = getenv("FAULTS_PAUSE_US");
    pause_us = pause == NULL ? pause_us : (useconds_t)strtoul(pause, NULL, 10);
    take_place();
    pthread_atfork(NULL, NULL, take_place);
}
