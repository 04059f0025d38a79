/* The plan: what the controller tells the workers, one way. A shared segment of PLAN_SLOTS whole
 * versions. The controller fills a slot that nobody uses and publishes it; a worker acquires the
 * newest, compiles what it needs from it (routes, endpoints) and says which version it holds.
 *
 *   segment: [header: magic layout pid heartbeat current | in_use per worker | slot 0 … slot 3]
 *
 * A reader never waits and never sees a half-written plan: acquire writes the slot into in_use,
 * then checks that it is still the current one; the publisher only takes slots that are neither
 * current nor in any in_use. Layout drawn in docs/shm.md. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "act/shm/plan_routes.h"
#include "base/error.h"
#include "base/slice.h"
#include "decide/balance/hedge.h"
#include "decide/balance/retry.h"
#include "decide/value/stage.h"
#include "wire/http/coding.h"
#include "wire/net/address.h"
#include "wire/net/tls.h"

#define PLAN_LAYOUT 9u
#define PLAN_SLOTS 4
#define PLAN_WORKERS_MAX 64
#define PLAN_SERVICES_MAX 64
#define PLAN_ENDPOINTS_MAX 512    /* endpoint slots of all services together */
#define PLAN_CUSTOMERS_MAX 262144 /* power of two; filled at most half */
#define PLAN_LISTENERS_MAX 64
#define PLAN_CERTIFICATES_MAX 512 /* of all listeners together */
#define PLAN_TRUSTED_MAX 64       /* networks of trusted proxies */
#define PLAN_TEXT_BYTES (8u << 20)
#define PLAN_NAME_BYTES 64
#define PLAN_COMPRESSION_TYPES_MAX 32

/* Names as in `status --json`. */
enum endpoint_state {
    ENDPOINT_NONE, /* the slot is free */
    ENDPOINT_STARTING,
    ENDPOINT_WARM,     /* a spare: healthy, out of rotation */
    ENDPOINT_SERVING,  /* in rotation */
    ENDPOINT_EJECTED,  /* unhealthy: out of rotation, watched or about to be replaced */
    ENDPOINT_DRAINING, /* no new requests; finishes what it has */
    ENDPOINT_STATES,
};

/* An endpoint keeps its slot while it lives: per-endpoint state in the vitals is indexed by it.
 * `generation` changes when another endpoint takes the slot. */
struct plan_endpoint {
    char id[PLAN_NAME_BYTES]; /* "storefront-3"; of a static one its address */
    uint32_t generation;
    uint16_t service;
    uint8_t state;  /* enum endpoint_state */
    bool elsewhere; /* not in the zone of this node */
    uint16_t weight;
    uint64_t sticky_tag;  /* what the cookie of a sticky service says; 0: it is not sticky */
    bool cut;             /* what is in flight there is ended now */
    uint32_t concurrency; /* requests in flight it carries within the objective; 0 not known yet */
    struct sockaddr_storage address;
    uint32_t address_len;
};

enum plan_protocol { PLAN_PROTOCOL_H1, PLAN_PROTOCOL_H2 };

/* How a service's endpoint is chosen. */
struct plan_balance {
    uint8_t policy, hash;         /* enum balance_policy, balance_hash */
    uint8_t secure;               /* enum sticky_secure */
    uint16_t hash_balance_factor; /* percent; 0: no bound */
    struct plan_text hash_name;
    struct plan_text cookie, cookie_attributes; /* empty: not sticky */
};

/* Services keep their index while their name is configured: vitals are indexed by it. */
struct plan_service {
    char name[PLAN_NAME_BYTES]; /* empty: the index is free */
    uint32_t objective_us;
    uint32_t concurrency; /* of the whole service; 0: the worker learns by itself */
    uint32_t connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms, total_timeout_ms;
    uint8_t protocol;    /* enum plan_protocol, towards its endpoints */
    bool order_by_value; /* overload.order */
    uint32_t queue_max, queue_patience_ms;
    struct plan_balance balance;
    double floor_ratio; /* share of the capacity kept for unknown visitors */
    bool compression;   /* answers may be compressed, unless the route says otherwise */
    /* Sending again, and twice. */
    struct retry_policy retry;
    uint32_t retry_try_ms; /* for an answer, while it may be sent again; 0: no own limit */
    double retry_ratio, retry_floor_rps;
    bool idempotency_key; /* the service honours it */
    struct hedge_policy hedge;
    struct plan_text deadline_field; /* by which it is told how long is left; empty: none */
    uint32_t connections;            /* to one endpoint, of all workers; 0: by the capacity */
    uint32_t connections_ahead; /* to each endpoint, of all workers: to be open before a wave */
    /* How its instances are spoken to. */
    uint8_t proxy_protocol; /* version of the header that goes ahead; 0: none */
    bool tls, tls_verify;
    uint16_t tls_certificate; /* index + 1 of what we show; 0: none */
    struct plan_text tls_name, tls_ca;
    uint64_t tls_ca_source; /* digest of the name of its file */
    uint64_t tls_digest;    /* of all of tls_*: equal ones need no new context */
};

