/* Time limits of an exchange. One timer, moved to the nearest deadline of the present state; what
 * has happened in between is looked at when it fires, so that traffic moves no timer. */
#include "act/proxy/exchange_internal.h"
#include "base/parse.h"
#include "wire/http/grpc.h"

#define NEVER UINT64_MAX
#define DEADLINE_MS_MAX 86400000u /* a visitor who says more says nothing */
#define DEADLINE_TEXT_BYTES 20
_Static_assert(DEADLINE_TEXT_BYTES >= GRPC_TIMEOUT_BYTES, "room for either");

static uint64_t after_ms(uint64_t from_us, uint32_t delay_ms) {
    return delay_ms == 0 ? NEVER : from_us + (uint64_t)delay_ms * 1000;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* For the head, once all was sent: as long as the request may still go elsewhere it is given less
 * time. */
static uint64_t answer_due_us(const struct exchange *x) {
    uint64_t due_us = after_ms(x->activity_us, EXCHANGE_TIMEOUT(x, first_byte_timeout_ms));
    uint32_t try_ms = x->service->plan.retry_try_ms;
    bool tries = try_ms > 0 && !x->patient && exchange_has_tries(x);
    return tries ? least(due_us, after_ms(x->activity_us, try_ms)) : due_us;
}

static uint64_t uploading_due_us(const struct exchange *x) {
    return x->admitted ? x->attempt->dispatched_us + EXCHANGE_UPLOAD_US : NEVER;
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
        return x->request_ended ? answer_due_us(x) : least(uploading_due_us(x), unread_due_us(x));
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

uint64_t exchange_left_us(const struct exchange *x) {
    uint64_t due_us = least(total_due_us(x), client_due_us(x)), now_us = exchange_now_us(x);
    return due_us == NEVER ? NEVER : due_us > now_us ? due_us - now_us : 0;
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

/* That may only bring it forward: a timer that is early looks again. */
void exchange_arm_state(struct exchange *x) {
    uint64_t due_us = state_due_us(x);
    if (due_us != NEVER && (!timer_running(&x->timer) || due_us < x->timer.due_us)) {
        exchange_arm(x);
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

bool exchange_is_stalled(const struct exchange *x, uint64_t stalled_us) {
    uint64_t now_us = exchange_now_us(x), age_us = now_us - x->started_us;
    if (x->state == EXCHANGE_TUNNEL) {
        return false;
    }
    if (x->upstream_paused) {
        return (now_us - x->activity_us) / EXCHANGE_UNREAD_TIMES >= stalled_us;
    }
    return !x->request_ended && !x->response_begun && !x->client_paused && age_us >= stalled_us &&
           x->record.bytes_in < age_us * EXCHANGE_READ_LEAST_BPS / 1000000;
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
        if (x->request_ended &&
            exchange_now_us(x) <
                after_ms(x->activity_us, EXCHANGE_TIMEOUT(x, first_byte_timeout_ms))) {
            exchange_try_over(x);
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

/* ---- carried along ---- */

/* By which the service is told; empty: it is not. */
static struct slice field_name(const struct exchange *x) {
    struct plan_text field = x->service->plan.deadline_field;
    return x->grpc                                    ? SLICE("grpc-timeout")
           : field.len > 0 && x->worker->plan != NULL ? plan_slice(x->worker->plan, field)
                                                      : SLICE("");
}

void exchange_read_deadline(struct exchange *x) {
    const struct http_field *field;
    uint64_t ms;
    if (x->grpc || x->service->plan.deadline_field.len == 0) {
        return;
    }
    field = http_head_find_name(&x->request, field_name(x));
    if (field != NULL && parse_uint(field->value, &ms) && ms <= DEADLINE_MS_MAX) {
        x->deadline_us = x->started_us + ms * 1000;
    }
}

static struct slice write_ms(uint64_t ms, char text[DEADLINE_TEXT_BYTES]) {
    size_t first = DEADLINE_TEXT_BYTES;
    do {
        text[--first] = (char)('0' + ms % 10);
        ms /= 10;
    } while (ms > 0 && first > 0);
    return slice_of(text + first, DEADLINE_TEXT_BYTES - first);
}

static void set_field(struct http_head *head, struct slice name, struct slice value) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (slice_equal_fold(head->fields[i].name, name)) {
            head->fields[i].value = value; /* of several that a visitor sent, all */
        }
    }
    if (http_head_find_name(head, name) == NULL) {
        (void)http_head_add(head, name, value);
    }
}

void exchange_tell_deadline(struct exchange *x) {
    char text[DEADLINE_TEXT_BYTES];
    uint64_t left_us = exchange_left_us(x);
    if (left_us == NEVER) {
        return;
    }
    struct slice said = x->grpc ? grpc_timeout_text(left_us, text) : write_ms(left_us / 1000, text);
    struct slice name = arena_copy(&x->arena, field_name(x)), value = arena_copy(&x->arena, said);
    if (name.data != NULL && value.data != NULL) {
        set_field(&x->request, name, value);
    }
}
