/* The new side of an upgrade (drawn in handover.h). When the old one dies on the way, we are the
 * one that goes on; that its controller and ours never act at the same time is the controllers' own
 * lock (state.h). */
#include <unistd.h>

#include "act/control/supervisor_internal.h"
#include "base/clock.h"
#include "base/log.h"

#define LOOK_US 20000
#define PLAN_PATIENCE_US 10000000 /* for a plan of our own in which every service has somebody */

/* Whether each service that has instances has one in rotation. */
static bool plan_is_good(const struct supervisor *s) {
    const struct plan *plan = plan_current(s->plans);
    bool has[PLAN_SERVICES_MAX] = { false }, serves[PLAN_SERVICES_MAX] = { false };
    for (unsigned i = 0; plan != NULL && i < plan->endpoint_count; i++) {
        const struct plan_endpoint *e = &plan->endpoints[i];
        if (e->state != ENDPOINT_NONE && e->service < PLAN_SERVICES_MAX) {
            has[e->service] = true;
            serves[e->service] |= e->state == ENDPOINT_SERVING;
        }
    }
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (has[i] && !serves[i]) {
            return false;
        }
    }
    return plan != NULL;
}

static bool workers_are_up(const struct supervisor *s) {
    for (unsigned i = 0; i < s->worker_count; i++) {
        const struct vitals_worker *w = &s->vitals->workers[i];
        if (atomic_load(&w->pid) == 0 || atomic_load(&w->plan_version) == 0) {
            return false;
        }
    }
    return true;
}

/* We are the one that serves. */
static void finish(struct supervisor *s) {
    struct succession *n = &s->succession;
    struct error err;
    n->phase = SUCCESSION_DONE;
    timer_stop(s->loop, &n->look);
    (void)state_folder_write_holder(&s->state, &err);
    if (!asker_open(s, &err)) {
        log_warn("no_upgrade_socket", "error=\"%s\" action=upgrade_by_USR2_only", err.text);
    }
    handover_send(s->front_fd, HANDOVER_SUCCESSOR, getpid(), NULL);
    log_info("took_over", "pid=%d plan=%llu", (int)getpid(),
             (unsigned long long)plan_version(s->plans));
}

static void on_look(struct timer *timer) {
    struct supervisor *s =
        (struct supervisor *)((char *)timer - offsetof(struct supervisor, succession.look));
    struct succession *n = &s->succession;
    bool controls = plan_heartbeat_us(s->plans) != 0;
    bool waited = clock_monotonic_us() - n->since_us > PLAN_PATIENCE_US;
    timer_start(s->loop, timer, LOOK_US, on_look);
    if (!n->workers_started &&
        ((n->has_plan && plan_is_good(s)) || (controls && (plan_is_good(s) || waited)))) {
        n->workers_started = true;
        children_start_workers(s);
    }
    if (!n->workers_started || !controls || !workers_are_up(s)) {
        return;
    }
    timer_stop(s->loop, timer);
    n->phase = SUCCESSION_SERVING;
    if (n->link_fd < 0 || !handover_send(n->link_fd, HANDOVER_READY, 0, NULL)) {
        finish(s); /* there is nobody to tell */
    }
}

static void go(struct supervisor *s) {
    struct succession *n = &s->succession;
    n->phase = SUCCESSION_STARTING;
    n->since_us = clock_monotonic_us();
    children_start(supervisor_controller(s));
    timer_start(s->loop, &n->look, 0, on_look);
}

static void on_old_gone(struct supervisor *s) {
    struct succession *n = &s->succession;
    loop_unwatch(s->loop, &n->link);
    close(n->link_fd);
    s->front_fd = s->front_fd == n->link_fd ? -1 : s->front_fd;
    n->link_fd = -1;
    if (n->phase != SUCCESSION_DONE) {
        log_warn("old_one_gone", "action=go_on_alone");
    }
    if (n->phase == SUCCESSION_WAITING) {
        go(s);
    } else if (n->phase == SUCCESSION_SERVING) {
        finish(s);
    }
}

static void on_link(struct watch *watch, unsigned events) {
    struct supervisor *s =
        (struct supervisor *)((char *)watch - offsetof(struct supervisor, succession.link));
    struct handover_message m;
    (void)events;
    do {
        if (!handover_receive(s->succession.link_fd, &m)) {
            on_old_gone(s);
            return;
        }
        if (m.kind == HANDOVER_GO && s->succession.phase == SUCCESSION_WAITING) {
            go(s);
        } else if (m.kind == HANDOVER_COMMIT && s->succession.phase == SUCCESSION_SERVING) {
            finish(s);
        }
    } while (m.kind != HANDOVER_NONE);
}

bool succeed_prepared(struct supervisor *s, struct error *err) {
    struct succession *n = &s->succession;
    struct error why;
    n->has_plan =
        n->offer.plan_fd >= 0 && plan_segment_inherit(s->plans, s->plan_fd, n->offer.plan_fd, &why);
    if (!n->has_plan) {
        log_info("plan_not_inherited", "reason=\"%s\" action=make_one",
                 n->offer.plan_fd >= 0 ? why.text : "none was offered");
    }
    handover_offer_close(&n->offer); /* addresses that are not configured any more among them */
    n->phase = SUCCESSION_WAITING;
    if (!loop_watch(s->loop, &n->link, n->link_fd, WATCH_READ, on_link, err)) {
        return false;
    }
    handover_send(n->link_fd, HANDOVER_PREPARED, 0, NULL);
    return true;
}

void succeed_fini(struct supervisor *s) {
    handover_offer_close(&s->succession.offer);
    if (s->succession.link_fd >= 0 && s->succession.link_fd != s->front_fd) {
        close(s->succession.link_fd);
    }
}
