/* What one request shows. */
#include "act/proxy/evidence.h"

#include "act/proxy/evidence_internal.h"
#include "act/proxy/exchange.h"
#include "act/proxy/waiting.h"
#include "decide/balance/balance.h"
#include "decide/balance/warmth.h"

#define COLD_FAILED_US UINT64_MAX /* a failure is as far from warm as can be */

/* ---- the shared words, as the rules take them ---- */

struct ejection evidence_ejection(const struct vitals_shared_endpoint *shared) {
    return (struct ejection){
        .connect_failures = SHARED_GET(shared->connect_failures),
        .failures = SHARED_GET(shared->failures),
        .ejections = SHARED_GET(shared->ejections),
        .passed = SHARED_GET(shared->passed),
        .cause = (enum ejection_cause)SHARED_GET(shared->cause),
        .until_us = SHARED_GET(shared->ejected_until_us),
        .changed_us = SHARED_GET(shared->changed_us),
    };
}

enum ejection_state evidence_state(const struct endpoint *e, uint64_t now_us) {
    const struct ejection until = { .until_us = SHARED_GET(e->shared->ejected_until_us) };
    return ejection_state(&until, now_us);
}

struct hang evidence_hang(const struct vitals_shared_endpoint *shared) {
    return (struct hang){
        .unanswered = SHARED_GET(shared->unanswered),
        .silent_since_us = SHARED_GET(shared->silent_since_us),
        .marked = SHARED_GET(shared->marked),
        .marked_us = SHARED_GET(shared->marked_us),
    };
}

struct outlier_window evidence_window(const struct endpoint *e, uint64_t now_us) {
    struct outlier_window window = { 0 };
    for (unsigned i = 0; i < OUTLIER_BUCKETS; i++) {
        const struct vitals_bucket *from = &e->shared->window[i];
        struct outlier_bucket bucket = { SHARED_GET(from->counts), SHARED_GET(from->logs) };
        outlier_sum(&window, bucket, now_us);
    }
    return window;
}

struct ejection_peers evidence_peers(const struct service *s, const struct endpoint *e,
                                     struct outlier_window *window) {
    uint64_t now_us = loop_now_us(s->worker->loop);
    struct ejection_peers peers = { .total = s->serving_count };
    *window = (struct outlier_window){ 0 };
    for (uint32_t i = 0; i < s->serving_count; i++) {
        const struct endpoint *other = &s->worker->endpoints[s->serving[i]];
        if (other == e) {
            continue;
        }
        if (evidence_state(other, now_us) != EJECTION_IN) {
            peers.out++;
            continue;
        }
        struct outlier_window one = evidence_window(other, now_us);
        window->answers += one.answers;
        window->failures += one.failures;
        window->logs += one.logs;
    }
    peers.answers = window->answers;
    peers.failures = window->failures;
    return peers;
}

static void add_to_window(struct vitals_shared_endpoint *shared, bool failed, uint64_t latency_us,
                          uint64_t now_us) {
    struct vitals_bucket *bucket = &shared->window[outlier_position(now_us)];
    struct outlier_bucket before = { SHARED_GET(bucket->counts), SHARED_GET(bucket->logs) };
    struct outlier_bucket after = outlier_add(before, failed, latency_us, now_us);
    SHARED_SET(bucket->counts, after.counts);
    SHARED_SET(bucket->logs, after.logs);
}

/* ---- silence ---- */

void evidence_owed(struct worker *w, struct endpoint *e) {
    uint32_t unanswered = SHARED_GET(e->shared->unanswered);
    if (unanswered == 0) {
        SHARED_SET(e->shared->silent_since_us, loop_now_us(w->loop));
    }
    SHARED_SET(e->shared->unanswered, unanswered + 1);
    evidence_watch(w);
}

