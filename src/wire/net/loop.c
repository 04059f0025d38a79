#include "wire/net/loop.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "wire/net/loop_internal.h"

#define TIMERS_PER_TURN 1024

static bool due_earlier(const struct heap_node *a, const struct heap_node *b) {
    return HEAP_ITEM_CONST(a, struct timer, node)->heap_us <
           HEAP_ITEM_CONST(b, struct timer, node)->heap_us;
}

static const char *const io_names[] = {
    [LOOP_IO_AUTO] = "auto", [LOOP_IO_EPOLL] = "epoll", [LOOP_IO_URING] = "io_uring"
};

const char *loop_io_name(enum loop_io io) {
    return io_names[io];
}

bool loop_io_parse(struct slice name, enum loop_io *io) {
    for (unsigned i = 0; i < sizeof io_names / sizeof io_names[0]; i++) {
        if (slice_equal(name, slice_from(io_names[i]))) {
            *io = (enum loop_io)i;
            return true;
        }
    }
    return false;
}

static bool open_backend(struct loop *loop, enum loop_io io, struct error *err) {
    if (io != LOOP_IO_EPOLL) {
        loop->backend = &loop_backend_uring;
        loop->backend_self = loop->backend->open(err);
    }
    if (loop->backend_self == NULL && io != LOOP_IO_URING) {
        loop->backend = &loop_backend_epoll;
        loop->backend_self = loop->backend->open(io == LOOP_IO_AUTO ? NULL : err);
    }
    return loop->backend_self != NULL;
}

struct loop *loop_new(struct error *err) {
    return loop_new_io(LOOP_IO_EPOLL, err);
}

enum loop_io loop_io(const struct loop *loop) {
    return loop->backend == &loop_backend_uring ? LOOP_IO_URING : LOOP_IO_EPOLL;
}

