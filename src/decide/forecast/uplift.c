#include "decide/forecast/uplift.h"

#include <math.h>
#include <string.h>

#include "decide/forecast/uplift_internal.h"

#define ONSET_SHARE 0.3 /* of the expected excess, that tells a campaign from none */
#define QUANTILE_OF_TENTH 1.2816
#define DELAY_SPREADS 2.0 /* that the send may be earlier than expected */

void uplift_init(struct uplift *u) {
    *u = (struct uplift){ .last_ms = INT64_MIN };
}

/* ---- which events are campaigns, and which run is whose ---- */

bool uplift_is_campaign(const struct calendar_event *e) {
    return !calendar_is_ordinary(e);
}

static uint64_t key_of(const struct calendar_event *e) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    const struct slice parts[] = { e->name, SLICE("\n"), e->kind };
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < parts[i].len; j++) {
            hash = (hash ^ (unsigned char)parts[i].data[j]) * 1099511628211u;
        }
    }
    return hash | 1;
}

size_t uplift_find_run(const struct uplift *u, const struct calendar_event *e) {
    uint64_t key = key_of(e);
    size_t i = 0;
    for (; i < UPLIFT_RUNS_MAX; i++) {
        const struct uplift_run *r = &u->runs[i];
        if (r->key == key && e->start_ms < r->end_ms + UPLIFT_EARLY_MS &&
            e->end_ms > r->start_ms - UPLIFT_EARLY_MS) {
            break;
        }
    }
    return i;
}

static double said_of(const struct calendar_event *e) {
    return e->multiplier > 1 ? log(e->multiplier - 1) : (double)NAN;
}

static double duration_s(const struct calendar_event *e) {
    return (double)(e->end_ms - e->start_ms) / 1000;
}

static struct uplift_belief expect(const struct uplift *u, const struct calendar_event *e) {
    return uplift_kinds_expect(&u->kinds, e->kind, said_of(e), duration_s(e));
}

void uplift_wait(struct uplift_run *r, struct uplift_belief belief) {
    r->phase = UPLIFT_WAITING;
    r->belief = belief;
    r->sought = exp(belief.size.mean) * ONSET_SHARE;
    r->cusum = 0;
    r->onset_ms = 0;
    r->seen_s = 0;
    memset(r->excess_sum, 0, sizeof r->excess_sum);
    memset(r->excess_weight, 0, sizeof r->excess_weight);
}

static void begin_run(struct uplift *u, const struct calendar_event *e) {
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        struct uplift_run *r = &u->runs[i];
        if (r->key == 0) {
            *r = (struct uplift_run){ .key = key_of(e),
                                      .start_ms = e->start_ms,
                                      .end_ms = e->end_ms,
                                      .said = said_of(e),
                                      .announced = true };
            uplift_wait(r, expect(u, e));
            slice_copy_text(slice_sub(e->kind, 0, sizeof r->kind - 1), r->kind, sizeof r->kind);
            return;
        }
    }
}

static void follow(struct uplift *u, struct uplift_run *r, const struct calendar_event *e) {
    r->announced = true;
    if (r->start_ms == e->start_ms && r->end_ms == e->end_ms) {
        return;
    }
    r->start_ms = e->start_ms;
    r->end_ms = e->end_ms;
    if (r->phase == UPLIFT_WAITING) {
        uplift_wait(r, expect(u, e));
    }
}

/* Runs and events agree; what was cancelled goes, unless it has begun all the same. */
static void match(struct uplift *u, int64_t now_ms) {
    const struct calendar *c = u->calendar;
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        u->runs[i].announced = false;
    }
    for (size_t i = c == NULL ? 0 : calendar_first_touching(c, now_ms - UPLIFT_PATIENCE_MS);
         c != NULL && i < c->len && c->events[i].start_ms - UPLIFT_EARLY_MS <= now_ms; i++) {
        const struct calendar_event *e = &c->events[i];
        size_t run = uplift_find_run(u, e);
        if (!uplift_is_campaign(e)) {
            continue;
        }
        if (run < UPLIFT_RUNS_MAX) {
            follow(u, &u->runs[run], e);
        } else if (e->end_ms > now_ms) {
            begin_run(u, e);
        }
    }
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        if (u->runs[i].key != 0 && !u->runs[i].announced && u->runs[i].phase != UPLIFT_RUNNING) {
            u->runs[i] = (struct uplift_run){ 0 };
        }
    }
}