static void end_silence(struct vitals_shared_endpoint *shared) {
    if (SHARED_GET(shared->unanswered) != 0) {
        SHARED_SET(shared->unanswered, 0);
        SHARED_SET(shared->marked, 0);
    }
    if (SHARED_GET(shared->unanswered_us) != 0) {
        SHARED_SET(shared->called_off, 0);
        SHARED_SET(shared->unanswered_us, 0);
    }
}

/* ---- what was seen ---- */

static struct endpoint *endpoint_of(struct worker *w, const struct attempt *a) {
    return a->endpoint == NO_ENDPOINT ? NULL : &w->endpoints[a->endpoint];
}

/* The words are copied out and in: a worker that does the same at the same moment may be forgotten,
 * which costs one failure of the count. */
static void observe(struct worker *w, const struct attempt *a, struct endpoint *e,
                    enum ejection_event event) {
    const struct vitals_shared_endpoint *shared = e->shared;
    struct outlier_window window;
    struct ejection_peers peers = { 0 };
    if (event == EJECTION_SUCCESS && SHARED_GET(shared->ejected_until_us) == 0 &&
        SHARED_GET(shared->failures) == 0 && SHARED_GET(shared->connect_failures) == 0) {
        return; /* the usual case writes nothing that others must fetch */
    }
    struct ejection before = evidence_ejection(shared);
    if (event != EJECTION_SUCCESS) {
        peers = evidence_peers(a->exchange->service, e, &window);
    }
    struct ejection after = before;
    enum ejection_change change =
        ejection_observe(&after, event, a->dispatched_us, &peers, loop_now_us(w->loop));
    const struct found found = {
        .cause = event == EJECTION_CONNECT_FAILED ? EJECTION_REFUSED : EJECTION_FAILURES,
        .happened_us = a->dispatched_us,
        .in_a_row =
            event == EJECTION_CONNECT_FAILED ? before.connect_failures + 1 : before.failures + 1,
    };
    judge_apply(a->exchange->service, e, &before, &after, change, &found);
    if (evidence_state(e, loop_now_us(w->loop)) == EJECTION_ON_PROBATION) {
        SHARED_SET(e->shared->trial_until_us, 0); /* the next one may go */
    }
}

static void add_error_sample(struct vitals_shared_endpoint *shared, bool failed, uint64_t idle_us) {
    uint32_t before = SHARED_GET(shared->error_ppm);
    if (before > 0 || failed) {
        SHARED_SET(shared->error_ppm, balance_add_error(before, failed, idle_us));
    }
}

void endpoint_connected(struct worker *w, const struct attempt *a) {
    struct endpoint *e = endpoint_of(w, a);
    if (e != NULL) {
        e->refusals = 0;
        e->refused_until_us = 0;
    }
}

void endpoint_connect_failed(struct worker *w, const struct attempt *a) {
    struct endpoint *e = endpoint_of(w, a);
    if (e == NULL) {
        return;
    }
    vitals_add(&e->vitals->connect_failures, 1);
    if (!endpoint_is_refused(w, e)) { /* several at one moment are one refusal */
        uint32_t doublings = e->refusals++;
        uint64_t pause_us = (uint64_t)REFUSED_FIRST_US << (doublings > 8 ? 8 : doublings);
        e->refused_until_us =
            loop_now_us(w->loop) + (pause_us > REFUSED_MAX_US ? REFUSED_MAX_US : pause_us);
    }
    observe(w, a, e, EJECTION_CONNECT_FAILED);
}

static void warm_up(const struct attempt *a, struct endpoint *e, uint64_t latency_us) {
    struct outlier_window window;
    struct vitals_shared_endpoint *shared = e->shared;
    struct warmth warmth = { SHARED_GET(shared->cold_steps), SHARED_GET(shared->cold_answers) };
    (void)evidence_peers(a->exchange->service, e, &window);
    bool near = warmth_is_near(latency_us, outlier_latency_us(&window),
                               tail_us(&a->exchange->service->tail));
    bool warm = warmth_observe(&warmth, near);
    SHARED_SET(shared->cold_answers, warmth.answers);
    SHARED_SET(shared->cold_steps, warmth.steps);
    if (warm) {
        judge_tell_warm(a->exchange->service, e);
        trials_collect(a->exchange->service);
    }
}

