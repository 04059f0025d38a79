/* The vitals: what the workers tell the controller, one way. For each worker counters, histograms,
 * what it has in flight at each endpoint, and a ring of request records; beside them, shared by all
 * workers, what is known of each endpoint.
 *
 * Every word in a worker's block has one writer, that worker; adds are plain load + store
 * (relaxed). A restarted worker gets its block back with its in-flight numbers cleared by the
 * supervisor, and goes on counting. Words of `shared` are written by any worker with atomics. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "act/shm/plan.h"
#include "act/shm/rate_table.h"
#include "base/error.h"
#include "base/histogram.h"
#include "base/slice.h"
#include "decide/balance/outlier.h"

#define VITALS_LAYOUT 13u
#define VITALS_RING_RECORDS 16384    /* power of two: 10 s at 1,600 requests/s a worker */
#define VITALS_TEXT_BYTES (4u << 20) /* power of two: 256 bytes a record when the ring is full */
#define VITALS_PATH_BYTES 96
#define VITALS_EVENTS 256 /* power of two: of a worker, between two looks of the controller */
#define VITALS_TRACES                                                                              \
    1024 /* power of two: the controller asks for some hundred a second of all                     \
          */
#define VITALS_COMPRESSION_REASONS 9 /* enum compression_reason */

/* Flags of a request record. */
enum {
    RECORD_RETRIED = 1 << 0,
    RECORD_WAITED = 1 << 1,      /* sat in the admission queue */
    RECORD_REFUSED = 1 << 2,     /* 503 by admission: never reached an endpoint */
    RECORD_FAILED = 1 << 3,      /* answered 5xx by us, or cut off: the visitor saw a failure */
    RECORD_CLIENT_GONE = 1 << 4, /* the visitor left first */
    RECORD_KNOWN_CUSTOMER = 1 << 5,
    RECORD_UPGRADED = 1 << 6,
    RECORD_BAD_REQUEST = 1 << 7,  /* refused by the parser or a limit of the client side */
    RECORD_HAS_QUERY = 1 << 8,    /* and RECORD_TEXT_QUERY has it */
    RECORD_RATE_DRY_RUN = 1 << 9, /* a rate limit would have refused it, but only counts */
    RECORD_HEDGED = 1 << 10,      /* two attempts raced */
    RECORD_TRACE_BEGUN = 1 << 11, /* it had no trace: its id is ours */
};

/* Texts of a record, beside it in a ring of bytes; carried only when the plan asks for them. Each
 * is cut at its limit. */
#define RECORD_TEXTS(X)                                                                            \
    X(PATH, 1024)  /* as sent */                                                                   \
    X(QUERY, 1024) /* as sent */                                                                   \
    X(HOST, 256)   /* as sent, with its port */                                                    \
    X(AGENT, 512)                                                                                  \
    X(REFERER, 512)                                                                                \
    X(ROUTE, 128)                                                                                  \
    X(ENDPOINT, 64)                                                                                \
    X(METHOD, 32) /* one that we do not know */                                                    \
    X(LINE, 512)  /* the first line of what could not be parsed */

enum record_text {
#define RECORD_TEXT_ENUM(id, limit) RECORD_TEXT_##id,
    RECORD_TEXTS(RECORD_TEXT_ENUM) RECORD_TEXT_COUNT,
#undef RECORD_TEXT_ENUM
};