/* Of what a route may leave to its service. */
enum plan_switch { PLAN_DEFAULT, PLAN_ON, PLAN_OFF };

/* Open addressing by xxh3 of the customer id; key 0 is free (a hash of 0 is stored as 1). */
struct plan_customer {
    uint64_t key;
    float expected_value; /* currency units over the horizon of the file */
    uint32_t reserved;
};

/* A certificate and its key, as texts (PEM; the response DER): workers touch no disk. */
struct plan_certificate {
    struct plan_text chain, key, ocsp;
    uint64_t source; /* digest of the names of its files */
};

/* What a listening socket expects; the worker knows it by its address. */
struct plan_listener {
    struct address address;
    bool proxy_protocol; /* of peers in `networks`, before anything else */
    bool tls, only_1_3;
    uint8_t verify; /* enum tls_verify */
    uint16_t certificate_first, certificate_count;
    struct plan_text ciphers, client_ca, client_crl; /* empty: default, none */
    uint64_t client_source; /* digest of the names of client_ca and client_crl */
    uint64_t digest;  /* of its TLS settings and certificates: equal ones need no new contexts */
    uint64_t context; /* of whom it lets in: tickets of another one are not taken */
};

/* Named limits and timeouts of the client side; defaults in act/proxy/proxy_config.c. */
struct plan_limits {
    uint32_t head_bytes, fields, target_bytes;
    uint64_t body_bytes; /* 0: unlimited */
    uint32_t connections, requests_per_connection;
    uint32_t streams;                                     /* of one HTTP/2 connection, at once */
    uint32_t connections_per_client, requests_per_client; /* at one worker; 0: any number */
    double handshakes_per_client;                         /* a second */
    uint32_t client_head_timeout_ms, client_idle_timeout_ms, client_body_timeout_ms;
    uint32_t drain_timeout_ms, pool_idle_timeout_ms;
    uint32_t upgrade_timeout_ms; /* an older worker may finish what it carries for so long */
};

/* How answers are compressed where that is on. Defaults in act/proxy/compression_config.c. */
struct plan_compression {
    uint8_t order[HTTP_CODINGS], order_count; /* enum http_coding, the favourite first */
    uint8_t levels[HTTP_CODINGS];
    bool services_may; /* Accept-Encoding goes on to the service */
    uint32_t min_bytes, encoders_max;
    uint32_t type_count;
    struct plan_text
        types[PLAN_COMPRESSION_TYPES_MAX]; /* "text/html"; one "*" stands for anything */
};

struct plan {
    uint64_t version; /* 1, 2, …: what `status` shows */
    uint64_t
        routes_hash; /* of the routes and all that belongs to them: the same, the same routes */
    int64_t published_unix_ms;
    uint32_t service_count; /* highest used index + 1 */
    uint32_t endpoint_count;
    uint32_t route_count; /* in order of the configuration */
    uint32_t condition_count, network_count, rule_count, share_count, change_count;
    uint32_t page_count; /* the first `own_page_count` are for all routes */
    uint32_t own_page_count, jwt_count, rate_count;
    uint32_t customer_slots; /* power of two in use, 0: no table */
    uint32_t text_len;
    struct plan_limits limits;
    struct plan_compression compression;
    struct plan_text customer_cookie, session_cookie, via_name;
    double customer_value_mean;
    bool log_texts, log_query; /* records carry their texts, and queries */
    uint32_t listener_count, certificate_count, trusted_count, unlimited_count;
    bool forwarded_field; /* trusted proxies speak Forwarded, else X-Forwarded-For */
    struct tls_tickets tickets;
    int64_t tickets_made_ms;                         /* the newest of them, unix */
    struct plan_network trusted[PLAN_TRUSTED_MAX];   /* whose word about visitors is believed */
    struct plan_network unlimited[PLAN_TRUSTED_MAX]; /* whom limits of one client do not hold for */
    struct plan_listener listeners[PLAN_LISTENERS_MAX];
    struct plan_service services[PLAN_SERVICES_MAX];
    struct plan_endpoint endpoints[PLAN_ENDPOINTS_MAX];
    struct plan_route routes[PLAN_ROUTES_MAX];
    struct plan_condition conditions[PLAN_CONDITIONS_MAX];
    struct plan_network networks[PLAN_NETWORKS_MAX];
    struct plan_rule rules[PLAN_RULES_MAX];
    struct plan_share shares[PLAN_SHARES_MAX];
    struct plan_change changes[PLAN_CHANGES_MAX];
    struct plan_page pages[PLAN_PAGES_MAX];
    struct plan_jwt jwts[PLAN_JWTS_MAX];
    struct plan_rate rates[PLAN_RATES_MAX];
    struct plan_certificate certificates[PLAN_CERTIFICATES_MAX];
    struct plan_customer customers[PLAN_CUSTOMERS_MAX];
    char text[PLAN_TEXT_BYTES];
};