/* A trial of one that was slow is good when it is not slow. */
static bool is_slow_trial(const struct service *s, const struct endpoint *e, uint64_t latency_us) {
    struct outlier_window window;
    if (SHARED_GET(e->shared->ejected_until_us) == 0 ||
        SHARED_GET(e->shared->cause) != EJECTION_SLOW) {
        return false;
    }
    (void)evidence_peers(s, e, &window);
    return !warmth_is_near(latency_us, outlier_latency_us(&window), tail_us(&s->tail));
}

static void add_usual_sample(struct vitals_shared_endpoint *shared, uint64_t latency_us,
                             uint64_t idle_us) {
    uint32_t usual_us = SHARED_GET(shared->usual_us), trials = SHARED_GET(shared->trials);
    SHARED_SET(shared->usual_us, balance_add_usual(usual_us, trials, latency_us, idle_us));
    if (trials < BALANCE_TRIALS) {
        atomic_store_explicit(&shared->trials, trials + 1, memory_order_release);
    }
}

static void learn_latency(struct service *s, struct endpoint *e, bool failed, uint64_t latency_us,
                          uint64_t idle_us) {
    struct vitals_shared_endpoint *shared = e->shared;
    uint32_t ewma_us = SHARED_GET(shared->ewma_us);
    SHARED_SET(shared->ewma_us, balance_add_latency(ewma_us, latency_us, idle_us));
    if (!failed) { /* how long a failure takes says nothing of an answer */
        add_usual_sample(shared, latency_us, idle_us);
    }
    if (SHARED_GET(shared->cold_steps) == 0) {
        tail_add(&s->tail, latency_us);
    }
}

void endpoint_answered(struct worker *w, struct attempt *a, uint16_t status) {
    struct endpoint *e = endpoint_of(w, a);
    if (e == NULL) {
        return;
    }
    endpoint_owes_no_more(e, a);
    uint64_t now_us = loop_now_us(w->loop), latency_us = now_us - a->dispatched_us;
    uint64_t idle_us = endpoint_silence_us(e, now_us);
    bool failed = status >= 500;
    vitals_add(&e->vitals->answers, 1);
    vitals_add(&e->vitals->latency_us_sum, latency_us);
    vitals_add(&e->vitals->status_5xx, failed);
    histogram_record(&e->vitals->first_byte_us, latency_us);
    learn_latency(a->exchange->service, e, failed, latency_us, idle_us);
    end_silence(e->shared);
    add_to_window(e->shared, failed, latency_us, now_us);
    SHARED_SET(e->shared->answered_us, now_us);
    add_error_sample(e->shared, failed, idle_us);
    if (SHARED_GET(e->shared->cold_steps) > 0) {
        warm_up(a, e, failed ? COLD_FAILED_US : latency_us);
    }
    bool bad = failed || is_slow_trial(a->exchange->service, e, latency_us);
    observe(w, a, e, bad ? EJECTION_FAILED : EJECTION_SUCCESS);
    waiting_observe(a->exchange->service, latency_us, status == 503 || status == 504);
}

void endpoint_failed(struct worker *w, const struct attempt *a) {
    struct endpoint *e = endpoint_of(w, a);
    if (e != NULL) {
        uint64_t now_us = loop_now_us(w->loop);
        vitals_add(&e->vitals->failures, 1);
        add_error_sample(e->shared, true, endpoint_silence_us(e, now_us));
        add_to_window(e->shared, true, 0, now_us);
        SHARED_SET(e->shared->answered_us, now_us);
        observe(w, a, e, EJECTION_FAILED);
    }
}

