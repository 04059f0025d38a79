/* What no request shows alone. While requests are on their way a worker looks every few
 * milliseconds at who is silent; one of the workers compares the endpoints of a service. */
#include "act/proxy/evidence_internal.h"
#include "act/proxy/exchange.h"
#include "base/log.h"

#define SILENT_US 5000000 /* so long one is looked at whose requests were called off */
#define LOOK_US 20000
#define LOOK_MOST_US 160000 /* when nothing new was sent */
#define COMPARE_US 100000
#define PANIC_US 1000000 /* after the last evidence that could not be followed */

/* ---- telling ---- */

static void fill_windows(const struct service *s, const struct endpoint *e,
                         struct vitals_event *event) {
    struct outlier_window peers, own = evidence_window(e, loop_now_us(s->worker->loop));
    struct ejection_peers counted = evidence_peers(s, e, &peers);
    bool out = evidence_state(e, loop_now_us(s->worker->loop)) != EJECTION_IN;
    event->out = (uint16_t)(counted.out + out);
    event->total = (uint16_t)counted.total;
    event->answers = own.answers;
    event->failures = own.failures;
    event->peers_answers = peers.answers;
    event->peers_failures = peers.failures;
    event->latency_us = (uint32_t)outlier_latency_us(&own);
    event->peers_latency_us = (uint32_t)outlier_latency_us(&peers);
}

static void say(struct service *s, const struct endpoint *e, enum vitals_event_kind kind,
                enum ejection_cause cause, const struct found *found) {
    struct worker *w = s->worker;
    struct vitals_event event = {
        .at_us = loop_now_us(w->loop),
        .happened_us = found->happened_us,
        .generation = e->generation,
        .service = s->index,
        .endpoint = (uint16_t)(e - w->endpoints),
        .kind = (uint8_t)kind,
        .cause = (uint8_t)cause,
        .awaiting = found->awaiting,
        .in_a_row = found->in_a_row,
    };
    fill_windows(s, e, &event);
    if (cause == EJECTION_HUNG) {
        event.silent_us = (uint32_t)(event.at_us - found->happened_us);
    }
    if (found->verdict != NULL) {
        event.latency_us = (uint32_t)found->verdict->latency_us;
        event.peers_latency_us = (uint32_t)found->verdict->peers_latency_us;
    }
    vitals_tell(w->own, &event);
}

void judge_tell_warm(struct service *s, const struct endpoint *e) {
    const struct found found = {
        .happened_us = loop_now_us(s->worker->loop),
        .in_a_row = SHARED_GET(e->shared->cold_answers),
    };
    say(s, e, EVENT_WARM, EJECTION_NO_CAUSE, &found);
}

/* ---- out, in, and panic ---- */

static void panic(struct service *s, const struct endpoint *e, const struct found *found) {
    uint64_t now_us = loop_now_us(s->worker->loop),
             before_us = SHARED_GET(s->shared->panic_until_us);
    bool swapped =
        atomic_compare_exchange_strong(&s->shared->panic_until_us, &before_us, now_us + PANIC_US);
    if (swapped && before_us <= now_us) {
        log_warn("service_panic", "service=%s endpoints=%u action=use_those_that_answer",
                 s->plan.name, s->serving_count);
        say(s, e, EVENT_PANIC, found->cause, found);
    }
}

static void end_panic(struct service *s) {
    uint64_t until_us = SHARED_GET(s->shared->panic_until_us);
    if (until_us != 0 && until_us <= loop_now_us(s->worker->loop) && s->serving_count > 0 &&
        atomic_compare_exchange_strong(&s->shared->panic_until_us, &until_us, 0)) {
        const struct found found = { .happened_us = loop_now_us(s->worker->loop) };
        say(s, &s->worker->endpoints[s->serving[0]], EVENT_PANIC_OVER, EJECTION_NO_CAUSE, &found);
    }
}

static void store(struct vitals_shared_endpoint *shared, const struct ejection *e) {
    SHARED_SET(shared->connect_failures, e->connect_failures);
    SHARED_SET(shared->failures, e->failures);
    SHARED_SET(shared->ejections, e->ejections);
    SHARED_SET(shared->passed, e->passed);
    SHARED_SET(shared->cause, (uint32_t)e->cause);
    SHARED_SET(shared->changed_us, e->changed_us);
}

/* What it did before it was out must not count against it once more. */
static void forget(struct vitals_shared_endpoint *shared) {
    SHARED_SET(shared->error_ppm, 0);
    for (unsigned i = 0; i < OUTLIER_BUCKETS; i++) {
        SHARED_SET(shared->window[i].counts, 0);
        SHARED_SET(shared->window[i].logs, 0);
    }
}