struct plan_segment;

/* A new segment in a memfd (sparse: only touched pages cost). The fd goes to the children by fork;
 * plan_segment_attach maps it in another process. */
struct plan_segment *plan_segment_new(int *fd, struct error *err);
struct plan_segment *plan_segment_attach(int fd, struct error *err);
void plan_segment_free(struct plan_segment *segment); /* unmaps */
/* A new segment's first plan is the current one of another segment, which nobody publishes to now:
 * at an upgrade, the plan of the older Tidegate. False when that was written in another layout. */
bool plan_segment_inherit(struct plan_segment *segment, int fd, int from_fd, struct error *err);

/* Publisher (the controller; one at a time). plan_begin gives a free slot whose fixed part is
 * zeroed (arrays are valid up to the counts only), NULL while all are in use: try again next
 * tick. */
struct plan *plan_begin(struct plan_segment *segment);
bool plan_add_text(struct plan *plan, struct slice text, struct plan_text *out);
/* Appends a listener whose certificates are those appended since the one before; fills in
 * certificate_first, certificate_count, digest and context. False when a table is full. */
bool plan_add_listener(struct plan *plan, const struct plan_listener *listener);
bool plan_add_certificate(struct plan *plan, const struct tls_pair *pair, uint64_t source);
/* After all listeners: what service `index` shows; an empty pair: nothing. Sets tls_digest too, so
 * it is called for each service that speaks TLS. */
bool plan_finish_service(struct plan *plan, unsigned index, const struct tls_pair *own,
                         uint64_t source);
/* The one of that address; NULL: none. */
const struct plan_listener *plan_find_listener(const struct plan *plan,
                                               const struct address *address);
/* Whether the peer may speak for others. */
bool plan_trusts(const struct plan *plan, const uint8_t ip[16]);
/* Whether limits of one client do not hold for it: it is trusted, or named as such. */
bool plan_sets_no_limit(const struct plan *plan, const uint8_t ip[16]);
/* Makes an empty table for `count` customers; false beyond half of PLAN_CUSTOMERS_MAX. */
bool plan_begin_customers(struct plan *plan, uint32_t count);
/* At most as many as were announced. The same id again replaces its value. */
void plan_add_customer(struct plan *plan, struct slice id, float expected_value);
/* Sets version, time and the hash of the routes. */
void plan_publish(struct plan_segment *segment, struct plan *plan);
void plan_heartbeat(struct plan_segment *segment, uint64_t now_us);
uint64_t plan_heartbeat_us(const struct plan_segment *segment);

/* Publisher: what no worker uses any more loses its texts, keys among them. */
void plan_wipe_unused(struct plan_segment *segment);

/* Readers. The pointer is valid until this worker's next acquire or release. NULL before the first
 * plan. `worker` < PLAN_WORKERS_MAX. */
const struct plan *plan_acquire(struct plan_segment *segment, unsigned worker);
void plan_release(struct plan_segment *segment, unsigned worker);
uint64_t plan_version(const struct plan_segment *segment);           /* newest published; 0: none */
const struct plan *plan_current(const struct plan_segment *segment); /* for the publisher itself */
/* The supervisor calls it for a dead worker, so that its slot becomes free. */
void plan_forget_worker(struct plan_segment *segment, unsigned worker);

/* False when the customer is not in the table. */
bool plan_find_customer(const struct plan *plan, struct slice id, float *expected_value);

static inline struct slice plan_slice(const struct plan *plan, struct plan_text text) {
    return (struct slice){ plan->text + text.offset, text.len };
}
const char *endpoint_state_name(enum endpoint_state state);