/* Why a request did not end well; names in access log and metrics. */
enum record_reason {
    REASON_NONE,
    REASON_NO_ROUTE,
    REASON_NO_ENDPOINT,
    REASON_CONNECT_FAILED,
    REASON_UPSTREAM_CLOSED,  /* before the head */
    REASON_UPSTREAM_CUT,     /* in mid-body */
    REASON_UPSTREAM_BAD,     /* its answer does not parse */
    REASON_UPSTREAM_REFUSED, /* it said that it has not begun (HTTP/2) */
    REASON_TIMEOUT_CONNECT,
    REASON_TIMEOUT_FIRST_BYTE,
    REASON_TIMEOUT_IDLE,
    REASON_TIMEOUT_TOTAL,
    REASON_OVERLOAD, /* refused by admission */
    REASON_CLIENT_TIMEOUT,
    REASON_BAD_REQUEST,
    REASON_TOO_LARGE,
    REASON_DENIED,          /* by network or origin */
    REASON_UNAUTHORISED,    /* no password or token, or a wrong one */
    REASON_GUESSING,        /* too many wrong passwords */
    REASON_ENDPOINT_CLOSED, /* it was emptied for maintenance, and this took too long */
    REASON_RATE_LIMITED,
    REASON_CLIENT_LIMIT, /* its address has too much under way */
    REASON_CONNECTIONS,  /* the limit of connections to each instance is reached */
    REASON_MEMORY,       /* there was none left for it */
    REASON_COUNT,
};

/* 192 bytes: three cache lines. */
struct request_record {
    int64_t unix_ms;                  /* when the head was complete */
    uint64_t trace_id, trace_id_high; /* the two halves of the W3C trace id */
    uint64_t bytes_in, bytes_out;
    uint32_t total_us, first_byte_us, waited_us;
    float value; /* expected profit, currency units */
    uint16_t status;
    uint16_t service, endpoint; /* UINT16_MAX: none */
    uint16_t flags;
    uint8_t stage, method, reason, protocol; /* protocol: 10, 11, 20 */
    uint8_t path_len;
    char path[VITALS_PATH_BYTES]; /* cut at the limit, without the query */
    uint8_t client[16];           /* v4 as ::ffff:a.b.c.d */
    uint8_t attempts;             /* sendings of the request */
    uint16_t client_port;
    uint16_t text_bytes; /* of its texts; 0: none */
    uint8_t tls;         /* 12, 13; 0: none */
    uint32_t text_at;    /* where they are in the ring of bytes, modulo 2^32 */
};
_Static_assert(sizeof(struct request_record) == 192, "a record is three cache lines");

struct vitals_service {
    _Atomic uint64_t offered[STAGE_COUNT]; /* before admission: demand */
    _Atomic uint64_t served[STAGE_COUNT];  /* answered by an endpoint, below 500 */
    _Atomic uint64_t refused[STAGE_COUNT]; /* 503 by admission */
    _Atomic uint64_t failed[STAGE_COUNT];  /* RECORD_FAILED */
    _Atomic uint64_t retried[RETRY_CAUSES];
    _Atomic uint64_t retries_refused; /* by the budget */
    _Atomic uint64_t retries_late;    /* not tried: the deadline would have passed */
    _Atomic uint64_t retry_storms;    /* times that the budget was spent after a quiet second */
    _Atomic uint64_t hedges_sent, hedges_won, hedges_lost, hedges_refused;
    _Atomic uint64_t connections_full; /* attempts that found an endpoint's limit reached */
    _Atomic uint32_t in_flight, waiting;
    _Atomic uint32_t concurrency_limit;       /* of this worker, now */
    struct histogram latency_us[STAGE_COUNT]; /* whole request, of those served */
};

struct vitals_endpoint { /* zeroed by its worker when the generation changes */
    _Atomic uint32_t generation;
    _Atomic uint32_t in_flight;
    _Atomic uint32_t tunnels;            /* of these: open for hours, and no work */
    _Atomic uint32_t awaiting;           /* of these: sent whole, and nothing has come back */
    _Atomic uint64_t oldest_awaiting_us; /* monotonic, when the oldest of these was sent; 0: none */
    _Atomic uint64_t requests, failures, connect_failures, status_5xx;
    _Atomic uint64_t latency_us_sum; /* time to first byte, of those that answered */
    _Atomic uint64_t answers;
    struct histogram first_byte_us;
};

struct vitals_rate { /* of a rate limit; zeroed by its worker when the index gets another limit */
    _Atomic uint64_t id; /* of the plan's; 0: none yet */
    _Atomic uint64_t allowed, refused;
};