void judge_apply(struct service *s, struct endpoint *e, const struct ejection *before,
                 const struct ejection *after, enum ejection_change change,
                 const struct found *found) {
    uint64_t until_us = before->until_us;
    struct vitals_shared_endpoint *shared = e->shared;
    if (until_us != after->until_us &&
        !atomic_compare_exchange_strong(&shared->ejected_until_us, &until_us, after->until_us)) {
        return; /* another worker has just done the same */
    }
    store(shared, after);
    switch (change) {
    case EJECTION_BEGAN:
        log_warn("endpoint_ejected", "service=%s slot=%u cause=%s action=try_again_in_%llums",
                 s->plan.name, (unsigned)(e - s->worker->endpoints),
                 ejection_cause_name(after->cause),
                 (unsigned long long)(after->until_us - loop_now_us(s->worker->loop)) / 1000);
        say(s, e, EVENT_EJECTED, after->cause, found);
        break;
    case EJECTION_RETURNED: {
        const struct found row = { .happened_us = before->changed_us,
                                   .in_a_row = before->ejections };
        say(s, e, EVENT_RETURNED, before->cause, &row);
        forget(shared);
        break;
    }
    case EJECTION_HELD_BACK:
        panic(s, e, found);
        return;
    case EJECTION_UNCHANGED:
        return;
    default:
        break;
    }
    trials_collect(s);
}

void judge_eject(struct service *s, struct endpoint *e, const struct found *found) {
    enum ejection_cause cause = found->cause;
    struct outlier_window window;
    struct ejection_peers peers = evidence_peers(s, e, &window);
    struct ejection before = evidence_ejection(e->shared), after = before;
    enum ejection_change change =
        ejection_eject(&after, cause, &peers, loop_now_us(s->worker->loop));
    if (change != EJECTION_HELD_BACK || cause != EJECTION_SLOW) { /* to be slow is not to be ill */
        judge_apply(s, e, &before, &after, change, found);
    }
}

/* ---- hangs ---- */

/* Answers since `from_us`, of the last second at most, of the others that have answered since
 * `least_us`: whose silence began at the same moment has a cause that is not one endpoint's. */
static uint32_t answers_since(const struct service *s, const struct endpoint *e, uint64_t from_us,
                              uint64_t least_us) {
    uint64_t now_us = loop_now_us(s->worker->loop);
    uint32_t answers = 0;
    for (uint32_t i = 0; i < s->serving_count; i++) {
        const struct endpoint *other = &s->worker->endpoints[s->serving[i]];
        bool alive = other != e && SHARED_GET(other->shared->answered_us) > least_us;
        for (unsigned k = 0; alive && k < OUTLIER_BUCKETS; k++) {
            struct outlier_window one = { 0 };
            uint64_t begun_us = ((now_us >> OUTLIER_BUCKET_US_LOG2) - k) << OUTLIER_BUCKET_US_LOG2;
            if (begun_us + (1u << OUTLIER_BUCKET_US_LOG2) <= from_us) {
                break;
            }
            const struct vitals_bucket *b = &other->shared->window[outlier_position(begun_us)];
            struct outlier_bucket bucket = { SHARED_GET(b->counts), SHARED_GET(b->logs) };
            outlier_sum(&one, bucket, now_us);
            answers += one.answers - one.failures;
        }
    }
    return answers;
}

static void look_for_hang(struct service *s, struct endpoint *e, uint64_t now_us) {
    struct hang hang = evidence_hang(e->shared);
    uint32_t marked = hang.marked;
    if (hang.unanswered == 0) {
        return;
    }
    hang_mark(&hang, now_us);
    if (hang.marked != marked) {
        SHARED_SET(e->shared->marked_us, hang.marked_us);
        SHARED_SET(e->shared->marked, hang.marked);
    }
    uint64_t tail = tail_us(&s->tail);
    if (!hang_is_certain(&hang, tail, UINT32_MAX, UINT32_MAX, now_us)) {
        return; /* the rest costs more to know */
    }
    /* Who was answered elsewhere meanwhile has waited here as well. */
    uint32_t awaiting = SHARED_GET(e->shared->called_off) +
                        vitals_endpoint_awaiting(
                            s->worker->vitals, (unsigned)(e - s->worker->endpoints), e->generation);
    uint32_t answers = answers_since(s, e, hang.silent_since_us, hang.marked_us);
    if (hang_is_certain(&hang, tail, awaiting, answers, now_us)) {
        const struct found found = { .cause = EJECTION_HUNG,
                                     .happened_us = hang.silent_since_us,
                                     .awaiting = awaiting,
                                     .in_a_row = hang.unanswered };
        SHARED_SET(e->shared->unanswered, 0);
        SHARED_SET(e->shared->marked, 0);
        SHARED_SET(e->shared->called_off, 0);
        judge_eject(s, e, &found);
    }
}