struct loop *loop_new_io(enum loop_io io, struct error *err) {
    struct loop *loop = calloc(1, sizeof *loop);
    char *receive = malloc(LOOP_RECEIVE_BYTES);
    if (loop == NULL || receive == NULL) {
        free(loop);
        free(receive);
        error_set(err, ERROR_LIMIT, "no memory for an event loop");
        return NULL;
    }
    loop->receive = receive;
    loop->pipe[0] = loop->pipe[1] = -1;
    heap_init(&loop->timers, due_earlier);
    list_init(&loop->tasks);
    list_init(&loop->within);
    list_init(&loop->ready);
    list_init(&loop->flush);
    list_init(&loop->closing);
    loop_update_clock(loop);
    if (!heap_reserve(&loop->timers, LOOP_TIMERS_FREE)) {
        error_set(err, ERROR_LIMIT, "no memory for an event loop");
        loop_free(loop);
        return NULL;
    }
    if (!open_backend(loop, io, err)) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

static void run_closing(struct loop *loop);

void loop_free(struct loop *loop) {
    if (loop == NULL) {
        return;
    }
    run_closing(loop);
    if (loop->backend_self != NULL) {
        loop->backend->close(loop->backend_self);
    }
    while (loop->spare_blocks != NULL) {
        struct socket_block *block = loop->spare_blocks;
        loop->spare_blocks = block->next;
        free(block);
    }
    loop_move_close(loop);
    heap_fini(&loop->timers);
    free(loop->receive);
    free(loop->plain);
    free(loop);
}

void loop_update_clock(struct loop *loop) {
    loop->now_us = clock_monotonic_us();
}

uint64_t loop_now_us(const struct loop *loop) {
    return loop->now_us;
}

uint64_t loop_now_ms(const struct loop *loop) {
    return loop->now_us / 1000;
}

/* ---- watches ---- */

bool loop_watch(struct loop *loop, struct watch *watch, int fd, unsigned events,
                void (*on_ready)(struct watch *watch, unsigned events), struct error *err) {
    *watch = (struct watch){ .fd = fd, .events = events, .on_ready = on_ready };
    if (!loop->backend->watch_add(loop->backend_self, watch)) {
        watch->fd = -1;
        return error_system(err, "watch descriptor %d", fd);
    }
    return true;
}

bool loop_watch_change(struct loop *loop, struct watch *watch, unsigned events) {
    assert(watch->fd >= 0);
    watch->events = events;
    return loop->backend->watch_change(loop->backend_self, watch);
}

bool loop_watch_yield(struct loop *loop, struct watch *watch) {
    if (!loop->backend->keeps_turn) {
        return true;
    }
    loop->backend->watch_remove(loop->backend_self, watch);
    if (!loop->backend->watch_add(loop->backend_self, watch)) {
        watch->fd = -1;
        return false;
    }
    return true;
}

void loop_unwatch(struct loop *loop, struct watch *watch) {
    /* A zeroed watch was never given to the loop, even though 0 is a descriptor. */
    if (watch->fd >= 0 && watch->on_ready != NULL) {
        loop->backend->watch_remove(loop->backend_self, watch);
    }
    watch->fd = -1;
}

void loop_watch_happened(struct watch *watch, unsigned happened) {
    unsigned events = 0;
    events |= happened & POLLIN ? WATCH_READ : 0;
    events |= happened & POLLOUT ? WATCH_WRITE : 0;
    if (happened & (POLLHUP | POLLERR)) {
        /* Whoever waits to read or write finds out why by trying. */
        events |= WATCH_HANGUP | (watch->events & (WATCH_READ | WATCH_WRITE));
    }
    watch->on_ready(watch, events);
}

/* ---- timers ---- */

bool timer_reserve(struct loop *loop) {
    if (!heap_reserve(&loop->timers, LOOP_TIMERS_FREE + loop->timers_reserved + 1)) {
        return false;
    }
    loop->timers_reserved++;
    return true;
}

void timer_unreserve(struct loop *loop) {
    assert(loop->timers_reserved > 0);
    loop->timers_reserved--;
}

void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_us,
                 void (*on_due)(struct timer *timer)) {
    timer->on_due = on_due;
    timer->due_us = loop->now_us + delay_us;
    if (timer->node.position == 0) {
        timer->heap_us = timer->due_us;
        bool inserted = heap_insert(&loop->timers, &timer->node);
        assert(inserted && "a loop without memory for its timers cannot keep any promise");
    } else if (timer->due_us < timer->heap_us) {
        timer->heap_us = timer->due_us;
        heap_update(&loop->timers, &timer->node);
    }
}

void timer_stop(struct loop *loop, struct timer *timer) {
    heap_remove(&loop->timers, &timer->node);
}

bool timer_running(const struct timer *timer) {
    return timer->node.position != 0;
}

static struct timer *first_timer(const struct loop *loop) {
    struct heap_node *node = heap_first(&loop->timers);
    return node == NULL ? NULL : HEAP_ITEM(node, struct timer, node);
}

static void run_timers(struct loop *loop) {
    for (unsigned i = 0; i < TIMERS_PER_TURN; i++) {
        struct timer *timer = first_timer(loop);
        if (timer == NULL || timer->heap_us > loop->now_us) {
            return;
        }
        if (timer->due_us > loop->now_us) { /* it was moved to later in the meantime */
            timer->heap_us = timer->due_us;
            heap_update(&loop->timers, &timer->node);
            continue;
        }
        heap_remove(&loop->timers, &timer->node);
        timer->on_due(timer);
    }
}

/* ---- deferred tasks ---- */

void loop_defer(struct loop *loop, struct task *task, void (*run)(struct task *task)) {
    if (!list_linked(&task->link)) {
        task->run = run;
        list_append(&loop->tasks, &task->link);
    }
}

bool loop_defer_within(struct loop *loop, struct task *task, void (*run)(struct task *task)) {
    if (loop->within_data && !list_linked(&task->link)) {
        task->run = run;
        list_append(&loop->within, &task->link);
    }
    return loop->within_data;
}

void loop_cancel(struct loop *loop, struct task *task) {
    (void)loop;
    list_remove(&task->link);
}

