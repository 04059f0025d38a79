/* Dependencies: which service calls which, and how often for each of its requests, learned from
 * requests of traces that are followed. A request to one service that comes from the address of an
 * instance of another one, while a request of the same trace is under way there, was caused by it;
 * where the trace is not handed on, a request from an address at which only one other service has
 * instances is its, too. A trace of which the id is ours is known only to whom we sent it: there, a
 * request is caused by one of us wherever it comes from, but for the visitor's own address, who may
 * have been told. What else comes from anywhere else is a visitor's, whatever its trace says.
 *
 * Requests wait until their trace is quiet, then it is counted as a whole: a trace is one sample,
 * however often a visitor repeats its id. Memory is bounded; what gets lost makes all that waits
 * worthless, for the share that got lost is not the same for caller and called.
 * Not here: following traces (act/proxy/exchange_trace.c), plans (act/control/foresee_calls.c). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEPENDENCY_SERVICES_MAX 64
#define DEPENDENCY_PENDING_MAX 16384 /* requests that wait */
#define DEPENDENCY_TRACE_MOST 64     /* requests of one trace; more are no visit: not counted */
#define DEPENDENCY_AIM_RPS 128       /* requests a second that are followed, of all services */
/* Of what one caller was seen to do, the last so many requests count; nothing fades in a night. */
#define DEPENDENCY_REQUESTS_MOST 20000
#define DEPENDENCY_REQUESTS_LEAST 50 /* fewer say nothing */
#define DEPENDENCY_RATIO_LEAST 0.02  /* fewer calls are not planned for */
#define DEPENDENCY_ERROR_MOST 0.25   /* standard error, as a share of the ratio */

struct dependency_request {
    uint64_t trace; /* a hash of its id */
    uint64_t begun_us, ended_us;
    uint64_t owners; /* services that have an instance at the address it came from, a bit each */
    uint64_t peer;   /* the same for the same address */
    uint16_t service;
    bool reached; /* an instance got it: it may have called others */
    bool begun;   /* it came without a trace, which is ours: a random one */
};

struct dependency_pair {
    double calls, calls_traced;           /* traced: known by the trace, not only by the address */
    double calls_squared, calls_requests; /* sums over traces: calls², calls × caller's requests */
    double sure;                          /* calls of which nobody else could be the caller */
};

/* All zero: nothing seen yet. */
struct dependencies {
    size_t pending_count;
    struct dependency_request pending[DEPENDENCY_PENDING_MAX];
    uint64_t longest_us; /* of the requests seen lately */
    struct dependency_caller {
        double requests, requests_squared; /* the latter summed over traces */
    } callers[DEPENDENCY_SERVICES_MAX];
    struct dependency_pair pairs[DEPENDENCY_SERVICES_MAX][DEPENDENCY_SERVICES_MAX];
};

struct dependency_ratio {
    double likely, low, high; /* calls for each request, 0.9 of certainty; NaN: nothing seen */
    double requests;          /* of the caller, that it was learned from */
    bool by_trace;            /* most of them; else by address */
    bool proven;              /* enough to plan by */
};

/* One that is over. */
void dependencies_observe(struct dependencies *d, const struct dependency_request *request);
/* Some were not told. */
void dependencies_lost(struct dependencies *d);
/* Every few seconds: counts the traces that are quiet. */
void dependencies_settle(struct dependencies *d, uint64_t now_us);
/* Another service has this index now. */
void dependencies_forget(struct dependencies *d, unsigned service);

struct dependency_ratio dependencies_ratio(const struct dependencies *d, unsigned caller,
                                           unsigned called);

/* ---- to be kept (dependency_memory.c) ---- */

#define DEPENDENCY_NAME_BYTES 64
#define DEPENDENCY_MEMORY_CALLED 16 /* those that are called most */
#define DEPENDENCY_MEMORY_BYTES 1688

/* What is known of one caller; `names` of the services, NULL: no such one. Returns how many bytes
 * it has written. */
size_t dependencies_save(const struct dependencies *d, unsigned caller,
                         const char *const names[DEPENDENCY_SERVICES_MAX],
                         uint8_t out[DEPENDENCY_MEMORY_BYTES]);
/* Instead of all that is known of that caller; those that are not among `names` are passed over.
 * False, and nothing is changed: it is none of ours. */
bool dependencies_restore(struct dependencies *d, unsigned caller,
                          const char *const names[DEPENDENCY_SERVICES_MAX], const uint8_t *bytes,
                          size_t len);

/* ---- what plans go by ---- */

/* Which proven ones may be planned by: none of a pair that is configured, and none that would close
 * a cycle; those that are used already come first, then those with most calls. `configured` and
 * `used` hold a bit for each called service, by caller. */
void dependencies_select(const struct dependencies *d,
                         const uint64_t configured[DEPENDENCY_SERVICES_MAX],
                         uint64_t used[DEPENDENCY_SERVICES_MAX]);
