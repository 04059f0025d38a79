/* Ejection: an endpoint that fails what its peers do not is left alone for a while, at once, on the
 * evidence of the requests themselves.
 *
 *   IN ─────── evidence ───────▶ OUT ──── time ────▶ ON PROBATION ── EJECTION_TRIALS good ──▶ IN
 *                                 ▲                        │
 *                                 └── twice as long ── a trial fails
 *
 * On probation it gets one request at a time. Never more than a share of a service is out, because
 * then it is not the endpoints that are ill but what stands behind them: further evidence holds
 * back, and the service is in a panic (the caller's to say and to end): those that answer at all
 * are used again.
 * Not here: which evidence is enough for errors and latency (outlier.h) and for a hang (hang.h).
 * Pure: the caller keeps the struct (or its words in the vitals) and brings the time. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define EJECTION_CONNECT_FAILURES 1 /* nobody listens there: the next request need not find out */
#define EJECTION_FAILURES_LEAST 3   /* consecutive 5xx, resets and timeouts; see below */
#define EJECTION_FAILURES_MOST 20
#define EJECTION_FIRST_US 50000
#define EJECTION_MAX_US 1000000
/* A trial of one that hangs costs nobody more than a moment: the request is taken off again. */
#define EJECTION_HUNG_MAX_US 400000
#define EJECTION_SLOW_MAX_US 4000000
#define EJECTION_FORGET_US 10000000 /* in rotation for so long: the next one is the first again */
#define EJECTION_TRIALS 3           /* good answers on probation */
#define EJECTION_RATIO_MAX 0.5 /* of a service's endpoints, but one of two or more always may */
#define EJECTION_SLOW_RATIO_MAX 0.34 /* one that is slow is still of use: of three or more */

enum ejection_cause {
    EJECTION_NO_CAUSE,
    EJECTION_REFUSED,  /* its address takes no connections */
    EJECTION_FAILURES, /* several failures in a row */
    EJECTION_ERRORS,   /* a share of failures that its peers do not have */
    EJECTION_SLOW,     /* far slower than its peers */
    EJECTION_HUNG,     /* requests go in, nothing comes out, its peers answer */
    EJECTION_CAUSES,
};

enum ejection_state { EJECTION_IN, EJECTION_OUT, EJECTION_ON_PROBATION };

struct ejection {
    uint32_t connect_failures, failures; /* consecutive */
    uint32_t ejections;                  /* in a row */
    uint32_t passed;                     /* trials */
    enum ejection_cause cause;           /* of the last ejection */
    uint64_t until_us;   /* monotonic; 0: in rotation; to come: out; past: on probation */
    uint64_t changed_us; /* since when it has been in rotation, or not */
};

/* The others of its service that are in rotation by the plan. */
struct ejection_peers {
    uint32_t total, out;        /* with this one; out or on probation, without this one */
    uint32_t answers, failures; /* of the last second, of those that are in */
};

enum ejection_event { EJECTION_SUCCESS, EJECTION_CONNECT_FAILED, EJECTION_FAILED };

enum ejection_change {
    EJECTION_UNCHANGED,
    EJECTION_BEGAN,
    EJECTION_AGAIN,     /* a trial failed */
    EJECTION_TRIED,     /* it gives signs of life: on probation at once */
    EJECTION_RETURNED,  /* to rotation */
    EJECTION_HELD_BACK, /* there is enough evidence, but too many are out already */
};

enum ejection_state ejection_state(const struct ejection *e, uint64_t now_us);

/* What one request saw that was sent at `sent_us`. */
enum ejection_change ejection_observe(struct ejection *e, enum ejection_event event,
                                      uint64_t sent_us, const struct ejection_peers *peers,
                                      uint64_t now_us);
/* The same for evidence that is not one request's, or for a trial that did not do. */
enum ejection_change ejection_eject(struct ejection *e, enum ejection_cause cause,
                                    const struct ejection_peers *peers, uint64_t now_us);

/* How many failures in a row are no chance: what its peers would show once in 10^6, between the
 * two limits. Five where nothing is known of the peers. */
uint32_t ejection_failures_needed(const struct ejection_peers *peers);

/* Whether it is left out even in a panic, because it does not answer at all. */
bool ejection_is_certain(enum ejection_cause cause);

const char *ejection_cause_name(enum ejection_cause cause); /* "hung" */