/* A trial that takes too long has failed: its request goes elsewhere before its visitor minds. */
static void look_at_trials(struct service *s, struct endpoint *e, uint64_t now_us) {
    uint64_t patience_us = hang_patience_us(tail_us(&s->tail));
    uint64_t probation_us = SHARED_GET(e->shared->ejected_until_us);
    LIST_EACH(&e->in_flight, link, saved) {
        const struct attempt *a = LIST_ITEM(link, struct attempt, in_flight);
        bool silent = !a->sent || list_linked(&a->awaiting);
        if (silent && a->dispatched_us >= probation_us && now_us - a->dispatched_us > patience_us) {
            const struct found found = { .cause = EJECTION_HUNG, .happened_us = a->dispatched_us };
            judge_eject(s, e, &found);
            return;
        }
    }
}

/* True while something of ours awaits an answer there. */
static bool look_at(struct service *s, struct endpoint *e, uint64_t now_us) {
    switch (evidence_state(e, now_us)) {
    case EJECTION_IN:
        look_for_hang(s, e, now_us);
        break;
    case EJECTION_ON_PROBATION:
        look_at_trials(s, e, now_us);
        break;
    default:
        break;
    }
    if (evidence_state(e, now_us) == EJECTION_OUT &&
        SHARED_GET(e->shared->cause) == EJECTION_HUNG) {
        endpoint_rescue(e); /* whichever worker found it */
    }
    bool silent = SHARED_GET(e->shared->called_off) > 0 &&
                  now_us - SHARED_GET(e->shared->silent_since_us) < SILENT_US;
    return silent || !list_empty(&e->awaiting);
}

/* ---- outliers ---- */

static void compare(struct service *s, uint64_t now_us) {
    static struct outlier_window windows[OUTLIER_ENDPOINTS_MAX];
    static uint16_t slots[OUTLIER_ENDPOINTS_MAX];
    static double room[OUTLIER_ENDPOINTS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < s->serving_count && count < OUTLIER_ENDPOINTS_MAX; i++) {
        const struct endpoint *e = &s->worker->endpoints[s->serving[i]];
        if (evidence_state(e, now_us) == EJECTION_IN && SHARED_GET(e->shared->cold_steps) == 0) {
            slots[count] = s->serving[i];
            windows[count++] = evidence_window(e, now_us);
        }
    }
    struct outlier_peers peers = outlier_peers(windows, count, room);
    for (size_t i = 0; i < count; i++) {
        struct outlier_verdict verdict = outlier_judge(&peers, &windows[i]);
        if (verdict.cause != EJECTION_NO_CAUSE) {
            const struct found found = { .cause = verdict.cause,
                                         .happened_us = now_us,
                                         .verdict = &verdict };
            judge_eject(s, &s->worker->endpoints[slots[i]], &found);
        }
    }
}

/* One worker does it for all. */
static void compare_when_due(struct service *s, uint64_t now_us) {
    uint64_t before_us = SHARED_GET(s->shared->judged_us);
    if (s->serving_count > 1 && now_us - before_us >= COMPARE_US &&
        atomic_compare_exchange_strong(&s->shared->judged_us, &before_us, now_us)) {
        compare(s, now_us);
    }
}

/* ---- the tick ---- */

static bool look_at_service(struct service *s, uint64_t now_us) {
    bool awaits = false;
    for (uint32_t i = 0; i < s->serving_count; i++) {
        awaits |= look_at(s, &s->worker->endpoints[s->serving[i]], now_us);
    }
    compare_when_due(s, now_us);
    end_panic(s);
    trials_collect(s);
    return awaits;
}

static void on_look(struct timer *timer) {
    struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, look));
    uint64_t now_us = loop_now_us(w->loop);
    bool begun = w->begun, awaits = false;
    w->begun = false;
    for (unsigned i = 0; w->plan != NULL && i < w->plan->service_count; i++) {
        struct service *s = &w->services[i];
        awaits |= s->serving_count > 0 && look_at_service(s, now_us);
    }
    w->watching = begun || awaits || w->begun;
    if (w->watching) {
        bool slower = !begun && w->look_us < LOOK_MOST_US;
        w->look_us = begun ? LOOK_US : slower ? 2 * w->look_us : w->look_us;
        timer_start(w->loop, timer, w->look_us, on_look);
    }
}

void evidence_watch(struct worker *w) {
    w->begun = true;
    if (!w->watching || w->look_us > LOOK_US) {
        w->watching = true;
        w->look_us = LOOK_US;
        timer_start(w->loop, &w->look, LOOK_US, on_look);
    }
}

void evidence_refresh(struct service *s) {
    trials_collect(s);
}

void evidence_fini(struct worker *w) {
    timer_stop(w->loop, &w->look);
}
