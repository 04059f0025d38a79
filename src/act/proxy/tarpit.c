#include "act/proxy/tarpit.h"

#include <sys/socket.h>
#include <unistd.h>

#define STEP_US 1000

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

void tarpit_init(struct tarpit *t, struct loop *loop, uint64_t descriptors, void *owner,
                 void (*on_over)(void *, int, uint32_t)) {
    t->loop = loop;
    t->owner = owner;
    t->on_over = on_over;
    t->most = (uint32_t)smaller(descriptors / 8, TARPIT_MAX);
    t->first = t->count = 0;
}

static struct tarpit_entry take_first(struct tarpit *t) {
    struct tarpit_entry entry = t->held[t->first];
    t->first = (t->first + 1) % TARPIT_MAX;
    t->count--;
    return entry;
}

static void on_due(struct timer *timer);

/* When the first is due, but not within the same millisecond as those before it. */
static void wait_for_first(struct tarpit *t) {
    if (t->count > 0) {
        uint64_t now_us = loop_now_us(t->loop), due_us = t->held[t->first].due_us;
        uint64_t wait_us = due_us > now_us + STEP_US ? due_us - now_us : STEP_US;
        timer_start(t->loop, &t->timer, wait_us, on_due);
    }
}

static void on_due(struct timer *timer) {
    struct tarpit *t = (struct tarpit *)((char *)timer - offsetof(struct tarpit, timer));
    uint64_t now_us = loop_now_us(t->loop);
    for (unsigned i = 0; i < TARPIT_BATCH && t->count > 0 && t->held[t->first].due_us <= now_us;
         i++) {
        struct tarpit_entry entry = take_first(t);
        t->on_over(t->owner, entry.fd, entry.listener);
    }
    wait_for_first(t);
}

bool tarpit_hold(struct tarpit *t, int fd, uint32_t listener) {
    if (t->count >= t->most) {
        return false;
    }
    t->held[(t->first + t->count) % TARPIT_MAX] = (struct tarpit_entry){
        .due_us = loop_now_us(t->loop) + TARPIT_US, .fd = fd, .listener = listener
    };
    t->count++;
    if (!timer_running(&t->timer)) {
        wait_for_first(t);
    }
    return true;
}

void tarpit_empty(struct tarpit *t) {
    while (t->count > 0) {
        tarpit_reset(take_first(t).fd);
    }
    if (t->loop != NULL) {
        timer_stop(t->loop, &t->timer);
    }
}

void tarpit_reset(int fd) {
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
}
