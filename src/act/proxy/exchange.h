/* One request and its response, whatever the protocols on both sides: route, value, admission,
 * endpoint, forwarding, retry, record. Between a client's stream and a service's stream.
 *
 *            start            go             stream ready        head
 *   NEW ──────────▶ WAITING ─────▶ CONNECTING ─────────▶ AWAITING ────▶ ANSWERING ──▶ ENDED
 *                      ▲               │  no connection      │ no answer      │ 101
 *                      └───────────────┴────── retry ────────┘                ▼
 *                                                                          TUNNEL ──▶ ENDED
 *   A password that must be checked makes NEW to VERIFYING first, a body of known length GATHERING:
 *   both go on like NEW.
 *   Any state ends with ENDED: answered by ourselves, client gone, upstream cut in mid-body. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/proxy/compression.h"
#include "act/proxy/service.h"
#include "act/proxy/stream.h"
#include "act/proxy/verifier.h"
#include "act/shm/vitals.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "wire/http/message.h"
#include "wire/net/address.h"

#define EXCHANGE_ARENA_BYTES 262144
#define EXCHANGE_REPLAY_BYTES 65536 /* of a request body kept until there is an answer */
#define EXCHANGE_GATHER_US 1000000u /* the service hears of it then, whatever is here */
#define EXCHANGE_UPLOAD_US                                                                         \
    100000u                         /* who still uploads after that holds no place in the service  \
                                     */
#define EXCHANGE_READ_LEAST_BPS 256 /* who takes less of an answer is not reading it */
#define EXCHANGE_UNREAD_TIMES 5 /* exchange_is_stalled: so much longer an answer may be unread */
#define EXCHANGE_TRIED_MAX 4
#define EXCHANGE_LOG_LINE_BYTES 512
#define EXCHANGE_GRANTED_MAX 16
#define EXCHANGE_VERIFY_US 10000000u   /* a password that takes longer is not checked any more */
#define TUNNEL_IDLE_US 3600000000u     /* nothing in either direction */
#define CLIENT_LEAVING_GRACE_US 250000 /* a half-closed client may still read: wait that long */

enum exchange_state {
    EXCHANGE_NEW,
    EXCHANGE_VERIFYING, /* a password is being checked */
    EXCHANGE_GATHERING, /* the body, or its first part, is awaited */
    EXCHANGE_WAITING,
    EXCHANGE_CONNECTING, /* an endpoint is chosen, its stream cannot be written yet */
    EXCHANGE_AWAITING,   /* the request is on its way */
    EXCHANGE_ANSWERING,  /* the client has the head */
    EXCHANGE_TUNNEL,
    EXCHANGE_ENDED,
};

/* Who asks: the session fills it once a connection. */
struct client_info {
    char ip_text[46]; /* "192.0.2.1" or "2001:db8::1", as the service is told */
    uint8_t ip_text_len;
    bool is_v6;
    uint8_t ip[16];
    uint16_t port;
    uint8_t local_ip[16]; /* where it came in; known only when some service is told it */
    uint16_t local_port;
    uint8_t protocol; /* 11, 20 */
    bool tls;
    bool trusted;          /* its word about those before it is believed */
    bool beyond;           /* the limit of the worker's connections: let in to be told (crowd.h) */
    struct client *client; /* who has the connection (clients.h) */
};

/* One sending of the request, to one endpoint. */
struct attempt {
    struct exchange *exchange;
    struct stream *upstream; /* NULL: it is not under way */
    uint16_t endpoint;       /* slot, NO_ENDPOINT: none, or another endpoint has the slot now */
    bool sent;               /* the request, as far as it has come */
    bool reused_connection;  /* it may have been closed already when this was sent */
    bool on_trial;           /* its endpoint is: it was ejected a moment ago */
    enum attempt_kind kind;
    uint64_t dispatched_us, awaiting_since_us;
    struct list in_flight; /* in endpoint->in_flight */
    struct list awaiting;  /* in endpoint->awaiting */
};

