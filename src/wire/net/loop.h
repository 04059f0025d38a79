/* Event loop: one a process, no threads. Descriptors that are not streams (listeners, pidfds,
 * eventfds, signalfds) are watched for readiness; byte streams live in wire/net/socket.h and are
 * fed by the same backend, so that a completion backend (io_uring) can serve both.
 *
 * One turn: wait for events or the next timer, run what is due, then the deferred tasks, then free
 * what was closed. Callbacks never block, never run inside the call that asked for them, and read
 * the time from the loop, which reads the clock once a turn. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/slice.h"

struct loop;

/* How the kernel is asked. LOOP_IO_AUTO is io_uring where the kernel has what we need of it and
 * allows it, else epoll. */
enum loop_io { LOOP_IO_AUTO, LOOP_IO_EPOLL, LOOP_IO_URING };

const char *loop_io_name(enum loop_io io); /* "auto", "epoll", "io_uring" */
bool loop_io_parse(struct slice name, enum loop_io *io);

/* An epoll loop. NULL with *err set when the kernel refuses. */
struct loop *loop_new(struct error *err);
/* As asked. LOOP_IO_AUTO that falls back to epoll leaves in *err why io_uring did not come up. A
 * loop belongs to the process that made it: after a fork the child makes its own. */
struct loop *loop_new_io(enum loop_io io, struct error *err);
void loop_free(struct loop *loop);
enum loop_io loop_io(const struct loop *loop); /* what it came to: never AUTO */

/* Runs turns until loop_stop. False only when the backend itself fails. */
bool loop_run(struct loop *loop, struct error *err);
void loop_stop(struct loop *loop);
/* A single turn that waits at most `wait_ms` (0 polls); for tests and nested clean-up. */
bool loop_turn(struct loop *loop, int wait_ms, struct error *err);

uint64_t loop_now_us(const struct loop *loop); /* monotonic, of this turn's start */
uint64_t loop_now_ms(const struct loop *loop);

/* Readiness of a descriptor. The watch is the caller's, embedded in the object it serves.
 * WATCH_EXCLUSIVE is asked for, never reported: of several processes that watch one descriptor only
 * some are woken (listening sockets); such a watch cannot be changed. */
enum { WATCH_READ = 1, WATCH_WRITE = 2, WATCH_HANGUP = 4, WATCH_EXCLUSIVE = 8 };

struct watch {
    int fd; /* -1 when not watched */
    unsigned events;
    uint32_t slot; /* the backend's */
    void (*on_ready)(struct watch *watch, unsigned events);
};

/* `on_ready` is called in each turn in which any of `events` (WATCH_READ, WATCH_WRITE) is ready. */
bool loop_watch(struct loop *loop, struct watch *watch, int fd, unsigned events,
                void (*on_ready)(struct watch *watch, unsigned events), struct error *err);
bool loop_watch_change(struct loop *loop, struct watch *watch, unsigned events);
/* Of several processes that watch one descriptor with WATCH_EXCLUSIVE, this one comes last from now
 * on. False with errno set: it is not watched any more. */
bool loop_watch_yield(struct loop *loop, struct watch *watch);
/* Safe on what is not watched. No callback comes after it, even in this turn. Does not close. */
void loop_unwatch(struct loop *loop, struct watch *watch);

struct timer {
    struct heap_node node;
    uint64_t due_us;
    uint64_t heap_us; /* where the heap has it: at most due_us, so that moving to later is O(1) */
    void (*on_due)(struct timer *timer);
};

/* Room for one timer more, so that timer_start cannot fail for want of memory: whoever makes many
 * objects with a timer in each asks before he makes one (false: there is no memory for it), and
 * says when it is gone. Sockets do it by themselves; LOOP_TIMERS_FREE need no asking. */
#define LOOP_TIMERS_FREE 2048
bool timer_reserve(struct loop *loop);
void timer_unreserve(struct loop *loop);

/* One shot; starting a running timer moves it. */
void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_us,
                 void (*on_due)(struct timer *timer));
void timer_stop(struct loop *loop, struct timer *timer); /* safe when not running */
bool timer_running(const struct timer *timer);

/* Runs once, after this turn's events; deferring twice before it runs is once. */
struct task {
    struct list link;
    void (*run)(struct task *task);
};

void loop_defer(struct loop *loop, struct task *task, void (*run)(struct task *task));
void loop_cancel(struct loop *loop, struct task *task);

/* Runs as soon as the socket's on_data that is being called has returned, while the bytes that it
 * was given are still there. False: none is, the task is not taken. */
bool loop_defer_within(struct loop *loop, struct task *task, void (*run)(struct task *task));
