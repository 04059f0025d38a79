/* What a worker keeps of each service and endpoint of the plan: which endpoints may be used,
 * what is in flight where, who waits. Estimates that all workers
 * share are in the vitals (act/shm/vitals.h). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/proxy/choice.h"
#include "act/shm/plan.h"
#include "act/shm/vitals.h"
#include "base/list.h"
#include "decide/admission/admission.h"
#include "decide/admission/limit.h"
#include "decide/balance/hang.h"
#include "decide/balance/hedge.h"
#include "wire/net/loop.h"

struct attempt;
struct worker;
struct exchange;

#define NO_ENDPOINT UINT16_MAX

/* After a failed connect this worker leaves the endpoint alone for so long, doubled with each
 * failure, even if it is the only one: asking again at once would only keep both busy. */
#define REFUSED_FIRST_US 50000
#define REFUSED_MAX_US 1000000

/* Where the plan does not know what an endpoint carries, the limit is learned between these. */
#define LEARNED_START_PER_ENDPOINT 64
#define LEARNED_LEAST_PER_ENDPOINT 8
#define LEARNED_MOST_PER_ENDPOINT 4096
#define LEARNED_SHARE 0.99 /* of the answers that should meet the objective */

#define WAITING_TICK_US 2000 /* waiting requests look for what others and time have freed */

#define SERVICE_TRIALS_MAX 16 /* endpoints of a service that get requests on purpose, at a time */

/* What an attempt is to the endpoint that it is in flight at. */
enum attempt_kind {
    ATTEMPT_WORK,
    ATTEMPT_HELD,   /* it waits for its visitor: counted in endpoint->held */
    ATTEMPT_TUNNEL, /* open, maybe for hours, and no work: counted in endpoint->vitals->tunnels */
};

struct endpoint {
    uint32_t generation;
    uint16_t service;
    uint8_t state; /* enum endpoint_state */
    uint16_t weight;
    bool elsewhere; /* in another zone */
    uint64_t sticky_tag;
    uint64_t id; /* a hash of what it is called */
    bool cut;    /* what was in flight there was ended */
    uint32_t concurrency;
    struct sockaddr_storage address;
    uint32_t address_len;
    struct list in_flight; /* attempts */
    struct list awaiting;  /* those of them that were sent whole and have no answer, oldest first */
    struct list idle;      /* upstream connections, last used first */
    uint32_t idle_count;
    struct list h2;            /* connections in HTTP/2 that take requests */
    uint32_t connections;      /* of this worker, but for tunnels */
    uint32_t held;             /* requests here that slow visitors hold up: they have no place */
    uint32_t h2_streams;       /* it allows on one, as it said last; 0: not known */
    uint32_t refusals;         /* connects that failed in a row */
    uint64_t refused_until_us; /* no connects from this worker before that */
    uint32_t passed_by;        /* requests of its service since the last that a cold one got */
    uint64_t tried_us;         /* when that was */
    struct vitals_endpoint *vitals;
    struct vitals_shared_endpoint *shared;
};

struct service {
    struct worker *worker;
    uint16_t index;
    struct plan_service plan; /* a copy: the plan's slot goes away with the next plan */
    uint16_t *serving, *warm; /* endpoint slots, of worker->slots_of_services */
    uint32_t serving_count, warm_count;
    uint32_t local_count; /* of those serving: the first, those in our own zone */
    struct choice choice;
    uint16_t trials[SERVICE_TRIALS_MAX]; /* slots: on probation, silent, or cold */
    uint32_t trial_count, cold_count;
    struct tail tail; /* of the time to first byte, as this worker sees it */
    struct admission_queue queue;
    struct admission_limit limit; /* learned; of this worker */
    uint32_t limit_endpoints;     /* for which it was set; 0: not yet */
    struct timer tick;            /* runs while somebody waits */
    bool pumping;                 /* those who may go on are let on */
    uint64_t done_since_us;       /* how fast requests leave: in this window, and in the last */
    uint32_t done_count;
    double done_rps;
    struct list hedgeable;      /* exchanges that may get a second attempt, in order of sending */
    struct timer hedge;         /* runs while there are some */
    struct hedge_estimate slow; /* of their times to first byte; of this worker */
    uint64_t retry_refused_us;  /* the last time that the budget was spent; 0: never */
    struct vitals_service *vitals;
    struct vitals_shared_service *shared;
};

void service_init(struct service *service, struct worker *worker, uint16_t index);
void service_fini(struct service *service);

/* Takes over services and endpoints of worker->plan. Endpoints that left keep what is in flight;
 * requests stuck at an endpoint that is now ejected, or that wait, get another chance. */
void services_refresh(struct worker *worker);

/* Not to be asked now: it refused a connection of this worker; any worker has seen it fail. */
bool endpoint_is_refused(const struct worker *worker, const struct endpoint *endpoint);
/* Time since it was last heard of; 0 when it never was, or is right now elsewhere. */
uint64_t endpoint_silence_us(const struct endpoint *endpoint, uint64_t now_us);

/* What is in flight at an endpoint: from the choice to the end. */
void endpoint_begin(struct worker *worker, struct attempt *attempt, uint16_t slot);
/* The request was sent whole: from now on the endpoint owes an answer. */
void endpoint_owes(struct worker *worker, struct attempt *attempt);
/* An answer has come. */
void endpoint_owes_no_more(struct endpoint *endpoint, struct attempt *attempt);
/* From now on it is no work for the endpoint: its visitor holds it up, or it carries a tunnel. */
void endpoint_counts_as(struct worker *worker, struct attempt *attempt, enum attempt_kind kind);
void endpoint_end(struct worker *worker, struct attempt *attempt);
/* What waits there for an answer goes elsewhere, if that is safe. */
void endpoint_rescue(struct endpoint *endpoint);