struct exchange {
    struct worker *worker;
    struct stream *client;          /* NULL: it is gone */
    struct attempt *attempt;        /* of the two: the first, or the one that answers */
    const struct client_info *peer; /* of the connection */
    const struct client_info *who;  /* the visitor: the peer, or whom a trusted peer speaks for */
    struct service *service;        /* NULL until a route is found */
    enum exchange_state state;
    uint8_t attempts; /* sendings of the request, the first and hedges included */
    uint8_t hedges;   /* of these */
    uint8_t tried_count;
    bool prepared; /* the request's head is as it goes upstream */
    bool request_ended, response_ended;
    bool idempotent;      /* the route promises it, whatever the method */
    bool body_overflowed; /* `body` does not hold the whole of it any more */
    bool client_paused, upstream_paused;
    bool counted;        /* in its client's requests */
    bool admitted;       /* counted in the service's in-flight number */
    bool response_begun; /* the final head went to the client */
    bool logged;         /* `texts` are the access log's */
    bool stale;          /* one sending met a kept connection that its service had just closed */
    bool rescued;        /* taken off an ejected endpoint once already */
    bool racing;         /* `first` and `second` are both under way */
    bool timed;          /* a read: its time to first byte counts, and a hedge may come */
    bool patient;        /* nothing may be sent again: `per_try` does not matter any more */
    bool grpc;           /* answers of our own are said as gRPC says them */
    uint16_t tried[EXCHANGE_TRIED_MAX];
    uint64_t started_us, waiting_since_us, activity_us;
    uint64_t deadline_us;               /* the client will not wait longer; 0: it did not say */
    uint64_t leaving_since_us;          /* the client ended its direction; 0: it did not */
    uint64_t taken_seen, taken_seen_us; /* by the client, at the last look of the timer */
    struct attempt first;
    struct list hedgeable;         /* in service->hedgeable */
    struct admission_item waiting; /* in service->queue; also: what it is worth */
    uint64_t session_key;          /* 0: no session */
    uint64_t sticky_tag;           /* of the cookie that the visitor brought; 0: none */
    struct http_head *trailers;    /* of the request, in the arena; NULL: none */
    struct compression_wish compression;
    struct coder *coder; /* codes the response (compression_flow.c); NULL: it goes as it comes */
    /* Of a route that does more than going to its service; the table is kept for it. */
    struct route_table *table;
    const struct plan_route *route;
    const struct plan_rule *rule;
    struct slice path, authority; /* normalised, and as the visitor asked for it */
    struct verification verifying;
    struct slice user, challenge; /* whose password it is; what is said with 401 */
    struct http_field *granted;   /* what the service is told of the visitor, in the arena */
    size_t granted_count;
    uint32_t retry_after_s;                  /* 0: as the service is loaded */
    struct slice rate_policy, rate_standing; /* of the answer's RateLimit fields; empty: none */
    bool preflight; /* the answer says what scripts of another origin may */
    struct request_record record;
    /* From here on it is kept from one use to the next. */
    struct http_head request;
    struct http_field *request_fields;     /* HTTP_FIELDS_MAX of them; NULL: in a tunnel */
    struct attempt second;                 /* of no meaning before there was a hedge */
    struct slice texts[RECORD_TEXT_COUNT]; /* when logged */
    struct arena arena;                    /* the request's head and what we add to it */
    struct buffer body;                    /* of the request: not yet sent, or kept for a retry */
    struct timer timer; /* may run on in a spare one, which ignores it: that is O(1) */
    struct exchange *next_spare;
};

/* ---- for sessions ---- */

/* Who is at the other end of a connection that was accepted from `peer`. */
void client_info_init(struct client_info *who, const struct address *peer, uint8_t protocol);

/* The visitor for whom a trusted peer speaks. */
void client_info_set_ip(struct client_info *who, const uint8_t ip[16]);

/* A fresh exchange whose `request` is to be parsed into; NULL when memory is out. */
struct exchange *exchange_new(struct worker *worker, struct stream *client,
                              const struct client_info *who);
/* A spare one's memory. */
void exchange_free(struct exchange *exchange);
/* Not started after all: the head is not complete yet. */
void exchange_discard(struct exchange *exchange);
/* The head is complete; its slices point into `raw`, which is copied. */
void exchange_start(struct exchange *exchange, struct slice raw);
/* The head cannot be understood or is too large: answers `status` and records it. */
void exchange_refuse(struct exchange *exchange, uint16_t status, const char *why);
/* Before that, for the access log: what came, of which the first line is kept. */
void exchange_log_bad_head(struct exchange *exchange, struct slice raw);
/* A connection that never sent a whole head was told 408. */
void exchange_log_late_head(struct worker *worker, const struct client_info *who);

void exchange_on_request_data(struct exchange *exchange, struct slice data);
void exchange_on_request_end(struct exchange *exchange, const struct http_head *trailers);
/* What the client sends next makes no sense, or took too long: answered if that is still possible,
 * cut off otherwise. */
void exchange_on_request_bad(struct exchange *exchange, uint16_t status, enum record_reason reason,
                             const char *why);
/* The client will send no more (but may read on), or is gone for good. */
void exchange_on_client_leaving(struct exchange *exchange);
void exchange_on_client_gone(struct exchange *exchange);
void exchange_on_client_drained(struct exchange *exchange);
/* Whether it has waited so long for its client: for a body that comes with less than
 * EXCHANGE_READ_LEAST_BPS on the average, or for an answer of which nothing is taken. Who has
 * little to say while he is answered already (gRPC both ways) keeps nobody waiting. */
bool exchange_is_stalled(const struct exchange *exchange, uint64_t stalled_us);

/* ---- for upstreams ---- */

void attempt_on_connected(struct attempt *attempt);
/* Informational, 101 or final. The head is the caller's again afterwards. */
void attempt_on_response_head(struct attempt *attempt, struct http_head *head);
void attempt_on_response_data(struct attempt *attempt, struct slice data);
/* Where the body's next bytes may go without being shown; NULL: they are to be given. */
struct socket *exchange_outlet(const struct exchange *exchange);
/* So many have gone there. */
void exchange_on_response_moved(struct exchange *exchange, size_t bytes);
void attempt_on_response_end(struct attempt *attempt, const struct http_head *trailers);
/* The stream broke and forgets the attempt. */
void attempt_on_failed(struct attempt *attempt, enum record_reason reason);
void attempt_on_drained(struct attempt *attempt);

/* ---- for waiting and service ---- */

/* Admitted: find an endpoint and send. */
void exchange_go(struct exchange *exchange);
void exchange_refuse_overload(struct exchange *exchange);
/* The attempt's endpoint was ejected: to another one, if that is safe. */
void attempt_rescue(struct attempt *attempt);
/* The oldest of service->hedgeable may have become slow. */
void exchange_hedge_due(struct timer *timer);
/* The attempt's endpoint is being emptied and has had its time. */
void attempt_cut(struct attempt *attempt);
bool exchange_has_tried(const struct exchange *exchange, uint16_t slot);

const char *exchange_state_name(enum exchange_state state);
