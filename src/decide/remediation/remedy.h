/* Remedy: what is ill, and what is done about it. For the instances of one service, from what was
 * seen of each in the last moments: findings, and which of them are taken out of rotation now.
 *
 * A process that died is out, whatever else happens. The others are out at once too, but only so
 * many at a time (the blast radius): when most instances look ill it is what stands behind them
 * (the database, the machine, a flood) that is ill, and taking them away would finish it.
 * Pure: the same code would judge recorded vitals. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/balance/ejection.h"

#define REMEDY_REASON_BYTES 256
#define REMEDY_ENDPOINTS_MAX 512 /* of one service */

enum finding {
    FINDING_NONE,
    FINDING_CRASHED,   /* its process ended by itself */
    FINDING_UNHEALTHY, /* it fails its probes */
    FINDING_HUNG,      /* requests go in, nothing comes out; its peers answer */
    FINDING_ERRORS,    /* it fails what its peers do not */
    FINDING_SLOW,      /* far slower than its peers, for a while */
    FINDINGS,
};

struct remedy_policy {
    uint32_t hang_ms;          /* the oldest request awaits its answer for so long, none came */
    uint32_t hang_least;       /* so many await one: a single one may just be a slow page */
    uint32_t hang_peers_least; /* answers of its peers meanwhile: else it is a common cause */
    uint32_t errors_least;     /* failed answers in the window that are a burst */
    double error_ratio;        /* of its answers, and its peers below half of it */
    double slow_ratio;         /* times its peers' median latency */
    uint32_t slow_distance_ms; /* and so much above it */
    uint32_t slow_answers_least;
    uint32_t slow_for_ms;   /* before that is an illness */
    uint32_t errors_for_ms; /* left alone by the workers for so long, for its errors */
    double blast_ratio;     /* of the instances in rotation, at least one */
};

/* Made for a service whose answers are good within `objective_ms`. */
struct remedy_policy remedy_policy_for(uint32_t objective_ms);

/* What is known of one instance in rotation. */
struct remedy_evidence {
    bool crashed;
    bool unhealthy;                   /* by its probes */
    uint32_t window_ms;               /* that the numbers below cover */
    uint32_t awaiting, oldest_age_ms; /* requests sent whole without an answer, the oldest's age */
    uint64_t answers, failures, status_5xx;
    double latency_ms_p50;  /* NaN: no answer in the window */
    uint32_t slow_since_ms; /* for how long remedy_is_slow has been true; the caller's to count */
    /* The workers leave it alone, so that the numbers above have little to say. */
    enum ejection_cause left_alone;
    uint32_t left_alone_ms, left_alone_times; /* since the first of so many ejections in a row */
    double left_alone_latency_ms;             /* of the few that were sent there */
    bool fixed; /* nobody can replace it: the workers know best when to use it */
};

struct remedy {
    enum finding finding;
    bool eject;     /* take it out of rotation now */
    bool held_back; /* it is ill, but too many others are too */
    char reason[REMEDY_REASON_BYTES];
};

/* For each of `count` instances in rotation a remedy. `ejected` are out of rotation already for an
 * illness and not replaced yet: they count towards the blast radius. */
void remedy_decide(const struct remedy_policy *policy, const struct remedy_evidence *evidence,
                   size_t count, size_t ejected, struct remedy *remedies);

/* Whether it is slow against its peers at this moment. */
bool remedy_is_slow(const struct remedy_policy *policy, const struct remedy_evidence *evidence,
                    size_t count, size_t index);

const char *finding_name(enum finding finding); /* "hung" */