/* What a worker has decided by itself; the controller makes decisions of it, for the audit. */
enum vitals_event_kind {
    EVENT_EJECTED,
    EVENT_RETURNED,
    EVENT_PANIC,
    EVENT_PANIC_OVER,
    EVENT_WARM, /* a new endpoint has its whole share */
    EVENT_KINDS,
};

/* With the numbers that it came from; 0 where they have no part in it. */
struct vitals_event {
    uint64_t at_us, happened_us; /* monotonic; happened: when what was seen began */
    uint32_t generation;         /* of the endpoint */
    uint16_t service, endpoint;  /* UINT16_MAX: none */
    uint8_t kind, cause;         /* enum vitals_event_kind, enum ejection_cause */
    uint16_t out, total;         /* of the service's endpoints in rotation */
    uint32_t answers, failures;  /* of the last second */
    uint32_t peers_answers, peers_failures;
    uint32_t latency_us, peers_latency_us; /* geometric mean; their median */
    uint32_t awaiting, silent_us;
    uint32_t in_a_row; /* failures, or ejections when it returns */
};

/* A request of which the trace is followed: from these the controller learns which service calls
 * which, and how often (decide/autoscale/dependency.h). */
struct vitals_trace {
    uint64_t trace; /* a keyed hash of its W3C trace id */
    uint64_t begun_us, ended_us;
    uint16_t service;
    bool reached;     /* it was sent to an endpoint */
    bool begun;       /* it came without a trace: the id is ours */
    uint8_t peer[16]; /* who was connected to us, whatever it says of others; as in client_info */
};

struct vitals_worker {
    _Atomic uint32_t pid;   /* 0: no such worker */
    _Atomic uint32_t guard; /* parts in force, 1 << enum guard_part (act/guard/guard.h) */
    _Atomic uint32_t
        refused_call; /* the system call that ended it, + 1; the supervisor clears it */
    _Atomic uint64_t heartbeat_us;
    _Atomic uint64_t plan_version;
    _Atomic uint64_t started_us;
    _Atomic uint64_t connections_accepted, connections_open, connections_refused;
    /* The worker was full: connections that gave way to others, were held, let in to be told. */
    _Atomic uint64_t connections_gave_way, connections_held, connections_told;
    /* Limits of one client: connections that were held for them, closed, idle ones that gave way.
     */
    _Atomic uint64_t client_held, client_refused, client_gave_way, client_handshakes_refused;
    _Atomic uint64_t upstream_open, upstream_opened;
    _Atomic uint64_t bytes_in, bytes_out;
    _Atomic uint64_t h2_connections; /* that went over to HTTP/2 */
    _Atomic uint64_t h2_floods;      /* and were closed for one (wire/http/h2_calm.c) */
    _Atomic uint64_t reasons[REASON_COUNT];
    _Atomic uint64_t records_dropped;
    _Atomic uint64_t texts_dropped; /* records whose texts found no room */
    /* Of encoders at work: bodies, bytes before and after; and why answers were not compressed. */
    _Atomic uint64_t coded[HTTP_CODINGS], coded_bytes_in[HTTP_CODINGS],
        coded_bytes_out[HTTP_CODINGS];
    _Atomic uint64_t uncoded[VITALS_COMPRESSION_REASONS];
    _Atomic uint64_t encoders_open;
    struct vitals_rate
        rates[PLAN_RATES_MAX];          /* of one that only counts, refused: would have been */
    _Atomic uint64_t rate_keys_evicted; /* keys that gave their place to others, bucket full */
    _Atomic uint64_t rate_keys_evicted_early; /* and not full */
    _Atomic uint64_t rate_table_full;         /* requests let through because there was no place */
    _Atomic uint64_t password_checks;         /* slow ones, beyond what was remembered */
    _Atomic uint64_t patterns_gave_up; /* matches of routes' patterns that reached their limit */
    _Atomic uint64_t handshakes_full, handshakes_resumed; /* TLS with clients */
    _Atomic uint64_t handshake_failures[TLS_FAILURE_COUNT];
    _Atomic uint64_t proxy_headers_refused;
    _Atomic uint64_t service_handshakes_full, service_handshakes_resumed;
    _Atomic uint64_t service_handshake_failures[TLS_FAILURE_COUNT];
    struct vitals_service services[PLAN_SERVICES_MAX];
    struct vitals_endpoint endpoints[PLAN_ENDPOINTS_MAX];
    _Atomic uint64_t events_head, events_tail; /* as of the ring below */
    _Atomic uint64_t events_dropped;
    struct vitals_event events[VITALS_EVENTS];
    _Atomic uint64_t traces_head, traces_tail; /* likewise */
    _Atomic uint64_t traces_dropped;
    struct vitals_trace traces[VITALS_TRACES];
    _Atomic uint64_t ring_head; /* next to write, by the worker */
    _Atomic uint64_t ring_tail; /* next to read, by the controller */
    struct request_record ring[VITALS_RING_RECORDS];
    _Atomic uint64_t text_head; /* of the ring of bytes, likewise */
    _Atomic uint64_t text_tail;
    char text[VITALS_TEXT_BYTES];
};

