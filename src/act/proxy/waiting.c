#include "act/proxy/waiting.h"

#include "act/proxy/exchange.h"
#include "act/proxy/worker_internal.h"

#define DONE_WINDOW_US 1000000
#define CLIENT_SHARE 4 /* of a service's places at this worker: a quarter */
#define CLIENT_SHARE_LEAST 16

static struct exchange *exchange_of(struct admission_item *item) {
    return (struct exchange *)((char *)item - offsetof(struct exchange, waiting));
}

static uint32_t get(const _Atomic uint32_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void add_word(_Atomic uint32_t *word, int32_t change) {
    atomic_store_explicit(word, get(word) + (uint32_t)change, memory_order_relaxed);
}

/* ---- the limit ---- */

uint32_t service_in_flight(const struct service *s) {
    const struct vitals *v = s->worker->vitals;
    uint32_t sum = 0;
    for (unsigned i = 0; i < v->worker_count; i++) {
        sum += get(&v->workers[i].services[s->index].in_flight);
    }
    return sum;
}

static bool has_room(const struct service *s) {
    if (s->plan.concurrency > 0) {
        return service_in_flight(s) < s->plan.concurrency;
    }
    return s->limit_endpoints == 0 || get(&s->vitals->in_flight) < admission_limit_now(&s->limit);
}

/* A worker's share of what so many endpoints may carry. */
static double share_of(const struct service *s, uint32_t per_endpoint) {
    double share = (double)per_endpoint * s->serving_count / s->worker->vitals->worker_count;
    return share < 1 ? 1 : share;
}

/* The learned limit grows and shrinks with the number of endpoints in rotation. */
static void refresh_limit(struct service *s) {
    double least = share_of(s, LEARNED_LEAST_PER_ENDPOINT);
    double most = share_of(s, LEARNED_MOST_PER_ENDPOINT);
    if (s->serving_count == 0 || s->serving_count == s->limit_endpoints) {
        return;
    }
    if (s->limit_endpoints == 0) {
        admission_limit_init(&s->limit, share_of(s, LEARNED_START_PER_ENDPOINT), least, most,
                             loop_now_us(s->worker->loop));
    } else {
        admission_limit_rescale(&s->limit, (double)s->serving_count / s->limit_endpoints, least,
                                most);
    }
    s->limit_endpoints = s->serving_count;
}

static void publish_limit(struct service *s) {
    uint32_t limit = s->plan.concurrency > 0  ? s->plan.concurrency
                     : s->limit_endpoints > 0 ? admission_limit_now(&s->limit)
                                              : 0;
    atomic_store_explicit(&s->vitals->concurrency_limit, limit, memory_order_relaxed);
}

void waiting_observe(struct service *s, uint64_t latency_us, bool failed) {
    if (s->plan.concurrency == 0 && s->limit_endpoints > 0 && s->plan.objective_us > 0) {
        struct admission_objective objective = { s->plan.objective_us, LEARNED_SHARE };
        admission_limit_observe(&s->limit, &objective, latency_us, failed,
                                get(&s->vitals->in_flight), loop_now_us(s->worker->loop));
        publish_limit(s);
    }
}

/* ---- the queue ---- */

/* It is out of the queue: it goes on, is turned away, or has left. */
static struct exchange *waited(struct service *s, struct admission_item *item) {
    struct exchange *x = exchange_of(item);
    x->record.waited_us += (uint32_t)(loop_now_us(s->worker->loop) - item->since_us);
    add_word(&s->vitals->waiting, -1);
    return x;
}

/* False: it found no place. Who had to make room hears so, whatever became of the newcomer. */
static bool push(struct service *s, struct admission_item *item) {
    struct admission_item *evicted;
    bool found = admission_queue_push(&s->queue, item, &evicted);
    if (evicted != NULL) {
        exchange_refuse_overload(waited(s, evicted));
    }
    return found;
}

/* Another order: everybody is queued anew. */
static void reorder(struct service *s, enum overload_order order) {
    struct admission_queue old = s->queue;
    struct admission_item *item;
    admission_queue_init(&s->queue, order, old.most, old.floor_ratio);
    while ((item = admission_queue_pop(&old)) != NULL) {
        if (!push(s, item)) {
            exchange_refuse_overload(waited(s, item));
        }
    }
    admission_queue_fini(&old);
}

void waiting_refresh(struct service *s) {
    enum overload_order order = s->plan.order_by_value ? OVERLOAD_BY_VALUE : OVERLOAD_FIFO;
    double floor = s->plan.floor_ratio;
    s->queue.most = s->plan.queue_max;
    s->queue.floor_ratio = floor >= 0 && floor <= 1 ? floor : 0;
    if (order != s->queue.order) {
        reorder(s, order);
    }
    refresh_limit(s);
    publish_limit(s);
}

static void on_tick(struct timer *timer) {
    struct service *s = (struct service *)((char *)timer - offsetof(struct service, tick));
    waiting_pump(s);
}

static void watch_the_clock(struct service *s) {
    if (admission_queue_len(&s->queue) > 0 && !timer_running(&s->tick)) {
        timer_start(s->worker->loop, &s->tick, WAITING_TICK_US, on_tick);
    }
}

static void go(struct service *s, struct exchange *x) {
    x->admitted = true;
    add_word(&s->vitals->in_flight, 1);
}

static bool enqueue(struct service *s, struct exchange *x) {
    x->waiting.since_us = loop_now_us(s->worker->loop);
    if (!push(s, &x->waiting)) {
        return false;
    }
    add_word(&s->vitals->waiting, 1);
    watch_the_clock(s);
    return true;
}

void waiting_leave(struct service *s, struct exchange *x) {
    if (admission_item_waits(&x->waiting)) {
        admission_queue_remove(&s->queue, &x->waiting);
        waited(s, &x->waiting);
    }
}

/* Who has a quarter of the places already does not queue for more while others wait. */
static bool has_its_share(const struct service *s, const struct exchange *x) {
    uint32_t share =
        atomic_load_explicit(&s->vitals->concurrency_limit, memory_order_relaxed) / CLIENT_SHARE;
    share = share < CLIENT_SHARE_LEAST ? CLIENT_SHARE_LEAST : share;
    return x->counted && x->peer->client->requests > share;
}

enum admission_verdict waiting_admit(struct service *s, struct exchange *x) {
    if (admission_queue_len(&s->queue) == 0 && has_room(s) && service_has_endpoint(s)) {
        go(s, x);
        return ADMISSION_GO;
    }
    return !has_its_share(s, x) && enqueue(s, x) ? ADMISSION_WAIT : ADMISSION_REFUSE;
}

void waiting_return(struct service *s, struct exchange *x) {
    waiting_done(s, x);
    if (!enqueue(s, x)) {
        exchange_refuse_overload(x);
    }
}

static void pump(struct service *s) {
    while (admission_queue_len(&s->queue) > 0 && has_room(s) && service_has_endpoint(s)) {
        uint32_t before = (uint32_t)admission_queue_len(&s->queue);
        struct exchange *x = waited(s, admission_queue_pop(&s->queue));
        go(s, x);
        exchange_go(x);
        if (admission_queue_len(&s->queue) >= before) {
            break; /* it came back: the tick asks again, this turn would for ever */
        }
    }
}

/* Who goes on may be over at once and make room for the next: that is this loop's affair. Else each
 * of a long queue would stand on the stack of the one before it. */
void waiting_pump(struct service *s) {
    if (!s->pumping) {
        s->pumping = true;
        pump(s);
        s->pumping = false;
        watch_the_clock(s);
    }
}

/* ---- leaving ---- */

bool waiting_done(struct service *s, struct exchange *x) {
    if (!x->admitted) {
        return false;
    }
    x->admitted = false;
    uint64_t now_us = loop_now_us(s->worker->loop), window_us = now_us - s->done_since_us;
    add_word(&s->vitals->in_flight, -1);
    s->done_count++;
    if (window_us >= DONE_WINDOW_US) {
        s->done_rps = s->done_count * 1e6 / (double)window_us;
        s->done_count = 0;
        s->done_since_us = now_us;
    }
    return true;
}

uint32_t waiting_retry_after_s(struct service *s) {
    return admission_retry_after_s(admission_queue_len(&s->queue), s->done_rps,
                                   rand_unit(&s->worker->rand));
}
