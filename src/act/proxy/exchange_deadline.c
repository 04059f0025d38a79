/* Time limits of an exchange. One timer, moved to the nearest deadline of the present state; what
 * has happened in between is looked at when it fires, so that traffic moves no timer. */
#include "act/proxy/exchange_internal.h"

#define NEVER UINT64_MAX

static uint64_t after_ms(uint64_t from_us, uint32_t delay_ms) {
    return delay_ms == 0 ? NEVER : from_us + (uint64_t)delay_ms * 1000;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t uploading_due_us(const struct exchange *x) {
    return x->admitted ? x->dispatched_us + EXCHANGE_UPLOAD_US : NEVER;
}

/* While the visitor uploads it is not the service that is late, unless it does not read. */
static uint64_t unread_due_us(const struct exchange *x) {
    return x->client_paused ? after_ms(x->activity_us, EXCHANGE_TIMEOUT(x, idle_timeout_ms))
                            : NEVER;
}

/* Until when something must have happened in this state. */
static uint64_t state_due_us(const struct exchange *x) {
    switch (x->state) {
    case EXCHANGE_VERIFYING:
        return x->started_us + EXCHANGE_VERIFY_US;
    case EXCHANGE_GATHERING:
        return x->started_us + EXCHANGE_GATHER_US;
    case EXCHANGE_WAITING:
        return x->waiting_since_us + (uint64_t)x->service->plan.queue_patience_ms * 1000;
    case EXCHANGE_AWAITING:
        return x->request_ended
                   ? after_ms(x->activity_us, EXCHANGE_TIMEOUT(x, first_byte_timeout_ms))
                   : least(uploading_due_us(x), unread_due_us(x));
    case EXCHANGE_ANSWERING:
        return after_ms(x->activity_us, EXCHANGE_TIMEOUT(x, idle_timeout_ms));
    case EXCHANGE_TUNNEL:
        return x->activity_us + TUNNEL_IDLE_US;
    default: /* connecting: the connection has its own limit */
        return NEVER;
    }
}

static uint64_t total_due_us(const struct exchange *x) {
    return x->state == EXCHANGE_TUNNEL
               ? NEVER
               : after_ms(x->started_us, EXCHANGE_TIMEOUT(x, total_timeout_ms));
}

/* Said by the client: its passing is nobody's failure. */
static uint64_t client_due_us(const struct exchange *x) {
    return x->deadline_us == 0 || x->state == EXCHANGE_TUNNEL ? NEVER : x->deadline_us;
}

/* A client that has ended its direction either reads on or is gone; it is told apart by trying. */
static uint64_t leaving_due_us(const struct exchange *x) {
    uint64_t last_us = x->activity_us > x->leaving_since_us ? x->activity_us : x->leaving_since_us;
    return x->leaving_since_us == 0 ? NEVER : last_us + CLIENT_LEAVING_GRACE_US;
}

void exchange_arm(struct exchange *x) {
    uint64_t due_us =
        least(least(state_due_us(x), total_due_us(x)), least(leaving_due_us(x), client_due_us(x)));
    uint64_t now_us = exchange_now_us(x);
    if (due_us != NEVER) {
        timer_start(x->worker->loop, &x->timer, due_us > now_us ? due_us - now_us : 0,
                    exchange_on_timer);
    }
}

/* Nothing was written for a while because the client does not read. Not idle if it reads slowly,
 * but who takes next to nothing holds a connection to the service for nothing. */
static bool client_reads_slowly(struct exchange *x) {
    uint64_t pending = x->client->ops->pending(x->client), now_us = exchange_now_us(x);
    uint64_t taken = x->record.bytes_out > pending ? x->record.bytes_out - pending : 0;
    uint64_t since_us = x->taken_seen_us > 0 ? x->taken_seen_us : x->started_us;
    uint64_t least = (now_us - since_us) * EXCHANGE_READ_LEAST_BPS / 1000000;
    bool reads = pending > 0 && taken >= x->taken_seen + least;
    x->taken_seen = taken;
    x->taken_seen_us = now_us;
    return reads;
}

static void state_over(struct exchange *x) {
    switch (x->state) {
    case EXCHANGE_VERIFYING:
    case EXCHANGE_WAITING:
        exchange_refuse_overload(x);
        break;
    case EXCHANGE_GATHERING:
        exchange_admit(x);
        break;
    case EXCHANGE_AWAITING:
        if (!x->request_ended && exchange_now_us(x) < unread_due_us(x)) {
            exchange_leave_room(x);
            exchange_arm(x);
            return;
        }
        exchange_fail(x, x->request_ended ? REASON_TIMEOUT_FIRST_BYTE : REASON_TIMEOUT_IDLE);
        break;
    default:
        if (x->state == EXCHANGE_ANSWERING && client_reads_slowly(x)) {
            x->activity_us = exchange_now_us(x);
            exchange_arm(x);
            return;
        }
        exchange_fail(x, x->upstream_paused ? REASON_CLIENT_TIMEOUT : REASON_TIMEOUT_IDLE);
    }
}

void exchange_on_timer(struct timer *timer) {
    struct exchange *x = (struct exchange *)((char *)timer - offsetof(struct exchange, timer));
    if (x->state == EXCHANGE_NEW || x->state == EXCHANGE_ENDED) {
        return; /* a spare one; or its next use has not come this far */
    }
    uint64_t now_us = exchange_now_us(x);
    if (now_us >= leaving_due_us(x)) {
        x->record.flags |= RECORD_CLIENT_GONE;
        exchange_finish(x, false);
    } else if (now_us >= client_due_us(x)) {
        exchange_answer(x, 504, REASON_TIMEOUT_TOTAL, "The deadline of the request has passed.");
    } else if (now_us >= total_due_us(x)) {
        exchange_fail(x, REASON_TIMEOUT_TOTAL);
    } else if (now_us >= state_due_us(x)) {
        state_over(x);
    } else {
        exchange_arm(x);
    }
}