struct vitals_bucket { /* struct outlier_bucket */
    _Atomic uint64_t counts, logs;
};

/* One estimate for all workers; cache lines of its own, because they are written with every answer.
 * The words of struct ejection, hang and warmth (decide/balance), and the window of outlier.h. */
struct vitals_shared_endpoint {
    _Alignas(64) _Atomic uint32_t generation;
    _Atomic uint32_t ewma_us;     /* peak-EWMA of time to first byte; 0 not known */
    _Atomic uint32_t usual_us;    /* its running median, of so many answers, */
    _Atomic uint32_t trials;      /* counted to BALANCE_TRIALS: then it is known */
    _Atomic uint32_t error_ppm;   /* EWMA of failures, parts per million */
    _Atomic uint32_t unanswered;  /* whole requests in a row without an answer */
    _Atomic uint64_t answered_us; /* the last answer or failure, monotonic; 0: none yet */
    _Atomic uint64_t silent_since_us, marked_us;
    _Atomic uint32_t marked;
    _Atomic uint32_t cold_steps, cold_answers;   /* 0 steps: it is warm */
    _Atomic uint32_t connect_failures, failures; /* consecutive */
    _Atomic uint32_t ejections;                  /* in a row: the back-off doubles */
    _Atomic uint32_t cause, passed;
    _Atomic uint64_t ejected_until_us, changed_us;
    _Atomic uint64_t trial_until_us; /* on probation: a trial is on its way until then */
    /* How long attempts waited for it that were called off because another endpoint answered, since
     * its last answer. */
    _Atomic uint32_t unanswered_us;
    _Atomic uint32_t called_off; /* how many these were */
    struct vitals_bucket window[OUTLIER_BUCKETS];
};

/* Of a service, for all workers. */
struct vitals_shared_service {
    _Alignas(64) _Atomic uint64_t panic_until_us; /* 0: none */
    _Atomic uint64_t judged_us;                   /* when its endpoints were last compared */
    _Atomic uint64_t budget_spent;                /* decide/balance/budget.h */
};

struct vitals {
    uint32_t layout, worker_count;
    _Atomic uint32_t supervisor_pid;
    _Atomic uint64_t trace_most; /* by the controller: traces whose hash is below it are followed */
    struct vitals_shared_endpoint shared[PLAN_ENDPOINTS_MAX];
    struct vitals_shared_service shared_services[PLAN_SERVICES_MAX];
    struct rate_table rate_table; /* written by any worker, as `shared` */
    struct vitals_worker workers[PLAN_WORKERS_MAX];
};

struct vitals *vitals_new(unsigned worker_count, int *fd, struct error *err);
struct vitals *vitals_attach(int fd, struct error *err);
void vitals_free(struct vitals *vitals);

