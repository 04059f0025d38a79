/* Hedging: a read that is slow to be answered (decide/balance/hedge.h) gets a second attempt at
 * another endpoint; whose head comes first answers, and the other one is called off: no failure of
 * its endpoint, which has just been slower. The reads of a service wait in one list, in the order
 * in which they were sent, under one timer: the delay is the same for all of them. */
#include "act/proxy/evidence.h"
#include "act/proxy/exchange_internal.h"
#include "decide/balance/balance.h"

/* A read that is over with its answer. One that has a body, or becomes something else, is not. */
static bool is_read(const struct exchange *x) {
    const struct http_head *r = &x->request;
    return (r->method == HTTP_GET || r->method == HTTP_HEAD) && r->framing == HTTP_BODY_NONE &&
           !r->upgrade;
}

/* Who belongs to one instance is not sent to another one because it is quicker now. */
static bool has_a_home(const struct service *s) {
    return s->plan.balance.policy == BALANCE_MAGLEV || s->plan.balance.cookie.len > 0;
}

/* A trial is waited for: its own patience is short (judge.c), and what it is for is its end. */
void exchange_watch(struct exchange *x) {
    struct service *s = x->service;
    x->timed = s->plan.hedge.ratio > 0 && is_read(x) && !has_a_home(s);
    if (!x->timed || x->attempt->on_trial || !hedge_is_known(&s->slow)) {
        return;
    }
    list_append(&s->hedgeable, &x->hedgeable);
    if (!timer_running(&s->hedge)) {
        timer_start(s->worker->loop, &s->hedge, hedge_delay_us(&s->slow, &s->plan.hedge),
                    exchange_hedge_due);
    }
}

/* A stream of events is silent for its own reasons. */
static bool wants_events(const struct exchange *x) {
    const struct http_field *accept = http_head_find(&x->request, HTTP_FIELD_ACCEPT);
    return accept != NULL && http_list_has(accept->value, SLICE("text/event-stream"));
}

/* Not while others wait for their first attempt, or the answer would come too late anyway. */
static bool is_worth_it(const struct exchange *x) {
    const struct service *s = x->service;
    return x->state == EXCHANGE_AWAITING && admission_queue_len(&s->queue) == 0 &&
           exchange_left_us(x) > (uint64_t)s->slow.median_us && !wants_events(x);
}

static void hedge(struct exchange *x) {
    struct attempt *a = attempt_rival(x->attempt);
    if (!is_worth_it(x)) {
        return;
    }
    *a = (struct attempt){ .exchange = x, .endpoint = NO_ENDPOINT };
    enum attempt_outcome outcome = attempt_go(a, true);
    x->racing = outcome == ATTEMPT_SENT || outcome == ATTEMPT_CONNECTING;
    if (x->racing) {
        x->hedges++;
        x->record.flags |= RECORD_HEDGED;
        vitals_add(&x->service->vitals->hedges_sent, 1);
    }
}

void exchange_hedge_due(struct timer *timer) {
    struct service *s = (struct service *)((char *)timer - offsetof(struct service, hedge));
    uint64_t now_us = loop_now_us(s->worker->loop);
    uint64_t delay_us = hedge_delay_us(&s->slow, &s->plan.hedge);
    struct list *link;
    while ((link = list_first(&s->hedgeable)) != NULL) {
        struct exchange *x = LIST_ITEM(link, struct exchange, hedgeable);
        uint64_t due_us = x->attempt->awaiting_since_us + delay_us;
        if (due_us > now_us) {
            timer_start(s->worker->loop, timer, due_us - now_us, exchange_hedge_due);
            return;
        }
        list_remove(link);
        hedge(x);
    }
}

/* It answers in place of the first attempt. */
static void take_over(struct attempt *a) {
    struct exchange *x = a->exchange;
    x->attempt = a;
    vitals_add(&x->service->vitals->hedges_won, 1);
    if (a->endpoint != NO_ENDPOINT) {
        attempt_is_named(a, a->endpoint);
    }
}

void attempt_wins(struct attempt *a) {
    struct exchange *x = a->exchange;
    struct attempt *loser = attempt_rival(a);
    list_remove(&x->hedgeable);
    if (x->timed) {
        hedge_observe(&x->service->slow, &x->service->plan.hedge,
                      exchange_now_us(x) - x->attempt->awaiting_since_us);
    }
    if (!x->racing) {
        return;
    }
    x->racing = false;
    if (a != x->attempt) {
        take_over(a);
    } else {
        vitals_add(&x->service->vitals->hedges_lost, 1);
    }
    endpoint_called_off(x->worker, loser);
    attempt_leave(loser, false);
}

bool attempt_yields(struct attempt *a) {
    struct exchange *x = a->exchange;
    struct attempt *rival = attempt_rival(a);
    if (!x->racing) {
        return false;
    }
    x->racing = false;
    if (a != x->attempt) { /* the hedge failed; the first goes on as before */
        vitals_add(&x->service->vitals->hedges_lost, 1);
        return true;
    }
    take_over(rival);
    if (rival->sent) {
        x->activity_us = rival->awaiting_since_us;
    } else {
        exchange_move(x, EXCHANGE_CONNECTING);
    }
    exchange_arm(x);
    return true;
}