/* One that is cold is slow to answer, and hedges leave none of its answers: its silence is nothing
 * to look into (hang_is_suspected would send it more) unless somebody goes on waiting there. */
static void forgive_silence(const struct worker *w, const struct attempt *a, struct endpoint *e) {
    if (vitals_endpoint_awaiting(w->vitals, a->endpoint, e->generation) <= 1) {
        SHARED_SET(e->shared->unanswered, 0);
        SHARED_SET(e->shared->marked, 0);
    }
}

/* Since the endpoint's last answer such times add up: the sum is the least that its mean can be
 * when nothing has come (the estimate by maximum likelihood of exponential times of which all are
 * censored, taken for one event). So one that hangs soon looks as slow as it is. */
void endpoint_called_off(struct worker *w, const struct attempt *a) {
    struct endpoint *e = endpoint_of(w, a);
    if (e == NULL || !a->sent) {
        return;
    }
    struct vitals_shared_endpoint *shared = e->shared;
    uint64_t sum_us = SHARED_GET(shared->unanswered_us) + (loop_now_us(w->loop) - a->dispatched_us);
    uint32_t least_us = sum_us > UINT32_MAX ? UINT32_MAX : (uint32_t)sum_us;
    SHARED_SET(shared->unanswered_us, least_us);
    SHARED_SET(shared->called_off, SHARED_GET(shared->called_off) + 1);
    uint32_t ewma_us = SHARED_GET(shared->ewma_us);
    if (least_us > ewma_us) {
        SHARED_SET(shared->ewma_us, balance_add_latency(ewma_us, least_us, 0));
    }
    if (SHARED_GET(shared->cold_steps) > 0) {
        warm_up(a, e, COLD_FAILED_US); /* slower than another one, as a cold one is */
        forgive_silence(w, a, e);
    }
    evidence_watch(w);
}

/* ---- for the choice ---- */

static bool is_in_panic(const struct service *s) {
    return SHARED_GET(s->shared->panic_until_us) > loop_now_us(s->worker->loop);
}

bool evidence_is_out(const struct service *s, const struct endpoint *e) {
    uint64_t until_us = SHARED_GET(e->shared->ejected_until_us);
    if (until_us == 0) {
        return false;
    }
    bool over = until_us <= loop_now_us(s->worker->loop);
    if (over && e->state != ENDPOINT_SERVING) {
        return false; /* only those in rotation are tried one by one */
    }
    bool certain = ejection_is_certain((enum ejection_cause)SHARED_GET(e->shared->cause));
    return certain || !is_in_panic(s);
}

uint32_t evidence_load(const struct service *s, const struct endpoint *e, uint32_t in_flight) {
    uint32_t steps = SHARED_GET(e->shared->cold_steps);
    return steps == 0 ? in_flight : warmth_load(in_flight, steps, s->serving_count);
}

bool evidence_is_cold(const struct service *s, const struct endpoint *e) {
    uint32_t steps = SHARED_GET(e->shared->cold_steps);
    return steps > 0 && warmth_interval(steps, 1, s->serving_count) > 1;
}

bool evidence_is_on_trial(const struct endpoint *e) {
    return SHARED_GET(e->shared->ejected_until_us) != 0;
}

bool evidence_is_outlier(const struct service *s, uint16_t endpoint) {
    struct outlier_window peers;
    if (endpoint == NO_ENDPOINT) {
        return false;
    }
    (void)evidence_peers(s, &s->worker->endpoints[endpoint], &peers);
    return outlier_peers_are_well(&peers);
}

uint32_t evidence_cold_steps(const struct worker *w, unsigned service) {
    const struct service *s = &w->services[service];
    for (uint32_t i = 0; i < s->serving_count; i++) {
        const struct vitals_shared_endpoint *other = w->endpoints[s->serving[i]].shared;
        if (SHARED_GET(other->answered_us) != 0 && SHARED_GET(other->cold_steps) == 0) {
            return WARMTH_STEPS;
        }
    }
    return 0;
}