static inline void vitals_add(_Atomic uint64_t *counter, uint64_t value) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + value,
                          memory_order_relaxed);
}
static inline uint64_t vitals_get(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Retries of one worker, whatever their cause. */
static inline uint64_t vitals_retries(const struct vitals_service *service) {
    uint64_t sum = 0;
    for (int cause = 0; cause < RETRY_CAUSES; cause++) {
        sum += vitals_get(&service->retried[cause]);
    }
    return sum;
}

/* Worker, before it counts for an endpoint slot: when another endpoint has taken the slot, what was
 * known of the old one is forgotten, in the worker's block and in the shared estimate. The new one
 * has `cold_steps` to its whole share. */
void vitals_adopt_endpoint(struct vitals *vitals, unsigned worker, unsigned endpoint,
                           uint32_t generation, uint32_t cold_steps);

/* Worker, for each limit of a new plan: counters of another one at this index begin anew. */
void vitals_adopt_rate(struct vitals_worker *worker, unsigned index, uint64_t id);

/* Worker: appends to its ring; a full ring drops and counts, never waits. */
void vitals_record(struct vitals_worker *worker, const struct request_record *record);
/* The same with its texts (RECORD_TEXT_COUNT of them). Without room for them the record goes
 * without, and that is counted. */
void vitals_record_with_texts(struct vitals_worker *worker, struct request_record *record,
                              const struct slice *texts);

/* Worker: tells the controller what it has decided; full means dropped and counted. */
void vitals_tell(struct vitals_worker *worker, const struct vitals_event *event);
/* Controller: the next one; false when there is none. */
bool vitals_hear(struct vitals_worker *worker, struct vitals_event *out);

/* The keyed hash of a trace id; equal in all workers. */
uint64_t vitals_hash_trace(const struct vitals *vitals, uint64_t high, uint64_t low);
/* Worker: a request of a trace that is followed is over; full means dropped and counted. */
void vitals_trace(struct vitals_worker *worker, const struct vitals_trace *trace);
/* Controller: the next one; false when there is none. */
bool vitals_hear_trace(struct vitals_worker *worker, struct vitals_trace *out);

/* Controller, without copying: the record at `position` (from ring_tail on), NULL when it is not
 * written yet. Valid until vitals_release. */
const struct request_record *vitals_peek(const struct vitals_worker *worker, uint64_t position);
/* Its texts, RECORD_TEXT_COUNT of them, empty ones where there are none. */
void vitals_texts(const struct vitals_worker *worker, const struct request_record *record,
                  struct slice *texts);
/* All before `position` is the worker's again. */
void vitals_release(struct vitals_worker *worker, uint64_t position);
/* Controller: copies up to `max` records out of the ring, oldest first; returns how many. */
unsigned vitals_drain(struct vitals_worker *worker, struct request_record *out, unsigned max);
/* Supervisor, after a worker's death and before its successor: nothing is in flight there now. */
void vitals_clear_in_flight(struct vitals_worker *worker);

/* Over all workers: requests in flight at the endpoint; how many of them were sent whole and await
 * their answer (what streams, uploads or is a tunnel does not), since when the oldest (0: none).
 * Blocks of another generation count as nothing. */
uint32_t vitals_endpoint_in_flight(const struct vitals *vitals, unsigned endpoint,
                                   uint32_t generation);
/* Without tunnels: what the endpoint works on. */
uint32_t vitals_endpoint_load(const struct vitals *vitals, unsigned endpoint, uint32_t generation);
uint32_t vitals_endpoint_awaiting(const struct vitals *vitals, unsigned endpoint,
                                  uint32_t generation);
uint64_t vitals_endpoint_oldest_us(const struct vitals *vitals, unsigned endpoint,
                                   uint32_t generation);
struct rate_counts {
    uint64_t allowed, refused;
};
/* Of the limit with this id, over all workers. */
struct rate_counts vitals_rate_counts(const struct vitals *vitals, unsigned index, uint64_t id);
const char *record_reason_name(enum record_reason reason);