void uplift_set_calendar(struct uplift *u, const struct calendar *calendar) {
    u->calendar = calendar;
    if (u->last_ms != INT64_MIN) {
        match(u, u->last_ms);
    }
}

bool uplift_touches(const struct uplift *u, int64_t from_ms, int64_t to_ms) {
    const struct calendar *c = u->calendar;
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        if (u->runs[i].key != 0) {
            return true;
        }
    }
    for (size_t i = c == NULL ? 0 : calendar_first_touching(c, from_ms - UPLIFT_PATIENCE_MS);
         c != NULL && i < c->len && c->events[i].start_ms - UPLIFT_EARLY_MS < to_ms; i++) {
        if (uplift_is_campaign(&c->events[i])) {
            return true;
        }
    }
    return false;
}

/* ---- when one begins and ends ---- */

int64_t uplift_patience_until(const struct uplift_run *r) {
    int64_t most = r->start_ms + UPLIFT_PATIENCE_MS;
    return most < r->end_ms ? most : r->end_ms;
}

bool uplift_onset_of(const struct uplift_run *r, int64_t now_ms, struct uplift_onset *out) {
    if (r->phase == UPLIFT_RUNNING) {
        *out = (struct uplift_onset){ r->onset_ms, 0 };
        return true;
    }
    const struct uplift_normal *delay = &r->belief.delay;
    int64_t expected = r->start_ms + (int64_t)(delay->mean * 1000);
    out->slack_ms = (int64_t)(DELAY_SPREADS * sqrt(delay->variance) * 1000);
    out->at_ms = expected > now_ms ? expected : now_ms; /* not seen yet: any moment now */
    return r->phase == UPLIFT_WAITING && now_ms < uplift_patience_until(r);
}

int64_t uplift_ends_ms(const struct uplift_run *r, const struct uplift_onset *onset) {
    int64_t late = onset->at_ms - r->start_ms;
    return r->end_ms + (late > 0 ? late : 0);
}

/* ---- what demand says, and what is thought ---- */

void uplift_observe(struct uplift *u, const struct uplift_sample *s) {
    if (s->end_ms <= u->last_ms || !(s->seconds > 0)) {
        return;
    }
    u->last_ms = s->end_ms;
    match(u, s->end_ms);
    for (size_t i = 0; i < UPLIFT_RUNS_MAX; i++) {
        if (u->runs[i].key != 0 && !isnan(s->demand_rps)) {
            uplift_observe_run(u, &u->runs[i], s);
        }
    }
}

struct uplift_run uplift_imagine(const struct uplift *u, const struct calendar_event *e) {
    return (struct uplift_run){
        .key = 1, .start_ms = e->start_ms, .end_ms = e->end_ms, .belief = expect(u, e)
    };
}

struct uplift_opinion uplift_think(const struct uplift *u, const struct calendar_event *event) {
    size_t run = uplift_find_run(u, event);
    struct uplift_run imagined = uplift_imagine(u, event);
    const struct uplift_run *r = run < UPLIFT_RUNS_MAX ? &u->runs[run] : &imagined;
    const struct uplift_normal *size = &r->belief.size;
    double apart = QUANTILE_OF_TENTH * sqrt(size->variance);
    bool lasts = r->belief.half.variance == 0;
    return (struct uplift_opinion){
        .peak = 1 + exp(size->mean),
        .peak_low = 1 + exp(size->mean - apart),
        .peak_high = 1 + exp(size->mean + apart),
        .rise_ms = 1000 * exp(r->belief.rise.mean),
        .half_ms = lasts ? (double)INFINITY : 1000 * exp(r->belief.half.mean),
        .learned_from = uplift_kinds_count(&u->kinds, event->kind),
        .phase = r->phase,
        .onset_ms = r->onset_ms,
    };
}