/* Moves all items of `from` to `batch`, so that what they add is for the next turn. The batch is a
 * true list: an item that is removed meanwhile leaves it. */
static void take_batch(struct list *from, struct list *batch) {
    list_init(batch);
    if (!list_empty(from)) {
        batch->next = from->next;
        batch->prev = from->prev;
        batch->next->prev = batch;
        batch->prev->next = batch;
        list_init(from);
    }
}

static struct list *pop(struct list *batch) {
    struct list *link = list_first(batch);
    if (link != NULL) {
        list_remove(link);
    }
    return link;
}

static void run_tasks(struct list *tasks) {
    struct list batch, *link;
    take_batch(tasks, &batch);
    while ((link = pop(&batch)) != NULL) {
        struct task *task = LIST_ITEM(link, struct task, link);
        task->run(task);
    }
}

size_t loop_call_on_data(struct socket *socket, struct slice data) {
    struct loop *loop = socket->loop;
    loop->within_data = true;
    size_t taken = socket->handler->on_data(socket, data);
    loop->within_data = false;
    if (!list_empty(&loop->within)) {
        run_tasks(&loop->within);
    }
    return taken;
}

/* ---- sockets ---- */

static void run_ready(struct loop *loop) {
    struct list batch, *link;
    take_batch(&loop->ready, &batch);
    while ((link = pop(&batch)) != NULL) {
        loop_socket_ready(LIST_ITEM(link, struct socket, ready));
    }
}

static void run_flush(struct loop *loop) {
    struct list batch, *link;
    take_batch(&loop->flush, &batch);
    while ((link = pop(&batch)) != NULL) {
        loop_socket_flush(LIST_ITEM(link, struct socket, flush));
    }
}

static void run_closing(struct loop *loop) {
    struct list *link;
    while ((link = pop(&loop->closing)) != NULL) {
        loop_socket_closed(LIST_ITEM(link, struct socket, flush));
    }
}

struct socket_block *loop_block_take(struct loop *loop) {
    struct socket_block *block = loop->spare_blocks;
    if (block != NULL) {
        loop->spare_blocks = block->next;
        loop->spare_block_count--;
    } else {
        block = malloc(sizeof *block);
    }
    if (block != NULL) {
        block->next = NULL;
        block->start = block->end = 0;
    }
    return block;
}

void loop_block_return(struct loop *loop, struct socket_block *block) {
    if (loop->spare_block_count >= LOOP_SPARE_BLOCKS) {
        free(block);
        return;
    }
    block->next = loop->spare_blocks;
    loop->spare_blocks = block;
    loop->spare_block_count++;
}

/* ---- turns ---- */

/* Milliseconds until the next timer, rounded up so that it is due then; 0 when there is work. */
static int patience_ms(const struct loop *loop, int wait_ms) {
    if (!list_empty(&loop->ready) || !list_empty(&loop->flush) || !list_empty(&loop->tasks)) {
        return 0;
    }
    const struct timer *timer = first_timer(loop);
    if (timer == NULL) {
        return wait_ms;
    }
    uint64_t now_us = clock_monotonic_us();
    uint64_t until_ms = timer->heap_us <= now_us ? 0 : (timer->heap_us - now_us + 999) / 1000;
    if (wait_ms >= 0 && until_ms > (uint64_t)wait_ms) {
        return wait_ms;
    }
    return until_ms > INT32_MAX ? INT32_MAX : (int)until_ms;
}

bool loop_turn(struct loop *loop, int wait_ms, struct error *err) {
    if (!loop->backend->wait(loop->backend_self, loop, patience_ms(loop, wait_ms), err)) {
        return false;
    }
    run_ready(loop);
    run_timers(loop);
    run_tasks(&loop->tasks);
    run_flush(loop);
    run_closing(loop);
    return true;
}

bool loop_run(struct loop *loop, struct error *err) {
    loop->stopped = false;
    while (!loop->stopped) {
        if (!loop_turn(loop, -1, err)) {
            return false;
        }
    }
    return true;
}

void loop_stop(struct loop *loop) {
    loop->stopped = true;
}
