#include "act/proxy/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "act/proxy/compression_flow.h"
#include "act/proxy/exchange_internal.h"
#include "act/proxy/waiting.h"

#define BODY_BUFFER_BYTES (EXCHANGE_REPLAY_BYTES + 2 * 131072) /* and what was on its way */

#define TO(state) (1u << EXCHANGE_##state)

static const struct {
    const char *name;
    uint32_t next;
} states[] = {
    [EXCHANGE_NEW] = { "new", TO(VERIFYING) | TO(GATHERING) | TO(WAITING) | TO(CONNECTING) |
                                  TO(AWAITING) | TO(ENDED) },
    [EXCHANGE_VERIFYING] = { "verifying", TO(GATHERING) | TO(WAITING) | TO(CONNECTING) |
                                              TO(AWAITING) | TO(ENDED) },
    [EXCHANGE_GATHERING] = { "gathering", TO(WAITING) | TO(CONNECTING) | TO(AWAITING) | TO(ENDED) },
    [EXCHANGE_WAITING] = { "waiting", TO(WAITING) | TO(CONNECTING) | TO(AWAITING) | TO(ENDED) },
    [EXCHANGE_CONNECTING] = { "connecting",
                              TO(WAITING) | TO(CONNECTING) | TO(AWAITING) | TO(ENDED) },
    [EXCHANGE_AWAITING] = { "awaiting", TO(WAITING) | TO(CONNECTING) | TO(AWAITING) |
                                            TO(ANSWERING) | TO(TUNNEL) | TO(ENDED) },
    [EXCHANGE_ANSWERING] = { "answering", TO(ENDED) },
    [EXCHANGE_TUNNEL] = { "tunnel", TO(ENDED) },
    [EXCHANGE_ENDED] = { "ended", 0 },
};

const char *exchange_state_name(enum exchange_state state) {
    return states[state].name;
}

void exchange_move(struct exchange *x, enum exchange_state next) {
    assert(states[x->state].next & (1u << next));
    x->state = next;
}

uint64_t exchange_now_us(const struct exchange *x) {
    return loop_now_us(x->worker->loop);
}

/* ---- memory ---- */

/* One spare exchange more; false when memory is out. */
static __attribute__((noinline)) bool make_spare(struct worker *w) {
    struct exchange *x = calloc(1, sizeof *x);
    if (x == NULL || !timer_reserve(w->loop)) {
        free(x);
        return false;
    }
    x->worker = w;
    arena_init(&x->arena, EXCHANGE_ARENA_BYTES);
    buffer_init(&x->body, BODY_BUFFER_BYTES);
    x->request_fields = malloc(HTTP_FIELDS_MAX * sizeof *x->request_fields);
    if (x->request_fields == NULL) {
        exchange_free(x);
        return false;
    }
    w->spare_exchanges = x;
    w->spare_exchange_count++;
    return true;
}

struct exchange *exchange_new(struct worker *w, struct stream *client,
                              const struct client_info *who) {
    if (w->spare_exchanges == NULL && !make_spare(w)) {
        return NULL;
    }
    struct exchange *x = w->spare_exchanges;
    w->spare_exchanges = x->next_spare;
    w->spare_exchange_count--;
    memset(x, 0, offsetof(struct exchange, request));
    x->worker = w;
    x->client = client;
    x->peer = x->who = who;
    x->attempt = &x->first;
    x->first.exchange = x;
    x->first.endpoint = NO_ENDPOINT;
    http_head_init(&x->request, x->request_fields, HTTP_FIELDS_MAX);
    return x;
}

void exchange_free(struct exchange *x) {
    timer_stop(x->worker->loop, &x->timer);
    timer_unreserve(x->worker->loop);
    arena_fini(&x->arena);
    free(x->request_fields);
    free(x);
}

void exchange_slim(struct exchange *x) {
    free(x->request_fields);
    x->request_fields = NULL;
    x->request.fields = NULL;
    x->request.field_count = x->request.field_capacity = 0;
    if (!x->logged && x->who == x->peer) {
        x->request.method_text = x->request.path = x->request.query = SLICE("");
        x->request.authority = x->request.upgrade_to = SLICE("");
        x->path = x->authority = x->user = x->challenge = SLICE("");
        x->granted = NULL;
        x->granted_count = 0;
        x->trailers = NULL;
        arena_fini(&x->arena);
        arena_init(&x->arena, EXCHANGE_ARENA_BYTES);
    }
}

void exchange_discard(struct exchange *x) {
    struct worker *w = x->worker;
    arena_reset(&x->arena);
    buffer_fini(&x->body);
    if (x->table != NULL) {
        route_table_free(x->table);
        x->table = NULL;
    }
    if (w->spare_exchange_count < WORKER_SPARES_MAX && x->request_fields != NULL) {
        x->next_spare = w->spare_exchanges;
        w->spare_exchanges = x;
        w->spare_exchange_count++;
        x->state = EXCHANGE_ENDED;
        return;
    }
    exchange_free(x);
}

/* ---- the end ---- */

static void count(struct exchange *x) {
    struct request_record *r = &x->record;
    struct vitals_worker *own = x->worker->own;
    vitals_add(&own->bytes_in, r->bytes_in);
    vitals_add(&own->bytes_out, r->bytes_out);
    vitals_add(&own->reasons[r->reason], 1);
    if (x->service == NULL) {
        return;
    }
    struct vitals_service *v = x->service->vitals;
    if (r->flags & RECORD_REFUSED) {
        vitals_add(&v->refused[r->stage], 1);
    } else if (r->flags & RECORD_FAILED) {
        vitals_add(&v->failed[r->stage], 1);
    } else if (r->endpoint != NO_ENDPOINT && r->status > 0 && r->status < 500) {
        worth_remember(x);
        vitals_add(&v->served[r->stage], 1);
        if (!(r->flags & RECORD_UPGRADED)) {
            histogram_record(&v->latency_us[r->stage], r->total_us);
        }
    }
}

uint32_t exchange_since_us(const struct exchange *x, uint64_t from_us) {
    uint64_t us = exchange_now_us(x) - from_us;
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void attempt_leave(struct attempt *a, bool complete) {
    if (a->upstream != NULL) {
        struct stream *upstream = a->upstream;
        a->upstream = NULL;
        upstream->attempt = NULL;
        upstream->ops->release(upstream, complete);
    }
    endpoint_end(a->exchange->worker, a);
    list_remove(&a->exchange->hedgeable);
    a->sent = false;
}

void exchange_release_client(struct exchange *x) {
    if (x->counted) {
        x->counted = false;
        x->peer->client->requests--;
    }
}

void exchange_finish(struct exchange *x, bool complete) {
    struct service *service = x->service;
    assert(x->state != EXCHANGE_ENDED);
    if (x->state == EXCHANGE_WAITING) {
        waiting_leave(service, x);
    }
    exchange_release_client(x);
    exchange_trace_end(x); /* while its peer is there */
    verifier_forget(&x->verifying);
    exchange_move(x, EXCHANGE_ENDED);
    if (x->coder != NULL) {
        compression_leave(x);
    }
    if (x->racing) {
        attempt_leave(attempt_rival(x->attempt), false);
    }
    attempt_leave(x->attempt, complete && x->response_ended);
    if (x->client != NULL) {
        struct stream *client = x->client;
        x->client = NULL;
        client->exchange = NULL;
        client->ops->release(client, complete);
    }
    x->record.total_us = exchange_since_us(x, x->started_us);
    count(x);
    exchange_log_end(x);
    bool place_free = waiting_done(service, x);
    exchange_discard(x);
    if (place_free) {
        waiting_pump(service);
    }
}
